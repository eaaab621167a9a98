package realtime

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnnouncedEventsArriveOnEveryNode(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		b := startNode(t, "b", rdb, source, patient)
		here, there := a.follow(streamOf(alice)), b.follow(streamOf(alice))
		other := b.follow(streamOf(bob))

		for range 50 {
			a.Announce(source.commit(alice, bob))
		}
		for _, r := range []*reader{here, there, other} {
			r.waitFor(50)
			require.Len(t, r.events(), 50)
		}
		require.Equal(t, here.events(), there.events())
		require.Zero(t, value(b.metrics.headsBehind), "nothing had to be looked for")
	})
}

// A node that nobody knew of yet is told from its first registration on.
func TestNodeThatJoinsLaterIsTold(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		here := a.follow(streamOf(alice))
		a.Announce(source.commit(alice))
		here.waitFor(1)

		b := startNode(t, "b", rdb, source, patient)
		there := b.follow(streamOf(alice))
		a.Announce(source.commit(alice))
		there.waitFor(2)
		here.waitFor(2)
	})
}

func TestAnnouncementsInTheWrongOrderArriveInTheRightOne(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		b := startNode(t, "b", rdb, source, patient)
		here, there := a.follow(streamOf(alice)), b.follow(streamOf(alice))

		var waiting []chat.Announcement
		for i := range 40 {
			waiting = append(waiting, source.commit(alice))
			if i%4 == 3 {
				for j, w := range slices.Backward(waiting) {
					[]*node{a, b}[j%2].Announce(w)
				}
				waiting = nil
			}
		}
		here.waitFor(40)
		there.waitFor(40)
		require.Equal(t, here.events(), there.events())
	})
}

func TestHoleInTheStreamIsFilledFromTheDatabase(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		b := startNode(t, "b", rdb, source, patient)
		there := b.follow(streamOf(alice))
		a.Announce(source.commit(alice))
		there.waitFor(1)

		source.commit(alice) // its announcement never comes
		a.Announce(source.commit(alice))
		there.waitFor(3)
		require.Len(t, there.events(), 3)
		require.InDelta(t, 1, value(b.metrics.holesHealed), 0)
		require.Zero(t, value(b.metrics.headsBehind))
	})
}

func TestHoleIsFilledOnceForAllReaders(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source, patient)
	var readers []*reader
	for range 10 {
		readers = append(readers, a.follow(streamOf(alice)))
	}
	for range firstRead - 1 {
		source.commit(alice)
	}
	before := source.readCount()
	a.Announce(source.commit(alice))
	for _, r := range readers {
		r.waitFor(firstRead)
	}
	require.Equal(t, before+1, source.readCount())
}

func TestLostAnnouncementHeals(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source)
		stream := a.follow(streamOf(alice))
		source.commit(alice) // never announced, and nothing comes after it
		stream.waitFor(1)
		require.InDelta(t, 1, value(a.metrics.headsBehind), 0)
	})
}

func TestDatabaseThatComesBackIsReadOn(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source)
	stream := a.follow(streamOf(alice))
	source.commit(alice)
	second := source.commit(alice)
	source.set(func(m *memorySource) { m.down = errDown })
	a.Announce(second) // shows the hole, which cannot be filled

	_, err := a.Attach(t.Context(), streamOf(bob))
	require.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
	require.Zero(t, stream.Seq())
	source.set(func(m *memorySource) { m.down = nil })
	stream.waitFor(2)
}

func TestAttachDuringSendingHasNoHole(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		b := startNode(t, "b", rdb, source, patient)
		const users, events, attaches = 8, 150, 12
		var all sync.WaitGroup
		for i := range users {
			user := alice + chat.ID(100+i)
			all.Go(func() {
				for n := range events {
					[]*node{a, b}[n%2].Announce(source.commit(user))
				}
			})
			for j := range attaches {
				all.Go(func() { readAll(t, []*node{a, b}[j%2], user, events) })
			}
		}
		all.Wait()
		require.Zero(t, value(a.metrics.headsBehind)+value(b.metrics.headsBehind), "nothing had to be looked for")
	})
}

