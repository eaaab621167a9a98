package realtime

import (
	"testing"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func saves(source *memorySource) {
	source.sessions[phone] = chat.Session{ID: phone, UserID: alice}
	for range 10 {
		source.commit(alice)
	}
}

func TestSavedPositionReachesOtherNodesBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		saves(source)
		rarely := func(c *Config) { c.SaveInterval = time.Hour }
		a, b := startNode(t, "a", rdb, source, rarely), startNode(t, "b", rdb, source, rarely)
		start := Request{User: alice, Session: phone, Kind: Poll, Start: AtSaved}

		a.Save(alice, phone, 5)
		a.Save(alice, phone, 3) // never back
		eventually(t, func() bool {
			s := b.attach(start)
			defer s.Close()
			return s.Seq() == 5
		}, "the other node finds the position")
		require.Zero(t, source.savedSeq())

		b.Save(alice, phone, 4)
		b.Save(alice, phone, 7)
		here := a.attach(Request{User: alice, Session: phone, Kind: Stream, Start: AtSaved})
		require.GreaterOrEqual(t, here.Seq(), int64(5))

		b.stop()
		require.EqualValues(t, 7, source.savedSeq(), "a node that stops saves what it has")
		a.stop()
		require.EqualValues(t, 7, source.savedSeq())
	})
}

func TestSavedPositionsWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	saves(source)
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source)
	source.set(func(m *memorySource) { m.down = errDown })
	a.Save(alice, phone, 6)
	eventually(t, func() bool { return len(a.logs.String()) > 0 }, "a failure is logged")
	source.set(func(m *memorySource) { m.down = nil })
	eventually(t, func() bool { return source.savedSeq() == 6 }, "the position is saved")
	eventually(t, func() bool {
		a.positions.mu.Lock()
		defer a.positions.mu.Unlock()
		return len(a.positions.unsaved)+len(a.positions.uncached) == 0
	}, "nothing is kept")
}

func TestSavedPositionsAreBounded(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	hub, err := New(t.Context(), Config{Node: "a"}, rdb, source)
	require.NoError(t, err)
	for i := range maxUnsaved + 10 {
		hub.Save(alice, chat.ID(i+1), 1)
	}
	require.Len(t, hub.positions.unsaved, maxUnsaved)
	require.InDelta(t, 10, value(hub.metrics.savesDropped), 0)
}
