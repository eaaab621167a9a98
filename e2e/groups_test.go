package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// makes makes a group with the given rules.
func (p *person) makes(visibility client.Visibility, policy client.JoinPolicy, members ...*person) client.Group {
	p.t.Helper()
	request := client.CreateGroupRequest{Name: "Club of " + p.name, Visibility: visibility, JoinPolicy: policy}
	for _, member := range members {
		request.Members = append(request.Members, member.id)
	}
	group, err := p.CreateGroup(p.t.Context(), request)
	require.NoError(p.t, err)
	return group
}

// invites makes an invitation.
func (p *person) invites(group string, request client.CreateInvitationRequest) client.Invitation {
	p.t.Helper()
	made, err := p.CreateInvitation(p.t.Context(), group, request)
	require.NoError(p.t, err)
	return made
}

func TestNeverMoreJoinThanAnInvitationAllows(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "a", "b", "c", "d", "e", "f", "g", "h")
		owner := people[0]
		group := owner.makes(client.VisibilityPrivate, client.JoinPolicyInvite)
		const most = 3
		made := owner.invites(group.ID, client.CreateInvitationRequest{MaxUses: new(most)})
		var (
			joining sync.WaitGroup
			joined  atomic.Int64
		)
		for i, p := range people[1:] {
			for n := range 2 { // each by both nodes at once
				joining.Go(func() {
					_, err := p.at(i+n).JoinByInvitation(t.Context(), made.Code)
					var problem *client.Problem
					switch {
					case err == nil:
						joined.Add(1)
					case errors.As(err, &problem):
						assert.Equal(t, client.ProblemCodeInvitationExpired, problem.Code)
					default:
						assert.NoError(t, err)
					}
				})
			}
		}
		joining.Wait()
		now, err := owner.Group(t.Context(), group.ID)
		require.NoError(t, err)
		assert.Equal(t, most+1, now.MemberCount)
		assert.LessOrEqual(t, joined.Load(), int64(2*most), "a member who asks again hears of the membership")
		listed, err := owner.Invitations(t.Context(), group.ID, client.Page{})
		require.NoError(t, err)
		require.Len(t, listed.Items, 1)
		assert.Equal(t, most, listed.Items[0].Uses)
	})
}

