package realtime

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const secretText = "secret"

// sendSecret commits an event for alice that will be recalled.
func sendSecret(source *memorySource) chat.Announcement {
	source.mu.Lock()
	defer source.mu.Unlock()
	return source.commitBody(chat.Body(`"type":"message.created","at":"2026-01-01T00:00:00.000Z","data":{"body":"`+secretText+`"}}`), []chat.ID{alice})
}

// requireGone reads alice's inbox from its beginning on a node, as it is given
// out there at this moment.
func requireGone(t *testing.T, n *node, seq int64) {
	t.Helper()
	s := n.attach(Request{User: alice, Kind: Poll, Start: AtCursor, Cursor: at(n.Hub, 0)})
	defer s.Close()
	for s.Seq() < seq {
		batch, err := s.Try(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, batch.Events)
		for _, event := range batch.Events {
			require.NotContains(t, string(event.Body), secretText)
		}
	}
}

// streamed is what Redis has of alice's inbox.
func streamed(t *testing.T, n *node, rdb redis.UniversalClient) string {
	t.Helper()
	entries, err := rdb.XRange(t.Context(), n.currentEra().inboxKey(alice.String()), "-", "+").Result()
	require.NoError(t, err)
	var all strings.Builder
	for _, entry := range entries {
		body, _ := entry.Values[bodyField].(string)
		all.WriteString(entry.ID + body + "\n")
	}
	return all.String()
}

func TestRecalledEventIsGoneFromRedisAndFromTheMemoryOfEveryNode(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", rdb, source, patient)
	b := startNode(t, "b", rdb, source, patient)
	here, there := a.follow(streamOf(alice)), b.follow(streamOf(alice))
	a.Announce(source.commit(alice))
	a.Announce(sendSecret(source))
	a.Announce(source.commit(alice))
	here.waitFor(3)
	there.waitFor(3)
	eventually(t, func() bool { return strings.Contains(streamed(t, a, rdb), secretText) }, "Redis has it")

	reads := source.readCount()
	a.Announce(source.recall(2))
	a.Settle(t.Context())
	require.NotContains(t, streamed(t, a, rdb), secretText)
	requireGone(t, a, 4)
	there.waitFor(4)
	requireGone(t, b, 4)
	require.Greater(t, source.readCount(), reads, "what came before is read anew")
	a.Announce(source.commit(alice))
	there.waitFor(5)
	require.Contains(t, streamed(t, a, rdb), "5-0", "the stream goes on")
}

// Another node was slow to announce it, and does so after the recall.
func TestEventThatIsAnnouncedAfterItsRecallIsNotBelieved(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	source := newMemorySource(randomEpoch())
	slow := startNode(t, "slow", rdb, source, patient)
	b := startNode(t, "b", rdb, source, patient)
	r := b.follow(streamOf(alice))
	late := sendSecret(source)
	b.Announce(source.recall(1))
	r.waitFor(2)
	slow.Announce(late)
	slow.Settle(t.Context())
	requireGone(t, b, 2)
	requireGone(t, slow, 2)
	for _, event := range r.events() {
		require.NotContains(t, string(event.Body), secretText)
	}
	require.NotContains(t, streamed(t, b, rdb), secretText)
}

// Redis hangs: it hears of no recall, and comes back with all that it had.
func TestStreamThatRedisKeptThroughAnOutageIsNotBelieved(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	quick := func(c *Config) {
		patient(c)
		c.RedisTimeout, c.ProbeTimeout = 250*time.Millisecond, 500*time.Millisecond
	}
	rdb := client(t, server.address())
	a := startNode(t, "a", client(t, server.address()), source, quick)
	b := startNode(t, "b", client(t, server.address()), source, quick)
	there := b.follow(streamOf(alice))
	a.Announce(sendSecret(source))
	a.Announce(source.commit(alice))
	there.waitFor(2)
	eventually(t, func() bool { return strings.Contains(streamed(t, a, rdb), secretText) }, "Redis has it")

	server.signal(syscall.SIGSTOP)
	a.Announce(source.recall(1))
	a.Settle(t.Context())
	requireGone(t, a, 3)
	requireGone(t, b, 3)
	server.signal(syscall.SIGCONT)
	requireGone(t, b, 3)
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.Ready() == nil }, "the node is ready again")
		requireGone(t, n, 3)
	}
	there.waitFor(3)
	eventually(t, func() bool { return !strings.Contains(streamed(t, b, rdb), secretText) }, "Redis has it no more")
	c := startNode(t, "c", client(t, server.address()), source, quick)
	requireGone(t, c, 3)
}

