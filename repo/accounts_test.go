package repo_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// phone adds a session that lives for an hour.
func (w *world) phone(user chat.ID) chat.ID {
	w.t.Helper()
	id := w.ids.Next()
	w.write(func(tx chat.Tx) error {
		return tx.InsertSession(chat.Session{
			ID: id, UserID: user, DeviceName: "phone", CreatedAt: tx.At(), LastSeenAt: tx.At(), ExpiresAt: tx.At() + 3_600_000,
			Address: "192.0.2.1", UserAgent: "Phone", RefreshGeneration: 1,
		})
	})
	return id
}

func TestLastUseOfSessionsOnlyMovesForward(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna := w.user("anna")
		one, two, three := w.phone(anna), w.phone(anna), w.phone(anna)
		now := w.now()
		require.NoError(t, w.SaveSeen(t.Context(), nil))
		require.NoError(t, w.SaveSeen(t.Context(), []chat.SessionSighting{
			{Session: two, At: now + 5, Origin: chat.ClientOrigin{Address: "2001:db8::1", UserAgent: "It's \\ 字"}},
			{Session: 1, At: now + 5},
			{Session: one, At: now - 1_000_000, Origin: chat.ClientOrigin{Address: "late"}},
		}))
		for id, want := range map[chat.ID]chat.ClientOrigin{
			one: {Address: "192.0.2.1", UserAgent: "Phone"}, two: {Address: "2001:db8::1", UserAgent: "It's \\ 字"}, three: {Address: "192.0.2.1", UserAgent: "Phone"},
		} {
			session, err := w.SessionByID(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, want, chat.ClientOrigin{Address: session.Address, UserAgent: session.UserAgent})
			assert.Equal(t, id == two, session.LastSeenAt == now+5)
		}
	})
}

func TestSessionsThatEndedLongAgoAreDeleted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna := w.user("anna")
		ended, expired, live := w.phone(anna), w.phone(anna), w.phone(anna)
		var at chat.Time
		w.write(func(tx chat.Tx) error {
			at = tx.At()
			if err := tx.SetRefreshGeneration(expired, 2, at-1); err != nil {
				return err
			}
			return tx.EndSession(chat.SessionRef{User: anna, Session: ended})
		})
		n, err := w.PruneSessions(t.Context(), at-1, 10)
		require.NoError(t, err)
		assert.Zero(t, n)
		n, err = w.PruneSessions(t.Context(), at+1, 1)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = w.PruneSessions(t.Context(), at+1, 10)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		for _, id := range []chat.ID{ended, expired} {
			_, err := w.SessionByID(t.Context(), id)
			requireCode(t, chat.CodeNotFound, err)
		}
		_, err = w.SessionByID(t.Context(), live)
		require.NoError(t, err)
	})
}

func TestDeletedUserIsNobodyAndTheNameStaysTaken(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("Anna"), w.user("bert")
		conversation := w.private(anna, bert)
		w.send(w.toPrivate(conversation, anna, "hello")) // both sides are in memory now
		w.write(func(tx chat.Tx) error { return tx.DeleteUser(anna, tx.At()) })

		known, err := w.UserByID(t.Context(), anna)
		require.NoError(t, err)
		assert.Equal(t, chat.Profile{ID: anna, Username: chat.DeletedUsername, DisplayName: chat.DeletedDisplayName, Deleted: true}, known.Profile)
		for _, name := range []string{"Anna", "anna", chat.DeletedUsername} {
			_, err := w.CredentialsByUsername(t.Context(), name)
			requireCode(t, chat.CodeNotFound, err)
		}
		_, err = w.CredentialsByID(t.Context(), anna)
		requireCode(t, chat.CodeNotFound, err)
		// Neither side writes to the other, not even what was under way.
		for _, sender := range []chat.ID{anna, bert} {
			outcomes, _ := w.commit(w.toPrivate(conversation, sender, "too late"))
			requireCode(t, chat.CodeNotFound, outcomes[0].Err)
		}
		relation, err := w.RelationOf(t.Context(), bert, anna)
		require.NoError(t, err)
		assert.True(t, relation.PeerIsMissing)
		for _, name := range []string{"anna", "ANNA"} {
			_, err = w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
				return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: name, DisplayName: "x"}}, "hash")
			})
			requireCode(t, chat.CodeUsernameTaken, err)
		}
		_, err = w.Write(t.Context(), w.now(), func(tx chat.Tx) error { return tx.LockUsers(bert, anna) })
		requireCode(t, chat.CodeNotFound, err)
		w.write(func(tx chat.Tx) error { return tx.LockUsersEvenDeleted(bert, anna) })
		// Nothing in the row tells who it was.
		var text string
		row := w.Pool().QueryRowContext(t.Context(), "SELECT username || username_key || display_name || display_key || password_hash FROM `user` WHERE id = ?", anna)
		if w.kind == "mysql" {
			row = w.Pool().QueryRowContext(t.Context(), "SELECT CONCAT(username, username_key, display_name, display_key, password_hash) FROM `user` WHERE id = ?", anna)
		}
		require.NoError(t, row.Scan(&text))
		assert.NotContains(t, strings.ToLower(text), "anna")
	})
}

