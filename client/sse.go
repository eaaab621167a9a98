package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is read of a stream.
const (
	maxLineBytes  = 4 << 20
	maxFrameBytes = 8 << 20
)

// ErrFrameTooLarge says that a stream sent more in one event than anything that Longwire sends.
var ErrFrameTooLarge = errors.New("server-sent event is too large")

// Frame is one server-sent event, before anybody looked at what it means.
type Frame struct {
	Event string // its name; "" = none was given
	ID    string // the last id of the stream, this frame's or an earlier one's
	HasID bool   // whether this frame itself had an id
	Data  []byte // good until the next call of Next
}

// FrameReader splits a stream of server-sent events, as the WHATWG HTML standard says (section 9.2.6, interpreting an event
// stream). It is what [Client.Stream] reads with, and of use to those who read by other means.
type FrameReader struct {
	in     *bufio.Reader
	began  bool // the byte order mark is behind us
	skipLF bool // the last line ended with CR: an LF that comes next belongs to it
	line   []byte

	data    []byte
	event   string
	id      string // as set by the last id line
	last    string // as of the last empty line
	hasID   bool
	retry   time.Duration
	started bool // data has been given, be it empty
}

// NewFrameReader returns a reader of the stream in r.
func NewFrameReader(r io.Reader) *FrameReader {
	return &FrameReader{in: bufio.NewReaderSize(r, 16<<10)}
}

// LastID returns what is to be sent as Last-Event-ID: the id that stood before the last empty line.
func (r *FrameReader) LastID() string {
	return r.last
}

// Retry returns how long the stream said to wait before reconnecting; 0 = it did not say.
func (r *FrameReader) Retry() time.Duration {
	return r.retry
}

// Next returns the next frame that has data; the standard passes over others. A frame that the end of the stream cuts off
// is dropped, and the error is io.EOF or that of the reader.
func (r *FrameReader) Next() (Frame, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return Frame{}, err
		}
		if len(line) > 0 {
			if err := r.field(line); err != nil {
				return Frame{}, err
			}
			continue
		}
		if frame, ok := r.dispatch(); ok {
			return frame, nil
		}
	}
}

// dispatch ends a frame at an empty line; one without data is none, but its id counts.
func (r *FrameReader) dispatch() (Frame, bool) {
	r.last = r.id
	frame := Frame{Event: r.event, ID: r.last, HasID: r.hasID, Data: r.data}
	ok := r.started
	r.event, r.hasID, r.started = "", false, false
	if !ok {
		return Frame{}, false
	}
	frame.Data = frame.Data[:len(frame.Data)-1] // the LF after the last line
	if !utf8.Valid(frame.Data) {
		frame.Data = bytes.ToValidUTF8(frame.Data, []byte("\uFFFD"))
	}
	return frame, true
}

// field reads one line that is not empty.
func (r *FrameReader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	if len(name) == 0 {
		return nil // a comment
	}
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "data":
		if !r.started {
			r.started, r.data = true, r.data[:0]
		}
		if len(r.data)+len(value) > maxFrameBytes {
			return ErrFrameTooLarge
		}
		r.data = append(append(r.data, value...), '\n')
	case "event":
		r.event = valid(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.id, r.hasID = valid(value), true
		}
	case "retry":
		if onlyDigits(value) {
			if millis, err := strconv.ParseInt(string(value), 10, 32); err == nil {
				r.retry = time.Duration(millis) * time.Millisecond
			}
		}
	}
	return nil
}

// readLine returns a line without its end, which is CR LF, LF or CR. It never waits for the byte after a CR. A last line
// without an end is not returned: nothing can be done with it.
func (r *FrameReader) readLine() ([]byte, error) {
	if !r.began {
		r.began = true
		r.skipMark()
	}
	r.line = r.line[:0]
	for {
		if r.in.Buffered() == 0 {
			if _, err := r.in.Peek(1); err != nil {
				return nil, err
			}
		}
		chunk, _ := r.in.Peek(r.in.Buffered())
		if r.skipLF {
			r.skipLF = false
			if chunk[0] == '\n' {
				_, _ = r.in.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(chunk, "\r\n")
		if end < 0 {
			end = len(chunk)
		}
		if len(r.line)+end > maxLineBytes {
			return nil, ErrFrameTooLarge
		}
		r.line = append(r.line, chunk[:end]...)
		if end == len(chunk) {
			_, _ = r.in.Discard(end)
			continue
		}
		r.skipLF = chunk[end] == '\r'
		_, _ = r.in.Discard(end + 1)
		return r.line, nil
	}
}

// skipMark passes over a byte order mark. It waits for its other bytes only behind the first.
func (r *FrameReader) skipMark() {
	if first, err := r.in.Peek(1); err != nil || first[0] != 0xEF {
		return
	}
	if mark, err := r.in.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = r.in.Discard(3) // peeked, so it is there
	}
}

func onlyDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

func valid(text []byte) string {
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
