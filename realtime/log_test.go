package realtime

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A log's readers get every event once and in order, whatever is announced
// when, lost, repeated or cached, and however memory is trimmed meanwhile; and
// what was recalled never as it was.
func TestReadersGetEveryEventOnceWhateverIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := newMemorySource("model")
		hub := &Hub{cfg: Config{SourceTimeout: time.Minute}, source: source, started: time.Now(), reading: make(chan struct{}, 1)}
		var err error
		cfg, err := (Config{Node: "a"}).withDefaults()
		require.NoError(t, err)
		hub.metrics, err = newMetrics(cfg.Registerer, hub)
		require.NoError(t, err)
		hub.link.init(hub)
		hub.memory.limit = rapid.SampledFrom([]int64{0, 1 << 20}).Draw(t, "memory")
		b := newInbox(hub, newEra("model"), alice)
		cache := &modelBacking{inbox: b, cache: map[int64]chat.Body{}}
		b.from = cache
		b.verify(chat.InboxHead{}, b.mark())
		b.registered = never

		var all []chat.Announcement
		var readers []*modelReader
		gone := map[int64]bool{} // what was recalled
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "events") {
					all = append(all, source.commit(alice))
				}
			},
			"announce": func(t *rapid.T) {
				if len(all) > 0 {
					a := rapid.SampledFrom(all).Draw(t, "any")
					b.deliver(a.Deliveries[0].Seq, a.Bodies[0])
				}
			},
			"announce the last ones": func(t *rapid.T) {
				n := rapid.IntRange(0, len(all)).Draw(t, "n")
				for _, a := range all[n:] {
					b.deliver(a.Deliveries[0].Seq, a.Bodies[0])
				}
			},
			"cache": func(t *rapid.T) {
				for _, a := range all[rapid.IntRange(0, len(all)).Draw(t, "from"):] {
					cache.cache[a.Deliveries[0].Seq] = a.Bodies[0]
				}
			},
			"evict": func(*rapid.T) { clear(cache.cache) },
			"recall": func(t *rapid.T) {
				if len(all) == 0 {
					return
				}
				seq := rapid.Int64Range(1, int64(len(all))).Draw(t, "seq")
				a := source.recall(seq)
				all, gone[seq] = append(all, a), true
				// Either the word of it arrives, or the node knows that it may not.
				if cache.deaf = cache.deaf || rapid.Bool().Draw(t, "deaf"); !cache.deaf {
					b.forgetBefore(a.Forgotten[0].Seq)
				}
			},
			"hear": func(*rapid.T) {
				cache.deaf = false
				b.distrust()
			},
			"age":   func(*rapid.T) { b.age() },
			"check": func(*rapid.T) { b.verify(source.inboxes[alice].headOrNone(), b.mark()) },
			"attach": func(t *rapid.T) {
				s := &Session{inbox: b, limit: rapid.IntRange(1, 50).Draw(t, "limit"), wakeup: make(chan struct{}, 1)}
				seq := rapid.Int64Range(0, b.mark().last).Draw(t, "at")
				s.seq.Store(seq)
				readers = append(readers, &modelReader{Session: s, pos: seq, gone: gone})
				require.NoError(t, hub.modelJoin(b, s))
			},
			"read": func(t *rapid.T) {
				if len(readers) > 0 {
					rapid.SampledFrom(readers).Draw(t, "reader").read(t)
				}
			},
			"": func(t *rapid.T) {
				if b.bytes < 0 || len(b.window) > maxWindowEvents || len(b.window) > 0 && b.window[len(b.window)-1].Seq != b.last {
					t.Fatalf("window of %d events, %d bytes, up to %d", len(b.window), b.bytes, b.last)
				}
			},
		})
		// After one comparison with the database, everybody has everything.
		b.verify(source.inboxes[alice].headOrNone(), b.mark())
		for _, r := range readers {
			for r.read(t) {
			}
			require.EqualValues(t, len(all), r.pos)
		}
		b.discard()
		require.Zero(t, hub.memory.used.Load())
	})
}

func (m *memoryInbox) headOrNone() chat.InboxHead {
	if m == nil {
		return chat.InboxHead{}
	}
	return m.head
}

func (h *Hub) modelJoin(b *inbox, s *Session) error {
	h.cfg.MaxStreamsPerUser = 1000
	return b.join(s)
}

type modelBacking struct {
	*inbox

	cache map[int64]chat.Body
	deaf  bool // nothing announced arrives for sure
}