// Whichever of the two comes first, the name of an account that is being deleted is never to be had.
func TestNameIsNeverFreeWhileItsAccountIsDeleted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		for n := range 10 {
			name := "anna" + strconv.Itoa(n)
			anna := w.user(name)
			var both sync.WaitGroup
			both.Go(func() {
				_, err := w.Write(t.Context(), w.now(), func(tx chat.Tx) error { return tx.DeleteUser(anna, tx.At()) })
				assert.NoError(t, err)
			})
			both.Go(func() {
				_, err := w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
					return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: strings.ToUpper(name), DisplayName: "x"}}, "hash")
				})
				assert.Equal(t, chat.CodeUsernameTaken, chat.CodeOf(err), "%v", err)
			})
			both.Wait()
		}
	})
}

func TestWhatASenderHasWrittenIsFoundWherever(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		private, group := w.private(users[0], users[1]), w.group("g", users[2], users[0])
		w.send(w.toPrivate(private, users[1], "not hers"))
		w.send(w.toPrivate(private, users[0], "one"))
		w.send(keyed(w.toPrivate(private, users[0], "two"), "k"))
		w.send(w.toGroup(group, users[2], "not hers"))
		w.send(w.toGroup(group, users[0], "three"))
		w.send(w.toGroup(group, users[2], "not hers"))
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, users[0]) })
		runs, err := w.SentRuns(t.Context(), users[0])
		require.NoError(t, err)
		assert.Equal(t, []chat.SentRun{{ConversationID: private, First: 2, Last: 3}, {ConversationID: group, First: 2, Last: 2}}, runs)
		var found []string
		for _, run := range runs {
			messages, err := w.SentIn(t.Context(), users[0], run.ConversationID, run.First-1, run.Last, 10)
			require.NoError(t, err)
			for _, m := range messages {
				found = append(found, m.Body)
			}
		}
		assert.Equal(t, []string{"one", "two", "three"}, found)
		some, err := w.SentIn(t.Context(), users[0], private, 0, 3, 1)
		require.NoError(t, err)
		require.Len(t, some, 1)
		assert.Equal(t, "one", some[0].Body)
	})
}

func TestProfileAudienceIsBoundedAndWithoutThoseWhoAreBlocked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(7)
		me, friend, peer, both, blocked, blocker, silent := users[3], users[0], users[1], users[2], users[4], users[5], users[6]
		for _, other := range []chat.ID{peer, both, blocked, blocker} {
			w.send(w.toPrivate(w.private(me, other), me, "hello"))
		}
		w.private(me, silent)
		w.write(func(tx chat.Tx) error {
			for _, other := range []chat.ID{friend, both} {
				if err := tx.InsertFriendship(w.ids.Next(), me, other); err != nil {
					return err
				}
			}
			if _, err := tx.SetBlock(me, blocked, true); err != nil {
				return err
			}
			_, err := tx.SetBlock(blocker, me, true)
			return err
		})
		w.write(func(tx chat.Tx) error {
			audience, err := tx.ProfileAudience(me, 10)
			require.NoError(t, err)
			assert.Equal(t, []chat.ID{friend, both, peer}, audience)
			audience, err = tx.ProfileAudience(me, 2)
			require.NoError(t, err)
			assert.Equal(t, []chat.ID{friend, both}, audience, "friends first")
			return nil
		})
	})
}

func TestInvitesAreRefusedByThoseWhoDoNotWantThem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(6)
		inviter := users[0]
		want := map[chat.ID]chat.Acceptance{users[1]: chat.AcceptEveryone, users[2]: chat.AcceptFriends, users[3]: chat.AcceptFriends, users[4]: chat.AcceptNobody, users[5]: ""}
		w.write(func(tx chat.Tx) error {
			for id, accepts := range want {
				user, err := tx.UserByID(id)
				require.NoError(t, err)
				user.AcceptGroupInvitesFrom = accepts
				require.NoError(t, tx.UpdateUser(user))
			}
			for _, friend := range []chat.ID{users[3], users[4]} {
				require.NoError(t, tx.InsertFriendship(w.ids.Next(), inviter, friend))
			}
			return nil
		})
		w.write(func(tx chat.Tx) error {
			refusing, err := tx.RefusingInvites(inviter, []chat.ID{users[5], users[4], users[3], users[2], users[1], users[2]})
			require.NoError(t, err)
			assert.Equal(t, []chat.ID{users[2], users[4]}, refusing)
			return nil
		})
	})
}
