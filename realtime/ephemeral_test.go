package realtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"longwire/chat"
)

// typingIn is an ephemeral event about alice in a conversation.
func typingIn(conversation chat.ID, n int, users ...chat.ID) chat.Ephemeral {
	at := chat.TimeOf(time.Now())
	body, err := chat.EncodeBody(chat.TypingChanged, at, n)
	if err != nil {
		panic(err)
	}
	return chat.Ephemeral{Topic: chat.EphemeralTopic{Conversation: conversation, User: alice}, At: at, Body: body, Users: users}
}

// still returns a hub that does nothing by itself, for tests that move its
// parts, also under a clock of their own.
func still(t testing.TB) *Hub {
	t.Helper()
	// Without the library's notices, for which it would look the address up.
	rdb := redis.NewClient(&redis.Options{
		Dialer: noRedis, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = rdb.Close() })
	h, err := New(context.WithoutCancel(t.Context()), Config{Node: "still"}, rdb, newMemorySource("e1"))
	require.NoError(t, err)
	h.state.Store(stateRunning)
	return h
}

// sit puts a session into a hub that does nothing, level with an empty inbox.
func (h *Hub) sit(t testing.TB, request Request) *Session {
	t.Helper()
	s := &Session{id: request.Session, kind: request.Kind, activity: activityOf(request.Activity), limit: MaxBatchEvents, onWake: func() {}}
	require.NoError(t, h.join(s, request.User))
	s.inbox.verify(chat.InboxHead{}, s.inbox.mark())
	// Whatever is announced arrives, for ever.
	h.link.up.Store(true)
	h.link.proven.Store(true)
	h.link.heard.Store(int64(never))
	s.inbox.noteRegistered(0, 0, never)
	return s
}

func passedTo(t testing.TB, s *Session) (bodies []chat.Body) {
	t.Helper()
	for {
		batch, known := s.TryWindow()
		require.True(t, known)
		if batch.Empty() {
			return bodies
		}
		bodies = append(bodies, batch.Ephemeral...)
	}
}

func TestEphemeralEventsReachReadersOnEveryNode(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a, b := startNode(t, "a", rdb, source, patient), startNode(t, "b", rdb, source, patient)
		here, there := a.follow(streamOf(bob)), b.follow(streamOf(bob))
		poll := b.follow(Request{User: bob, Session: phone, Kind: Poll, Start: AtNow})
		others := b.follow(streamOf(alice))
		event := typingIn(7, 1, bob)
		a.Tell(event)
		for _, r := range []*reader{here, there, poll} {
			eventually(t, func() bool { return len(r.ephemerals()) == 1 }, "it arrives")
			require.Equal(t, event.Body, r.ephemerals()[0])
			require.Zero(t, r.Seq(), "the position stays")
		}
		a.Announce(source.commit(bob, alice))
		others.waitFor(1)
		require.Empty(t, others.ephemerals(), "only who is meant is told")
	})
}

func TestEphemeralEventsComeOnlyWhenThereIsNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := still(t)
		s := h.sit(t, Request{User: bob})
		s.limit = rapid.IntRange(1, 4).Draw(rt, "limit")
		source := newMemorySource("e1")
		head, told, given := int64(0), 0, 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				a := source.commit(bob)
				head = a.Deliveries[0].Seq
				h.deliver(a.Bodies, a.Deliveries)
			case 1:
				if told-given < maxPassing {
					told++
					h.Tell(typingIn(chat.ID(told), told, bob))
				}
			case 2:
				batch, known := s.TryWindow()
				require.True(rt, known)
				if len(batch.Ephemeral) > 0 {
					require.Empty(rt, batch.Events)
					require.LessOrEqual(rt, len(batch.Ephemeral), s.limit)
					require.Equal(rt, head, s.Seq(), "level with the inbox")
				}
				given += len(batch.Ephemeral)
			}
		}
		for {
			batch, known := s.TryWindow()
			require.True(rt, known)
			if batch.Empty() {
				break
			}
			given += len(batch.Ephemeral)
		}
		require.Equal(rt, told, given, "each comes once")
		require.Equal(rt, head, s.Seq())
	})
}

func TestEphemeralEventsAreCoalescedAndBoundedAndTheOldestGoesFirst(t *testing.T) {
	t.Parallel()
	h := still(t)
	s := h.sit(t, Request{User: bob})
	for n := range 3 {
		h.Tell(typingIn(1, n, bob))
	}
	last := typingIn(1, 3, bob)
	h.Tell(last)
	require.Equal(t, []chat.Body{last.Body}, passedTo(t, s))
	late := typingIn(1, 9, bob)
	late.At -= 100
	h.Tell(late)
	require.Empty(t, passedTo(t, s), "one that was overtaken is not told")

	for n := range 10 * maxPassing {
		h.Tell(typingIn(chat.ID(n+1), n, bob))
	}
	got := passedTo(t, s)
	require.Len(t, got, maxPassing)
	require.Contains(t, string(got[maxPassing-1]), fmt.Sprintf(`"data":%d}`, 10*maxPassing-1))
	require.EqualValues(t, maxPassing, h.passed.Load())

	h.passed.Store(maxPassingOfNode + 2*maxPassing)
	for n := range maxPassing {
		h.Tell(typingIn(chat.ID(n+1), n, bob))
	}
	require.Len(t, passedTo(t, s), minPassing, "when there is too much on the node each inbox keeps a few")
}