// A node that was stopped for a while cannot have heard what was announced.
func TestNodeThatHeardNothingForTooLongAsksTheDatabaseFirst(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	n := startNode(t, "a", embeddedRedis(t), source, patient, func(c *Config) { c.ProbeInterval = time.Hour })
	r := n.follow(streamOf(alice))
	n.Announce(sendSecret(source))
	r.waitFor(1)
	s := n.attach(Request{User: alice, Kind: Poll, Start: AtCursor, Cursor: at(n.Hub, 0)})
	_, known := s.TryWindow()
	require.True(t, known, "memory has it, and is believed")

	source.recall(1) // nobody announces it
	s = n.attach(Request{User: alice, Kind: Poll, Start: AtCursor, Cursor: at(n.Hub, 0)})
	n.link.heard.Store(int64(n.now() - n.link.lease() - 1)) // as after a pause
	_, known = s.TryWindow()
	require.False(t, known, "memory has it, and is not believed")
	batch, err := s.Try(t.Context())
	require.NoError(t, err)
	require.NotContains(t, string(batch.Events[0].Body), secretText)
}

func TestQueuedAnnouncementsAreForgottenToo(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	hub, err := New(t.Context(), Config{Node: "a"}, embeddedRedis(t), source)
	require.NoError(t, err)
	first := sendSecret(source)
	hub.Announce(first)
	other := source.commit(bob)
	hub.Announce(other)
	hub.Announce(source.recall(1))
	require.Len(t, first.Deliveries, 1, "an announcer's arrays are its own")
	b, more := hub.announcer.take()
	require.False(t, more)
	require.Equal(t, []chat.Delivery{{User: bob, Seq: 1, Event: 1}, {User: alice, Seq: 2, Event: 2}}, b.Deliveries)
	require.Equal(t, []chat.Forgotten{{User: alice, Seq: 2}}, b.Forgotten)
	require.Zero(t, hub.announcer.weight)
}

// Redis has lost where alice is; the recall reaches that node all the same.
func TestRecallReachesANodeThatRedisHasLost(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", rdb, source, patient)
	b := startNode(t, "b", rdb, source, patient)
	there := b.follow(streamOf(alice))
	a.Announce(sendSecret(source))
	a.Announce(source.commit(alice))
	there.waitFor(2)
	require.NoError(t, rdb.Del(t.Context(), a.currentEra().nodesKey(alice.String())).Err())
	a.Announce(source.recall(1))
	a.Settle(t.Context())
	// What was published before is heard before; one probe may be older.
	for range 2 {
		heard := b.link.heard.Load()
		eventually(t, func() bool { return b.link.heard.Load() > heard }, "a probe comes back")
	}
	requireGone(t, b, 2)
}

// An event is recalled after it was read and before the batch that it stands in is complete.
func TestEventThatIsRecalledWhileMoreIsReadIsNotGiven(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	n := startNode(t, "a", embeddedRedis(t), source, patient, func(c *Config) { c.StreamLength = -1 })
	sendSecret(source)
	for range 3 * firstRead {
		source.commit(alice)
	}
	recalled := false
	source.set(func(m *memorySource) {
		m.onRead = func(after int64) {
			if after == firstRead && !recalled {
				recalled = true
				n.Announce(source.recall(1))
			}
		}
	})
	requireGone(t, n, 3*firstRead+2)
	require.True(t, recalled)
}