func TestInvitations(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "guest", "late", "banned")
		owner, admin, guest, late, banned := people[0], people[1], people[2], people[3], people[4]
		group := owner.makes(client.VisibilityPrivate, client.JoinPolicyInvite, admin).ID
		_, err := owner.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		_, err = owner.SetAnnouncement(t.Context(), group, "Inside only.")
		require.NoError(t, err)

		key := client.WithIdempotencyKey("invitation-" + group)
		made, err := owner.CreateInvitation(t.Context(), group, client.CreateInvitationRequest{ExpiresIn: new(int64(3600))}, key)
		require.NoError(t, err)
		again, err := owner.at(1).CreateInvitation(t.Context(), group, client.CreateInvitationRequest{ExpiresIn: new(int64(3600))}, key)
		require.NoError(t, err)
		assert.Equal(t, made, again)
		assert.WithinDuration(t, time.Now().Add(time.Hour), *made.ExpiresAt, time.Minute)
		assert.Nil(t, made.MaxUses)

		// Who has the code sees what it is for, and nothing that is for members.
		preview, err := guest.at(1).PreviewInvitation(t.Context(), made.Code)
		require.NoError(t, err)
		assert.Equal(t, group, preview.Group.ID)
		assert.Equal(t, owner.id, preview.InvitedBy.ID)
		assert.Nil(t, preview.Group.Announcement)
		assert.Nil(t, preview.Group.MyRole)
		_, err = guest.Group(t.Context(), group)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		joined, err := guest.JoinByInvitation(t.Context(), made.Code)
		require.NoError(t, err)
		assert.Equal(t, client.RoleMember, *joined.MyRole)
		assert.Equal(t, "Inside only.", joined.Announcement.Text)
		_, err = guest.JoinByInvitation(t.Context(), made.Code)
		require.NoError(t, err, "a member already")
		listed, err := admin.at(1).Invitations(t.Context(), group, client.Page{})
		require.NoError(t, err)
		require.Len(t, listed.Items, 1)
		assert.Equal(t, 1, listed.Items[0].Uses, "which costs no use")
		assert.Equal(t, made.Code, listed.Items[0].Code)

		// A code that is not quite right is none, and neither is one that was revoked, or that somebody banned has.
		_, err = owner.BanUser(t.Context(), group, banned.id, "")
		require.NoError(t, err)
		last := made.Code[len(made.Code)-1]
		other := byte('a')
		if last == other {
			other = 'b'
		}
		for code, p := range map[string]*person{
			made.Code[:len(made.Code)-1] + string(other): late, made.Code[:13]: late, "x": late, strings.ToUpper(made.Code): late, made.Code: banned,
		} {
			_, err = p.PreviewInvitation(t.Context(), code)
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			_, err = p.JoinByInvitation(t.Context(), code)
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		}
		require.NoError(t, admin.RevokeInvitation(t.Context(), group, made.ID))
		refused(t, admin.RevokeInvitation(t.Context(), group, made.ID), http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = late.JoinByInvitation(t.Context(), made.Code)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)

		// It ends by time.
		short := admin.invites(group, client.CreateInvitationRequest{ExpiresIn: new(int64(1))})
		for {
			if _, err = late.PreviewInvitation(t.Context(), short.Code); err != nil {
				break
			}
			<-tick()
		}
		refused(t, err, http.StatusConflict, client.ProblemCodeInvitationExpired)
		_, err = late.JoinByInvitation(t.Context(), short.Code)
		refused(t, err, http.StatusConflict, client.ProblemCodeInvitationExpired)

		// In a public group the banned hear what they are.
		open := owner.makes(client.VisibilityPublic, client.JoinPolicyApproval).ID
		_, err = owner.BanUser(t.Context(), open, banned.id, "")
		require.NoError(t, err)
		code := owner.invites(open, client.CreateInvitationRequest{}).Code
		_, err = banned.PreviewInvitation(t.Context(), code)
		refused(t, err, http.StatusForbidden, client.ProblemCodeBanned)
		_, err = banned.JoinByInvitation(t.Context(), code)
		refused(t, err, http.StatusForbidden, client.ProblemCodeBanned)
		_, err = late.JoinByInvitation(t.Context(), code)
		require.NoError(t, err, "an invitation needs no approval")
		require.NoError(t, owner.DissolveGroup(t.Context(), open))
		_, err = guest.PreviewInvitation(t.Context(), code)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
	})
}

