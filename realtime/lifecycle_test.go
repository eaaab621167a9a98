package realtime

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func TestStreamsPerUserAreBoundedAcrossNodes(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		few := func(c *Config) { c.MaxStreamsPerUser, c.MaxPollsPerUser = 3, 2 }
		a, b := startNode(t, "a", rdb, source, few), startNode(t, "b", rdb, source, few)
		first := a.attach(streamOf(alice))
		a.attach(streamOf(alice))
		b.attach(streamOf(alice))
		for _, n := range []*node{a, b} {
			_, err := n.Attach(t.Context(), streamOf(alice))
			require.Equal(t, chat.CodeTooManyStreams, chat.CodeOf(err))
			require.Positive(t, chat.AsError(err).RetryAfter)
		}
		b.attach(streamOf(bob)) // another user's
		poll := Request{User: alice, Kind: Poll, Start: AtNow}
		b.attach(poll) // polls are no streams, and have a bound of their own
		b.attach(poll)
		_, err := b.Attach(t.Context(), poll)
		require.Equal(t, chat.CodeTooManyStreams, chat.CodeOf(err))

		first.Close()
		eventually(t, func() bool {
			s, err := b.Attach(t.Context(), streamOf(alice))
			if err == nil {
				s.Close()
			}
			return err == nil
		}, "a closed stream makes room on the other node")

		a.stop()
		for range 2 {
			b.attach(streamOf(alice)) // what was open there is gone with the node
		}
	})
}

func TestFullNodeRefuses(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source, func(c *Config) { c.MaxStreams = 2 })
	first := a.attach(streamOf(alice))
	a.attach(Request{User: bob, Kind: Poll, Start: AtNow})
	_, err := a.Attach(t.Context(), streamOf(bob))
	require.Equal(t, chat.CodeOverloaded, chat.CodeOf(err))
	first.Close()
	first.Close()
	a.attach(streamOf(bob))
	_, err = a.Attach(t.Context(), streamOf(bob))
	require.Equal(t, chat.CodeOverloaded, chat.CodeOf(err), "closing twice makes room once")
}

func TestEndedSessionClosesItsStreamsOnEveryNode(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		var told sync.Map
		tell := func(node string) func(*Config) {
			return func(c *Config) {
				c.OnSessionEnded = func(session chat.ID) { told.Store(fmt.Sprint(node, session), true) }
			}
		}
		a := startNode(t, "a", rdb, source, patient, tell("a"))
		b := startNode(t, "b", rdb, source, patient, tell("b"))
		request := streamOf(alice)
		request.Session = phone
		here, there := a.follow(request), b.follow(request)
		request.Session = tablet
		stays := b.follow(request)

		revocation := source.commitRevocation(alice, phone)
		revocation.Deliveries = nil // the broadcast alone must do
		a.Announce(revocation)
		require.Equal(t, EndRevoked, here.waitEnd())
		require.Equal(t, EndRevoked, there.waitEnd())
		for _, n := range []string{"a", "b"} {
			_, ok := told.Load(fmt.Sprint(n, phone))
			require.True(t, ok, "node %s is told", n)
		}
		a.Announce(source.commit(alice))
		stays.waitFor(2)
	})
}

func TestLostWordOfAnEndedSessionIsHeardInTheInbox(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := newMemorySource(randomEpoch())
		a := startNode(t, "a", rdb, source, patient)
		b := startNode(t, "b", rdb, source, patient)
		request := streamOf(alice)
		request.Session = phone
		there := b.follow(request)
		request.Session = tablet
		stays := b.follow(request)

		revocation := source.commitRevocation(alice, phone)
		revocation.EndedSessions = nil
		a.Announce(revocation)
		require.Equal(t, EndRevoked, there.waitEnd())
		require.Len(t, there.events(), 1, "it reads of its own end")
		stays.waitFor(1)
		a.Announce(source.commit(alice))
		stays.waitFor(2)
	})
}

func TestDrainEndsPollsAtOnceAndStreamsSpread(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source)
	poll := a.follow(Request{User: bob, Kind: Poll, Start: AtNow})
	var streams []*reader
	for i := range 20 {
		streams = append(streams, a.follow(streamOf(alice+chat.ID(i))))
	}
	for _, r := range append(streams, poll) {
		go func() {
			<-r.done
			r.Close()
		}()
	}
	drained := make(chan error, 1)
	go func() { drained <- a.Drain(t.Context(), 400*time.Millisecond) }()
	require.Equal(t, EndShutdown, poll.waitEnd())
	require.Error(t, a.Ready())
	_, err := a.Attach(t.Context(), streamOf(bob))
	require.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
	require.Positive(t, chat.AsError(err).RetryAfter)
	began := time.Now()
	for _, r := range streams {
		require.Equal(t, EndShutdown, r.waitEnd())
	}
	require.Greater(t, time.Since(began), 200*time.Millisecond, "they did not end together")
	require.NoError(t, <-drained)
}

func TestStoppedHubIsHarmless(t *testing.T) {
	t.Parallel()
	source := newMemorySource(randomEpoch())
	rdb := embeddedRedis(t)
	a := startNode(t, "a", rdb, source)
	r := a.follow(streamOf(alice))
	a.stop()
	require.Equal(t, EndShutdown, r.waitEnd())
	require.Error(t, a.Ready())
	a.Announce(source.commit(alice))
	a.Save(alice, phone, 1)
	_, err := a.Attach(t.Context(), streamOf(alice))
	require.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
	_, err = a.CurrentCursor(t.Context(), alice)
	require.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
	require.Error(t, a.Run(t.Context()), "a hub runs once")
}
