package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// ephemerals returns what passed so far of a type.
func (i *inbox) ephemerals(kind client.EventType) (found []client.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, event := range i.passed {
		if event.Type == kind {
			found = append(found, event)
		}
	}
	return found
}

// presences returns the states that the reader was told of somebody.
func (i *inbox) presences(of *person) (states []client.PresenceState) {
	i.t.Helper()
	for _, event := range i.ephemerals(client.EventPresence) {
		presence, ok := event.Value().(client.Presence)
		require.True(i.t, ok, "%s", event.Data)
		if presence.UserID == of.id {
			states = append(states, presence.State)
		}
	}
	return states
}

// hears waits until the reader was told so much of somebody.
func (i *inbox) hears(of *person, want ...client.PresenceState) {
	i.t.Helper()
	i.hearsWithin(patience, of, want...)
}

func (i *inbox) hearsWithin(limit time.Duration, of *person, want ...client.PresenceState) {
	i.t.Helper()
	deadline := time.Now().Add(limit)
	for len(i.presences(of)) < len(want) {
		require.True(i.t, time.Now().Before(deadline), "%s heard %v, not %v", i.who, i.presences(of), want)
		<-tick()
	}
	require.Equal(i.t, want, i.presences(of)[:len(want)])
}

func (p *person) types(conversation string, state client.TypingState) {
	p.t.Helper()
	require.NoError(p.t, p.SetTyping(p.t.Context(), conversation, state))
}

// sees returns how a person sees another; nil = not at all.
func (p *person) sees(other *person) *client.Presence {
	p.t.Helper()
	found, err := p.Presences(p.t.Context(), other.id)
	require.NoError(p.t, err)
	if len(found) == 0 {
		return nil
	}
	require.Equal(p.t, other.id, found[0].UserID)
	return &found[0]
}

func TestTypingIsSeenOnEveryTransportAndNode(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		conversation := alice.say(bob, "Hello").ConversationID
		var streams []*inbox
		for n := range 2 {
			streams = append(streams, bob.at(n).stream(client.Now))
		}
		bare := openBare(t, bob)
		position := streams[0].position()
		polled := make(chan client.PollResult, 1)
		go func() {
			result, err := bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: client.Now, Wait: 25 * time.Second})
			assert.NoError(t, err)
			polled <- result
		}()
		// Nobody knows when the poll waits; until then it is typing again.
		var result client.PollResult
		began := time.Now()
		for again := time.NewTicker(100 * time.Millisecond); result.Cursor == ""; {
			alice.types(conversation, client.TypingStateTyping)
			select {
			case result = <-polled:
				again.Stop()
			case <-again.C:
			}
		}
		assert.Less(t, time.Since(began), 20*time.Second, "the poll was answered by it")
		require.NotEmpty(t, result.Events)
		want := client.TypingData{ConversationID: conversation, UserID: alice.id, State: client.TypingStateTyping}
		typed := func(event client.Event) bool { return event.Ephemeral() && event.Value() == any(want) }
		assert.True(t, typed(result.Events[len(result.Events)-1]), "%v", result.Events)
		for _, stream := range streams {
			stream.until("typing", func() bool {
				return slices.ContainsFunc(stream.passed, typed)
			})
			assert.Equal(t, position, stream.position(), "it moves no position")
		}
		bare.until(`"type":"typing"`)
		assert.Empty(t, bare.eventNames("hello", "heartbeat"))

		alice.say(bob, "Done")
		streams[0].hasMessages("", 1)
		for _, event := range bob.everything(500) {
			assert.False(t, event.Ephemeral(), "it is kept nowhere: %v", event)
		}
	})
}

