package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

func TestProfileChangesReachWhoeverSeesThem(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "friend", "peer", "member", "blocked")
		alice, friend, peer, member, blocked := people[0], people[1], people[2], people[3], people[4]
		befriend(t, alice, friend)
		for _, other := range []*person{peer, blocked} { // they were friends once, and have written
			befriend(t, alice, other)
			alice.say(other, "hello")
			require.NoError(t, other.RemoveFriend(t.Context(), alice.id))
		}
		require.NoError(t, alice.Block(t.Context(), blocked.id))
		alice.group(member)
		own, friends, peers, members, blockeds := alice.sleeping(), friend.sleeping(), peer.sleeping(), member.sleeping(), blocked.sleeping()

		me, err := alice.UpdateMe(t.Context(), client.UpdateMeRequest{
			DisplayName: new("Alice the Great"), StatusText: new("At the lake 🏖"), AvatarURL: new("https://example.com/a.png"),
		})
		require.NoError(t, err)
		for _, other := range []*news{friends, peers} {
			data := value[client.UserUpdatedData](t, other.hears(client.EventUserUpdated)[0])
			assert.Equal(t, client.UserUpdatedData{
				ID: alice.id, Username: alice.name, DisplayName: "Alice the Great", StatusText: "At the lake 🏖", AvatarURL: me.AvatarURL,
			}, data, "the public profile, and nothing else")
			profile, err := other.User(t.Context(), alice.id)
			require.NoError(t, err)
			assert.Equal(t, client.Profile{
				ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, StatusText: data.StatusText, AvatarURL: data.AvatarURL,
			}, profile)
		}
		data := value[client.UserUpdatedData](t, own.hears(client.EventUserUpdated)[0])
		assert.Equal(t, client.AcceptanceFriends, *data.AcceptMessagesFrom)
		assert.Equal(t, "At the lake 🏖", data.StatusText)
		assert.Equal(t, me.CreatedAt, *data.CreatedAt)

		// What only alice sees is told to her devices only; what changes nothing is not told.
		_, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{StatusText: new("At the lake 🏖")})
		require.NoError(t, err)
		me, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{
			AcceptMessagesFrom: new(client.AcceptanceNobody), AcceptFriendRequestsFrom: new(client.RequestAcceptanceNobody),
			AcceptGroupInvitesFrom: new(client.AcceptanceFriends),
		})
		require.NoError(t, err)
		data = value[client.UserUpdatedData](t, own.hears(client.EventUserUpdated)[0])
		assert.Equal(t, client.User{
			ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, AvatarURL: data.AvatarURL, StatusText: data.StatusText,
			AcceptMessagesFrom: *data.AcceptMessagesFrom, AcceptFriendRequestsFrom: *data.AcceptFriendRequestsFrom,
			AcceptGroupInvitesFrom: *data.AcceptGroupInvitesFrom, PresenceVisibility: *data.PresenceVisibility, CreatedAt: *data.CreatedAt,
		}, me, "the event alone makes another device show the same")
		// Each of these hears of the next thing, and of nothing before it.
		for _, other := range []*news{friends, peers, members, blockeds} {
			_, err := other.UpdateMe(t.Context(), client.UpdateMeRequest{AcceptMessagesFrom: new(client.AcceptanceEveryone)})
			require.NoError(t, err)
			data := value[client.UserUpdatedData](t, other.hears(client.EventUserUpdated)[0])
			assert.Equal(t, other.id, data.ID)
		}

		_, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{StatusText: new(strings.Repeat("字", 140))})
		require.NoError(t, err)
		long := ask(t, alice.http, raw{
			method: http.MethodPatch, url: d.url(0, "/v1/me"), token: alice.Tokens().Access,
			body: `{"status_text":"` + strings.Repeat("x", 141) + `"}`, wrong: true,
		})
		assert.Equal(t, client.ProblemCodeValidationFailed, long.problem().Code)
	})
}