// readAll reads a user's events from the first on, in several attaches on
// streams and polls.
func readAll(t *testing.T, n *node, user chat.ID, events int64) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pos := int64(0)
	for turn := 0; pos < events; turn++ {
		s, err := n.Attach(ctx, Request{
			User: user, Session: unnamed, Kind: Kind(turn % 2), Start: AtCursor, Cursor: at(n.Hub, pos), Limit: 7,
		})
		if chat.CodeOf(err) == chat.CodeTooManyStreams {
			continue
		}
		if err != nil {
			t.Errorf("attach: %v", err)
			return
		}
		for range 3 {
			if pos == events {
				break
			}
			batch, err := s.Next(ctx)
			if err != nil {
				t.Errorf("node %s, user %d, after %d: %v", n.cfg.Node, user, pos, err)
				break
			}
			for _, event := range batch.Events {
				if event.Seq != pos+1 {
					t.Errorf("after %d came %d", pos, event.Seq)
				}
				pos = event.Seq
			}
			if batch.Reset != nil || batch.End != "" {
				t.Errorf("unexpected %+v", batch)
			}
		}
		s.Close()
		if ctx.Err() != nil {
			return
		}
	}
}

// slowSource looks at once where inboxes stand, and tells it when the test says so.
type slowSource struct {
	*memorySource

	asked, gate chan struct{}
}

func (s *slowSource) InboxHeads(ctx context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error) {
	heads, err := s.memorySource.InboxHeads(ctx, users)
	raise(s.asked)
	<-s.gate
	return heads, err
}

// What commits between the look at the database and its answer is in neither; it was announced to a node that was found by then.
func TestWhatIsAnnouncedWhileTheDatabaseIsLookedAtArrives(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		slow := &slowSource{memorySource: source, asked: make(chan struct{}, 1), gate: make(chan struct{})}
		a := startNode(t, "a", rdb, slow, patient)
		b := startNode(t, "b", rdb, source, patient)
		attached := make(chan *Session, 1)
		go func() {
			s, err := a.Attach(t.Context(), streamOf(alice))
			assert.NoError(t, err)
			attached <- s
		}()
		<-slow.asked
		eventually(t, func() bool { return rdb.HLen(t.Context(), a.currentEra().nodesKey(alice.String())).Val() == 1 }, "others find the node")
		b.Announce(source.commit(alice))
		eventually(t, func() bool { return value(a.metrics.delivered) == 1 }, "it is told")
		close(slow.gate)
		s := <-attached
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		batch, err := s.Next(ctx)
		require.NoError(t, err)
		require.Len(t, batch.Events, 1)
	})
}

func TestStarts(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		source.sessions[phone] = chat.Session{ID: phone, UserID: alice, SavedSeq: 4}
		for range 10 {
			source.commit(alice)
		}
		source.prune(alice, 2)
		a := startNode(t, "a", rdb, source)
		for name, test := range map[string]struct {
			request Request
			first   int64 // 0 = nothing comes
		}{
			"begin":             {Request{Start: AtBegin}, 3},
			"now":               {Request{Start: AtNow}, 0},
			"saved":             {Request{Start: AtSaved, Session: phone}, 5},
			"cursor":            {Request{Start: AtCursor, Cursor: at(a.Hub, 7)}, 8},
			"cursor at pruned":  {Request{Start: AtCursor, Cursor: at(a.Hub, 2)}, 3},
			"cursor at the end": {Request{Start: AtCursor, Cursor: at(a.Hub, 10)}, 0},
		} {
			test.request.User, test.request.Kind = alice, Poll
			s := a.attach(test.request)
			batch, err := s.Try(t.Context())
			require.NoError(t, err, name)
			require.Nil(t, batch.Reset, name)
			if test.first == 0 {
				require.True(t, batch.Empty(), name)
			} else {
				require.Equal(t, test.first, batch.Events[0].Seq, name)
				require.EqualValues(t, 10, s.Seq(), name)
			}
			s.Close()
		}
		_, err := a.Attach(t.Context(), Request{User: alice, Session: tablet, Start: AtSaved})
		require.Equal(t, chat.CodeNotFound, chat.CodeOf(err))
	})
}