func TestJoinRequestsAreAQueue(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "first", "second", "third")
		owner, admin := people[0], people[1]
		first, second, third := people[2], people[3], people[4]
		group := owner.makes(client.VisibilityPublic, client.JoinPolicyApproval, admin).ID
		owners, firsts := newsOf(owner), newsOf(first)
		owners.are(client.EventConversationAdded, client.EventGroupCreated)
		for _, p := range []*person{first, second, third} {
			asked, err := p.AskToJoin(t.Context(), group, "It is "+p.name)
			require.NoError(t, err)
			assert.Equal(t, "It is "+p.name, asked.Request.Note)
			assert.Equal(t, client.RequestStatePending, asked.Request.State)
			assert.Nil(t, asked.Request.PendingCount)
			again, err := p.JoinGroup(t.Context(), group)
			require.NoError(t, err)
			assert.Equal(t, asked, again, "asking twice is asking once")
		}
		created := client.EventJoinRequestCreated
		owners.are(created, created, created)
		firsts.are(created)
		waiting, err := owner.at(1).JoinRequests(t.Context(), group, client.Page{})
		require.NoError(t, err)
		require.Len(t, waiting.Items, 3)
		assert.Equal(t, first.id, waiting.Items[0].User.ID, "who has waited longest comes first")
		mine, err := first.MyJoinRequests(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Equal(t, waiting.Items[:1], mine.Items)

		// An admin from now on learns how many wait.
		count := func(p *person) *int {
			t.Helper()
			seen, err := p.Group(t.Context(), group)
			require.NoError(t, err)
			return seen.JoinRequestCount
		}
		assert.Nil(t, count(admin))
		_, err = owner.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		assert.Equal(t, 3, *count(admin))
		promoted, ok := last(t, admin, client.EventMemberUpdated).Value().(client.MemberUpdatedData)
		require.True(t, ok)
		assert.Equal(t, 3, *promoted.JoinRequestCount)
		assert.NotContains(t, string(last(t, owner, client.EventMemberUpdated).Data), "join_request_count")

		member, err := admin.AcceptJoinRequest(t.Context(), group, first.id)
		require.NoError(t, err)
		assert.Equal(t, first.id, member.User.ID)
		accepted, ok := last(t, first, client.EventJoinRequestUpdated).Value().(client.JoinRequest)
		require.True(t, ok)
		assert.Equal(t, client.RequestStateAccepted, accepted.State)
		assert.Nil(t, accepted.PendingCount)
		require.NoError(t, admin.DeclineJoinRequest(t.Context(), group, second.id))
		require.NoError(t, third.DeclineJoinRequest(t.Context(), group, third.id))
		for _, p := range []*person{second, third} {
			settled, ok := last(t, p, client.EventJoinRequestUpdated).Value().(client.JoinRequest)
			require.True(t, ok)
			assert.Equal(t, map[string]client.RequestState{
				second.id: client.RequestStateDeclined, third.id: client.RequestStateCancelled,
			}[p.id], settled.State)
		}
		told, ok := last(t, owner, client.EventJoinRequestUpdated).Value().(client.JoinRequest)
		require.True(t, ok)
		assert.Equal(t, 0, *told.PendingCount, "how many wait is told, not counted by who is told")
		for _, err := range []error{
			admin.DeclineJoinRequest(t.Context(), group, second.id), third.DeclineJoinRequest(t.Context(), group, third.id),
		} {
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		}
		_, err = admin.AcceptJoinRequest(t.Context(), group, second.id)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)

		// A group that is private now is still one where somebody waits; and one that ends lets everybody know.
		for _, p := range []*person{second, third} {
			_, err = p.JoinGroup(t.Context(), group)
			require.NoError(t, err)
		}
		_, err = owner.UpdateGroup(t.Context(), group, client.UpdateGroupRequest{Visibility: new(client.VisibilityPrivate)})
		require.NoError(t, err)
		require.NoError(t, second.DeclineJoinRequest(t.Context(), group, second.id))
		require.NoError(t, owner.DissolveGroup(t.Context(), group))
		settled, ok := last(t, third, client.EventJoinRequestUpdated).Value().(client.JoinRequest)
		require.True(t, ok)
		assert.Equal(t, client.RequestStateDeclined, settled.State)
		mine, err = third.MyJoinRequests(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Empty(t, mine.Items)
	})
}

// last returns the last event of a type in somebody's inbox.
func last(t *testing.T, p *person, kind client.EventType) (found client.Event) {
	t.Helper()
	for _, event := range p.everything(500) {
		if event.Type == kind {
			found = event
		}
	}
	require.NotEmpty(t, found.Type, "%s has no %s", p.name, kind)
	return found
}

