package repo_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// system is a message that tells of a change.
func system(group, by chat.ID, body string, about ...chat.ID) chat.Message {
	return chat.Message{
		ConversationID: group, SenderID: by, Kind: chat.KindSystem, Body: body, Mentions: []chat.ID{},
		System: &chat.SystemEvent{Type: chat.SystemMemberJoined, UserIDs: append([]chat.ID{}, about...), By: by},
	}
}

func TestPostedMessageIsOneOfTheConversation(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		group := w.group("posted", users...)
		first := w.send(w.toGroup(group, users[0], "hello"))
		announcement := w.write(func(tx chat.Tx) error {
			if _, err := tx.LockGroup(group); err != nil {
				return err
			}
			if err := tx.Append(chat.GroupUpdated, chat.Group{ID: group}, users...); err != nil {
				return err
			}
			if err := tx.Post(system(group, users[0], "one 🙂", users[1]), users...); err != nil {
				return err
			}
			if err := tx.Post(system(group, users[0], "two"), users[0], users[1]); err != nil {
				return err
			}
			last, err := tx.LastSeq(group)
			assert.Equal(t, first.Seq+2, last)
			return err
		})
		assert.Len(t, announcement.Bodies, 3)
		last := w.send(keyed(w.toGroup(group, users[1], "bye"), "k"))
		assert.Equal(t, first.Seq+3, last.Seq)

		// What was announced is what is read from the database, in the order of appending.
		for _, d := range announcement.Deliveries {
			events := w.inbox(d.User)
			assert.Equal(t, string(announcement.Bodies[d.Event]), string(events[d.Seq-1].Body))
		}
		assert.Len(t, w.inbox(users[0]), 5)
		assert.Len(t, w.inbox(users[2]), 4, "only those who are named")
		history, err := w.History(t.Context(), group, users[2], chat.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		require.Len(t, history.Items, 4)
		for i, message := range history.Items {
			assert.EqualValues(t, i+1, message.Seq)
		}
		posted := history.Items[1]
		assert.Equal(t, "one 🙂", posted.Body)
		assert.Equal(t, chat.KindSystem, posted.Kind)
		assert.Equal(t, []chat.ID{users[1]}, posted.System.UserIDs)
		assert.Nil(t, history.Items[0].System)
		conversation, err := w.ConversationFor(t.Context(), group, users[2])
		require.NoError(t, err)
		assert.EqualValues(t, 2, conversation.UnreadCount, "what the system says is not unread")
		assert.EqualValues(t, 4, conversation.LastSeq)
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.Post(system(1, users[0], "nowhere"), users...) })
	})
}

func TestPostedMessageOfAFailedTransactionLeavesNoTrace(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		group := w.group("undone", users...)
		w.fails(chat.CodeConflict, func(tx chat.Tx) error {
			if err := tx.Post(system(group, users[0], "never"), users...); err != nil {
				return err
			}
			return chat.Conflict("no")
		})
		assert.Empty(t, w.inbox(users[0]))
		assert.EqualValues(t, 1, w.send(w.toGroup(group, users[0], "first")).Seq)
	})
}

func TestNewcomersSeeWhatTheGroupLetsThem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		owner, early, late := users[0], users[1], users[2]
		group := w.group("secret", owner)
		for i := range 3 {
			w.send(w.toGroup(group, owner, fmt.Sprint(i+1)))
		}
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, early) })
		w.write(func(tx chat.Tx) error {
			g, err := tx.LockGroup(group)
			if err != nil {
				return err
			}
			g.HistoryForNewcomers = false
			if err := tx.UpdateGroup(g); err != nil {
				return err
			}
			return tx.InsertMembers(group, chat.RoleMember, late)
		})
		hidden, err := w.ConversationFor(t.Context(), group, late)
		require.NoError(t, err)
		assert.Nil(t, hidden.LastMessage, "the last message is from before")
		assert.Zero(t, hidden.UnreadCount)
		read := func(user chat.ID, query chat.HistoryQuery) (bodies []string, before, after bool) {
			t.Helper()
			history, err := w.History(t.Context(), group, user, query)
			require.NoError(t, err)
			for _, message := range history.Items {
				bodies = append(bodies, message.Body)
			}
			return bodies, history.HasMoreBefore, history.HasMoreAfter
		}
		bodies, before, after := read(late, chat.HistoryQuery{Limit: 10})
		assert.Empty(t, bodies)
		assert.False(t, before)
		assert.False(t, after)
		for i := range 3 {
			w.send(w.toGroup(group, owner, fmt.Sprint(i+4)))
		}
		all := []string{"1", "2", "3", "4", "5", "6"}
		bodies, _, _ = read(early, chat.HistoryQuery{Limit: 10})
		assert.Equal(t, all, bodies, "who joined before the change keeps what they see")
		at := func(seq int64) *int64 { return &seq }
		for name, test := range map[string]struct {
			query         chat.HistoryQuery
			want          []string
			before, after bool
		}{
			"newest":        {chat.HistoryQuery{Limit: 10}, all[3:], false, false},
			"some":          {chat.HistoryQuery{Limit: 2}, all[4:], true, false},
			"after nothing": {chat.HistoryQuery{AfterSeq: at(0), Limit: 2}, all[3:5], false, true},
			"after hidden":  {chat.HistoryQuery{AfterSeq: at(2), Limit: 1}, all[3:4], false, true},
			"after":         {chat.HistoryQuery{AfterSeq: at(4), Limit: 9}, all[4:], true, false},
			"before":        {chat.HistoryQuery{BeforeSeq: at(5), Limit: 9}, all[3:4], false, true},
			"before hidden": {chat.HistoryQuery{BeforeSeq: at(3), Limit: 9}, nil, false, true},
			"around hidden": {chat.HistoryQuery{AroundSeq: at(1), Limit: 2}, all[3:5], false, true},
			"around":        {chat.HistoryQuery{AroundSeq: at(5), Limit: 1}, all[4:5], true, true},
			"around, all":   {chat.HistoryQuery{AroundSeq: at(6), Limit: 9}, all[3:], false, false},
		} {
			bodies, before, after := read(late, test.query)
			assert.Equal(t, test.want, bodies, name)
			assert.Equal(t, test.before, before, "%s: more before", name)
			assert.Equal(t, test.after, after, "%s: more after", name)
		}
		shown, err := w.ConversationFor(t.Context(), group, late)
		require.NoError(t, err)
		assert.Equal(t, "6", shown.LastMessage.Body)
		assert.EqualValues(t, 3, shown.UnreadCount)
	})
}

