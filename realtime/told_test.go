package realtime

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"longwire/chat"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Whatever a node does in place of what it should do is counted, and a line of its log says so where nobody else would.

func TestAnnouncementsThatRedisRefusesAreCounted(t *testing.T) {
	t.Parallel()
	for command, reason := range map[string]string{"xadd": lostStream, "hgetall": lostRegistry, "hvals": lostRegistry, "publish": lostPublish} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			source := newMemorySource(randomEpoch())
			ours := client(t, startRedis(t).address())
			m := &muffle{fails: true, what: command}
			ours.AddHook(m)
			a := startNode(t, "a", ours, source, patient)
			b := startNode(t, "b", client(t, "redis://"+ours.(*redis.Client).Options().Addr), source, patient)
			there := b.follow(streamOf(alice))
			a.Announce(source.commit(alice))
			there.waitFor(1)
			lost := a.metrics.lost.WithLabelValues(reason)
			require.Zero(t, value(lost))
			m.on.Store(true)
			a.Announce(source.commit(alice))
			eventually(t, func() bool { return value(lost) >= 1 }, "it is counted")
			m.on.Store(false)
			there.waitFor(2)
		})
	}
}

func TestFullAnnounceQueueIsCountedAndSaidOnce(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", client(t, server.address()), source, func(c *Config) { c.QueueMemory, c.RedisTimeout = 1<<10, 200*time.Millisecond })
	server.signal(syscall.SIGSTOP)
	for range 200 {
		a.Announce(source.commit(alice))
	}
	server.signal(syscall.SIGCONT)
	require.Positive(t, value(a.metrics.lost.WithLabelValues(lostQueueFull)))
	require.Contains(t, a.logs.String(), "too many announcements wait for Redis")
	require.Less(t, strings.Count(a.logs.String(), "too many announcements"), 20, "not for each")
}

// Which sessions have ended is never dropped: nothing else closes their streams at once.
func TestFullAnnounceQueueTakesSessionsThatHaveEnded(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	small := func(c *Config) {
		patient(c)
		c.QueueMemory, c.RedisTimeout = 1<<10, 200*time.Millisecond
	}
	a := startNode(t, "a", client(t, server.address()), source, small)
	b := startNode(t, "b", client(t, server.address()), source, patient)
	there := b.follow(Request{User: bob, Session: phone, Kind: Stream, Start: AtNow})
	server.signal(syscall.SIGSTOP)
	for range 200 {
		a.Announce(source.commit(alice))
	}
	a.Announce(chat.Announcement{EndedSessions: []chat.SessionRef{{User: bob, Session: phone}}})
	require.Positive(t, value(a.metrics.lost.WithLabelValues(lostQueueFull)))
	server.signal(syscall.SIGCONT)
	require.Equal(t, EndRevoked, there.waitEnd())
}

func TestLostProbeIsCountedAndSaid(t *testing.T) {
	t.Parallel()
	var m muffle
	rdb := embeddedRedis(t)
	rdb.AddHook(&m)
	a := startNode(t, "a", rdb, newMemorySource(randomEpoch()), func(c *Config) { c.ProbeTimeout = 100 * time.Millisecond })
	require.Zero(t, value(a.metrics.probesLost))
	require.InDelta(t, 1, gauge(t, a, "longwire_ready"), 0)
	m.on.Store(true)
	eventually(t, func() bool { return value(a.metrics.probesLost) >= 1 && value(a.metrics.reconnects) >= 1 }, "it is counted")
	eventually(t, func() bool { return strings.Contains(a.logs.String(), "a probe did not come back") }, "it is said")
	eventually(t, func() bool { return gauge(t, a, "longwire_ready") == 0 }, "the metric follows")
	m.on.Store(false)
	eventually(t, func() bool { return gauge(t, a, "longwire_ready") == 1 }, "and back")
}

// gauge reads a metric by its name, as an operator does.
func gauge(t *testing.T, n *node, name string) float64 {
	t.Helper()
	families, err := n.cfg.Registerer.(*prometheus.Registry).Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(t, "there is no "+name)
	return 0
}