func TestAnotherDeviceLearnsOfRemarksAndBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		away, other := alice.sleeping(), bob.sleeping()
		_, err := alice.SetRemark(t.Context(), bob.id, "once")
		require.NoError(t, err)
		friend, err := alice.SetRemark(t.Context(), bob.id, "from the fair")
		require.NoError(t, err)
		heard := away.hears(client.EventFriendUpdated, client.EventFriendUpdated)
		assert.Equal(t, friend, value[client.Friend](t, heard[1]))

		require.NoError(t, alice.Block(t.Context(), bob.id))
		require.NoError(t, alice.Block(t.Context(), bob.id), "twice is once")
		heard = away.hears(client.EventBlockChanged, client.EventFriendRemoved)
		blocks, err := alice.Blocks(t.Context(), client.Page{})
		require.NoError(t, err)
		require.Len(t, blocks.Items, 1)
		changed := value[client.BlockChangedData](t, heard[0])
		assert.True(t, changed.Blocked)
		assert.Equal(t, client.Block{User: changed.User, Since: *changed.Since}, blocks.Items[0])
		require.NoError(t, alice.Unblock(t.Context(), bob.id))
		require.NoError(t, alice.Unblock(t.Context(), bob.id))
		changed = value[client.BlockChangedData](t, away.hears(client.EventBlockChanged)[0])
		assert.False(t, changed.Blocked)
		assert.Nil(t, changed.Since)
		other.hears(client.EventFriendRemoved) // of blocks and remarks the other hears nothing
	})
}

// Counts are absolute: a device that was away sets what it is told last.
func TestCountOfOpenRequestsIsToldAbsolutely(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "asked", "a", "b", "c")
		asked, others := people[0], people[1:]
		away := asked.sleeping()
		var requests []client.FriendRequest
		for _, other := range others {
			request, err := other.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: asked.id})
			require.NoError(t, err)
			assert.Nil(t, request.IncomingRequestCount)
			requests = append(requests, request)
		}
		_, err := asked.AcceptFriendRequest(t.Context(), requests[0].ID)
		require.NoError(t, err)
		_, err = asked.DeclineFriendRequest(t.Context(), requests[1].ID)
		require.NoError(t, err)
		require.NoError(t, others[2].CancelFriendRequest(t.Context(), requests[2].ID))
		created, updated := client.EventFriendRequestCreated, client.EventFriendRequestUpdated
		heard := away.hears(created, created, created, updated, client.EventFriendAdded, updated, updated)
		var counts []int
		for _, event := range heard {
			if request, ok := event.Value().(client.FriendRequest); ok {
				require.NotNil(t, request.IncomingRequestCount)
				counts = append(counts, *request.IncomingRequestCount)
			}
		}
		assert.Equal(t, []int{1, 2, 3, 2, 1, 0}, counts)
		snapshot, err := asked.at(1).Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 0, snapshot.IncomingRequestCount)
		for _, other := range others {
			for _, event := range other.everything(500) {
				if request, ok := event.Value().(client.FriendRequest); ok {
					assert.Nil(t, request.IncomingRequestCount, "it is nobody else's business")
				}
			}
		}
	})
}

func TestUnansweredRequestsExpire(t *testing.T) {
	onFresh(t, settings{"FRIEND_REQUEST_LIFETIME": "2s"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob")
		alice, bob := people[0], people[1]
		a, b := newsOf(alice), newsOf(bob)
		request, err := alice.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id, Note: new("Hello?")})
		require.NoError(t, err)
		assert.Equal(t, 2*time.Second, request.ExpiresAt.Sub(request.CreatedAt))
		<-time.NewTimer(time.Until(request.ExpiresAt) + time.Millisecond).C
		_, err = bob.AcceptFriendRequest(t.Context(), request.ID)
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		for _, direction := range []client.Direction{client.DirectionIncoming, client.DirectionOutgoing} {
			for _, p := range people {
				open, err := p.FriendRequests(t.Context(), direction, client.Page{})
				require.NoError(t, err)
				assert.Empty(t, open.Items)
			}
		}
		snapshot, err := bob.Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 0, snapshot.IncomingRequestCount)

		// Nobody does anything, and both hear of it all the same.
		for _, side := range []*news{a, b} {
			heard := side.hears(client.EventFriendRequestCreated, client.EventFriendRequestUpdated)
			expired := value[client.FriendRequest](t, heard[1])
			assert.Equal(t, client.RequestStateExpired, expired.State)
			assert.Equal(t, request.ID, expired.ID)
			if side == b {
				assert.Equal(t, 0, *expired.IncomingRequestCount)
			}
		}
		again, err := alice.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id})
		require.NoError(t, err, "it may be asked again")
		accepted, err := bob.AcceptFriendRequest(t.Context(), again.ID)
		require.NoError(t, err)
		assert.Equal(t, client.RequestStateAccepted, accepted.State)
	})
}