// A mute is looked at in the transaction that sends, on whichever node, and with an audience from memory.
func TestNoMessageCommitsAfterItsSenderWasMuted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		owner, admin, member := users[0], users[1], users[2]
		group := w.group("quiet", users...)
		w.write(func(tx chat.Tx) error { return tx.SetRole(group, admin, chat.RoleAdmin) })
		other := w.open() // another node, whose memory knows nothing of what this one does
		says := func(user chat.ID) chat.Code {
			t.Helper()
			outcomes, _ := w.commit(w.toGroup(group, user, "here"))
			elsewhere, _, err := other.CommitMessages(t.Context(), []chat.Outgoing{w.toGroup(group, user, "there")})
			require.NoError(t, err)
			assert.Equal(t, chat.CodeOf(outcomes[0].Err), chat.CodeOf(elsewhere[0].Err))
			return chat.CodeOf(outcomes[0].Err)
		}
		mute := func(user chat.ID, until *chat.Time) {
			w.write(func(tx chat.Tx) error { return tx.SetMutedUntil(group, user, until) })
		}
		assert.Empty(t, says(member))
		until := chat.Time(w.clock.Load() + 1000)
		mute(member, &until)
		assert.Equal(t, chat.CodeMuted, says(member))
		assert.Empty(t, says(owner))
		// It ends by itself, while nothing changes.
		w.clock.Add(2000)
		assert.Empty(t, says(member))
		until += 1_000_000
		mute(member, &until)
		mute(admin, &until)
		assert.Equal(t, chat.CodeMuted, says(admin))
		// Leaving and coming back lifts nothing.
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, member) })
		assert.Equal(t, chat.CodeNotFound, says(member))
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, member) })
		assert.Equal(t, chat.CodeMuted, says(member))
		mute(member, nil)
		mute(admin, nil)
		assert.Empty(t, says(member))
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, member) })
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, member) })
		assert.Empty(t, says(member), "a mute that was lifted does not come back")
		w.fails(chat.CodeNotFound, func(tx chat.Tx) error { return tx.SetMutedUntil(group, 1, nil) })

		policy := func(send chat.SendPolicy) {
			w.write(func(tx chat.Tx) error {
				g, err := tx.LockGroup(group)
				if err != nil {
					return err
				}
				g.SendPolicy = send
				return tx.UpdateGroup(g)
			})
		}
		policy(chat.SendByAdmins)
		assert.Equal(t, chat.CodeMuted, says(member))
		assert.Empty(t, says(admin))
		assert.Empty(t, says(owner))
		w.write(func(tx chat.Tx) error { return tx.SetRole(group, admin, chat.RoleMember) })
		assert.Equal(t, chat.CodeMuted, says(admin))
		policy(chat.SendByEveryone)
		assert.Empty(t, says(admin))
	})
}

func TestJoinRequestIsThereOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		group := w.group("mine", users[0])
		none := func(tx chat.Tx) error { _, err := tx.JoinRequestOf(group, users[1]); return err }
		w.fails(chat.CodeNotFound, none)
		ask := func(tx chat.Tx) error { return tx.InsertJoinRequest(group, users[1], "please") }
		w.write(ask)
		w.fails(chat.CodeConflict, ask)
		w.write(func(tx chat.Tx) error {
			request, err := tx.JoinRequestOf(group, users[1])
			assert.Equal(t, "please", request.Note)
			assert.Equal(t, users[1], request.User.ID)
			assert.Equal(t, chat.RequestPending, request.State)
			if err != nil {
				return err
			}
			count, err := tx.CountJoinRequests(group)
			assert.Equal(t, 1, count)
			if err != nil {
				return err
			}
			waiting, err := tx.JoinRequesters(group)
			assert.Equal(t, []chat.ID{users[1]}, waiting)
			if err != nil {
				return err
			}
			return tx.DeleteJoinRequest(group, users[1])
		})
		w.fails(chat.CodeNotFound, none)
		seen, err := w.GroupByID(t.Context(), group, users[0])
		require.NoError(t, err)
		assert.Equal(t, new(int), seen.JoinRequestCount)
		seen, err = w.GroupByID(t.Context(), group, users[1])
		require.NoError(t, err)
		assert.Nil(t, seen.JoinRequestCount, "only those who settle them know how many wait")
	})
}

func TestInvitationsAndBansAreKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(6)
		group := w.group("mine", users[0])
		var made []chat.Invitation
		for i := range 5 {
			invitation := chat.Invitation{ID: w.ids.Next(), GroupID: group, CreatedBy: users[0], CreatedAt: w.now()}.WithSecret(fmt.Sprint("secret", i))
			if i%2 == 0 {
				most, expires := 1, chat.Time(w.clock.Load()+1_000_000)
				invitation.MaxUses, invitation.ExpiresAt = &most, &expires
			}
			made = append(made, invitation)
			w.write(func(tx chat.Tx) error { return tx.InsertInvitation(invitation) })
			w.write(func(tx chat.Tx) error { return tx.InsertBan(group, users[i+1], users[0], "reason") })
		}
		listed, err := w.Invitations(t.Context(), group, chat.Page{Limit: 10})
		require.NoError(t, err)
		assert.Equal(t, made, listed.Items)
		found, err := w.InvitationByID(t.Context(), made[1].ID)
		require.NoError(t, err)
		assert.Equal(t, made[1], found)
		w.write(func(tx chat.Tx) error { return tx.UseInvitation(made[0].ID) })
		useless := func(want ...chat.ID) {
			t.Helper()
			w.write(func(tx chat.Tx) error {
				ids, err := tx.UselessInvitations(group)
				assert.Equal(t, want, ids)
				return err
			})
		}
		useless(made[0].ID)
		w.clock.Add(2_000_000)
		useless(made[0].ID, made[2].ID, made[4].ID)
		w.write(func(tx chat.Tx) error {
			for _, there := range []bool{true, false} {
				deleted, err := tx.DeleteInvitation(group, made[0].ID)
				assert.Equal(t, there, deleted)
				if err != nil {
					return err
				}
				lifted, err := tx.DeleteBan(group, users[5])
				assert.Equal(t, there, lifted)
				if err != nil {
					return err
				}
			}
			deleted, err := tx.DeleteInvitation(group+1, made[1].ID)
			assert.False(t, deleted, "an invitation is its group's")
			return err
		})
		_, err = w.InvitationByID(t.Context(), made[0].ID)
		requireCode(t, chat.CodeNotFound, err)
		var banned []chat.ID
		for page := (chat.Page{Limit: 1}); ; {
			bans, err := w.Bans(t.Context(), group, page)
			require.NoError(t, err)
			for _, ban := range bans.Items {
				banned = append(banned, ban.User.ID)
				assert.Equal(t, "reason", ban.Reason)
			}
			if bans.Next == nil {
				break
			}
			page.After = *bans.Next
		}
		assert.Equal(t, users[1:5], banned)
		w.fails(chat.CodeConflict, func(tx chat.Tx) error { return tx.InsertBan(group, users[1], users[0], "") })
		_, err = w.BanOf(t.Context(), group, users[0])
		requireCode(t, chat.CodeNotFound, err)

		w.write(func(tx chat.Tx) error { return tx.DissolveGroup(group) })
		listed, err = w.Invitations(t.Context(), group, chat.Page{Limit: 10})
		require.NoError(t, err)
		assert.Empty(t, listed.Items, "nothing of a dissolved group stays")
		_, err = w.BanOf(t.Context(), group, users[1])
		requireCode(t, chat.CodeNotFound, err)
	})
}

func TestGroupsOfAUserAreCounted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		for i := range 3 {
			w.group(fmt.Sprint(i), users[:i+1]...)
		}
		w.write(func(tx chat.Tx) error {
			for many, want := range map[int][]chat.ID{1: users, 2: users[:2], 3: users[:1], 4: {}} {
				in, err := tx.InGroups(users, many)
				assert.Equal(t, want, in, many)
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}
