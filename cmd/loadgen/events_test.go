package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inChunks is a response in chunks that do not keep to events.
func inChunks() string {
	text := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
	for i, chunk := range []string{
		"retry: 5\n\nevent: hello\nid: 1", "\ndata: {}\n", "\nid", ": 2\ndata: {\"a\":1}\n\nid: 3", "\ndata: {\"a\":2}\n\n: \n", "\n", "",
	} {
		form := []string{"%x\r\n%s\r\n", "%X;name=1\r\n%s\r\n"}[i%2]
		text += fmt.Sprintf(form, len(chunk), chunk)
	}
	return text
}

func TestEventsAreReadInWhateverPiecesTheyArrive(t *testing.T) {
	t.Parallel()
	chunked := inChunks()
	want := []string{"retry: 5", "event: hello\nid: 1\ndata: {}", "id: 2\ndata: {\"a\":1}", "id: 3\ndata: {\"a\":2}", ": "}
	for size := 1; size <= len(chunked); size++ {
		var got []string
		status := 0
		r := eventReader{
			onHead:  func(h head) error { status = h.status; return nil },
			onEvent: func(event []byte) { got = append(got, string(event)) },
		}
		var err error
		for rest := chunked; rest != "" && err == nil; {
			n := min(size, len(rest))
			err = r.feed([]byte(rest[:n]))
			rest = rest[n:]
		}
		require.ErrorIs(t, err, io.EOF, "in pieces of %d", size)
		require.Equal(t, 200, status)
		require.Equal(t, want, got, "in pieces of %d", size)
	}
}

func TestAStreamWithoutChunksIsReadToo(t *testing.T) {
	t.Parallel()
	var got []string
	r := eventReader{onHead: func(head) error { return nil }, onEvent: func(event []byte) { got = append(got, string(event)) }}
	require.NoError(t, r.feed([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nid: 1\ndata: a\n\nid: 2")))
	require.NoError(t, r.feed([]byte("\ndata: b\n\n")))
	require.Equal(t, []string{"id: 1\ndata: a", "id: 2\ndata: b"}, got)
	require.Empty(t, r.rest, "an idle stream holds no buffer")
	require.Zero(t, cap(r.rest))
}

func TestNonsenseEndsAStream(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
		strings.Repeat("x", maxRest+1),
	} {
		r := eventReader{onHead: checkStreamHead, onEvent: func([]byte) {}}
		require.Error(t, r.feed([]byte(text)))
	}
	r := eventReader{onHead: checkStreamHead, onEvent: func([]byte) {}}
	require.ErrorContains(t, r.feed([]byte("HTTP/1.1 401 Unauthorized\r\n\r\n")), "401")
}
