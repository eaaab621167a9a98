package realtime

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// outage sends to alice through node a, breaks Redis in the middle, and checks
// that readers on both nodes get everything once and in order, that sending
// never waits for Redis, and that both nodes are ready again at the end.
func outage(t *testing.T, server *redisServer, breakIt, mendIt func()) {
	t.Helper()
	source := newMemorySource(randomEpoch())
	source.sessions[phone] = chat.Session{ID: phone, UserID: alice}
	quick := func(c *Config) { c.RedisTimeout, c.ProbeTimeout = 250*time.Millisecond, 500*time.Millisecond }
	a := startNode(t, "a", client(t, server.address()), source, quick)
	b := startNode(t, "b", client(t, server.address()), source, quick)
	here, there := a.follow(streamOf(alice)), b.follow(streamOf(alice))
	sent := int64(0)
	send := func() {
		for range 20 {
			a.Announce(source.commit(alice))
			sent++
		}
	}
	arrives := func() {
		t.Helper()
		here.waitFor(sent)
		there.waitFor(sent)
		require.Len(t, here.events(), int(sent))
		require.Equal(t, here.events(), there.events())
	}
	send()
	arrives()

	breakIt()
	began := time.Now()
	send()
	require.Less(t, time.Since(began), 200*time.Millisecond, "sending does not wait for Redis")
	arrives()
	send()
	late := b.follow(Request{User: alice, Session: phone, Start: AtCursor, Cursor: at(b.Hub, 5)})
	late.waitFor(sent)
	arrives()

	mendIt()
	send()
	arrives()
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.Ready() == nil }, "the node is ready again")
	}
	send()
	arrives()
	late.waitFor(sent)
	require.Len(t, late.events(), int(sent)-5)

	// Back to normal: what is sent is announced again, not found by looking.
	eventually(t, func() bool {
		_ = there.Seq()
		before := value(b.metrics.headsBehind)
		send()
		arrives()
		return value(b.metrics.headsBehind) == before
	}, "events arrive by announcement")
}

func TestKilledRedisLosesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	outage(t, server, server.kill, server.start)
}

func TestRestartedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	outage(t, server, func() { server.kill(); server.start() }, func() {})
}

func TestEmptiedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	rdb := client(t, server.address())
	outage(t, server, func() { require.NoError(t, rdb.FlushAll(t.Context()).Err()) }, func() {})
}

func TestHangingRedisLosesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	outage(t, server, func() { server.signal(syscall.SIGSTOP) }, func() { server.signal(syscall.SIGCONT) })
}

func TestReadOnlyRedisLosesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	rdb := client(t, server.address())
	outage(t, server, func() {
		// What a node sees of a master that became a replica of another.
		require.NoError(t, rdb.SlaveOf(t.Context(), "127.0.0.1", "1").Err())
	}, func() {
		require.NoError(t, rdb.SlaveOf(t.Context(), "no", "one").Err())
	})
}

func TestRedisThatComesLaterIsUsed(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	server.kill()
	source := newMemorySource(randomEpoch())
	a := launchNode(t, "a", client(t, server.address()), source)
	b := launchNode(t, "b", client(t, server.address()), source)
	require.Error(t, a.Ready())
	eventually(t, func() bool {
		s, err := b.Attach(t.Context(), streamOf(bob))
		if err == nil {
			s.Close()
		}
		return err == nil
	}, "it serves without Redis")
	there := b.follow(streamOf(alice))
	a.Announce(source.commit(alice))
	there.waitFor(1)

	server.start()
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.Ready() == nil }, "the node is ready")
	}
	a.Announce(source.commit(alice))
	there.waitFor(2)
}

// muffle is a Redis that publishes nothing while it is on, and otherwise works.
type muffle struct {
	on    atomic.Bool
	fails bool   // and says so
	what  string // the command that it does not do; "" = publish
}

var errMuffled = errors.New("muffled")

func (m *muffle) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

func (m *muffle) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, cmd) }
}

func (m *muffle) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		passed := cmds[:0:0]
		for _, cmd := range cmds {
			if !m.on.Load() || cmd.Name() != cmp.Or(m.what, "publish") {
				passed = append(passed, cmd)
			} else if m.fails {
				cmd.SetErr(errMuffled)
			}
		}
		if len(passed) == 0 {
			return nil
		}
		return next(ctx, passed)
	}
}

func TestProbeThatDoesNotReturnFailsReadiness(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		var m muffle
		rdb.AddHook(&m)
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, func(c *Config) { c.ProbeTimeout = 100 * time.Millisecond })
		r := a.follow(streamOf(alice))
		m.on.Store(true)
		eventually(t, func() bool { return a.Ready() != nil }, "it is not ready")
		eventually(t, func() bool { return value(a.metrics.reconnects) >= 2 }, "it connects again and again")
		source.commit(alice)
		r.waitFor(1)
		m.on.Store(false)
		eventually(t, func() bool { return a.Ready() == nil }, "it is ready again")
	})
}

// A node that is stuck in one of its inboxes does not hear its probe either.
func TestStuckNodeIsNotReady(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	quick := func(c *Config) {
		patient(c)
		c.ProbeTimeout = 200 * time.Millisecond
	}
	a, b := startNode(t, "a", rdb, source, quick), startNode(t, "b", rdb, source, quick)
	r := a.follow(streamOf(alice))
	r.inbox.mu.Lock()
	b.Announce(source.commit(alice))
	eventually(t, func() bool { return a.Ready() != nil }, "it is not ready")
	r.inbox.mu.Unlock()
	eventually(t, func() bool { return a.Ready() == nil }, "it is ready again")
	r.waitFor(1)
}

