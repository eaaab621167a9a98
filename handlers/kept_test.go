package handlers

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

// What slow readers have not taken yet is kept for them, and all of it together is bounded: beyond, they are closed and come again.
func TestWhatIsKeptForSlowReadersIsBounded(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.config.WriteTimeout, b.config.Heartbeat = time.Minute, time.Minute })
	api, ok := h.(*API)
	require.True(t, ok)
	server := httptest.NewServer(h)
	defer server.Close()
	_, reader := open(t, server)
	readUntil(t, reader, "event: hello")
	others := int64(maxKeptRest - 100) // what is kept for them
	api.parking.kept.Store(others)
	body := chat.Body(`"type":"x","x":"` + strings.Repeat("x", 32<<20) + `"}`)
	b.inboxes.give(realtime.Batch{Events: []chat.InboxEvent{{Seq: 42, Body: body}}})
	b.shows(t, `longwire_http_streams_ended_total{reason="slow_consumer"} 1`)
	require.Equal(t, others, api.parking.kept.Load(), "what was not kept is not counted")
}

func TestWhatWasKeptIsGivenBack(t *testing.T) {
	t.Parallel()
	h, b := setup(t, parked, func(b *bundle) { b.config.WriteTimeout = time.Minute })
	api, ok := h.(*API)
	require.True(t, ok)
	server := httptest.NewServer(h)
	defer server.Close()
	conn, reader := open(t, server)
	readUntil(t, reader, "event: hello")
	big := func(seq int64) realtime.Batch {
		body := chat.Body(`"type":"x","x":"` + strings.Repeat("x", 32<<20) + `"}`)
		return realtime.Batch{Events: []chat.InboxEvent{{Seq: seq, Body: body}}}
	}
	b.inboxes.give(big(42))
	require.Eventually(t, func() bool { return api.parking.kept.Load() > 0 }, 10*time.Second, time.Millisecond)
	readUntil(t, reader, "data: {\"cursor\":\""+cursorAt(42)) // now it reads
	require.Eventually(t, func() bool { return api.parking.kept.Load() == 0 }, 10*time.Second, time.Millisecond)
	b.inboxes.give(big(43))
	require.Eventually(t, func() bool { return api.parking.kept.Load() > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return api.parking.kept.Load() == 0 }, 10*time.Second, time.Millisecond)
}
