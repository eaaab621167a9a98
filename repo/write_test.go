package repo_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// session adds a session that lives for an hour.
func (w *world) session(user chat.ID) chat.ID {
	w.t.Helper()
	id := w.ids.Next()
	w.write(func(tx chat.Tx) error {
		return tx.InsertSession(chat.Session{
			ID: id, UserID: user, DeviceName: "phone", CreatedAt: tx.At(), LastSeenAt: tx.At(),
			ExpiresAt: tx.At() + chat.Time(time.Hour.Milliseconds()), RefreshGeneration: 1,
		})
	})
	return id
}

// fails runs fn in a transaction that must fail with the code.
func (w *world) fails(code chat.Code, fn func(tx chat.Tx) error) {
	w.t.Helper()
	announcement, err := w.Write(w.t.Context(), w.now(), fn)
	requireCode(w.t, code, err)
	require.True(w.t, announcement.Empty())
}

func TestErrorOfTheUseCaseRollsBackAndComesBackAsItIs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna := w.user("anna")
		mine := errors.New("mine")
		_, err := w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
			if err := tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}, anna); err != nil {
				return err
			}
			if err := tx.InsertSession(chat.Session{ID: 1, UserID: anna}); err != nil {
				return err
			}
			return mine
		})
		require.Equal(t, mine, err)
		assert.Empty(t, w.inbox(anna))
		_, err = w.SessionByID(t.Context(), 1)
		requireCode(t, chat.CodeNotFound, err)
	})
}

func TestPanicInAUseCaseLeavesTheDatabaseUsable(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna := w.user("anna")
		assert.Panics(t, func() {
			_, _ = w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
				_ = tx.LockUsers(anna)
				panic("use case")
			})
		})
		w.session(anna)
	})
}

func TestUsernameIsTakenInAnyCase(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.user("Anna")
		w.fails(chat.CodeUsernameTaken, func(tx chat.Tx) error {
			return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: "aNNA", DisplayName: "x"}}, "hash")
		})
		known, err := w.CredentialsByUsername(t.Context(), "ANNA")
		require.NoError(t, err)
		assert.Equal(t, "Anna", known.User.Username)
		assert.Equal(t, "hash of Anna", known.PasswordHash)
		for _, name := range []string{"anna ", "ann", "annä", ""} {
			_, err = w.CredentialsByUsername(t.Context(), name)
			requireCode(t, chat.CodeNotFound, err)
		}
	})
}

func TestManyRegistrationsOfOneNameGiveOneUser(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		second := w.open()
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			codes = make(map[chat.Code]int)
		)
		for i := range 10 {
			node := []*repo.DB{w.DB, second}[i%2]
			all.Go(func() {
				_, err := node.Write(t.Context(), w.now(), func(tx chat.Tx) error {
					return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: "anna"}}, "hash")
				})
				mu.Lock()
				defer mu.Unlock()
				codes[chat.CodeOf(err)]++
			})
		}
		all.Wait()
		assert.Equal(t, map[chat.Code]int{"": 1, chat.CodeUsernameTaken: 9}, codes)
	})
}

func TestProfileChanges(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna := w.user("anna")
		avatar := "https://example.org/ä.png"
		user, err := w.UserByID(t.Context(), anna)
		require.NoError(t, err)
		assert.Nil(t, user.AvatarURL)
		user.DisplayName, user.AvatarURL, user.AcceptMessagesFrom = "Änna 🙂", &avatar, chat.AcceptFriends
		w.write(func(tx chat.Tx) error { return tx.UpdateUser(user) })
		changed, err := w.UserByID(t.Context(), anna)
		require.NoError(t, err)
		assert.Equal(t, user, changed)
		_, err = w.UserByID(t.Context(), w.ids.Next())
		requireCode(t, chat.CodeNotFound, err)
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.LockUsers(anna, w.ids.Next()) })
	})
}

func TestSessionsLiveUntilTheyEndOrExpire(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("anna"), w.user("bert")
		first, second := w.session(anna), w.session(anna)
		w.session(bert)
		live := func(at chat.Time) (ids []chat.ID) {
			sessions, err := w.SessionsOf(t.Context(), anna, at)
			require.NoError(t, err)
			for _, s := range sessions {
				ids = append(ids, s.ID)
			}
			return ids
		}
		assert.Equal(t, []chat.ID{second, first}, live(w.now()), "newest first")
		expires := w.now() + chat.Time(2*time.Hour.Milliseconds())
		w.write(func(tx chat.Tx) error {
			if _, err := tx.LockSession(first); err != nil {
				return err
			}
			return tx.SetRefreshGeneration(first, 7, expires)
		})
		assert.Equal(t, []chat.ID{first}, live(expires-1))
		assert.Empty(t, live(expires))

		ref := chat.SessionRef{User: anna, Session: first}
		a := w.write(func(tx chat.Tx) error { return tx.EndSession(ref) })
		assert.Equal(t, []chat.SessionRef{ref}, a.EndedSessions)
		assert.False(t, a.Empty())
		ended, err := w.SessionByID(t.Context(), first)
		require.NoError(t, err)
		assert.NotNil(t, ended.EndedAt)
		assert.Equal(t, int64(7), ended.RefreshGeneration)
		assert.Equal(t, []chat.ID{second}, live(w.now()))

		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.EndSession(ref) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.EndSession(chat.SessionRef{User: bert, Session: second}) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.LockSession(1); return err })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.SetRefreshGeneration(1, 1, 1) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.InsertSession(chat.Session{ID: 1, UserID: 1}) })
	})
}

