package repo_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// nobody is told of anything.
type nobody struct{}

func (nobody) Announce(chat.Announcement) {}

// service returns the use cases over this database, with limits that are reached soon.
func (w *world) service() *chat.Service {
	limits := chat.FixedLimits()
	limits.MaxGroupMembers, limits.MaxGroupsPerUser, limits.MaxPageSize = 10, 10, 10
	limits.MaxGroupBans, limits.MaxGroupJoinRequests, limits.MaxGroupInvitations = 2, 2, 2
	return w.serviceWith(limits)
}

func (w *world) serviceWith(limits chat.Limits) *chat.Service {
	return chat.NewService(chat.Options{
		Store: w.DB, Announcer: nobody{}, Limits: limits, Now: func() time.Time { return w.now().Std() },
	})
}

func TestWhatAGroupKeepsIsBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s, users := w.service(), w.users(5)
		as := func(user chat.ID) chat.Caller { return chat.Caller{User: user} }
		owner := as(users[0])
		group, _, err := s.CreateGroup(t.Context(), owner, chat.NewGroup{Name: "small", Visibility: chat.VisibilityPublic, JoinPolicy: chat.JoinApproval})
		require.NoError(t, err)
		for i, user := range users[1:4] {
			_, asking := s.JoinGroup(t.Context(), as(user), group.ID, "")
			_, _, inviting := s.CreateInvitation(t.Context(), owner, group.ID, chat.NewInvitation{})
			if i < 2 {
				require.NoError(t, asking)
				require.NoError(t, inviting)
				continue
			}
			requireCode(t, chat.CodeLimitReached, asking)
			requireCode(t, chat.CodeLimitReached, inviting)
		}
		// Who waits already may ask again, and who is banned may be banned again, however full it is.
		_, err = s.JoinGroup(t.Context(), as(users[1]), group.ID, "")
		require.NoError(t, err)
		for _, user := range users[1:3] {
			_, err = s.BanUser(t.Context(), owner, group.ID, user, "")
			require.NoError(t, err)
		}
		_, err = s.BanUser(t.Context(), owner, group.ID, users[3], "")
		requireCode(t, chat.CodeLimitReached, err)
		_, err = s.BanUser(t.Context(), owner, group.ID, users[1], "")
		require.NoError(t, err)
		_, err = s.JoinGroup(t.Context(), as(users[3]), group.ID, "")
		require.NoError(t, err, "a ban has made room among those who wait")
		_, err = s.JoinGroup(t.Context(), as(users[1]), group.ID, "")
		requireCode(t, chat.CodeBanned, err)
	})
}