func TestInboxFoundBehindIsCountedAndSaid(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), source)
	r := a.follow(streamOf(alice))
	source.commit(alice) // never announced
	r.waitFor(1)
	require.InDelta(t, 1, value(a.metrics.headsBehind), 0)
	eventually(t, func() bool { return strings.Contains(a.logs.String(), "inboxes were behind the database") }, "it is said")
}

func TestReadsPastMemoryAreCounted(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		for range 3 {
			source.commit(alice)
		}
		a.follow(Request{User: alice, Session: unnamed, Kind: Stream, Start: AtBegin}).waitFor(3)
		require.InDelta(t, 1, value(a.metrics.fallbackDatabase), 0, "a cold inbox is read from the database")

		// What comes now is in the warm stream too, and behind a hole it is read there.
		source.commit(alice)
		a.Announce(source.commit(alice))
		a.follow(Request{User: alice, Session: phone, Kind: Stream, Start: AtCursor, Cursor: at(a.Hub, 3)}).waitFor(5)
		require.Positive(t, value(a.metrics.holesHealed))
		a.Announce(source.commit(alice))
		eventually(t, func() bool { return rdb.XLen(t.Context(), a.currentEra().inboxKey(alice.String())).Val() >= 3 }, "it is in the stream")
		b := startNode(t, "b", rdb, source, patient)
		b.follow(Request{User: alice, Session: phone, Kind: Stream, Start: AtCursor, Cursor: at(b.Hub, 5)}).waitFor(6)
		require.InDelta(t, 1, value(b.metrics.fallbackStream), 0)
	})
}

func TestResetsAreCounted(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), source, patient)
	for range 5 {
		source.commit(alice)
	}
	source.prune(alice, 3)
	for reason, cursor := range map[ResetReason]chat.Cursor{
		ResetTooOld: at(a.Hub, 1), ResetUnknownFuture: at(a.Hub, 99), ResetEpoch: {Epoch: "another", Seq: 1},
	} {
		r := a.follow(Request{User: alice, Session: phone, Kind: Stream, Start: AtCursor, Cursor: cursor})
		eventually(t, func() bool { return len(r.resets()) == 1 }, "the reader is told")
		require.InDelta(t, 1, value(a.metrics.resets.WithLabelValues(string(reason))), 0, reason)
	}
}

func TestReadersThatANodeEndsAreCounted(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), source, patient)
	revoked := a.follow(Request{User: alice, Session: phone, Kind: Stream, Start: AtNow})
	rest := a.follow(streamOf(bob))
	require.InDelta(t, 2, value(a.metrics.openStreams), 0)
	a.Announce(chat.Announcement{EndedSessions: []chat.SessionRef{{User: alice, Session: phone}}})
	require.Equal(t, EndRevoked, revoked.waitEnd())
	require.InDelta(t, 1, value(a.metrics.sessionsEnded.WithLabelValues(string(EndRevoked))), 0)
	a.stop()
	require.Equal(t, EndShutdown, rest.waitEnd())
	require.InDelta(t, 1, value(a.metrics.sessionsEnded.WithLabelValues(string(EndShutdown))), 0)
}

func TestLimitsThatANodeAppliesAloneAreCountedAndSaid(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	l := NewLimiter(client(t, server.address()))
	logs, registry := &syncBuffer{}, prometheus.NewRegistry()
	require.NoError(t, l.Report(textLogger(logs), registry))
	once := Limit{Rate: 100, Period: time.Second}
	_, err := l.Allow(t.Context(), "key", once)
	require.NoError(t, err)
	require.Zero(t, value(l.byNode))
	server.kill()
	for range 5 {
		_, err = l.Allow(t.Context(), "key", once)
		require.NoError(t, err)
	}
	require.InDelta(t, 5, value(l.byNode), 0)
	require.Contains(t, logs.String(), "this node counts alone")
	n, err := testutil.GatherAndCount(registry, "longwire_limits_by_node_total")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