func TestOneRequestIsPendingForEachOrderedPair(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("anna"), w.user("bert")
		ask := func(from, to chat.ID) (request chat.FriendRequest, err error) {
			_, err = w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
				request, err = tx.InsertFriendRequest(w.ids.Next(), from, to, "hé 🙂", tx.At()+1_000_000)
				return err
			})
			return request, err
		}
		first, err := ask(anna, bert)
		require.NoError(t, err)
		assert.Equal(t, "anna", first.From.Username)
		assert.Equal(t, "bert", first.To.Username)
		assert.Equal(t, first.CreatedAt, first.UpdatedAt)
		_, err = ask(anna, bert)
		requireCode(t, chat.CodeConflict, err)
		_, err = ask(bert, anna)
		require.NoError(t, err)

		w.write(func(tx chat.Tx) error {
			pending, err := tx.PendingFriendRequest(anna, bert)
			assert.Equal(t, first, pending)
			if err != nil {
				return err
			}
			return tx.SetFriendRequestState(first.ID, chat.RequestDeclined)
		})
		w.fails(chat.CodeConflict, func(tx chat.Tx) error { return tx.SetFriendRequestState(first.ID, chat.RequestAccepted) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.SetFriendRequestState(1, chat.RequestAccepted) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.PendingFriendRequest(anna, bert); return err })
		n, err := w.CountIncomingRequests(t.Context(), bert, w.now())
		require.NoError(t, err)
		assert.Zero(t, n)
		declined, err := w.FriendRequestByID(t.Context(), first.ID)
		require.NoError(t, err)
		assert.Equal(t, chat.RequestDeclined, declined.State)
		_, err = ask(anna, bert)
		require.NoError(t, err, "one may ask again")
		n, err = w.CountIncomingRequests(t.Context(), bert, w.now())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestFriendshipHasTwoSidesAndOneConversation(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("anna"), w.user("bert")
		_, err := w.PrivateConversation(t.Context(), anna, bert)
		requireCode(t, chat.CodeNotFound, err)
		conversation := w.ids.Next()
		w.write(func(tx chat.Tx) error { return tx.InsertFriendship(conversation, bert, anna) })
		w.fails(chat.CodeAlreadyFriends, func(tx chat.Tx) error { return tx.InsertFriendship(w.ids.Next(), anna, bert) })
		for range 2 { // read, then remembered
			id, err := w.PrivateConversation(t.Context(), anna, bert)
			require.NoError(t, err)
			assert.Equal(t, conversation, id)
		}
		w.write(func(tx chat.Tx) error { return tx.SetRemark(anna, bert, "old friend") })
		mine, err := w.Friend(t.Context(), anna, bert)
		require.NoError(t, err)
		assert.Equal(t, "old friend", mine.Remark)
		theirs, err := w.Friend(t.Context(), bert, anna)
		require.NoError(t, err)
		assert.Empty(t, theirs.Remark)
		relation, err := w.RelationOf(t.Context(), anna, bert)
		require.NoError(t, err)
		assert.Equal(t, chat.Relation{Friends: true, PeerAccepts: chat.AcceptEveryone}, relation)

		w.write(func(tx chat.Tx) error {
			removed, err := tx.DeleteFriendship(bert, anna)
			assert.True(t, removed)
			if err != nil {
				return err
			}
			removed, err = tx.DeleteFriendship(bert, anna)
			assert.False(t, removed)
			return err
		})
		_, err = w.Friend(t.Context(), anna, bert)
		requireCode(t, chat.CodeNotFound, err)
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.SetRemark(anna, bert, "x") })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.InsertFriendship(w.ids.Next(), anna, 1) })
	})
}

