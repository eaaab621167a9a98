package main

import (
	"bytes"
	"errors"
	"io"
)

// eventReader takes an event stream apart, in whatever pieces it arrives:
// the response's head, its chunks, its events. An idle one holds no buffer.
type eventReader struct {
	// onHead is told the status, onEvent each event without the empty line that
	// ends it. The bytes are good until it returns.
	onHead  func(h head) error
	onEvent func(event []byte)

	begun bool // the head is over
	body  dechunker
	rest  []byte // what has come of something that is not complete
}

// maxRest bounds what is waited for: nothing that our servers send is longer.
const maxRest = 1 << 20

// feed takes what has arrived. The error is io.EOF when the response is over.
func (r *eventReader) feed(b []byte) error {
	if !r.begun {
		var err error
		if b, err = r.head(b); err != nil || !r.begun {
			return err
		}
	}
	for len(b) > 0 {
		var payload []byte
		var err error
		if payload, b, err = r.body.next(b); err != nil {
			return err
		}
		if err := r.events(payload); err != nil {
			return err
		}
	}
	return nil
}

// head reads the response's head and returns what follows it.
func (r *eventReader) head(b []byte) ([]byte, error) {
	r.rest = append(r.rest, b...)
	end := bytes.Index(r.rest, []byte("\r\n\r\n"))
	if end < 0 {
		if len(r.rest) > maxRest {
			return nil, errors.New("the head of the response has no end")
		}
		return nil, nil
	}
	h, err := parseHead(r.rest[:end+4])
	if err != nil {
		return nil, err
	}
	if err := r.onHead(h); err != nil {
		return nil, err
	}
	r.begun, r.body.chunked = true, h.chunked
	b, r.rest = r.rest[end+4:], nil
	return b, nil
}

var eventEnd = []byte("\n\n")

// events takes apart what has arrived of the body.
func (r *eventReader) events(b []byte) error {
	gathered := len(r.rest) > 0
	if gathered {
		r.rest = append(r.rest, b...)
		b = r.rest
	}
	for {
		end := bytes.Index(b, eventEnd)
		if end < 0 {
			break
		}
		r.onEvent(b[:end])
		b = b[end+len(eventEnd):]
	}
	switch {
	case len(b) > maxRest:
		return errors.New("an event has no end")
	case len(b) == 0:
		r.rest = nil
	case gathered:
		r.rest = r.rest[:copy(r.rest, b)]
	default:
		r.rest = append(make([]byte, 0, 2*len(b)), b...)
	}
	return nil
}

// dechunker takes the chunked coding off a body (RFC 9112, section 7.1), or
// passes on one that has none.
type dechunker struct {
	chunked bool
	state   chunkState
	left    int // of the chunk's data, or of the line's end after it
}

type chunkState uint8

const (
	inSize chunkState = iota
	inExtension
	inData
	afterData
)

// next returns the next piece of the body in b, empty when there is none, and
// what is left of b. The error is io.EOF at the last chunk.
func (d *dechunker) next(b []byte) (payload, rest []byte, err error) {
	if !d.chunked {
		return b, nil, nil
	}
	for len(b) > 0 {
		switch d.state {
		case inData:
			n := min(d.left, len(b))
			if d.left -= n; d.left == 0 {
				d.state, d.left = afterData, 2
			}
			return b[:n], b[n:], nil
		case afterData:
			b = b[1:]
			if d.left--; d.left == 0 {
				d.state = inSize
			}
		default:
			if err := d.size(b[0]); err != nil {
				return nil, nil, err
			}
			b = b[1:]
		}
	}
	return nil, nil, nil
}

// size takes one byte of the line that tells how long a chunk is.
func (d *dechunker) size(c byte) error {
	var digit int
	switch {
	case c == '\n' && d.left == 0:
		return io.EOF
	case c == '\n':
		d.state = inData
		return nil
	case c == '\r', d.state == inExtension:
		return nil
	case c == ';':
		d.state = inExtension
		return nil
	case c >= '0' && c <= '9':
		digit = int(c - '0')
	case c >= 'a' && c <= 'f':
		digit = int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		digit = int(c-'A') + 10
	default:
		return errors.New("the length of a chunk is no number")
	}
	if d.left > maxRest {
		return errors.New("a chunk is too long")
	}
	d.left = d.left<<4 | digit
	return nil
}
