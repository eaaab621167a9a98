package handlers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

func TestStreamsAreNotCompressedAndBeginAtOnceForWhoTakesGzip(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, park func(*bundle)) {
		h, b := setup(t, park)
		server := httptest.NewServer(h)
		defer server.Close()
		for _, path := range []string{"/v1/inbox/stream", "/v1/diag/stream?ticks=2&interval_ms=1000"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
			require.NoError(t, err)
			signedIn(r)
			r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd") // set by hand: the transport undoes nothing
			began := time.Now()
			answer, err := server.Client().Do(r)
			require.NoError(t, err)
			first, err := bufio.NewReader(answer.Body).ReadString('\n')
			require.NoError(t, err, "nothing was fed to the stream, so what came came by itself")
			assert.Less(t, time.Since(began), time.Second, path)
			assert.Regexp(t, "^(retry|event): ", first)
			assert.Empty(t, answer.Header.Get("Content-Encoding"), path)
			require.NoError(t, answer.Body.Close())
		}
		b.inboxes.give(endBatch())
	})
}

func TestPaddingStandsRightBehindHelloAndIsNoEvent(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, park func(*bundle)) {
		h, b := setup(t, park)
		server := httptest.NewServer(h)
		defer server.Close()
		read := func(query string) string {
			b.inboxes.mu.Lock()
			b.inboxes.reader = newReaderDouble(41, eventBatch(t, 42), endBatch())
			b.inboxes.mu.Unlock()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/inbox/stream"+query, http.NoBody)
			require.NoError(t, err)
			signedIn(r)
			answer, err := server.Client().Do(r)
			require.NoError(t, err)
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			return string(text)
		}
		plain := read("")
		for query, size := range map[string]int{"?padding=0": 0, "?padding=2": 0, "?padding=3": 3, "?padding=2048": 2048, "?padding=65536": 65536} {
			padded := read(query)
			require.Len(t, padded, len(plain)+size, query)
			assert.Equal(t, parseFrames(plain), parseFrames(padded), query)
			hello := strings.Index(plain, "}\n\n") + 3
			assert.Equal(t, plain[:hello]+string(appendPadding(nil, size))+plain[hello:], padded, query)
		}
		for _, query := range []string{"?padding=-1", "?padding=65537", "?padding=much"} {
			require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodGet, "/v1/inbox/stream"+query, "", signedIn).Code, query)
		}
	})
}

// TestPaddingThatFillsTheSocketKeepsOrderAndPosition: hello does not get through at once, and what comes behind
// it is still in order, and the position that was presented is still saved.
func TestPaddingThatFillsTheSocketKeepsOrderAndPosition(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked)
	server := httptest.NewUnstartedServer(h)
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer server.Close()
	b.inboxes.reader.batches <- eventBatch(t, 42)
	dialer := net.Dialer{Control: receiveLittle}
	conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write([]byte("GET /v1/inbox/stream?padding=65536&cursor=" + cursorAt(41) + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + accessToken + "\r\n\r\n"))
	require.NoError(t, err)
	saved := func() []int64 {
		b.inboxes.mu.Lock()
		defer b.inboxes.mu.Unlock()
		return b.inboxes.saved
	}
	b.shows(t, "longwire_http_streams 1")
	require.Empty(t, saved(), "the padding does not fit, so this test tests what it says")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	reader := bufio.NewReader(answer.Body)
	readUntil(t, reader, "event: hello")
	readUntil(t, reader, "data: {\"cursor\":\""+cursorAt(42))
	require.Equal(t, []int64{41}, saved())
	b.inboxes.give(endBatch())
	readUntil(t, reader, "event: bye")
}

// overH2C is a server that speaks HTTP/2 without TLS, and a client that speaks nothing else.
func overH2C(t *testing.T, h http.Handler, reads int) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: reads}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return server, &http.Client{Transport: transport}
}

func openH2C(t *testing.T, server *httptest.Server, c *http.Client) (*bufio.Reader, io.Closer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/inbox/stream", http.NoBody)
	require.NoError(t, err)
	signedIn(r)
	answer, err := c.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, 2, answer.ProtoMajor)
	return bufio.NewReader(answer.Body), answer.Body
}

// TestStreamOverHTTP2KeepsItsHandlerAndIsLikeAnyOther: its connection belongs to others too and is not taken over.
func TestStreamOverHTTP2KeepsItsHandlerAndIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.config.Heartbeat = 500 * time.Millisecond })
	server, c := overH2C(t, h, 64<<10)
	reader, body := openH2C(t, server, c)
	readUntil(t, reader, "event: hello")
	readUntil(t, reader, "event: heartbeat")
	b.inboxes.give(eventBatch(t, 42))
	readUntil(t, reader, "data: {\"cursor\":\""+cursorAt(42))
	require.NoError(t, body.Close())
	b.shows(t, `longwire_http_streams_ended_total{reason="client_left"} 1`)

	b.inboxes.mu.Lock()
	b.inboxes.reader = newReaderDouble(41)
	b.inboxes.mu.Unlock()
	reader, _ = openH2C(t, server, c)
	b.inboxes.give(endBatch())
	readUntil(t, reader, "event: bye")
	b.shows(t, "longwire_http_streams 0")
}

func TestSlowReaderOverHTTP2IsClosedAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.config.WriteTimeout = 200 * time.Millisecond })
	server, c := overH2C(t, h, 64<<10)
	slow, _ := openH2C(t, server, c)
	readUntil(t, slow, "event: hello")
	slowReader := b.inboxes.reader
	b.inboxes.mu.Lock()
	b.inboxes.reader = newReaderDouble(41)
	b.inboxes.mu.Unlock()
	other, _ := openH2C(t, server, c)
	readUntil(t, other, "event: hello")
	body := chat.Body(`"type":"x","x":"` + strings.Repeat("x", 1<<20) + `"}`)
	slowReader.batches <- realtime.Batch{Events: []chat.InboxEvent{{Seq: 42, Body: body}}}
	b.shows(t, `longwire_http_streams_ended_total{reason="slow_consumer"} 1`)
	b.inboxes.give(eventBatch(t, 42))
	readUntil(t, other, "data: {\"cursor\":\""+cursorAt(42))
	b.inboxes.give(endBatch())
	readUntil(t, other, "event: bye")
}