func TestBannedUsersStayOut(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "troll", "member")
		owner, admin, troll, member := people[0], people[1], people[2], people[3]
		group := owner.makes(client.VisibilityPublic, client.JoinPolicyOpen, admin, troll, member).ID
		for _, p := range []*person{owner, troll} { // the owner is nobody's to ban, and troll is not the one to do it
			_, err := troll.BanUser(t.Context(), group, p.id, "")
			refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		}
		_, err := owner.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		for _, p := range []*person{owner, admin} {
			_, err = admin.BanUser(t.Context(), group, p.id, "")
			refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		}
		troll.tell(group, "I was here.")
		ban, err := admin.BanUser(t.Context(), group, troll.id, "Spam.")
		require.NoError(t, err)
		assert.Equal(t, admin.id, ban.BannedBy)
		again, err := owner.BanUser(t.Context(), group, troll.id, "Something else.")
		require.NoError(t, err)
		assert.Equal(t, ban, again, "banning twice is banning once")
		left, ok := last(t, troll, client.EventMemberLeft).Value().(client.MemberLeftData)
		require.True(t, ok)
		assert.Equal(t, client.MemberLeftData{
			GroupID: group, UserID: troll.id, Reason: client.MemberLeftDataReasonBanned, By: admin.id, MemberCount: 3,
		}, left)
		all := troll.everything(500)
		assert.Equal(t, client.EventMemberLeft, all[len(all)-1].Type, "and nothing comes after it")

		_, err = troll.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "x"})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = troll.JoinGroup(t.Context(), group)
		refused(t, err, http.StatusForbidden, client.ProblemCodeBanned)
		_, err = troll.Group(t.Context(), group)
		require.NoError(t, err, "it is in the directory, for everybody")
		_, err = owner.PutMember(t.Context(), group, troll.id, "")
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		_, err = owner.UpdateGroup(t.Context(), group, client.UpdateGroupRequest{AddPolicy: new(client.AddPolicyMembers)})
		require.NoError(t, err)
		_, err = member.PutMember(t.Context(), group, troll.id, "")
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)

		require.NoError(t, admin.LiftBan(t.Context(), group, troll.id))
		refused(t, admin.LiftBan(t.Context(), group, troll.id), http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = troll.JoinGroup(t.Context(), group)
		require.NoError(t, err)

		// Somebody who waits is turned away by a ban.
		asked := owner.makes(client.VisibilityPublic, client.JoinPolicyApproval).ID
		_, err = member.JoinGroup(t.Context(), asked)
		require.NoError(t, err)
		_, err = owner.BanUser(t.Context(), asked, member.id, "")
		require.NoError(t, err)
		turned, ok := last(t, member, client.EventJoinRequestUpdated).Value().(client.JoinRequest)
		require.True(t, ok)
		assert.Equal(t, client.RequestStateDeclined, turned.State)
		_, err = owner.AcceptJoinRequest(t.Context(), asked, member.id)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
	})
}

func TestMutedMembersReadAndDoNotSend(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "loud")
		owner, admin, loud := people[0], people[1], people[2]
		group := owner.makes(client.VisibilityPublic, client.JoinPolicyOpen, admin, loud).ID
		_, err := owner.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		silent := func(p *person) {
			t.Helper()
			for n := range 2 {
				_, err := p.at(n).SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "x"})
				refused(t, err, http.StatusForbidden, client.ProblemCodeMuted)
			}
		}
		sent, err := loud.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "before"}, client.WithIdempotencyKey("k"+group))
		require.NoError(t, err)
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		muted, err := admin.MuteMember(t.Context(), group, loud.id, until)
		require.NoError(t, err)
		assert.Equal(t, until, *muted.MutedUntil)
		silent(loud)
		again, err := loud.at(1).SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "before"}, client.WithIdempotencyKey("k"+group))
		require.NoError(t, err, "what was sent is answered as before")
		assert.Equal(t, sent, again)
		owner.tell(group, "Quiet, please.")
		assert.Contains(t, bodies(loud.history(group)), "Quiet, please.")
		require.NoError(t, loud.LeaveGroup(t.Context(), group))
		_, err = loud.JoinGroup(t.Context(), group)
		require.NoError(t, err)
		silent(loud)
		told, ok := last(t, loud, client.EventMemberUpdated).Value().(client.MemberUpdatedData)
		require.True(t, ok)
		assert.Equal(t, until, *told.MutedUntil)
		require.NoError(t, admin.UnmuteMember(t.Context(), group, loud.id))
		loud.tell(group, "Thank you.")

		_, err = admin.MuteMember(t.Context(), group, loud.id, time.Now().Add(-time.Second))
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = admin.MuteMember(t.Context(), group, d.person(t, 0, "nobody").id, until)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)

		// All but the owner and admins.
		_, err = owner.UpdateGroup(t.Context(), group, client.UpdateGroupRequest{SendPolicy: new(client.SendPolicyAdmins)})
		require.NoError(t, err)
		silent(loud)
		admin.tell(group, "Hear, hear.")
		// A new owner is not muted, whatever came before: nobody could lift it.
		_, err = owner.MuteMember(t.Context(), group, admin.id, until)
		require.NoError(t, err)
		silent(admin)
		_, err = owner.PutMember(t.Context(), group, admin.id, client.RoleOwner)
		require.NoError(t, err)
		admin.tell(group, "I am the owner.")
		owner.tell(group, "And I an admin.")
	})
}