func TestTypingIsCoalescedAndToldOnlyToWhoMayHearIt(t *testing.T) {
	onFresh(t, settings{"MAX_TYPING_MEMBERS": "3"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol", "dan")
		alice, bob, carol, dan := people[0].at(0), people[1], people[2].at(0), people[3]
		befriend(t, alice, bob)
		befriend(t, carol, bob)
		private, marker := alice.say(bob, "Hello").ConversationID, carol.say(bob, "Hello").ConversationID
		small, large := alice.group(bob, carol), alice.group(bob, carol, dan)
		stream := bob.at(1).stream(client.Now)
		heard := func(of ...string) {
			t.Helper()
			var got []string
			eventually(t, "bob is told", func() bool { return len(stream.ephemerals(client.EventTyping)) >= len(of) })
			for _, event := range stream.ephemerals(client.EventTyping) {
				data, ok := event.Value().(client.TypingData)
				require.True(t, ok)
				got = append(got, data.ConversationID+" "+string(data.State))
			}
			require.Equal(t, of, got)
		}
		for range 5 {
			alice.types(private, client.TypingStateTyping)
		}
		heard(private + " typing")
		alice.types(private, client.TypingStateStopped)
		alice.types(private, client.TypingStateStopped)
		heard(private+" typing", private+" stopped")
		alice.types(large, client.TypingStateTyping) // one too many
		alice.types(small, client.TypingStateTyping)
		heard(private+" typing", private+" stopped", small+" typing")

		refused(t, dan.SetTyping(t.Context(), private, client.TypingStateTyping), http.StatusNotFound, client.ProblemCodeNotFound)
		refused(t, dan.SetTyping(t.Context(), small, client.TypingStateTyping), http.StatusNotFound, client.ProblemCodeNotFound)
		require.NoError(t, bob.Block(t.Context(), alice.id))
		alice.types(small, client.TypingStateStopped)
		alice.at(1).types(private, client.TypingStateTyping)
		carol.types(marker, client.TypingStateTyping)
		heard(private+" typing", private+" stopped", small+" typing", marker+" typing")
		limits, err := bob.Limits(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, limits.MaxTypingMembers)
	})
}

// More passes by than is kept for a reader that is late; the messages are all there, in front, and in order.
func TestEphemeralEventsAreDroppedFirst(t *testing.T) {
	onFresh(t, nil, func(t *testing.T, d *deployment) {
		people := d.people(t, "bob", "a", "b", "c", "d", "e", "f", "g", "h", "i")
		bob, others := people[0].at(0), people[1:]
		var groups []string
		for range 8 {
			groups = append(groups, bob.group(others...))
		}
		first, err := bob.Poll(t.Context(), client.PollOptions{Cursor: client.Now})
		require.NoError(t, err)
		var busy sync.WaitGroup
		for _, p := range others {
			busy.Go(func() {
				for n, group := range groups {
					err := p.SetTyping(t.Context(), group, client.TypingStateTyping)
					if err == nil {
						_, err = p.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: fmt.Sprint(n)})
					}
					assert.NoError(t, err)
				}
			})
		}
		busy.Wait()
		var events, passed []client.Event
		cursor := first.Cursor
		for len(events) < len(others)*len(groups) || len(passed) == 0 {
			part, err := bob.Poll(t.Context(), client.PollOptions{Cursor: cursor, Limit: 50, Wait: 2 * time.Second})
			require.NoError(t, err)
			require.NotEmpty(t, part.Events, "%d messages and %d others", len(events), len(passed))
			for _, event := range part.Events {
				if event.Ephemeral() {
					passed = append(passed, event)
				} else {
					require.Empty(t, passed, "a message comes before what only passes")
					events = append(events, event)
				}
			}
			cursor = part.Cursor
		}
		for i, event := range events {
			require.Equal(t, place(first.Cursor)+int64(i)+1, place(event.Cursor))
		}
		assert.Len(t, messages(events, ""), len(others)*len(groups))
		assert.LessOrEqual(t, len(passed), 64)
	})
}