func TestBlockIsSeenFromBothSides(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert, carl := w.user("anna"), w.user("bert"), w.user("carl")
		set := func(on bool) (changed bool) {
			w.write(func(tx chat.Tx) (err error) {
				changed, err = tx.SetBlock(anna, bert, on)
				return err
			})
			return changed
		}
		assert.False(t, set(false))
		assert.True(t, set(true))
		assert.False(t, set(true))
		mine, err := w.RelationOf(t.Context(), anna, bert)
		require.NoError(t, err)
		assert.True(t, mine.Blocks)
		theirs, err := w.RelationOf(t.Context(), bert, anna)
		require.NoError(t, err)
		assert.True(t, theirs.BlockedBy)
		nobody, err := w.RelationOf(t.Context(), anna, 1)
		require.NoError(t, err)
		assert.Equal(t, chat.Relation{PeerIsMissing: true}, nobody)
		for _, inviter := range []chat.ID{anna, bert} {
			w.write(func(tx chat.Tx) error {
				missing, refusing, err := tx.Refusals(inviter, []chat.ID{carl, 2, anna, bert, 1, carl})
				assert.Equal(t, []chat.ID{1, 2}, missing)
				assert.Equal(t, []chat.ID{anna + bert - inviter}, refusing)
				return err
			})
		}
		assert.True(t, set(false))
	})
}

func TestAnswerIsRememberedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("anna"), w.user("bert")
		answer := chat.Remembered{Fingerprint: [16]byte{1, 0, 255}, Answer: []byte(`{"a":"🙂"}`)}
		w.write(func(tx chat.Tx) error { return tx.Remember(anna, "key", answer) })
		w.fails(chat.CodeConflict, func(tx chat.Tx) error { return tx.Remember(anna, "key", answer) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.Remembered(bert, "key"); return err })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.Remembered(anna, "KEY"); return err })
		w.write(func(tx chat.Tx) error {
			known, err := tx.Remembered(anna, "key")
			assert.Equal(t, answer, known)
			return err
		})
	})
}

func TestGroupCountsItsMembers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(4)
		group := w.group("Three", users[:3]...)
		expect := func(members ...chat.ID) {
			t.Helper()
			g, err := w.GroupByID(t.Context(), group, users[1])
			require.NoError(t, err)
			assert.Equal(t, len(members), g.MemberCount)
			w.write(func(tx chat.Tx) error {
				ids, err := tx.MemberIDs(group)
				assert.Equal(t, members, ids)
				return err
			})
		}
		expect(users[:3]...)
		w.fails(chat.CodeConflict, func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, users[3], users[2]) })
		expect(users[:3]...)
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleAdmin, users[3]) })
		expect(users...)
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, users[0]) })
		expect(users[1:]...)
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.DeleteMember(group, users[0]) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.SetRole(group, users[0], chat.RoleAdmin) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.MemberOf(group, users[0]); return err })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.InsertMembers(1, chat.RoleMember, users[0]) })
		w.write(func(tx chat.Tx) error {
			if err := tx.SetRole(group, users[1], chat.RoleOwner); err != nil {
				return err
			}
			g, err := tx.LockGroup(group)
			if err != nil {
				return err
			}
			assert.Nil(t, g.MyRole)
			g.Name, g.OwnerID, g.Visibility, g.JoinPolicy, g.Description = "Größe 🙂", users[1], chat.VisibilityPrivate, chat.JoinInvite, "what\nfor"
			g.AddPolicy, g.SendPolicy, g.HistoryForNewcomers = chat.AddByMembers, chat.SendByAdmins, false
			g.Announcement = &chat.GroupAnnouncement{Text: "Now 🙂", By: users[2], At: tx.At()}
			return tx.UpdateGroup(g)
		})
		g, err := w.GroupByID(t.Context(), group, users[1])
		require.NoError(t, err)
		owner := chat.RoleOwner
		assert.Equal(t, chat.Group{
			ID: group, Name: "Größe 🙂", Description: "what\nfor", Visibility: chat.VisibilityPrivate, JoinPolicy: chat.JoinInvite,
			OwnerID: users[1], MemberCount: 3, CreatedAt: g.CreatedAt, MyRole: &owner,
			AddPolicy: chat.AddByMembers, SendPolicy: chat.SendByAdmins,
			Announcement: &chat.GroupAnnouncement{Text: "Now 🙂", By: users[2], At: g.Announcement.At}, JoinRequestCount: new(int),
		}, g)
		g, err = w.GroupByID(t.Context(), group, users[0])
		require.NoError(t, err)
		assert.Nil(t, g.MyRole)
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.UpdateGroup(chat.Group{ID: 1}) })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, err := tx.LockGroup(1); return err })
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { _, _, err := tx.LockConversation(1); return err })
	})
}

