package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// types returns what kinds of events an inbox has. Messages of the system are left out: they come with other events.
func types(events []client.Event) []client.EventType {
	var all []client.EventType
	for _, event := range events {
		if message, ok := event.Value().(client.Message); ok && message.Kind == client.MessageKindSystem {
			continue
		}
		all = append(all, event.Type)
	}
	return all
}

// news is somebody's inbox, from one look to the next.
type news struct {
	*person

	cursor client.Cursor
}

func newsOf(p *person) *news {
	return &news{person: p, cursor: client.Begin}
}

// are checks that exactly these events came since the last look, in some order.
func (n *news) are(want ...client.EventType) {
	n.t.Helper()
	var got []client.EventType
	deadline := time.Now().Add(patience)
	for len(got) < len(want) && time.Now().Before(deadline) {
		part, err := n.at(1).Poll(n.t.Context(), client.PollOptions{Cursor: n.cursor, Limit: 500, Wait: 3 * time.Second})
		require.NoError(n.t, err)
		got, n.cursor = append(got, types(part.Events)...), part.Cursor
	}
	assert.ElementsMatch(n.t, want, got)
}

func TestProfileAndSearch(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob")
		alice, bob := people[0], people[1]
		me, err := alice.Me(t.Context())
		require.NoError(t, err)
		assert.Equal(t, client.AcceptanceFriends, me.AcceptMessagesFrom)
		assert.Nil(t, me.AvatarURL)

		name := "Žofie " + alice.name
		me, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{
			DisplayName: &name, AvatarURL: new("https://example.com/a.png"), AcceptMessagesFrom: new(client.AcceptanceEveryone),
		})
		require.NoError(t, err)
		again, err := alice.at(1).Me(t.Context())
		require.NoError(t, err)
		assert.Equal(t, me, again)
		profile, err := bob.User(t.Context(), alice.id)
		require.NoError(t, err)
		assert.Equal(t, client.Profile{ID: alice.id, Username: alice.name, DisplayName: name, AvatarURL: me.AvatarURL}, profile)
		changed := alice.ask(http.MethodPatch, "/v1/me", `{"avatar_url":null}`)
		assert.Equal(t, http.StatusOK, changed.status)
		assert.Contains(t, string(changed.body), `"avatar_url":null`)

		for _, query := range []string{alice.name, strings.ToUpper(alice.name), name, alice.name[:len(alice.name)-2], "žofie " + alice.name} {
			found, err := bob.FindUsers(t.Context(), query, client.Page{})
			require.NoError(t, err)
			require.Len(t, found.Items, 1, query)
			assert.Equal(t, alice.id, found.Items[0].ID)
		}
		for _, query := range []string{alice.name[1:], "%", "_" + alice.name[1:], alice.name + "%"} {
			found, err := bob.FindUsers(t.Context(), query, client.Page{})
			require.NoError(t, err)
			for _, profile := range found.Items {
				assert.NotEqual(t, alice.id, profile.ID, "%q is no beginning of the name", query)
			}
		}

		// Who takes messages from everyone may be written to by everyone.
		bob.say(alice, "Hello, we have not met.")
		_, err = alice.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: "But you do not take messages."})
		refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
	})
}

func TestFriendRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "eve")
		alice, bob, eve := people[0], people[1], people[2]
		a, b := newsOf(alice), newsOf(bob)
		request := func(from, to *person) client.FriendRequest {
			t.Helper()
			made, err := from.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: to.id, Note: new("note")})
			require.NoError(t, err)
			return made
		}
		created, updated := client.EventFriendRequestCreated, client.EventFriendRequestUpdated

		first := request(alice, bob)
		_, err := alice.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id})
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		_, err = alice.AcceptFriendRequest(t.Context(), first.ID)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = eve.AcceptFriendRequest(t.Context(), first.ID)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		declined, err := bob.DeclineFriendRequest(t.Context(), first.ID)
		require.NoError(t, err)
		assert.Equal(t, client.RequestStateDeclined, declined.State)
		_, err = bob.AcceptFriendRequest(t.Context(), first.ID)
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		a.are(created, updated)
		b.are(created, updated)

		second := request(alice, bob)
		outgoing, err := alice.FriendRequests(t.Context(), client.DirectionOutgoing, client.Page{})
		require.NoError(t, err)
		require.Len(t, outgoing.Items, 1, "only what is pending is listed")
		assert.Equal(t, second, outgoing.Items[0])
		require.NoError(t, alice.CancelFriendRequest(t.Context(), second.ID))
		incoming, err := bob.FriendRequests(t.Context(), client.DirectionIncoming, client.Page{})
		require.NoError(t, err)
		assert.Empty(t, incoming.Items)
		a.are(created, updated)
		b.are(created, updated)

		// Requests that cross make friends at once.
		request(alice, bob)
		crossing := request(bob, alice)
		assert.Equal(t, client.RequestStateAccepted, crossing.State)
		a.are(created, updated, client.EventFriendAdded)
		b.are(created, updated, client.EventFriendAdded)

		// A creating call that is repeated is done once.
		key := client.WithIdempotencyKey("friend-" + eve.id)
		one, err := eve.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id}, key)
		require.NoError(t, err)
		two, err := eve.at(1).RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id}, key)
		require.NoError(t, err)
		assert.Equal(t, one, two)
		_, err = eve.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: alice.id}, key)
		refused(t, err, http.StatusConflict, client.ProblemCodeIdempotencyConflict)
	})
}

func TestFriendsAndBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, carol, alice)
		friend, err := alice.SetRemark(t.Context(), bob.id, "from the fair")
		require.NoError(t, err)
		assert.Equal(t, "from the fair", friend.Remark)
		var listed []string
		for friend, err := range client.All(t.Context(), func(ctx context.Context, page client.Page) (client.List[client.Friend], error) {
			page.Limit = 1
			return alice.Friends(ctx, page)
		}) {
			require.NoError(t, err)
			listed = append(listed, friend.User.ID+friend.Remark)
		}
		assert.ElementsMatch(t, []string{bob.id + "from the fair", carol.id}, listed)
		_, err = bob.SetRemark(t.Context(), carol.id, "who?")
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)

		require.NoError(t, alice.RemoveFriend(t.Context(), carol.id))
		refused(t, alice.RemoveFriend(t.Context(), carol.id), http.StatusNotFound, client.ProblemCodeNotFound)
		assert.Contains(t, types(carol.everything(500)), client.EventFriendRemoved)
		_, err = carol.SendToUser(t.Context(), alice.id, client.SendMessageRequest{Body: "Why?"})
		refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)

		// A block ends what the other may send, ask and invite. The other hears no more than a stranger would.
		alice.say(bob, "before the block")
		pending, err := carol.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: alice.id})
		require.NoError(t, err)
		for _, blocked := range []*person{bob, carol} {
			require.NoError(t, alice.Block(t.Context(), blocked.id))
			require.NoError(t, alice.Block(t.Context(), blocked.id), "twice is once")
			_, err = blocked.SendToUser(t.Context(), alice.id, client.SendMessageRequest{Body: "x"})
			refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
			_, err = blocked.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: alice.id})
			refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
			_, err = blocked.CreateGroup(t.Context(), client.CreateGroupRequest{
				Name: "Come in", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: []string{alice.id},
			})
			refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
			_, err = blocked.PutMember(t.Context(), blocked.group(), alice.id, "")
			refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
			_, err = alice.SendToUser(t.Context(), blocked.id, client.SendMessageRequest{Body: "x"})
			refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		}
		last := slices.DeleteFunc(carol.everything(500), func(e client.Event) bool { return e.Type != client.EventFriendRequestUpdated })
		settled, ok := last[len(last)-1].Value().(client.FriendRequest)
		require.True(t, ok)
		assert.Equal(t, pending.ID, settled.ID)
		assert.Equal(t, client.RequestStateDeclined, settled.State)
		blocks, err := alice.Blocks(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Len(t, blocks.Items, 2)

		require.NoError(t, alice.Unblock(t.Context(), bob.id))
		_, err = bob.SendToUser(t.Context(), alice.id, client.SendMessageRequest{Body: "x"})
		refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting) // the friendship does not come back
		befriend(t, bob, alice)
		alice.say(bob, "after the block")
		assert.Equal(t, []string{"before the block", "after the block"}, bodies(bob.history(conversationWith(t, bob, alice))))
	})
}

