package chat

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// acquaintances is a store that knows friends and who is told of typing.
type acquaintances struct {
	Store

	friends []VisibleUser
	told    []ID
	err     error
	asked   int
}

func (a *acquaintances) FriendsSeen(context.Context, ID, []ID) ([]VisibleUser, error) {
	return a.friends, a.err
}

func (a *acquaintances) TypingAudience(context.Context, ID, ID, int, Time) ([]ID, error) {
	a.asked++
	return a.told, a.err
}

// wires is Connections that remember what they were told.
type wires struct {
	Connections

	states map[ID]PresenceState
	told   []Ephemeral
	said   map[SessionRef]Activity
}

func (w *wires) Tell(event Ephemeral) { w.told = append(w.told, event) }

func (w *wires) SetActivity(ref SessionRef, activity Activity) { w.said[ref] = activity }

func (w *wires) Presences(_ context.Context, users []ID) map[ID]PresenceState {
	found := map[ID]PresenceState{}
	for _, user := range users {
		if state, ok := w.states[user]; ok {
			found[user] = state
		}
	}
	return found
}

func TestOneTypingInEachIntervalIsPassedOn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	store, connections := &acquaintances{told: []ID{2}}, &wires{}
	s := NewService(Options{Store: store, Connections: connections, Now: func() time.Time { return now }})
	caller := Caller{User: 1, Session: 9}
	says := func(state TypingState, passed bool) {
		t.Helper()
		before := len(connections.told)
		require.NoError(t, s.SetTyping(t.Context(), caller, 7, state))
		assert.Equal(t, passed, len(connections.told) > before)
	}
	says(TypingStopped, false)
	says(TypingStarted, true)
	assert.Equal(t, EphemeralTopic{Conversation: 7, User: 1}, connections.told[0].Topic)
	assert.Equal(t, []ID{2}, connections.told[0].Users)
	says(TypingStarted, false)
	says(TypingStopped, true)
	says(TypingStopped, false)
	says(TypingStarted, false) // not even then
	now = now.Add(typingInterval)
	says(TypingStarted, true)
	now = now.Add(typingLife)
	says(TypingStopped, false) // nobody shows it any more
	asked := store.asked
	says(TypingStarted, true)
	says(TypingStarted, false)
	assert.Equal(t, asked+1, store.asked, "what is not passed on costs no query")

	store.told = nil
	now = now.Add(typingInterval)
	says(TypingStarted, false)
	store.err = NotFound("There is no such conversation.")
	require.Equal(t, CodeNotFound, CodeOf(s.SetTyping(t.Context(), caller, 8, TypingStarted)))
	require.Equal(t, CodeNotFound, CodeOf(s.SetTyping(t.Context(), caller, 8, TypingStarted)), "a refusal is not remembered")
	require.Equal(t, CodeValidation, CodeOf(s.SetTyping(t.Context(), caller, 7, "singing")))
}

func TestTypingRemembersABoundedNumber(t *testing.T) {
	t.Parallel()
	var gate typingGate
	now := time.Now()
	for n := range ID(2*maxTypingSaid + 10) {
		gate.pass(EphemeralTopic{Conversation: n, User: 1}, TypingStarted, now)
		if len(gate.said) > maxTypingSaid {
			require.FailNow(t, "it grows")
		}
	}
	later := now.Add(typingLife)
	gate.makeRoom(later)
	assert.Empty(t, gate.said)
}

func TestPresenceIsShownAsFarAsItIsTheCallersToKnow(t *testing.T) {
	t.Parallel()
	seen := Time(5)
	store := &acquaintances{friends: []VisibleUser{
		{ID: 6, Visibility: PresenceToFriends, LastSeenAt: &seen},
		{ID: 5, Visibility: PresenceToNobody, LastSeenAt: &seen},
		{ID: 4, Visibility: PresenceToFriends, LastSeenAt: &seen},
		{ID: 3, Visibility: PresenceToFriends},
	}}
	connections := &wires{states: map[ID]PresenceState{6: PresenceOffline, 5: PresenceOnline, 4: PresenceAway}}
	s := NewService(Options{Store: store, Connections: connections, Now: time.Now})
	got, err := s.Presences(t.Context(), Caller{User: 1}, []ID{2, 3, 4, 4, 5, 6})
	require.NoError(t, err)
	assert.Equal(t, []Presence{
		{UserID: 3, State: PresenceUnknown},                    // nobody can tell
		{UserID: 4, State: PresenceAway},                       // seen now, and not last
		{UserID: 5, State: PresenceOffline},                    // shown to nobody
		{UserID: 6, State: PresenceOffline, LastSeenAt: &seen}, // 2 is no friend
	}, got)
	for _, users := range [][]ID{nil, make([]ID, MaxPresenceUsers+1)} {
		_, err = s.Presences(t.Context(), Caller{User: 1}, users)
		require.Equal(t, CodeValidation, CodeOf(err))
	}
}

func TestSessionSaysWhatItIs(t *testing.T) {
	t.Parallel()
	connections := &wires{said: map[SessionRef]Activity{}}
	s := NewService(Options{Connections: connections, Now: time.Now})
	require.NoError(t, s.SetPresence(t.Context(), Caller{User: 1, Session: 2}, ActivityBackground))
	assert.Equal(t, map[SessionRef]Activity{{User: 1, Session: 2}: ActivityBackground}, connections.said)
	require.Equal(t, CodeValidation, CodeOf(s.SetPresence(t.Context(), Caller{}, "busy")))
}
