package handlers

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

func parked(b *bundle) { b.config.ParkStreams = true }

// open dials a server and asks for a stream; the head of the answer is read.
func open(t *testing.T, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write([]byte("GET /v1/inbox/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + accessToken + "\r\n\r\n"))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = errors.Join(conn.Close(), answer.Body.Close()) })
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream; charset=utf-8", answer.Header.Get("Content-Type"))
	require.NotEmpty(t, answer.Header.Get("X-Request-ID"))
	require.NotEmpty(t, answer.Header.Get("Date"))
	return conn, bufio.NewReader(answer.Body)
}

// readUntil reads lines up to one that begins with the prefix.
func readUntil(t *testing.T, reader *bufio.Reader, prefix string) string {
	t.Helper()
	for {
		line, err := reader.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
}

func TestParkedStreamHasNoGoroutine(t *testing.T) {
	h, b := setup(t, parked)
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	readUntil(t, reader, "event: hello")
	before := runtime.NumGoroutine()
	for range 50 {
		b.inboxes.mu.Lock()
		b.inboxes.reader = newReaderDouble(41)
		b.inboxes.mu.Unlock()
		_, reader := open(t, server)
		readUntil(t, reader, "event: hello")
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+10 }, 10*time.Second, 5*time.Millisecond,
		"handlers return while their streams go on")
}

func TestParkedStreamNoticesAPeerThatLeavesThoughNothingIsWritten(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked)
	server := httptest.NewServer(h)
	defer server.Close()
	conn, reader := open(t, server)
	readUntil(t, reader, "event: hello")
	require.NoError(t, conn.Close())
	b.shows(t, `longwire_http_streams_ended_total{reason="client_left"} 1`)
	require.True(t, b.inboxes.reader.isClosed())
}

func TestParkedStreamHeartbeatsInSilenceAndEndsItself(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) {
		b.config.Heartbeat, b.config.StreamLifetime = 600*time.Millisecond, 3*time.Second
	})
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	require.Equal(t, "id: "+cursorAt(41)+"\n", readUntil(t, reader, "id: "))
	readUntil(t, reader, "event: heartbeat")
	require.Equal(t, "id: "+cursorAt(41)+"\n", readUntil(t, reader, "id: "))
	readUntil(t, reader, "event: bye")
	require.Contains(t, readUntil(t, reader, "data: "), `"reason":"lifetime"`)
	b.shows(t, `longwire_http_streams_ended_total{reason="lifetime"} 1`)
	b.shows(t, "longwire_http_streams 0")
	require.Contains(t, b.log.String(), "route=/v1/inbox/stream status=200")
}

func TestParkedStreamReadsWhatMemoryDoesNotHave(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.inboxes.reader.cold = true })
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	for seq := int64(42); seq < 142; seq++ {
		b.inboxes.give(eventBatch(t, seq))
	}
	for seq := int64(42); seq < 142; seq++ {
		require.Contains(t, readUntil(t, reader, "data: {\"cursor\":\""+cursorAt(seq)+"\",\"type\""), cursorAt(seq))
	}
	b.inboxes.give(endBatch())
	readUntil(t, reader, "event: bye")
	b.shows(t, "longwire_http_streams 0")
}

func TestParkedStreamLosesNothingWhenItsSocketFills(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.config.WriteTimeout = 20 * time.Second })
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	const events = 40
	go func() {
		for seq := int64(42); seq < 42+events; seq++ {
			body := chat.Body(`"type":"x","x":"` + strings.Repeat("x", 256<<10) + `"}`)
			b.inboxes.give(realtime.Batch{Events: []chat.InboxEvent{{Seq: seq, Body: body}}})
		}
		b.inboxes.give(endBatch())
	}()
	// Ten megabytes do not fit into the sockets' buffers: nothing is read until
	// the stream has stopped for want of room.
	require.Eventually(t, func() bool { return b.inboxes.reader.Seq() > 42 }, 10*time.Second, time.Millisecond)
	for seq := int64(42); seq < 42+events; seq++ {
		line := readUntil(t, reader, "data: {\"cursor\":\""+cursorAt(seq)+"\",\"type\"")
		require.Greater(t, len(line), 256<<10)
	}
	readUntil(t, reader, "event: bye")
	_, err := reader.ReadString('}')
	require.NoError(t, err)
	b.shows(t, "longwire_http_streams 0")
}