func TestCursorThatCannotBeContinuedResets(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		for range 10 {
			source.commit(alice)
		}
		source.prune(alice, 5)
		a := startNode(t, "a", rdb, source)
		for reason, cursor := range map[ResetReason]chat.Cursor{
			ResetTooOld: at(a.Hub, 4), ResetUnknownFuture: at(a.Hub, 11), ResetEpoch: {Epoch: "another", Seq: 8},
		} {
			for _, kind := range []Kind{Stream, Poll} {
				s := a.attach(Request{User: alice, Kind: kind, Start: AtCursor, Cursor: cursor})
				batch, err := s.Next(t.Context())
				require.NoError(t, err)
				require.Equal(t, Batch{Reset: &Reset{Reason: reason, Seq: 10}}, batch)
				require.EqualValues(t, 10, s.Seq())
				a.Announce(source.commit(alice))
				batch, err = s.Next(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, 11, batch.Events[0].Seq, "it goes on from the reset")
				s.Close()
				source.loseAfter(alice, 10)
				require.NoError(t, rdb.Del(t.Context(), a.currentEra().inboxKey(alice.String())).Err())
				a.checker.check(t.Context(), a.all(nil), a.now())
			}
		}
		require.InDelta(t, 2, value(a.metrics.resets.WithLabelValues(string(ResetEpoch))), 0)
	})
}

func TestCursorOfAnotherEpochResets(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		for range 3 {
			source.commit(alice)
		}
		a := startNode(t, "a", rdb, source)
		r := a.follow(Request{User: alice, Start: AtCursor, Cursor: chat.Cursor{Epoch: "another", Seq: 2}})
		require.EqualValues(t, 3, r.Seq(), "the cursor is good before the reset is read")
		a.Announce(source.commit(alice))
		r.waitFor(4)
		require.Equal(t, []Reset{{Reason: ResetEpoch, Seq: 3}}, r.resets())
	})
}

// A database that was restored without a new epoch is behind what readers saw.
func TestReaderOfALostFutureIsReset(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source)
	r := a.follow(streamOf(alice))
	for range 5 {
		a.Announce(source.commit(alice))
	}
	r.waitFor(5)
	source.loseAfter(alice, 2)
	eventually(t, func() bool { return r.Seq() == 2 }, "the reader is reset")
	require.NoError(t, rdb.FlushAll(t.Context()).Err())
	a.Announce(source.commit(alice))
	r.waitFor(3)
	require.Equal(t, []Reset{{Reason: ResetUnknownFuture, Seq: 2}}, r.resets())
}

func TestCursorWorksOnAnyNode(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source)
		b := startNode(t, "b", rdb, source)
		r := a.follow(streamOf(alice))
		for range 20 {
			b.Announce(source.commit(alice))
		}
		r.waitFor(20)
		text := r.Cursor()
		cursor, err := chat.ParseCursor(text, alice)
		require.NoError(t, err)
		now, err := b.CurrentCursor(t.Context(), alice)
		require.NoError(t, err)
		require.Equal(t, now, text)
		cursor.Seq = 15
		again := b.follow(Request{User: alice, Start: AtCursor, Cursor: cursor})
		again.waitFor(20)
		require.Len(t, again.events(), 5)
	})
}

func TestChangedEpochEndsSessionsAndBeginsAnew(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source)
		b := startNode(t, "b", rdb, source)
		r := a.follow(streamOf(alice))
		for range 3 {
			a.Announce(source.commit(alice))
		}
		r.waitFor(3)
		old, epoch := a.Epoch(), randomEpoch()
		source.loseAfter(alice, 1)
		source.set(func(m *memorySource) { m.epoch = epoch })
		require.Equal(t, EndShutdown, r.waitEnd())
		eventually(t, func() bool { return b.Epoch() == epoch && b.Ready() == nil && a.Ready() == nil }, "both nodes are in the new epoch")

		again := a.follow(Request{User: alice, Start: AtCursor, Cursor: chat.Cursor{Epoch: old, Seq: 3}})
		b.Announce(source.commit(alice))
		again.waitFor(2)
		require.Equal(t, []Reset{{Reason: ResetEpoch, Seq: 1}}, again.resets())
	})
}