func TestIdleReaderKeepsNothingOfWhatPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := still(t)
		s, late := h.sit(t, Request{User: bob, Session: phone}), h.sit(t, Request{User: bob, Session: tablet})
		require.Nil(t, s.inbox.passing.Load())
		h.Tell(typingIn(1, 1, bob))
		require.Len(t, passedTo(t, s), 1)
		time.Sleep(ephemeralLife + time.Second)
		require.Empty(t, passedTo(t, late), "what is old is not worth giving")
		h.sweep(h.all(nil), false)
		require.Nil(t, s.inbox.passing.Load())
		require.Zero(t, h.passed.Load())
		h.Tell(typingIn(1, 2, bob))
		require.Len(t, passedTo(t, s), 1, "what comes after that is given again")
	})
}

func TestPollsGetWhatPassedBetweenThemOnce(t *testing.T) {
	t.Parallel()
	h := still(t)
	poll := func(session chat.ID) []chat.Body {
		s := h.sit(t, Request{User: bob, Session: session, Kind: Poll})
		defer s.Close()
		return passedTo(t, s)
	}
	require.Empty(t, poll(phone))
	h.Tell(typingIn(1, 1, bob))
	require.Len(t, poll(phone), 1)
	require.Empty(t, poll(phone), "the same session gets it once")
	require.Len(t, poll(tablet), 1)
	for session := range chat.ID(2 * maxPassingGiven) {
		poll(session + 1)
	}
	require.LessOrEqual(t, len(h.lookup(bob).passing.Load().given), maxPassingGiven)
}

func TestEphemeralEventsGiveWayToAnnouncements(t *testing.T) {
	t.Parallel()
	h := still(t)
	h.link.up.Store(true)
	events := []chat.Ephemeral{typingIn(1, 1, bob)}
	h.announcer.enqueue(chat.Announcement{Bodies: []chat.Body{make(chat.Body, h.cfg.QueueMemory/8)}, Deliveries: []chat.Delivery{{User: bob, Seq: 1}}})
	why, err := h.herald.hand(t.Context(), events, nil)
	require.NoError(t, err)
	require.Equal(t, droppedBusy, why)
	h.announcer.take()
	why, err = h.herald.hand(t.Context(), events, nil)
	require.Error(t, err, "now Redis is asked, which is not there")
	require.Equal(t, droppedRedis, why)
}

func TestQueueOfEphemeralEventsIsBoundedAndCoalesced(t *testing.T) {
	t.Parallel()
	h := still(t)
	crowd := make([]chat.ID, 100)
	for i := range crowd {
		crowd[i] = chat.ID(i + 1)
	}
	for n := range 2 * maxHeraldUsers / len(crowd) {
		h.Tell(typingIn(chat.ID(n+1), 1, crowd...))
	}
	last := typingIn(1, 2, crowd...)
	h.Tell(last)
	for n := range 2 * maxHeraldUsers {
		h.herald.enqueueActivity(chat.SessionRef{User: 1, Session: chat.ID(n + 1)}, active)
	}
	require.Positive(t, value(h.metrics.ephemeralDropped.WithLabelValues(droppedQueueFull)))
	events, activities := h.herald.take()
	require.Len(t, events, maxHeraldUsers/len(crowd))
	require.Equal(t, last, events[0], "a later one takes the place of an earlier one")
	require.Len(t, activities, maxHeraldUsers)
	events, activities = h.herald.take()
	require.Empty(t, events)
	require.Empty(t, activities)
}

func TestEphemeralFramesHoldEachBodyOnceAndOnlyWhatConcernsTheNode(t *testing.T) {
	t.Parallel()
	one, two := typingIn(1, 1, 1, 2, 3), typingIn(2, 2, 3)
	ref := chat.SessionRef{User: 2, Session: phone}
	frames := ephemeralsByNode([]chat.Ephemeral{one, two}, map[chat.SessionRef]activity{ref: background}, targets{
		1: {nodes: []string{"a", "b"}}, 2: {nodes: []string{"a"}}, 3: {},
	})
	require.Len(t, frames, 2)
	one.Users = []chat.ID{1, 2}
	require.Equal(t, &frame{kind: frameEphemeral, ephemerals: []chat.Ephemeral{one}, activities: []said{{ref, background}}}, frames["a"])
	one.Users = []chat.ID{1}
	require.Equal(t, &frame{kind: frameEphemeral, ephemerals: []chat.Ephemeral{one}}, frames["b"])
}

// What passed by an inbox is not counted any more when the inbox is gone.
func TestWhatPassedByAnInboxGoesWithIt(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a", embeddedRedis(t), newMemorySource(randomEpoch()), func(c *Config) {
		c.Linger, c.PresenceGrace = 100*time.Millisecond, -1
	})
	s := n.attach(streamOf(alice))
	n.Tell(chat.Ephemeral{Topic: chat.EphemeralTopic{Conversation: 7, User: bob}, At: 1, Body: chat.Body(`"type":"typing"}`), Users: []chat.ID{alice}})
	require.Positive(t, n.passed.Load())
	s.Close()
	eventually(t, func() bool { return n.lookup(alice) == nil }, "the inbox goes")
	eventually(t, func() bool { return n.passed.Load() == 0 }, "and what passed by")
}