func TestParkedStreamThatFillsUpAndIsLeftAloneIsClosedByTheDeadline(t *testing.T) {
	t.Parallel()
	// The next heartbeat is far away, and nothing else comes in.
	h, b := setup(t, parked, func(b *bundle) {
		b.config.WriteTimeout, b.config.Heartbeat = 50*time.Millisecond, time.Minute
	})
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	readUntil(t, reader, "event: hello")
	body := chat.Body(`"type":"x","x":"` + strings.Repeat("x", 32<<20) + `"}`)
	b.inboxes.give(realtime.Batch{Events: []chat.InboxEvent{{Seq: 42, Body: body}}})
	b.shows(t, `longwire_http_streams_ended_total{reason="slow_consumer"} 1`)
	require.True(t, b.inboxes.reader.isClosed())
}

func TestParkedStreamIsRefusedAsAnyOther(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) {
		b.inboxes.err = &chat.Error{Code: chat.CodeTooManyStreams, Detail: "Too many.", RetryAfter: time.Second}
	})
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/inbox/stream", http.NoBody)
	require.NoError(t, err)
	signedIn(r)
	answer, err := server.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
	require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
	b.shows(t, "longwire_http_streams 0")
}

// A stream that reads may wait for its database; those behind it do not wait for it.
func TestReaderThatWaitsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	p := &parking{}
	p.reading.open(1)
	streams := []*parkedStream{{}, {}, {}, {}}
	for _, s := range streams {
		p.reading.add(s)
	}
	waits := make(chan struct{})
	served := make(chan *parkedStream, len(streams))
	for range 2 {
		p.loops.Go(func() {
			p.reading.run(func(s *parkedStream, buffer []byte) []byte {
				if s == streams[0] {
					<-waits
				}
				served <- s
				return buffer
			})
		})
	}
	for range streams[1:] {
		require.NotSame(t, streams[0], <-served)
	}
	close(waits)
	require.Same(t, streams[0], <-served)
	p.reading.close()
	p.loops.Wait()
}

func TestWheelForgetsNobodyAndGoesOnWithTheLate(t *testing.T) {
	t.Parallel()
	var w wheel
	s := &parkedStream{}
	for _, d := range []time.Duration{-time.Second, 0, wheelTick, 10 * time.Second, time.Hour} {
		w.add(turn{stream: s}, d)
		turns := 0
		for len(w.next()) == 0 {
			turns++
		}
		want := min(max(int(d/wheelTick)+1, 1), len(w.slots)-1)
		require.Equal(t, want, turns, d)
	}
}

func TestMemoryIsGivenBackWhenLittleHappens(t *testing.T) {
	t.Parallel()
	const alive = 10 << 20
	m := newMemory()
	assert.False(t, m.quiet(100<<20, alive), "streams are being opened")
	assert.True(t, m.quiet(101<<20, alive), "no more are coming")
	assert.False(t, m.quiet(102<<20, alive), "once is enough")
	assert.False(t, m.quiet(105<<20, alive))
	assert.False(t, m.quiet(108<<20, alive))
	assert.True(t, m.quiet(110<<20, alive), "idle streams make garbage too")
	assert.False(t, m.quiet(113<<20, 100<<20))
	assert.False(t, m.quiet(117<<20, 100<<20), "where much is alive a collection has more to go through")
	assert.False(t, m.quiet(1000<<20, alive), "the collector has enough to do")

	actual := newMemory()
	now := time.Now()
	actual.worthFreeing(now)
	assert.NotZero(t, actual.seen, "the runtime tells what is allocated")
	assert.NotZero(t, actual.samples[1].Value.Uint64(), "and what is alive")
}
