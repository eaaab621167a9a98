package realtime

import (
	"context"
	"strings"
	"testing"
	"time"

	"longwire/chat"

	"github.com/stretchr/testify/require"
)

// A try whose own time is over before the database has answered is worth another one.
func TestTryThatRanOutOfTimeIsWoken(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	n := startNode(t, "a", embeddedRedis(t), source, func(c *Config) { c.StreamLength = -1 })
	for range 5 {
		n.Announce(source.commit(alice))
	}
	woken := make(chan struct{}, 1)
	s := n.attach(Request{User: alice, Session: phone, Kind: Stream, Start: AtBegin, OnWake: func() { raise(woken) }})
	for range cap(n.reading) {
		n.reading <- struct{}{} // others read the database
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := s.Try(ctx)
	require.Error(t, err)
	for range cap(n.reading) {
		<-n.reading
	}
	eventually(t, func() bool {
		select {
		case <-woken:
		default:
			return false
		}
		batch, err := s.Try(t.Context())
		return err == nil && len(batch.Events) == 5
	}, "it is woken and gets its events")
}

// Events that do not fit into a batch are not read for it in vain; a batch of small ones is full all the same.
func TestReadsAreAboutAsLargeAsWhatIsGiven(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	n := startNode(t, "a", embeddedRedis(t), source, patient, func(c *Config) { c.StreamLength = -1 })
	for range MaxBatchEvents + 100 {
		source.commit(alice)
	}
	small := n.attach(Request{User: alice, Kind: Poll, Start: AtBegin})
	batch, err := small.Try(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Events, MaxBatchEvents)
	require.True(t, batch.More)

	large := chat.Body(`"type":"message.created","at":"2026-01-01T00:00:00.000Z","data":{"body":"` + strings.Repeat("x", 48<<10) + `"}}`)
	for range 250 {
		source.set(func(m *memorySource) { m.commitBody(large, []chat.ID{bob}) })
	}
	s := n.attach(Request{User: bob, Kind: Poll, Start: AtBegin})
	source.set(func(m *memorySource) { m.given = 0 })
	batch, err = s.Try(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Events, maxBatchBytes/len(large))
	source.set(func(m *memorySource) { require.Equal(t, firstRead, m.given) })
}