func TestLockedConversationTellsItsAudience(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		group, ab := w.group("two", users[2], users[0]), w.private(users[1], users[0])
		w.send(w.toGroup(group, users[0], "hello"))
		w.write(func(tx chat.Tx) error {
			// What this transaction changed is seen by it, and forgotten when it rolls back.
			audience, last, err := tx.LockConversation(group)
			assert.Equal(t, []chat.ID{users[0], users[2]}, audience.Members)
			assert.Equal(t, int64(1), last)
			if err != nil {
				return err
			}
			audience, last, err = tx.LockConversation(ab)
			assert.Equal(t, []chat.ID{users[0], users[1]}, audience.Members)
			assert.Equal(t, chat.Relation{PeerAccepts: chat.AcceptEveryone}, audience.Relations[1])
			assert.Zero(t, last)
			return err
		})
		w.fails(chat.CodeConflict, func(tx chat.Tx) error {
			if err := tx.InsertMembers(group, chat.RoleMember, users[1]); err != nil {
				return err
			}
			audience, _, err := tx.LockConversation(group)
			assert.Len(t, audience.Members, 3)
			return errors.Join(err, chat.Conflict("no"))
		})
		outcomes, _ := w.commit(w.toGroup(group, users[1], "am I in?"))
		requireCode(t, chat.CodeNotFound, outcomes[0].Err)
	})
}

func TestCancelledCallerGetsItsOwnErrorAndADeadlineIsUnavailable(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.UserByID(cancelled, 1)
		require.ErrorIs(t, err, context.Canceled)
		_, err = w.Write(cancelled, w.now(), func(chat.Tx) error { return nil })
		require.ErrorIs(t, err, context.Canceled)
		_, _, err = w.CommitMessages(cancelled, []chat.Outgoing{{}})
		require.ErrorIs(t, err, context.Canceled)
		late, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		_, err = w.UserByID(late, 1)
		requireCode(t, chat.CodeUnavailable, err)
		_, err = w.Write(late, w.now(), func(chat.Tx) error { return nil })
		requireCode(t, chat.CodeUnavailable, err)
		// Cancelled in the middle: nothing is committed.
		anna := w.user("anna")
		half, cancel := context.WithCancel(t.Context())
		_, err = w.Write(half, w.now(), func(tx chat.Tx) error {
			defer cancel()
			return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}, anna)
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, w.inbox(anna))
	})
}

func TestDatabaseThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	db, err := repo.Open(t.Context(), repo.Config{MySQLDSN: "root@tcp(127.0.0.1:1)/nothing"})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	requireCode(t, chat.CodeUnavailable, db.Ping(t.Context()))
	_, err = db.Write(t.Context(), 1, func(chat.Tx) error { return nil })
	requireCode(t, chat.CodeUnavailable, err)
	require.Error(t, db.MigrateUp(t.Context()))
}

func TestConfigurationMustNameOneDatabase(t *testing.T) {
	t.Parallel()
	for _, config := range []repo.Config{
		{},
		{MySQLDSN: "root@tcp(127.0.0.1:1)/x", SQLitePath: "y"},
		{MySQLDSN: "root@tcp(127.0.0.1:1)/"},
		{MySQLDSN: "root:secret@nonsense"},
		{SQLitePath: "/nowhere/at/all/chat.db"},
	} {
		_, err := repo.Open(t.Context(), config)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestDeadlockedTransactionRunsAgain(t *testing.T) {
	t.Parallel()
	w := onMySQL(t)
	users := w.users(2)
	groups := []chat.ID{w.group("a", users...), w.group("b", users...)}
	var (
		all  sync.WaitGroup
		met  sync.WaitGroup
		mu   sync.Mutex
		runs int
	)
	met.Add(2)
	for i := range 2 {
		all.Go(func() {
			tries := 0
			_, err := w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
				mu.Lock()
				runs++
				mu.Unlock()
				tries++
				if _, err := tx.LockGroup(groups[i]); err != nil {
					return err
				}
				if tries == 1 { // both have their first lock before either asks for the second
					met.Done()
					met.Wait()
				}
				// The wrong order on purpose. The error is swallowed: still nothing may be committed.
				_, _ = tx.LockGroup(groups[1-i])
				return tx.Append(chat.GroupUpdated, chat.Group{ID: groups[i]}, users...)
			})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.Equal(t, 3, runs, "one of the two ran twice")
	for _, user := range users {
		assert.Len(t, w.inbox(user), 2)
	}
}

func TestEveryConnectionReadsCommitted(t *testing.T) {
	t.Parallel()
	w := onMySQL(t)
	conns := make([]interface{ Close() error }, 0, 4)
	for range 4 {
		conn, err := w.Pool().Conn(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
		var name, level, mode, charset string
		require.NoError(t, conn.QueryRowContext(t.Context(), "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')").Scan(&name, &level))
		assert.Equal(t, "READ-COMMITTED", level)
		require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT @@sql_mode, @@character_set_connection").Scan(&mode, &charset))
		assert.Contains(t, mode, "STRICT_ALL_TABLES")
		assert.Equal(t, "utf8mb4", charset)
	}
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
}
