package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

const newPassword = "staple the battery"

// hears reads on until so many events came, checks that they are of these types, in whatever order, and returns them.
func (n *news) hears(want ...client.EventType) []client.Event {
	n.t.Helper()
	var got []client.Event
	deadline := time.Now().Add(patience)
	for len(got) < len(want) && time.Now().Before(deadline) {
		part, err := n.at(1).Poll(n.t.Context(), client.PollOptions{Cursor: n.cursor, Limit: 500, Wait: 3 * time.Second})
		require.NoError(n.t, err)
		n.cursor = part.Cursor
		for _, event := range part.Events {
			if message, ok := event.Value().(client.Message); !ok || message.Kind != client.MessageKindSystem { // those come with other events
				got = append(got, event)
			}
		}
	}
	require.ElementsMatch(n.t, want, types(got))
	return got
}

// sleeping is a device that is away from now on: what it hears later is what it has missed.
func (p *person) sleeping() *news {
	p.t.Helper()
	snapshot, err := p.Sync(p.t.Context())
	require.NoError(p.t, err)
	return &news{person: p, cursor: snapshot.Cursor}
}

// value returns an event's data, which must be of the type.
func value[T any](t *testing.T, event client.Event) T {
	t.Helper()
	data, ok := event.Value().(T)
	require.True(t, ok, "%s %s", event.Type, event.Data)
	return data
}

// ends checks that streams close in time because their session has ended.
func ends(t *testing.T, streams ...*inbox) {
	t.Helper()
	for _, stream := range streams {
		stream.untilWithin(2*time.Second, "bye", func() bool { return len(stream.byes) > 0 })
		assert.Equal(t, client.ByeReasonRevoked, stream.byes[0])
	}
}

func TestChangedPasswordEndsAllOtherSessionsOnEveryNode(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		here := d.person(t, 0, "alice")
		phone, laptop := here.device(1), here.device(0)
		staying := here.at(1).stream(client.Now)
		closing := []*inbox{phone.at(0).stream(client.Now), phone.at(1).stream(client.Now), laptop.at(1).stream(client.Now)}

		err := here.ChangePassword(t.Context(), "a guess", newPassword)
		refused(t, err, http.StatusForbidden, client.ProblemCodeWrongPassword)
		for _, stream := range closing {
			assert.Empty(t, stream.byes, "who guesses ends nothing")
		}
		require.NoError(t, here.ChangePassword(t.Context(), password, newPassword))
		ends(t, closing...)
		for _, ended := range []*person{phone, laptop} {
			for n := range 2 {
				got := ask(t, here.http, raw{url: d.url(n, "/v1/me"), token: ended.Tokens().Access})
				assert.Equal(t, client.ProblemCodeSessionEnded, got.problem().Code)
				got = ask(t, here.http, raw{
					method: http.MethodPost, url: d.url(n, "/v1/auth/refresh"), body: `{"refresh_token":"` + ended.Tokens().Refresh + `"}`,
				})
				assert.Equal(t, client.ProblemCodeSessionEnded, got.problem().Code)
			}
		}
		var revoked []string
		for n := range 2 {
			revoked = append(revoked, value[client.SessionRevokedData](t, staying.nth(client.EventSessionRevoked, n+1)).SessionID)
		}
		assert.ElementsMatch(t, []string{phone.session, laptop.session}, revoked)
		assert.Empty(t, staying.byes)
		_, err = here.at(1).Me(t.Context())
		require.NoError(t, err, "who changed it stays")
		sessions, err := here.at(1).Sessions(t.Context())
		require.NoError(t, err)
		assert.Len(t, sessions.Items, 1)

		stranger := d.on(t, here.http, 1, client.Options{})
		_, err = stranger.Login(t.Context(), client.LoginRequest{Username: here.name, Password: password})
		refused(t, err, http.StatusUnauthorized, client.ProblemCodeInvalidCredentials)
		_, err = stranger.Login(t.Context(), client.LoginRequest{Username: here.name, Password: newPassword})
		require.NoError(t, err)
	})
}

func TestAllOtherSessionsEndAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		here := d.person(t, 0, "alice")
		others := []*person{here.device(1), here.device(0), here.device(1)}
		away := here.sleeping()
		var closing []*inbox
		for n, other := range others {
			closing = append(closing, other.at(n).stream(client.Now))
		}
		require.NoError(t, here.EndOtherSessions(t.Context()))
		ends(t, closing...)
		away.hears(client.EventSessionRevoked, client.EventSessionRevoked, client.EventSessionRevoked)
		require.NoError(t, here.EndOtherSessions(t.Context()), "there may be none")
		sessions, err := here.at(1).Sessions(t.Context())
		require.NoError(t, err)
		require.Len(t, sessions.Items, 1)
		assert.True(t, sessions.Items[0].Current)
		refused(t, others[0].impatient(0).EndOtherSessions(t.Context()), http.StatusUnauthorized, client.ProblemCodeSessionEnded)
		_, err = here.Me(t.Context())
		require.NoError(t, err)
	})
}

func TestSessionsTellDeviceAddressAndLastUse(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		here := d.person(t, 0, "alice")
		login := ask(t, here.http, raw{
			method: http.MethodPost, url: d.url(0, "/v1/auth/login"), headers: map[string]string{"User-Agent": "Phone/1\u00a0(x)"},
			body: `{"username":"` + here.name + `","password":"` + password + `","device_name":"My phone"}`,
		})
		var phone client.SignIn
		require.NoError(t, json.Unmarshal(login.body, &phone))
		find := func(n int, id string) (found client.Session) {
			sessions, err := here.at(n).Sessions(t.Context())
			require.NoError(t, err)
			for _, session := range sessions.Items {
				if session.ID == id {
					found = session
				}
			}
			return found
		}
		begun := find(1, phone.SessionID)
		assert.Equal(t, "My phone", begun.DeviceName)
		assert.Equal(t, "127.0.0.1", begun.Address)
		assert.True(t, strings.HasPrefix(begun.UserAgent, "Phone/1"), begun.UserAgent)
		assert.False(t, begun.Current)
		assert.True(t, find(1, here.session).Current)

		// It is used elsewhere, and soon that is known everywhere, without a write for each request.
		for range 3 {
			got := ask(t, here.http, raw{url: d.url(1, "/v1/me"), token: phone.AccessToken, headers: map[string]string{"User-Agent": "Phone/2"}})
			require.Equal(t, http.StatusOK, got.status)
		}
		eventually(t, "the last use is known on another node", func() bool { return find(0, phone.SessionID).UserAgent == "Phone/2" })
		assert.True(t, find(0, phone.SessionID).LastSeenAt.After(begun.LastSeenAt))
	})
}