func TestGroupsByPolicy(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "guest", "third")
		owner, guest, third := people[0], people[1], people[2]
		group := func(visibility client.Visibility, policy client.JoinPolicy) client.Group {
			made, err := owner.CreateGroup(t.Context(), client.CreateGroupRequest{
				Name: "Club of " + owner.name, Description: new("Tuesdays"), Visibility: visibility, JoinPolicy: policy,
			})
			require.NoError(t, err)
			assert.Equal(t, client.RoleOwner, *made.MyRole)
			assert.Equal(t, 1, made.MemberCount)
			return made
		}
		open := group(client.VisibilityPublic, client.JoinPolicyOpen)
		approval := group(client.VisibilityPublic, client.JoinPolicyApproval)
		invite := group(client.VisibilityPublic, client.JoinPolicyInvite)
		private := group(client.VisibilityPrivate, client.JoinPolicyOpen)

		found, err := guest.FindGroups(t.Context(), strings.ToUpper("Club of "+owner.name), client.Page{})
		require.NoError(t, err)
		var ids []string
		for _, g := range found.Items {
			ids = append(ids, g.ID)
			assert.Nil(t, g.MyRole)
		}
		assert.ElementsMatch(t, []string{open.ID, approval.ID, invite.ID}, ids, "private groups are in no directory")
		for _, call := range []func() error{
			func() error { _, err := guest.Group(t.Context(), private.ID); return err },
			func() error { _, err := guest.JoinGroup(t.Context(), private.ID); return err },
			func() error { _, err := guest.Members(t.Context(), private.ID, client.Page{}); return err },
			func() error {
				_, err := guest.SendToGroup(t.Context(), private.ID, client.SendMessageRequest{Body: "x"})
				return err
			},
		} {
			refused(t, call(), http.StatusNotFound, client.ProblemCodeNotFound)
		}
		_, err = guest.SendToGroup(t.Context(), open.ID, client.SendMessageRequest{Body: "x"})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = guest.Members(t.Context(), open.ID, client.Page{})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)

		// Open: at once.
		for range 2 {
			joined, err := guest.JoinGroup(t.Context(), open.ID)
			require.NoError(t, err)
			require.NotNil(t, joined.Group, "joining twice is the same as once")
			assert.Equal(t, 2, joined.Group.MemberCount)
			assert.Equal(t, client.RoleMember, *joined.Group.MyRole)
		}
		guest.tell(open.ID, "Thank you.")

		// By approval: when an admin adds them. Those who wait can be turned away.
		for _, who := range []*person{guest, third} {
			joined, err := who.JoinGroup(t.Context(), approval.ID)
			require.NoError(t, err)
			require.NotNil(t, joined.Request)
		}
		_, err = guest.JoinRequests(t.Context(), approval.ID, client.Page{})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		waiting, err := owner.JoinRequests(t.Context(), approval.ID, client.Page{})
		require.NoError(t, err)
		assert.Len(t, waiting.Items, 2)
		put := owner.ask(http.MethodPut, "/v1/groups/"+approval.ID+"/members/"+guest.id, "")
		assert.Equal(t, http.StatusCreated, put.status, "granted")
		put = owner.ask(http.MethodPut, "/v1/groups/"+approval.ID+"/members/"+guest.id, "")
		assert.Equal(t, http.StatusOK, put.status, "a member already")
		require.NoError(t, owner.DeclineJoinRequest(t.Context(), approval.ID, third.id))
		refused(t, owner.DeclineJoinRequest(t.Context(), approval.ID, third.id), http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = third.JoinGroup(t.Context(), approval.ID)
		require.NoError(t, err)
		require.NoError(t, third.DeclineJoinRequest(t.Context(), approval.ID, third.id), "who asked may take it back")
		waiting, err = owner.JoinRequests(t.Context(), approval.ID, client.Page{})
		require.NoError(t, err)
		assert.Empty(t, waiting.Items)

		// By invitation: not by oneself.
		_, err = guest.JoinGroup(t.Context(), invite.ID)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = owner.PutMember(t.Context(), invite.ID, guest.id, client.RoleAdmin)
		require.NoError(t, err)

		mine, err := guest.MyGroups(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Len(t, mine.Items, 3)
		joined, ok := guest.stream(client.Begin).first(client.EventMemberJoined).Value().(client.MemberJoinedData)
		require.True(t, ok)
		assert.Equal(t, open.ID, joined.Group.ID, "a new member learns about the group")
		assert.Equal(t, guest.id, joined.User.ID)
	})
}

func TestRolesInGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "member", "other")
		owner, admin, member, other := people[0], people[1], people[2], people[3]
		group := owner.group(admin, member)
		watching := newsOf(member)
		watching.are(client.EventConversationAdded, client.EventGroupCreated)

		_, err := owner.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		watching.are(client.EventMemberUpdated)
		for name, act := range map[string]func(p *person) error{
			"change": func(p *person) error {
				_, err := p.UpdateGroup(t.Context(), group, client.UpdateGroupRequest{Name: new("New")})
				return err
			},
			"invite": func(p *person) error { _, err := p.PutMember(t.Context(), group, other.id, ""); return err },
			"promote": func(p *person) error {
				_, err := p.PutMember(t.Context(), group, member.id, client.RoleAdmin)
				return err
			},
			"remove": func(p *person) error { return p.RemoveMember(t.Context(), group, owner.id) },
			"end":    func(p *person) error { return p.DissolveGroup(t.Context(), group) },
		} {
			refused(t, act(member), http.StatusForbidden, client.ProblemCodeForbidden)
			switch name {
			case "change", "invite":
				require.NoError(t, act(admin), name)
			default:
				refused(t, act(admin), http.StatusForbidden, client.ProblemCodeForbidden)
			}
		}
		watching.are(client.EventGroupUpdated, client.EventMemberJoined)

		// Admins remove plain members, and nobody else.
		require.NoError(t, admin.RemoveMember(t.Context(), group, other.id))
		watching.are(client.EventMemberLeft)
		heard := other.everything(500)
		left, ok := heard[len(heard)-1].Value().(client.MemberLeftData)
		require.True(t, ok)
		assert.Equal(t, client.MemberLeftData{GroupID: group, UserID: other.id, Reason: client.MemberLeftDataReasonRemoved, By: admin.id, MemberCount: 3}, left)

		// An owner hands over before leaving.
		refused(t, owner.LeaveGroup(t.Context(), group), http.StatusConflict, client.ProblemCodeConflict)
		_, err = owner.PutMember(t.Context(), group, owner.id, client.RoleMember)
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		_, err = owner.PutMember(t.Context(), group, member.id, client.RoleOwner)
		require.NoError(t, err)
		watching.are(client.EventGroupUpdated, client.EventMemberUpdated, client.EventMemberUpdated)
		now, err := member.Group(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, member.id, now.OwnerID)
		assert.Equal(t, client.RoleOwner, *now.MyRole)
		roles := map[string]client.Role{}
		for m, err := range client.All(t.Context(), func(ctx context.Context, page client.Page) (client.List[client.Member], error) {
			page.Limit = 2
			return admin.Members(ctx, group, page)
		}) {
			require.NoError(t, err)
			roles[m.User.ID] = m.Role
		}
		assert.Equal(t, map[string]client.Role{owner.id: client.RoleAdmin, admin.id: client.RoleAdmin, member.id: client.RoleOwner}, roles)
		require.NoError(t, owner.LeaveGroup(t.Context(), group))
		watching.are(client.EventMemberLeft)

		require.NoError(t, member.DissolveGroup(t.Context(), group))
		watching.are(client.EventGroupDissolved)
		for _, p := range []*person{member, admin} {
			_, err = p.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "Is anybody there?"})
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			mine, err := p.MyGroups(t.Context(), client.Page{})
			require.NoError(t, err)
			assert.Empty(t, mine.Items)
		}
		assert.Contains(t, types(admin.everything(500)), client.EventGroupDissolved)
		assert.NotContains(t, types(owner.everything(500)), client.EventGroupDissolved, "who has left hears no more")
	})
}

func TestGroupsHaveALimit(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"MAX_GROUP_MEMBERS": "2"})
	people := d.people(t, "a", "b", "c")
	group := people[0].group(people[1])
	_, err := people[0].PutMember(t.Context(), group, people[2].id, "")
	refused(t, err, http.StatusConflict, client.ProblemCodeGroupFull)
	_, err = people[0].CreateGroup(t.Context(), client.CreateGroupRequest{
		Name: "Three", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: []string{people[1].id, people[2].id},
	})
	refused(t, err, http.StatusConflict, client.ProblemCodeGroupFull)
}