func (m *modelBacking) hears(time.Duration) bool { return !m.deaf }

func (m *modelBacking) forgot() {}

func (m *modelBacking) standing(context.Context) (chat.InboxHead, error) {
	return m.hub.source.(*memorySource).inboxes[alice].headOrNone(), nil
}

func (m *modelBacking) cached(_ context.Context, after int64, limit int) []chat.InboxEvent {
	var events []chat.InboxEvent
	for seq := after + 1; len(events) < limit && m.cache[seq] != nil; seq++ {
		events = append(events, chat.InboxEvent{Seq: seq, Body: m.cache[seq]})
	}
	return events
}

type modelReader struct {
	*Session

	pos  int64
	gone map[int64]bool
}

func (r *modelReader) read(t *rapid.T) bool {
	batch, err := r.Try(t.Context())
	require.NoError(t, err)
	require.Nil(t, batch.Reset)
	require.LessOrEqual(t, len(batch.Events), r.limit)
	for _, event := range batch.Events {
		require.Equal(t, r.pos+1, event.Seq)
		require.Contains(t, string(event.Body), `"type":"message.`)
		if r.gone[event.Seq] {
			require.Contains(t, string(event.Body), "recalled", "it was recalled before it was read")
		}
		r.pos = event.Seq
	}
	return !batch.Empty()
}

// A false hint, as from a Redis that somebody else wrote to, costs one look.
func TestHintOfWhatNeverWasIsForgotten(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), source, patient)
	s := a.attach(streamOf(alice))
	s.inbox.deliver(1000, chat.Body("x"))
	batch, err := s.Try(t.Context())
	require.NoError(t, err)
	require.True(t, batch.Empty())
	require.Zero(t, s.inbox.mark().head)
	a.Announce(source.commit(alice))
	batch, err = s.Try(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Events, 1)
}

// A database that does not continue by itself must not keep readers for ever.
func TestHoleInTheDatabaseResets(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", embeddedRedis(t), &gappedSource{memorySource: source, gap: 3})
	for range 5 {
		source.commit(alice)
	}
	r := a.follow(Request{User: alice, Start: AtBegin})
	r.waitFor(5)
	require.Len(t, r.events(), 2)
	require.Equal(t, []Reset{{Reason: ResetTooOld, Seq: 5}}, r.resets())
}

type gappedSource struct {
	*memorySource

	gap int64
}

func (g *gappedSource) ReadInbox(ctx context.Context, user chat.ID, after int64, limit int) (chat.InboxPage, error) {
	page, err := g.memorySource.ReadInbox(ctx, user, after, limit)
	page.Events = slices.DeleteFunc(page.Events, func(e chat.InboxEvent) bool { return e.Seq == g.gap })
	return page, err
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	big := chat.Body(strings.Repeat("x", maxBatchBytes/4))
	var events []chat.InboxEvent
	for i := range 10 {
		events = append(events, chat.InboxEvent{Seq: int64(i + 1), Body: big})
	}
	require.Len(t, bounded(events, MaxBatchEvents), 3)
	require.Len(t, bounded(events, 2), 2)
	huge := []chat.InboxEvent{{Seq: 1, Body: chat.Body(strings.Repeat("x", 2*maxBatchBytes))}, {Seq: 2}}
	require.Len(t, bounded(huge, 5), 1, "one always fits")
}

// With a Redis that never answers, the head check alone delivers, each second.
func TestWithoutRedisHeadsAreCheckedEverySecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := newMemorySource("epoch")
		options := boundedOptions()
		options.Addrs, options.Dialer = []string{"127.0.0.1:1"}, noRedis
		rdb := redis.NewUniversalClient(options)
		defer func() {
			require.NoError(t, rdb.Close())
			time.Sleep(time.Minute) // the client's last dials end by themselves
		}()
		hub, err := New(t.Context(), Config{Node: "a"}, rdb, source)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- hub.Run(ctx) }()
		synctest.Wait()
		s, err := hub.Attach(ctx, streamOf(alice))
		require.NoError(t, err)
		for i := range int64(10) {
			source.commit(alice) // nobody announces it
			began := time.Now()
			batch, err := s.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, i+1, batch.Events[0].Seq)
			require.LessOrEqual(t, time.Since(began), 2*time.Second)
		}
		s.Close()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Nil(t, hub.lookup(alice), "nobody reads it any more")
		cancel()
		require.NoError(t, <-stopped)
	})
}
