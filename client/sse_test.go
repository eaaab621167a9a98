package client_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

type frame struct {
	event, id, data string
	hasID           bool
}

func frames(t require.TestingT, from io.Reader) ([]frame, *client.FrameReader) {
	reader := client.NewFrameReader(from)
	var all []frame
	for {
		next, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all, reader
		}
		require.NoError(t, err)
		all = append(all, frame{event: next.Event, id: next.ID, data: string(next.Data), hasID: next.HasID})
	}
}

// The rules of the WHATWG HTML standard, section "Interpreting an event stream".
func TestFrameReaderFollowsTheStandard(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream string
		want   []frame
		last   string
		retry  time.Duration
	}{
		"nothing":                       {stream: ""},
		"one":                           {stream: "data: a\n\n", want: []frame{{data: "a"}}},
		"lines":                         {stream: "data: a\ndata: b\ndata\n\n", want: []frame{{data: "a\nb\n"}}},
		"only one space is taken away":  {stream: "data:  a \n\ndata:b\n\n", want: []frame{{data: " a "}, {data: "b"}}},
		"carriage returns":              {stream: "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", want: []frame{{data: "a"}, {data: "b"}, {data: "c"}}},
		"byte order mark":               {stream: "\uFEFFdata: a\n\n", want: []frame{{data: "a"}}},
		"a second mark is no mark":      {stream: "\uFEFF\uFEFFdata: a\n\ndata: b\n\n", want: []frame{{data: "b"}}},
		"half a mark":                   {stream: "\xEF\xBB\n\ndata: b\n\n", want: []frame{{data: "b"}}},
		"comments":                      {stream: ": hello\n:\ndata: a\n:data: b\n\n", want: []frame{{data: "a"}}},
		"names":                         {stream: "event: x\ndata: a\n\ndata: b\n\n", want: []frame{{event: "x", data: "a"}, {data: "b"}}},
		"a name without data is none":   {stream: "event: x\n\ndata: b\n\n", want: []frame{{data: "b"}}},
		"empty data is data":            {stream: "data\n\ndata:\n\n", want: []frame{{}, {}}},
		"ids stay":                      {stream: "id: 1\ndata: a\n\ndata: b\n\n", want: []frame{{id: "1", hasID: true, data: "a"}, {id: "1", data: "b"}}, last: "1"},
		"an id without data counts":     {stream: "id: 1\n\n", last: "1"},
		"an empty id forgets":           {stream: "id: 1\ndata: a\n\nid\ndata: b\n\n", want: []frame{{id: "1", hasID: true, data: "a"}, {hasID: true, data: "b"}}},
		"no NUL in ids":                 {stream: "id: 1\n\nid: 2\x003\ndata: a\n\n", want: []frame{{id: "1", data: "a"}}, last: "1"},
		"an id that is cut off is none": {stream: "id: 1\n\nid: 2\ndata: a\n", last: "1"},
		"retry":                         {stream: "retry: 1500\n\nretry: 1x\nretry: -1\nretry:\nretry: 99999999999999999999\n\n", retry: 1500 * time.Millisecond},
		"unknown fields":                {stream: "data : a\nDATA: b\nfoo: bar\nfoo\ndata: c\n\n", want: []frame{{data: "c"}}},
		"the rest is dropped":           {stream: "data: a\n\ndata: b\n", want: []frame{{data: "a"}}},
		"bad UTF-8 is replaced":         {stream: "data: a\xFFb\n\n", want: []frame{{data: "a\uFFFDb"}}},
		"colons in values":              {stream: "data:::\n\n", want: []frame{{data: "::"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, reader := frames(t, strings.NewReader(test.stream))
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.last, reader.LastID())
			assert.Equal(t, test.retry, reader.Retry())

			slowly, _ := frames(t, iotest.OneByteReader(strings.NewReader(test.stream)))
			assert.Equal(t, got, slowly, "how the bytes are cut makes no difference")
		})
	}
}

func TestFrameReaderWaitsForNothingBehindAFrame(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r\n", "\n\ndata: a\n\n"} {
		from, to := io.Pipe()
		go func() { _, _ = to.Write([]byte(stream)) }() // and never anything more
		next, err := client.NewFrameReader(from).Next()
		require.NoError(t, err)
		assert.Equal(t, "a", string(next.Data))
		require.NoError(t, from.Close())
	}
}

func TestFrameReaderIsBounded(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]io.Reader{
		"a line without end": endless("data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		"lines without end":  endless("data: a\n", "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
	} {
		_, err := client.NewFrameReader(from).Next()
		assert.ErrorIs(t, err, client.ErrFrameTooLarge, name)
	}
}

// endless reads first, and then again and again the second.
func endless(first, again string) io.Reader {
	return io.MultiReader(strings.NewReader(first), &repeating{text: again})
}

type repeating struct{ text string }

func (r *repeating) Read(p []byte) (int, error) {
	n := 0
	for n+len(r.text) <= len(p) {
		n += copy(p[n:], r.text)
	}
	return n, nil
}

// FuzzFrameReader compares the reader with one that follows the letter of the standard and has all the time in the world.
func FuzzFrameReader(f *testing.F) {
	f.Add([]byte("retry: 10\n\nevent: hello\nid: 1\ndata: {}\n\nid: 2\ndata: a\ndata: b\n\n"), uint8(1))
	f.Add([]byte("\uFEFFdata: a\r\rdata: b\r\n\r\n: c\n\n"), uint8(3))
	f.Add([]byte("id\ndata\n\nid: \x00\ndata:\n\n"), uint8(0))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		var from io.Reader = bytes.NewReader(stream)
		if cut > 0 {
			from = &cutting{from: from, size: int(cut)}
		}
		got, reader := frames(t, from)
		want, last := slowFrames(string(stream))
		assert.Equal(t, want, got)
		assert.Equal(t, last, reader.LastID())
	})
}

type cutting struct {
	from io.Reader
	size int
}

func (c *cutting) Read(p []byte) (int, error) {
	return c.from.Read(p[:min(len(p), c.size)])
}

func slowFrames(stream string) (all []frame, last string) {
	stream = strings.TrimPrefix(stream, "\uFEFF")
	stream = strings.ReplaceAll(stream, "\r\n", "\n")
	stream = strings.ReplaceAll(stream, "\r", "\n")
	lines := strings.Split(stream, "\n")
	lines = lines[:len(lines)-1] // what comes after the last end of a line is none
	var data, event, id string
	var started, hasID bool
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			last = id
			if started {
				data = strings.ToValidUTF8(strings.TrimSuffix(data, "\n"), "\uFFFD")
				all = append(all, frame{event: event, id: id, data: data, hasID: hasID})
			}
			data, event, started, hasID = "", "", false, false
		case name == "data":
			data, started = data+value+"\n", true
		case name == "event":
			event = strings.ToValidUTF8(value, "\uFFFD")
		case name == "id" && !strings.Contains(value, "\x00"):
			id, hasID = strings.ToValidUTF8(value, "\uFFFD"), true
		}
	}
	return all, last
}