func TestUsersSayWhatTheyTakeFromWhom(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "friend", "stranger")
		alice, friend, stranger := people[0], people[1], people[2]
		befriend(t, alice, friend)
		both := []*person{friend, stranger}
		message := func(p *person) error {
			_, err := p.SendToUser(t.Context(), alice.id, client.SendMessageRequest{Body: "x"})
			return err
		}
		create := func(p *person) error {
			_, err := p.CreateGroup(t.Context(), client.CreateGroupRequest{
				Name: "Come in", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: []string{alice.id},
			})
			return err
		}
		add := func(p *person) error { _, err := p.PutMember(t.Context(), p.group(), alice.id, ""); return err }
		check := func(what string, act func(p *person) error, allowed ...*person) {
			t.Helper()
			for _, p := range both {
				err := act(p)
				if slices.Contains(allowed, p) {
					require.NoError(t, err, "%s by %s", what, p.name)
					continue
				}
				refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
			}
		}
		for accepts, allowed := range map[client.Acceptance][]*person{
			client.AcceptanceEveryone: both, client.AcceptanceFriends: {friend}, client.AcceptanceNobody: nil,
		} {
			_, err := alice.UpdateMe(t.Context(), client.UpdateMeRequest{AcceptMessagesFrom: &accepts, AcceptGroupInvitesFrom: &accepts})
			require.NoError(t, err)
			check("a message", message, allowed...)
			check("a new group", create, allowed...)
			check("a membership", add, allowed...)
		}

		// Who waits to be let in wants to be added, whatever else they want.
		_, err := alice.UpdateMe(t.Context(), client.UpdateMeRequest{
			AcceptGroupInvitesFrom: new(client.AcceptanceNobody), AcceptFriendRequestsFrom: new(client.RequestAcceptanceNobody),
		})
		require.NoError(t, err)
		group, err := stranger.CreateGroup(t.Context(), client.CreateGroupRequest{
			Name: "Club of " + stranger.name, Visibility: client.VisibilityPublic, JoinPolicy: client.JoinPolicyApproval,
		})
		require.NoError(t, err)
		_, err = alice.JoinGroup(t.Context(), group.ID)
		require.NoError(t, err)
		_, err = stranger.PutMember(t.Context(), group.ID, alice.id, "")
		require.NoError(t, err)

		// And who has asked to be friends may be asked back.
		_, err = stranger.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: alice.id})
		refused(t, err, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
		_, err = alice.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: stranger.id})
		require.NoError(t, err)
		crossing, err := stranger.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: alice.id})
		require.NoError(t, err)
		assert.Equal(t, client.RequestStateAccepted, crossing.State)
	})
}

func TestPeopleAreFoundInAnyScriptAndNotByWhomTheyBlock(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "eve")
		alice, bob, eve := people[0], people[1], people[2]
		finds := func(p *person, query string) bool {
			found, err := p.FindUsers(t.Context(), query, client.Page{Limit: 200})
			require.NoError(t, err)
			return slices.ContainsFunc(found.Items, func(profile client.Profile) bool { return profile.ID == alice.id })
		}
		mark := strings.ToUpper(alice.name[len(alice.name)-10:])
		for display, queries := range map[string][]string{
			mark + "王小明":      {mark + "王", mark + "王小", strings.ToLower(mark) + "王小明"},
			mark + "さくら":      {mark + "さく"},
			mark + "Ольга":    {mark + "оль", mark + "ОЛЬГА"},
			mark + "𠮷野 👩‍👩‍👧": {mark + "𠮷", mark + "𠮷野 👩‍"},
		} {
			_, err := alice.UpdateMe(t.Context(), client.UpdateMeRequest{DisplayName: &display})
			require.NoError(t, err)
			for _, query := range queries {
				assert.True(t, finds(bob, query), "%q by %q", display, query)
			}
			assert.False(t, finds(bob, mark+"明"), "not by what is in the middle")
		}
		require.NoError(t, alice.Block(t.Context(), eve.id))
		for _, query := range []string{alice.name, mark} {
			assert.True(t, finds(bob, query))
			assert.False(t, finds(eve, query), "who is blocked does not find the one who blocks")
		}
		profile, err := eve.User(t.Context(), alice.id)
		require.NoError(t, err, "old conversations need names")
		assert.Equal(t, alice.name, profile.Username)
		require.NoError(t, alice.Unblock(t.Context(), eve.id))
		assert.True(t, finds(eve, alice.name))
	})
}