func TestPresenceFollowsAFriendOverNodes(t *testing.T) {
	onFresh(t, settings{"PRESENCE_GRACE": "1s"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "stranger")
		alice, bob, stranger := people[0].at(0), people[1].at(1), people[2]
		befriend(t, alice, bob)
		assert.Equal(t, client.PresenceStateOffline, bob.sees(alice).State)
		assert.Nil(t, bob.sees(alice).LastSeenAt, "she was never there")
		friend, other := bob.stream(client.Now), stranger.stream(client.Now)
		stream := alice.stream(client.Now)
		friend.hears(alice, client.PresenceStateOnline)
		assert.Equal(t, client.PresenceStateOnline, bob.sees(alice).State)
		assert.Equal(t, client.PresenceStateOnline, bob.at(0).sees(alice).State)
		assert.Nil(t, stranger.sees(alice), "it is not a stranger's to know")

		require.NoError(t, alice.at(1).SetPresence(t.Context(), client.ActivityBackground))
		friend.hears(alice, client.PresenceStateOnline, client.PresenceStateAway)
		before := time.Now()
		stream.stop()
		friend.hears(alice, client.PresenceStateOnline, client.PresenceStateAway, client.PresenceStateOffline)
		seen := bob.sees(alice)
		assert.Equal(t, client.PresenceStateOffline, seen.State)
		require.NotNil(t, seen.LastSeenAt)
		assert.WithinDuration(t, before, *seen.LastSeenAt, 10*time.Second)

		nobody := client.PresenceVisibilityNobody
		me, err := alice.UpdateMe(t.Context(), client.UpdateMeRequest{PresenceVisibility: &nobody})
		require.NoError(t, err)
		assert.Equal(t, nobody, me.PresenceVisibility)
		assert.Nil(t, bob.sees(alice).LastSeenAt)
		// A poll counts while it waits.
		friends := client.PresenceVisibilityFriends
		_, err = alice.Poll(t.Context(), client.PollOptions{Cursor: client.Now, Wait: time.Second})
		require.NoError(t, err)
		_, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{PresenceVisibility: &friends})
		require.NoError(t, err)
		_, err = alice.Poll(t.Context(), client.PollOptions{Cursor: client.Now, Wait: time.Second})
		require.NoError(t, err)
		eventually(t, "bob sees her again", func() bool {
			states := friend.presences(alice)
			return states[len(states)-1] == client.PresenceStateOffline && len(states) > 4
		})

		require.NoError(t, bob.RemoveFriend(t.Context(), alice.id))
		assert.Nil(t, bob.sees(alice), "nor of one who is no friend any more")
		assert.Empty(t, other.presences(alice))
	})
}

func TestReconnectingDoesNotShow(t *testing.T) {
	onFresh(t, settings{"STREAM_LIFETIME": "1s"}, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		friend := bob.stream(client.Now)
		stream := alice.at(1).stream(client.Now)
		stream.until("four lives", func() bool { return stream.hellos >= 4 })
		require.NoError(t, alice.Logout(t.Context()))
		friend.hears(alice, client.PresenceStateOnline, client.PresenceStateOffline)
	})
}

func TestUsersOfANodeThatStopsGoOfflineUnlessTheyComeBack(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, settings{"PRESENCE_GRACE": "3s"})
	people := d.people(t, "alice", "bob", "carol")
	alice, bob, carol := people[0], people[1], people[2]
	befriend(t, alice, bob)
	befriend(t, carol, bob)
	friend := bob.at(1).stream(client.Now)
	alice.at(0).stream(client.Now)
	carol.at(0).stream(client.Now)
	friend.hears(alice, client.PresenceStateOnline)
	friend.hears(carol, client.PresenceStateOnline)
	d.node(0).ask()
	carol.at(1).stream(client.Now)
	_, err := d.node(0).terminate()
	require.NoError(t, err)
	friend.hears(alice, client.PresenceStateOnline, client.PresenceStateOffline)
	assert.NotNil(t, bob.at(1).sees(alice).LastSeenAt)
	assert.Equal(t, client.PresenceStateOnline, bob.at(1).sees(carol).State)
	assert.Len(t, friend.presences(carol), 1)
}

func TestUsersOfAKilledNodeGoOffline(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, nil)
	alice, bob := d.friends(t)
	friend := bob.at(1).stream(client.Now)
	alice.at(0).stream(client.Now)
	friend.hears(alice, client.PresenceStateOnline)
	d.node(0).kill()
	friend.hearsWithin(2*time.Minute, alice, client.PresenceStateOnline, client.PresenceStateOffline)
	seen := bob.at(1).sees(alice)
	require.NotNil(t, seen.LastSeenAt, "what its node said last")
}

func TestOneNodeThatStopsKnowsWhenItsUsersWereSeen(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	stream := alice.stream(client.Now)
	eventually(t, "alice is there", func() bool { return bob.sees(alice).State == client.PresenceStateOnline })
	before := time.Now()
	stream.stop()
	assert.Equal(t, client.PresenceStateOnline, bob.sees(alice).State, "she may come back")
	_, err := d.node(0).terminate()
	require.NoError(t, err)
	require.NoError(t, d.node(0).start())
	seen := bob.sees(alice)
	assert.Equal(t, client.PresenceStateOffline, seen.State)
	require.NotNil(t, seen.LastSeenAt)
	assert.WithinDuration(t, before, *seen.LastSeenAt, 10*time.Second)
}