func TestGroupsPerUserAreBounded(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"MAX_GROUPS_PER_USER": "2"})
	people := d.people(t, "busy", "host")
	busy, host := people[0], people[1]
	limits, err := busy.Limits(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, limits.MaxGroupsPerUser)
	groups := []string{busy.makes(client.VisibilityPrivate, client.JoinPolicyInvite).ID, busy.makes(client.VisibilityPrivate, client.JoinPolicyInvite).ID}
	_, err = busy.CreateGroup(t.Context(), client.CreateGroupRequest{Name: "Three", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite})
	refused(t, err, http.StatusConflict, client.ProblemCodeTooManyGroups)
	_, err = host.CreateGroup(t.Context(), client.CreateGroupRequest{
		Name: "Three", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: []string{busy.id},
	})
	refused(t, err, http.StatusConflict, client.ProblemCodeTooManyGroups)
	open := host.makes(client.VisibilityPublic, client.JoinPolicyOpen).ID
	_, err = busy.JoinGroup(t.Context(), open)
	refused(t, err, http.StatusConflict, client.ProblemCodeTooManyGroups)
	code := host.invites(open, client.CreateInvitationRequest{MaxUses: new(1)}).Code
	_, err = busy.JoinByInvitation(t.Context(), code)
	refused(t, err, http.StatusConflict, client.ProblemCodeTooManyGroups)
	_, err = host.PutMember(t.Context(), open, busy.id, "")
	refused(t, err, http.StatusConflict, client.ProblemCodeTooManyGroups)
	require.NoError(t, busy.LeaveGroup(t.Context(), groups[0]))
	_, err = busy.JoinByInvitation(t.Context(), code)
	require.NoError(t, err, "who could not join has used nothing up")
}

func TestInvitationsOfAGroupAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		owner := d.person(t, 0, "owner")
		group := owner.makes(client.VisibilityPrivate, client.JoinPolicyInvite).ID
		limits, err := owner.Limits(t.Context())
		require.NoError(t, err)
		guest := d.person(t, 0, "guest")
		used := owner.invites(group, client.CreateInvitationRequest{MaxUses: new(1)})
		_, err = guest.JoinByInvitation(t.Context(), used.Code)
		require.NoError(t, err)
		for range limits.MaxGroupInvitations {
			owner.invites(group, client.CreateInvitationRequest{}) // the last takes the place of the one that is used up
		}
		_, err = owner.CreateInvitation(t.Context(), group, client.CreateInvitationRequest{})
		refused(t, err, http.StatusConflict, client.ProblemCodeLimitReached)
		_, err = guest.PreviewInvitation(t.Context(), used.Code)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
	})
}
