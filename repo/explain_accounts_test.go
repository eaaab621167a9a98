package repo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// stepThroughGroupRules does once what groups have beyond members.
func stepThroughGroupRules(tx chat.Tx, step func(err error), group, me, third chat.ID) {
	step(tx.InsertJoinRequest(group, third, "please"))
	_, err := tx.JoinRequestOf(group, third)
	step(err)
	_, err = tx.CountJoinRequests(group)
	step(err)
	_, err = tx.JoinRequesters(group)
	step(err)
	step(tx.DeleteJoinRequest(group, third))
	_, err = tx.ManagerIDs(group)
	step(err)
	_, err = tx.InGroups([]chat.ID{me, third}, 5)
	step(err)
	until := tx.At() * 2
	step(tx.SetMutedUntil(group, third, &until))
	step(tx.DeleteMember(group, third))
	step(tx.InsertMembers(group, chat.RoleMember, third))
	invitation := chat.Invitation{ID: group, GroupID: group, CreatedAt: tx.At()}.WithSecret("s")
	step(tx.InsertInvitation(invitation))
	_, err = tx.InvitationByID(group)
	step(err)
	_, err = tx.CountInvitations(group)
	step(err)
	_, err = tx.UselessInvitations(group)
	step(err)
	step(tx.UseInvitation(group))
	_, err = tx.DeleteInvitation(group, group)
	step(err)
	step(tx.InsertBan(group, third, me, ""))
	_, err = tx.BanOf(group, third)
	step(err)
	_, err = tx.CountBans(group)
	step(err)
	_, err = tx.DeleteBan(group, third)
	step(err)
	step(tx.Post(chat.Message{ConversationID: group, SenderID: me, Kind: chat.KindSystem, System: &chat.SystemEvent{}}, me))
	_, err = tx.LastSeq(group)
	step(err)
	_, err = tx.FirstSeqs(group, chat.Audience{Kind: chat.KindGroup, Members: []chat.ID{me, third}})
	step(err)
	_, err = tx.ConversationOf(group, me)
	step(err)
}

// account is whom liveAccounts is about.
type account struct {
	me, peer, third, group, session chat.ID
	at                              chat.Time
}

// liveAccounts does what can be done with accounts, the deletion of one included.
func liveAccounts(t *testing.T, db *DB, a account) {
	t.Helper()
	ctx := t.Context()
	step := func(err error) {
		if err != nil && chat.CodeOf(err) != chat.CodeNotFound {
			t.Error(err)
		}
	}
	for _, read := range []func() error{
		func() error { _, err := db.CredentialsByID(ctx, a.me); return err },
		func() error {
			return db.SaveSeen(ctx, []chat.SessionSighting{{Session: a.session, At: a.at, Origin: chat.ClientOrigin{Address: "a", UserAgent: "u"}}})
		},
		func() error { _, err := db.PruneSessions(ctx, 1, 10); return err },
		func() error { _, err := db.SentRuns(ctx, a.me); return err },
		func() error { _, err := db.SentIn(ctx, a.me, a.group, 0, 5000, 200); return err },
		func() error { _, err := db.ExpiredRequests(ctx, 300_000_001, 10); return err },
		func() error { _, err := db.PendingRequestOf(ctx, a.me); return err },
		func() error { _, err := db.DeletedUsers(ctx, a.at, 10); return err },
	} {
		step(read())
	}
	_, err := db.Write(ctx, a.at, func(tx chat.Tx) error {
		step(tx.LockUsersEvenDeleted(a.third))
		_, err := tx.CredentialsByID(a.third)
		step(err)
		step(tx.SetPasswordHash(a.third, "x"))
		_, err = tx.LockSessionsOf(a.third)
		step(err)
		_, err = tx.ProfileAudience(a.third, 10)
		step(err)
		_, err = tx.CountIncomingRequests(a.third)
		step(err)
		_, err = tx.Friend(a.me, a.peer)
		step(err)
		_, err = tx.RefusingInvites(a.me, []chat.ID{a.peer, a.third})
		step(err)
		_, err = tx.BlockersOf(a.third, 10)
		step(err)
		_, err = tx.Members(a.group)
		step(err)
		step(tx.DeleteUser(a.third, a.at))
		step(tx.DeleteFriends(a.third, []chat.ID{a.me, a.peer}))
		step(tx.DeleteBlocksOn(a.third, []chat.ID{a.me, a.peer}))
		step(tx.ClearUser(a.third))
		return tx.SetPurgeAt(a.third, nil)
	})
	require.NoError(t, err)
}