// A group of whoever is deleted goes on, or ends, and everybody concerned hears of it from where they stood.
func TestDeletedAccountLeavesItsMessagesAndNothingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "gone", "friend", "admin", "blocker", "asked")
		gone, friend, admin, blocker, asked := people[0], people[1], people[2], people[3], people[4]
		befriend(t, gone, friend)
		message := gone.say(friend, "Remember me.")
		group := gone.group(friend, admin)
		_, err := gone.PutMember(t.Context(), group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		gone.tell(group, "And you too.")
		alone := gone.group()
		other := admin.group(gone)
		require.NoError(t, blocker.Block(t.Context(), gone.id))
		_, err = gone.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: asked.id})
		require.NoError(t, err)
		waiting, err := asked.CreateGroup(t.Context(), client.CreateGroupRequest{
			Name: "Club of " + asked.name, Visibility: client.VisibilityPublic, JoinPolicy: client.JoinPolicyApproval,
		})
		require.NoError(t, err)
		_, err = gone.JoinGroup(t.Context(), waiting.ID)
		require.NoError(t, err)
		received, err := admin.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: gone.id})
		require.NoError(t, err)
		phone := gone.device(1)
		tokens := phone.Tokens()
		closing := []*inbox{gone.at(1).stream(client.Now), phone.at(0).stream(client.Now)}
		friendWas, adminWas, blockerWas, askedWas := friend.sleeping(), admin.sleeping(), blocker.sleeping(), asked.sleeping()

		refused(t, gone.DeleteMe(t.Context(), "a guess"), http.StatusForbidden, client.ProblemCodeWrongPassword)
		require.NoError(t, gone.DeleteMe(t.Context(), password))
		ends(t, closing...)
		for n := range 2 {
			got := ask(t, friend.http, raw{url: d.url(n, "/v1/me"), token: tokens.Access})
			assert.Equal(t, client.ProblemCodeSessionEnded, got.problem().Code)
			got = ask(t, friend.http, raw{method: http.MethodPost, url: d.url(n, "/v1/auth/refresh"), body: `{"refresh_token":"` + tokens.Refresh + `"}`})
			assert.Equal(t, client.ProblemCodeSessionEnded, got.problem().Code)
		}

		// Who was away hears all of it.
		nobody := client.Profile{ID: gone.id, Username: "~deleted", DisplayName: "Deleted user", Deleted: new(true)}
		heard := friendWas.hears(client.EventUserUpdated, client.EventFriendRemoved, client.EventGroupUpdated, client.EventMemberUpdated,
			client.EventMemberLeft)
		for _, event := range heard {
			switch data := event.Value().(type) {
			case client.UserUpdatedData:
				assert.Equal(t, "~deleted", data.Username)
				assert.True(t, *data.Deleted)
				assert.Nil(t, data.AcceptMessagesFrom)
			case client.FriendRemovedData:
				assert.Equal(t, gone.id, data.UserID)
			case client.Group:
				assert.Equal(t, admin.id, data.OwnerID)
			case client.MemberUpdatedData:
				assert.Equal(t, client.MemberUpdatedData{GroupID: group, UserID: admin.id, Role: client.RoleOwner}, data)
			case client.MemberLeftData:
				assert.Equal(t, gone.id, data.UserID)
			}
		}
		heard = adminWas.hears(client.EventGroupUpdated, client.EventMemberUpdated, client.EventMemberLeft, client.EventMemberLeft,
			client.EventFriendRequestUpdated)
		settled := value[client.FriendRequest](t, heard[slices.IndexFunc(heard, func(e client.Event) bool { return e.Type == client.EventFriendRequestUpdated })])
		assert.Equal(t, received.ID, settled.ID)
		assert.Equal(t, client.RequestStateDeclined, settled.State)
		changed := value[client.BlockChangedData](t, blockerWas.hears(client.EventBlockChanged)[0])
		assert.Equal(t, client.BlockChangedData{User: nobody, Blocked: false}, changed)
		heard = askedWas.hears(client.EventJoinRequestUpdated, client.EventFriendRequestUpdated)
		assert.Equal(t, client.RequestStateCancelled, value[client.JoinRequest](t, heard[0]).State)
		cancelled := value[client.FriendRequest](t, heard[1])
		assert.Equal(t, client.RequestStateCancelled, cancelled.State)
		assert.Equal(t, 0, *cancelled.IncomingRequestCount)

		// What is asked shows the same.
		profile, err := friend.User(t.Context(), gone.id)
		require.NoError(t, err)
		assert.Equal(t, nobody, profile)
		assert.Equal(t, []string{"Remember me."}, bodies(friend.history(message.ConversationID)))
		assert.Equal(t, []string{"And you too."}, bodies(written(admin.history(group))))
		conversation, err := friend.Conversation(t.Context(), message.ConversationID)
		require.NoError(t, err)
		assert.Equal(t, nobody, *conversation.Peer)
		now, err := admin.Group(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, admin.id, now.OwnerID)
		assert.Equal(t, 2, now.MemberCount)
		assert.Equal(t, client.RoleOwner, *now.MyRole)
		now, err = admin.Group(t.Context(), other)
		require.NoError(t, err)
		assert.Equal(t, 1, now.MemberCount)
		_, err = friend.Group(t.Context(), alone)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		friends, err := friend.Friends(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Empty(t, friends.Items)
		blocks, err := blocker.Blocks(t.Context(), client.Page{})
		require.NoError(t, err)
		assert.Empty(t, blocks.Items)

		// Nobody reaches the account, finds it, or poses as it.
		_, err = friend.SendToUser(t.Context(), gone.id, client.SendMessageRequest{Body: "x"})
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = friend.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: gone.id})
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = admin.PutMember(t.Context(), group, gone.id, "")
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		for _, query := range []string{gone.name, "~", "Deleted"} {
			found, err := friend.FindUsers(t.Context(), query, client.Page{})
			require.NoError(t, err)
			assert.False(t, slices.ContainsFunc(found.Items, func(p client.Profile) bool { return p.ID == gone.id }), query)
		}
		stranger := d.on(t, friend.http, 1, client.Options{})
		_, err = stranger.Login(t.Context(), client.LoginRequest{Username: gone.name, Password: password})
		refused(t, err, http.StatusUnauthorized, client.ProblemCodeInvalidCredentials)
		_, err = stranger.Register(t.Context(), client.RegisterRequest{Username: strings.ToUpper(gone.name), Password: password})
		refused(t, err, http.StatusConflict, client.ProblemCodeUsernameTaken)
	})
}

