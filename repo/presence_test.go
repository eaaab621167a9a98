package repo_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func (w *world) befriend(a, b chat.ID) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error {
		if err := tx.LockUsers(a, b); err != nil {
			return err
		}
		return tx.InsertFriendship(w.ids.Next(), a, b)
	})
}

func (w *world) block(a, b chat.ID, on bool) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error { _, err := tx.SetBlock(a, b, on); return err })
}

func TestTypingIsToldToWhoMayHearIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		people := w.users(4)
		a, b, c, stranger := people[0], people[1], people[2], people[3]
		told := func(conversation, user chat.ID, most int) []chat.ID {
			audience, err := w.TypingAudience(t.Context(), conversation, user, most, w.now())
			require.NoError(t, err)
			return audience
		}
		notFound := func(conversation, user chat.ID, most int) {
			_, err := w.TypingAudience(t.Context(), conversation, user, most, w.now())
			requireCode(t, chat.CodeNotFound, err)
		}
		w.befriend(a, b)
		private := w.private(a, b)
		assert.Equal(t, []chat.ID{b}, told(private, a, 1), "a private conversation has no size")
		assert.Equal(t, []chat.ID{a}, told(private, b, 1))
		notFound(private, stranger, 100)
		w.block(b, a, true)
		assert.Empty(t, told(private, a, 100), "blocked")
		assert.Empty(t, told(private, b, 100), "blocking")
		w.block(b, a, false)

		group := w.group("g", a, b, c)
		assert.ElementsMatch(t, []chat.ID{b, c}, told(group, a, 3))
		assert.Empty(t, told(group, a, 2), "too many to be told")
		notFound(group, stranger, 3)
		notFound(group, stranger, 2)
		notFound(w.ids.Next(), a, 100)
		mute := func(user chat.ID, until *chat.Time) {
			w.write(func(tx chat.Tx) error { return tx.SetMutedUntil(group, user, until) })
		}
		mute(b, new(w.now()+1000))
		assert.Empty(t, told(group, b, 3), "who is muted is not heard to type either")
		assert.ElementsMatch(t, []chat.ID{a, b}, told(group, c, 3))
		mute(b, new(w.now()-1))
		assert.ElementsMatch(t, []chat.ID{a, c}, told(group, b, 3), "not any more")
		w.write(func(tx chat.Tx) error {
			locked, err := tx.LockGroup(group)
			require.NoError(t, err)
			locked.SendPolicy = chat.SendByAdmins
			return tx.UpdateGroup(locked)
		})
		assert.Empty(t, told(group, b, 3), "only the owner and admins may send")
		assert.ElementsMatch(t, []chat.ID{b, c}, told(group, a, 3))
		w.write(func(tx chat.Tx) error {
			locked, err := tx.LockGroup(group)
			require.NoError(t, err)
			locked.SendPolicy = chat.SendByEveryone
			return tx.UpdateGroup(locked)
		})
		w.block(b, a, true)
		w.block(a, c, true)
		assert.Empty(t, told(group, a, 100))
		assert.Equal(t, []chat.ID{c}, told(group, b, 100))
		w.write(func(tx chat.Tx) error { return tx.DissolveGroup(group) })
		notFound(group, a, 100)
	})
}

func TestPresenceIsSeenByFriendsWithoutABlock(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		people := w.users(4)
		me, friend, shy, stranger := people[0], people[1], people[2], people[3]
		w.befriend(me, friend)
		w.befriend(me, shy)
		user, err := w.UserByID(t.Context(), shy)
		require.NoError(t, err)
		assert.Equal(t, chat.PresenceToFriends, user.PresenceVisibility, "unless it is changed")
		user.PresenceVisibility = chat.PresenceToNobody
		w.write(func(tx chat.Tx) error { return tx.UpdateUser(user) })
		user, err = w.UserByID(t.Context(), shy)
		require.NoError(t, err)
		assert.Equal(t, chat.PresenceToNobody, user.PresenceVisibility)

		require.NoError(t, w.SaveLastSeen(t.Context(), []chat.LastSeen{{User: shy, At: 3}, {User: friend, At: 7}}))
		require.NoError(t, w.SaveLastSeen(t.Context(), []chat.LastSeen{{User: friend, At: 5}}), "it only moves forward")
		require.NoError(t, w.SaveLastSeen(t.Context(), nil))
		seen := func() []chat.VisibleUser {
			found, err := w.FriendsSeen(t.Context(), me, people)
			require.NoError(t, err)
			return found
		}
		seven, three := chat.Time(7), chat.Time(3)
		assert.ElementsMatch(t, []chat.VisibleUser{
			{ID: friend, Visibility: chat.PresenceToFriends, LastSeenAt: &seven}, {ID: shy, Visibility: chat.PresenceToNobody, LastSeenAt: &three},
		}, seen())
		none, err := w.FriendsSeen(t.Context(), stranger, people)
		require.NoError(t, err)
		assert.Empty(t, none)
		w.block(friend, me, true)
		assert.Len(t, seen(), 1)
		w.block(me, shy, true)
		assert.Empty(t, seen())
	})
}

func TestPresenceIsToldToABoundedNumberOfFriends(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		people := w.users(5)
		popular, lonely := people[0], people[4]
		for _, friend := range people[1:4] {
			w.befriend(popular, friend)
		}
		asked := append([]chat.ID{w.ids.Next()}, people...)
		audiences, err := w.PresenceAudiences(t.Context(), asked, 3)
		require.NoError(t, err)
		require.Len(t, audiences, 5, "who is not there is left out")
		assert.Equal(t, chat.PresenceAudience{Visibility: chat.PresenceToFriends, Friends: people[1:4]}, audiences[popular])
		assert.Equal(t, []chat.ID{popular}, audiences[people[1]].Friends)
		assert.Empty(t, audiences[lonely].Friends)
		audiences, err = w.PresenceAudiences(t.Context(), asked, 2)
		require.NoError(t, err)
		assert.Equal(t, chat.PresenceAudience{Visibility: chat.PresenceToFriends, TooMany: true}, audiences[popular])
		audiences, err = w.PresenceAudiences(t.Context(), nil, 2)
		require.NoError(t, err)
		assert.Empty(t, audiences)
	})
}
