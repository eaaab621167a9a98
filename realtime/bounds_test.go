package realtime

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longwire/chat"

	"github.com/stretchr/testify/require"
)

func textLogger(to *syncBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

// crowdedSource counts who reads events at the same time, and lets them wait for each other.
type crowdedSource struct {
	*memorySource

	reading, most atomic.Int64
	gate          chan struct{} // closed when reads may return
}

func (c *crowdedSource) ReadInbox(ctx context.Context, user chat.ID, after int64, limit int) (chat.InboxPage, error) {
	n := c.reading.Add(1)
	defer c.reading.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	select {
	case <-c.gate:
	case <-ctx.Done():
		return chat.InboxPage{}, ctx.Err()
	}
	return c.memorySource.ReadInbox(ctx, user, after, limit)
}

// However many readers catch up at once, they leave connections to those who send.
func TestFewReadersReadTheDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	source := &crowdedSource{memorySource: newMemorySource(randomEpoch()), gate: make(chan struct{})}
	a := startNode(t, "a", embeddedRedis(t), source, patient, func(c *Config) { c.SourceReads, c.SourceTimeout = 3, patience })
	const crowd = 200
	for i := range chat.ID(crowd) {
		source.commit(bob + i)
	}
	var all sync.WaitGroup
	for i := range chat.ID(crowd) {
		all.Go(func() {
			s, err := a.Attach(t.Context(), Request{User: bob + i, Session: unnamed, Kind: Stream, Start: AtBegin})
			if err != nil {
				t.Errorf("attach: %v", err)
				return
			}
			defer s.Close()
			if batch, err := s.Try(t.Context()); err != nil || len(batch.Events) != 1 {
				t.Errorf("got %+v, %v", batch, err)
			}
		})
	}
	eventually(t, func() bool { return source.reading.Load() == 3 }, "as many read as may")
	close(source.gate)
	all.Wait()
	require.EqualValues(t, 3, source.most.Load())
}

// A node holds very many readers that nothing comes for, so each must be small. It is not parallel: what others take would count too.
func TestIdleReaderIsSmall(t *testing.T) {
	const crowd, at = 10_000, 16
	a := startNode(t, "a", realRedis(t), newMemorySource(randomEpoch()), patient) // the embedded one would keep its own in the same heap
	sessions := make([]*Session, crowd)
	before := heapInUse()
	var all sync.WaitGroup
	for first := range at {
		all.Go(func() {
			for i := first; i < crowd; i += at {
				request := streamOf(alice + chat.ID(i))
				request.OnWake = func() {}
				var err error
				if sessions[i], err = a.Attach(t.Context(), request); err != nil {
					t.Errorf("attach: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	each := (heapInUse() - before) / crowd
	t.Logf("%d bytes each", each)
	require.Less(t, each, int64(1<<10))
	for _, s := range sessions {
		s.Close()
	}
}

// wall sets a node's clock wrong.
func wall(by time.Duration) func(*Config) {
	return func(c *Config) { c.Wall = func() time.Time { return time.Now().Add(by) } }
}

// Nodes whose clocks are apart by less than two minutes know each other: what one commits, the other is told of.
func TestNodesWhoseClocksAreApartTellEachOther(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{5 * time.Second, time.Minute, clockSkew - time.Second} {
		t.Run(apart.String(), func(t *testing.T) {
			t.Parallel()
			rdb := realRedis(t)
			source := newMemorySource(randomEpoch())
			early := startNode(t, "early", rdb, source, patient, wall(-apart/2))
			late := startNode(t, "late", rdb, source, patient, wall(apart/2))
			readers := []*reader{early.follow(streamOf(alice)), late.follow(streamOf(alice))}
			for n := range int64(20) {
				[]*node{early, late}[n%2].Announce(source.commit(alice))
				for _, r := range readers {
					r.waitFor(n + 1)
				}
			}
			require.Zero(t, value(early.metrics.headsBehind)+value(late.metrics.headsBehind), "nothing had to be looked for")
			// Nobody takes the other for gone and sweeps it out.
			early.registry.forget()
			late.registry.forget()
			early.registry.renew(alice)
			late.registry.renew(alice)
			eventually(t, func() bool { return rdb.HLen(t.Context(), early.currentEra().presenceKey()).Val() == 2 }, "both are present")
		})
	}
}

// Streams of a user are counted over nodes whose clocks are apart by seconds.
func TestStreamsAreBoundedAcrossNodesWhoseClocksAreApart(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	source := newMemorySource(randomEpoch())
	two := func(c *Config) { c.MaxStreamsPerUser = 2 }
	early := startNode(t, "early", rdb, source, patient, two, wall(-10*time.Second))
	late := startNode(t, "late", rdb, source, patient, two, wall(10*time.Second))
	early.attach(streamOf(alice))
	late.attach(streamOf(alice))
	for _, n := range []*node{early, late} {
		_, err := n.Attach(t.Context(), streamOf(alice))
		require.Equal(t, chat.CodeTooManyStreams, chat.CodeOf(err), n.cfg.Node)
	}
}

// A clock that is wrong by minutes makes a node seem gone. Nothing is announced to it then, and nothing is lost.
func TestNodeWhoseClockIsWrongByMinutesLosesNothing(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	source := newMemorySource(randomEpoch())
	wrong := startNode(t, "wrong", rdb, source, wall(-time.Hour))
	right := startNode(t, "right", rdb, source)
	there, here := wrong.follow(streamOf(alice)), right.follow(streamOf(alice))
	for range 10 {
		right.Announce(source.commit(alice))
		wrong.Announce(source.commit(alice))
	}
	there.waitFor(20)
	here.waitFor(20)
	require.Len(t, there.events(), 20)
	require.Equal(t, there.events(), here.events())
	require.NoError(t, wrong.Ready())
}