// written returns the messages that somebody has written, and not the group by itself.
func written(all []client.Message) []client.Message {
	return slices.DeleteFunc(all, func(m client.Message) bool { return m.Kind == client.MessageKindSystem })
}

func TestExportHasEverything(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		_, err := alice.SetRemark(t.Context(), bob.id, "from the fair")
		require.NoError(t, err)
		require.NoError(t, alice.Block(t.Context(), carol.id))
		mine, left := alice.group(bob), bob.group(alice)
		want := []string{}
		for n := range 210 { // more than one part of a list, with and without keys
			body := "message " + strconv.Itoa(n)
			options := []client.CreateOption{}
			if n%2 == 0 {
				options = append(options, client.WithIdempotencyKey("k-"+alice.id+strconv.Itoa(n)))
			}
			_, err := alice.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: body}, options...)
			require.NoError(t, err)
			want = append(want, body)
		}
		bob.say(alice, "not hers")
		alice.tell(mine, "to mine")
		alice.tell(left, "before I left")
		require.NoError(t, alice.LeaveGroup(t.Context(), left))

		body, err := alice.at(1).Export(t.Context())
		require.NoError(t, err)
		text, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		var export client.Export
		require.NoError(t, json.Unmarshal(text, &export))
		assert.Equal(t, alice.id, export.User.ID)
		assert.Len(t, export.Sessions, 1)
		require.Len(t, export.Friends, 1)
		assert.Equal(t, "from the fair", export.Friends[0].Remark)
		require.Len(t, export.Blocks, 1)
		assert.Equal(t, carol.id, export.Blocks[0].User.ID)
		require.Len(t, export.Groups, 1)
		assert.Equal(t, mine, export.Groups[0].ID)
		assert.Len(t, export.Conversations, 2)
		assert.Equal(t, append(want, "to mine", "before I left"), bodies(written(export.Messages)))
		assert.NotContains(t, string(text), "not hers,")
	})
}