// A poll that comes back soon finds its inbox as it left it, and asks nobody.
func TestPollThatComesBackSoonReadsNothing(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source)
		b := startNode(t, "b", rdb, source)
		poll := a.attach(Request{User: alice, Kind: Poll, Start: AtNow})
		poll.Close()
		reads := source.readCount()
		for i := range int64(5) {
			b.Announce(source.commit(alice))
			s := a.attach(Request{User: alice, Kind: Poll, Start: AtCursor, Cursor: at(a.Hub, i)})
			batch, err := s.Next(t.Context())
			require.NoError(t, err)
			require.Equal(t, i+1, batch.Events[0].Seq)
			s.Close()
		}
		require.Equal(t, reads, source.readCount())
	})
}

func TestInboxNobodyReadsIsDropped(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, func(c *Config) { c.Linger = 50 * time.Millisecond })
		s := a.attach(streamOf(alice))
		key := a.currentEra().nodesKey(alice.String())
		require.EqualValues(t, 1, rdb.HLen(t.Context(), key).Val())
		a.Announce(source.commit(alice))
		s.Close()
		eventually(t, func() bool { return a.lookup(alice) == nil }, "the inbox is dropped")
		eventually(t, func() bool { return rdb.HLen(t.Context(), key).Val() == 0 }, "and taken off the registry")
		require.Zero(t, a.memory.used.Load())
	})
}

// Events are many and the reader is slow: it reads behind what memory has.
func TestSlowReaderReadsBehindTheWindow(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		slow := a.attach(streamOf(alice))
		for range 3 * maxWindowEvents {
			a.Announce(source.commit(alice))
		}
		var seq int64
		for seq < 3*maxWindowEvents {
			batch, err := slow.Next(t.Context())
			require.NoError(t, err)
			for _, event := range batch.Events {
				require.Equal(t, seq+1, event.Seq)
				seq = event.Seq
			}
			require.Equal(t, seq < 3*maxWindowEvents, batch.More)
		}
	})
}

func TestStreamsInRedisCanBeDoneWithout(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		none := func(c *Config) { patient(c); c.StreamLength = -1 }
		a, b := startNode(t, "a", rdb, source, none), startNode(t, "b", rdb, source, none)
		there := b.follow(streamOf(alice))
		a.Announce(source.commit(alice))
		source.commit(alice)
		a.Announce(source.commit(alice))
		there.waitFor(3)
		require.Zero(t, rdb.Exists(t.Context(), a.currentEra().inboxKey(alice.String())).Val())
		require.Zero(t, value(b.metrics.fallbackStream))
	})
}

// What a stream in Redis has, the database is not asked for.
func TestWarmStreamSparesTheDatabase(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		// A probe that a busy machine holds up for a second would be a reason to ask the database.
		trusting := func(c *Config) { c.ProbeInterval = time.Minute }
		a, b := startNode(t, "a", rdb, source, patient, trusting), startNode(t, "b", rdb, source, patient, trusting)
		r := a.follow(streamOf(alice))
		for range 100 {
			a.Announce(source.commit(alice))
		}
		r.waitFor(100)
		key := a.currentEra().inboxKey(alice.String())
		eventually(t, func() bool { return rdb.XLen(t.Context(), key).Val() >= 100 }, "the stream has everything")
		reads := source.readCount()
		again := b.follow(Request{User: alice, Start: AtCursor, Cursor: at(b.Hub, 10)})
		again.waitFor(100)
		require.Len(t, again.events(), 90)
		require.Equal(t, reads, source.readCount())
		require.Positive(t, value(b.metrics.fallbackStream))
		require.Positive(t, rdb.TTL(t.Context(), key).Val())
	})
}

// What parks a session learns by a call that there is something.
func TestParkedSessionIsCalledOnceUntilItLooks(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source, patient)
	calls := make(chan struct{}, 100)
	request := streamOf(alice)
	request.OnWake = func() { calls <- struct{}{} }
	s := a.attach(request)
	batch, known := s.TryWindow()
	require.True(t, known)
	require.True(t, batch.Empty())
	for len(calls) > 0 {
		<-calls
	}
	for range 5 {
		a.Announce(source.commit(alice))
	}
	require.Len(t, calls, 1)
	batch, known = s.TryWindow()
	require.True(t, known)
	require.Len(t, batch.Events, 5)

	source.commit(alice)
	a.Announce(source.commit(alice))
	_, known = s.TryWindow()
	require.False(t, known, "a hole must be read")
	batch, err := s.Try(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Events, 2)
}