func TestNodeWhoseDatabaseDoesNotAnswerIsNotReady(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), source)
	source.set(func(m *memorySource) { m.down = errDown })
	eventually(t, func() bool { return a.Ready() != nil }, "it is not ready")
	require.ErrorContains(t, a.Ready(), "database")
	source.set(func(m *memorySource) { m.down = nil })
	eventually(t, func() bool { return a.Ready() == nil }, "it is ready again")

	// One that says nothing at all.
	h := still(t)
	require.NoError(t, h.checker.ready())
	h.started = h.started.Add(-silence - time.Second)
	require.Error(t, h.checker.ready())
}

func TestCutSubscriptionIsRenewedAndVerified(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	rdb := client(t, server.address())
	source := newMemorySource(randomEpoch())
	// The head check comes by the renewal alone here.
	a := startNode(t, "a", rdb, source, patient)
	r := a.follow(streamOf(alice))
	for i := range int64(5) {
		source.commit(alice) // never announced
		require.NoError(t, rdb.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
		r.waitFor(i + 1)
	}
	eventually(t, func() bool { return a.Ready() == nil }, "it is ready again")
}

func TestFullQueueDropsAndHeals(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	small := func(c *Config) { c.QueueMemory, c.RedisTimeout = 4<<10, 200*time.Millisecond }
	a := startNode(t, "a", client(t, server.address()), source, small)
	b := startNode(t, "b", client(t, server.address()), source, small)
	there := b.follow(streamOf(alice))
	server.signal(syscall.SIGSTOP)
	for range 1000 {
		a.Announce(source.commit(alice))
	}
	require.Positive(t, value(a.metrics.lost.WithLabelValues(lostQueueFull)))
	a.announcer.mu.Lock()
	require.LessOrEqual(t, a.announcer.weight, int64(4<<10))
	a.announcer.mu.Unlock()
	server.signal(syscall.SIGCONT)
	there.waitFor(1000)
	require.Len(t, there.events(), 1000)
}

// What one node could not announce, it tells the others when it can again:
// their next head check would come much later.
func TestNodesAreToldOfLostAnnouncements(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	ours := client(t, server.address())
	m := &muffle{fails: true}
	ours.AddHook(m)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", ours, source, patient)
	b := startNode(t, "b", client(t, server.address()), source, patient)
	there := b.follow(streamOf(alice))
	a.Announce(source.commit(alice))
	there.waitFor(1)
	m.on.Store(true)
	a.Announce(source.commit(alice))
	lost := a.metrics.lost.WithLabelValues(lostPublish)
	eventually(t, func() bool { return value(lost) > 0 }, "an announcement is lost")
	require.EqualValues(t, 1, there.Seq())
	m.on.Store(false)
	there.waitFor(2)
}

func TestClusterDelivers(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t))
	one := client(t, server.address())
	require.NoError(t, one.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err())
	eventually(t, func() bool { return strings.Contains(one.ClusterInfo(t.Context()).Val(), "cluster_state:ok") }, "the cluster is up")
	rdb := client(t, server.address()+"?cluster=true")

	source := newMemorySource(randomEpoch())
	saves(source)
	a, b := startNode(t, "a", rdb, source, patient), startNode(t, "b", rdb, source, patient)
	there := b.follow(Request{User: alice, Session: phone, Start: AtBegin})
	for range 50 {
		a.Announce(source.commit(alice, bob))
	}
	there.waitFor(60)
	require.Zero(t, value(b.metrics.headsBehind))
	a.Save(alice, phone, 30)
	eventually(t, func() bool {
		s := b.attach(Request{User: alice, Session: phone, Start: AtSaved})
		defer s.Close()
		return s.Seq() == 30
	}, "the saved position is found")
	d, err := NewLimiter(rdb).Allow(t.Context(), "key", Limit{Rate: 1, Period: time.Hour})
	require.NoError(t, err)
	require.True(t, d.Allowed)
	require.NotContains(t, a.logs.String()+b.logs.String(), "WARN")
}

// gatedSource answers when its gate opens.
type gatedSource struct {
	*memorySource

	asked chan struct{} // of capacity 1
	gate  chan struct{}
}

func (g *gatedSource) InboxHeads(ctx context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error) {
	raise(g.asked)
	<-g.gate
	return g.memorySource.InboxHeads(ctx, users)
}

func TestThousandsWhoComeBackAtOnceAreAFewQueries(t *testing.T) {
	t.Parallel()
	source := &gatedSource{memorySource: newMemorySource(randomEpoch()), asked: make(chan struct{}, 1), gate: make(chan struct{})}
	a := startNode(t, "a", embeddedRedis(t), source, patient, func(c *Config) { c.SourceTimeout = patience })
	var all sync.WaitGroup
	attach := func(user chat.ID) {
		s, err := a.Attach(t.Context(), streamOf(user))
		if err != nil {
			t.Errorf("attach: %v", err)
			return
		}
		s.Close()
	}
	all.Go(func() { attach(alice) })
	<-source.asked
	const crowd = 2000
	for i := range chat.ID(crowd) {
		all.Go(func() { attach(bob + i) })
	}
	eventually(t, func() bool {
		a.heads.mu.Lock()
		defer a.heads.mu.Unlock()
		return len(a.heads.calls) >= crowd
	}, "everybody waits")
	close(source.gate)
	all.Wait()
	source.mu.Lock()
	defer source.mu.Unlock()
	require.LessOrEqual(t, source.queries, 10, "a thousand at a time, and what the head check asks")
}