// A new secret goes from node to node, and nobody notices: not a stream, not a token of any kind.
func TestSecretIsChangedWithoutLoggingAnybodyOut(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, settings{"JWT_SECRET": strings.Repeat("old", 20)})
	alice, bob := d.friends(t)
	reader := bob.stream(client.Begin)
	old := bob.Tokens()
	inboxToken, err := bob.InboxToken(t.Context())
	require.NoError(t, err)
	sent := 0
	say := func(n int) {
		t.Helper()
		alice.at(n).say(bob, "message "+strconv.Itoa(sent))
		sent++
	}
	restart := func(n *node, change settings) {
		t.Helper()
		require.NoError(t, n.stop())
		n.env = maps.Clone(n.env)
		for name, value := range change {
			n.env["LONGWIRE_"+name] = value
		}
		require.NoError(t, n.start())
	}
	secrets := []string{strings.Repeat("old", 20), strings.Repeat("new", 20)}
	for _, step := range []settings{
		{"JWT_PREVIOUS_SECRETS": secrets[1]},                           // all believe the new one,
		{"JWT_SECRET": secrets[1], "JWT_PREVIOUS_SECRETS": secrets[0]}, // then it signs,
	} {
		for i, n := range d.nodes {
			restart(n, step)
			say(i + 1) // by the other node, which has another secret or the same
			say(i)
		}
	}
	reader.hasMessages("", sent)
	for n := range 2 {
		for name, r := range map[string]raw{
			"access token":  {url: d.url(n, "/v1/me"), token: old.Access},
			"inbox token":   {url: d.url(n, "/v1/inbox/poll?wait=0&access_token="+inboxToken.Token)},
			"refresh token": {method: http.MethodPost, url: d.url(n, "/v1/auth/refresh"), body: `{"refresh_token":"` + old.Refresh + `"}`},
		} {
			got := ask(t, bob.http, r)
			assert.Equal(t, http.StatusOK, got.status, "%s of the old secret: %s", name, got.body)
		}
	}
	// A refresh gives tokens of the new secret, which outlive the old one.
	signIn, err := bob.Refresh(t.Context())
	require.NoError(t, err)
	for _, n := range d.nodes {
		restart(n, settings{"JWT_PREVIOUS_SECRETS": ""})
	}
	got := ask(t, bob.http, raw{url: d.url(1, "/v1/me"), token: signIn.AccessToken})
	assert.Equal(t, http.StatusOK, got.status, "%s", got.body)
	got = ask(t, bob.http, raw{url: d.url(1, "/v1/me"), token: old.Access})
	assert.Equal(t, http.StatusUnauthorized, got.status, "what nobody believes any more is over")
	assert.Empty(t, reader.resets)
}

func TestKeptKeyIsChangedWithoutLoggingAnybodyOut(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"JWT_SECRET": ""})
	alice := d.person(t, 0, "alice")
	old := alice.Tokens()
	n := d.node(0)
	dir := n.env["LONGWIRE_DATA_DIR"]
	before, err := os.ReadFile(filepath.Join(dir, "signing-key"))
	require.NoError(t, err)
	require.NoError(t, n.stop())
	require.NoError(t, os.Rename(filepath.Join(dir, "signing-key"), filepath.Join(dir, "signing-key.previous")))
	require.NoError(t, n.start())
	after, err := os.ReadFile(filepath.Join(dir, "signing-key"))
	require.NoError(t, err)
	assert.False(t, bytes.Equal(before, after))
	got := ask(t, alice.http, raw{url: d.url(0, "/v1/me"), token: old.Access})
	assert.Equal(t, http.StatusOK, got.status)
	signIn, err := alice.Refresh(t.Context())
	require.NoError(t, err)
	require.NoError(t, n.stop())
	require.NoError(t, os.Remove(filepath.Join(dir, "signing-key.previous")))
	require.NoError(t, n.start())
	got = ask(t, alice.http, raw{url: d.url(0, "/v1/me"), token: signIn.AccessToken})
	assert.Equal(t, http.StatusOK, got.status)
	got = ask(t, alice.http, raw{url: d.url(0, "/v1/me"), token: old.Access})
	assert.Equal(t, http.StatusUnauthorized, got.status)
}
