package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"longwire/client"
)

// crowd is a few people who do all sorts of things, and what they did it with. Ada is the one whose devices are compared.
type crowd struct {
	t        *testing.T
	d        *deployment
	ada      *person
	people   []*person // drawing prefers the first
	groups   []string
	requests []string
	talks    map[string]int64 // conversation → its newest message
	devices  []string         // sessions of Ada's that have begun meanwhile
	far      map[string]bool  // with whom Ada had a block at some time: they are not told of each other's profiles then
}

// somebody draws a person, at some node.
func (w *crowd) somebody(rt *rapid.T, what string) *person {
	return w.draw(rt, what, w.people).at(rapid.IntRange(0, 1).Draw(rt, "node"))
}

// another draws somebody else.
func (w *crowd) another(rt *rapid.T, but *person) *person {
	return w.draw(rt, "the other", slices.DeleteFunc(slices.Clone(w.people), func(p *person) bool { return p.id == but.id }))
}

// draw draws one of some people, by name, so that what was drawn can be read.
func (w *crowd) draw(rt *rapid.T, what string, from []*person) *person {
	var names []string
	for _, p := range from {
		names = append(names, p.name)
	}
	return from[slices.Index(names, rapid.SampledFrom(names).Draw(rt, what))]
}

func (w *crowd) group(rt *rapid.T) string { return rapid.SampledFrom(w.groups).Draw(rt, "group") }

// talk draws a conversation in which something was said; newCrowd says something.
func (w *crowd) talk(rt *rapid.T) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(w.talks))).Draw(rt, "conversation")
}

// message draws one of a conversation, mostly one of the newest.
func (w *crowd) message(rt *rapid.T) (conversation string, seq int64) {
	id := w.talk(rt)
	return id, max(1, w.talks[id]-rapid.Int64Range(0, 3).Draw(rt, "back"))
}

// bold is for what may be refused with a 422, because of what was done before: mentioning who is no member, forwarding what is gone.
func bold(err error) error {
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusUnprocessableEntity {
		return nil
	}
	return err
}

// said notes a message.
func (w *crowd) said(message client.Message, err error) error {
	if err == nil {
		w.talks[message.ConversationID] = max(w.talks[message.ConversationID], message.Seq)
	}
	return err
}

// actions is what people may do. An action draws who does it and with what; that the server refuses it is no fault, because whether
// it is allowed depends on what was done before. To have another kind of event tested, add what causes it here, and a case to applyEvent.
var actions = map[string]func(ctx context.Context, w *crowd, rt *rapid.T) error{
	"say": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		from := w.somebody(rt, "sender")
		return w.said(from.SendToUser(ctx, w.another(rt, from).id, client.SendMessageRequest{Body: rapid.StringMatching(`[a-zé😀]{1,9}`).Draw(rt, "body")}))
	},
	"tell": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		return w.said(w.somebody(rt, "sender").SendToGroup(ctx, w.group(rt), client.SendMessageRequest{Body: "to all"}))
	},
	"read": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id := w.talk(rt)
		_, err := w.somebody(rt, "reader").MarkRead(ctx, id, w.talks[id]-rapid.Int64Range(0, w.talks[id]).Draw(rt, "back"))
		return err
	},
	"set": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		change := rapid.SampledFrom([]client.UpdateConversationRequest{
			{Pinned: new(true)},
			{Archived: new(true)},
			{MarkedUnread: new(true)},
			{Muted: new(true)},
			{Archived: new(true), Muted: new(true)},
			{Pinned: new(false), MarkedUnread: new(false)},
			{Archived: new(false)},
			{Muted: new(false)},
		}).Draw(rt, "what")
		_, err := w.somebody(rt, "who").UpdateConversation(ctx, w.talk(rt), change)
		return err
	},
	"clear": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		return w.somebody(rt, "who").ClearConversation(ctx, w.talk(rt))
	},
	"ask": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		from := w.somebody(rt, "asker")
		request, err := from.RequestFriend(ctx, client.FriendRequestRequest{UserID: w.another(rt, from).id})
		if err == nil {
			w.requests = append(w.requests, request.ID)
		}
		return err
	},
	"answer": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		if len(w.requests) == 0 {
			return nil
		}
		who, id := w.somebody(rt, "who answers"), w.requests[len(w.requests)-1]
		switch rapid.IntRange(0, 3).Draw(rt, "answer") {
		case 0:
			return who.CancelFriendRequest(ctx, id)
		case 1:
			_, err := who.DeclineFriendRequest(ctx, id)
			return err
		default:
			_, err := who.AcceptFriendRequest(ctx, id)
			return err
		}
	},
	"unfriend": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who := w.somebody(rt, "who")
		return who.RemoveFriend(ctx, w.another(rt, who).id)
	},
	"block": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who := w.somebody(rt, "who")
		whom := w.another(rt, who)
		w.far[who.id], w.far[whom.id] = true, true
		return who.Block(ctx, whom.id)
	},
	"unblock": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who := w.somebody(rt, "who")
		return who.Unblock(ctx, w.another(rt, who).id)
	},
	"found": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who := w.somebody(rt, "owner")
		group, err := who.CreateGroup(ctx, client.CreateGroupRequest{
			Name: "Club", Visibility: client.VisibilityPublic, Members: []string{w.another(rt, who).id},
			HistoryForNewcomers: new(rapid.Bool().Draw(rt, "history for newcomers")),
			JoinPolicy:          rapid.SampledFrom([]client.JoinPolicy{client.JoinPolicyOpen, client.JoinPolicyApproval, client.JoinPolicyInvite}).Draw(rt, "policy"),
		})
		if err == nil {
			w.groups = append(w.groups, group.ID)
		}
		return err
	},
	"rename": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		_, err := w.somebody(rt, "who").UpdateGroup(ctx, w.group(rt), client.UpdateGroupRequest{Name: new(rapid.StringMatching(`[a-z]{3}`).Draw(rt, "name"))})
		return err
	},
	"join": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		_, err := w.somebody(rt, "who").JoinGroup(ctx, w.group(rt))
		return err
	},
	"leave": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		return w.somebody(rt, "who").LeaveGroup(ctx, w.group(rt))
	},
	"put": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		role := rapid.SampledFrom([]client.Role{"", client.RoleMember, client.RoleAdmin, client.RoleOwner}).Draw(rt, "role")
		_, err := w.somebody(rt, "who").PutMember(ctx, w.group(rt), w.somebody(rt, "member").id, role)
		return err
	},
	"remove": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		return w.somebody(rt, "who").RemoveMember(ctx, w.group(rt), w.somebody(rt, "member").id)
	},
	"mention": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		from := w.somebody(rt, "sender")
		mentions := []string{w.another(rt, from).id}
		return bold(w.said(from.SendToGroup(ctx, w.group(rt), client.SendMessageRequest{Body: "you there", Mentions: mentions})))
	},
	"forward": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		from := w.somebody(rt, "sender")
		id, seq := w.message(rt)
		return bold(w.said(from.SendToGroup(ctx, w.group(rt), client.SendMessageRequest{Forward: &client.MessageRef{ConversationID: id, Seq: seq}})))
	},
	"edit": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id, seq := w.message(rt)
		change := client.EditMessageRequest{Body: new(rapid.StringMatching(`[a-z]{2}`).Draw(rt, "body"))}
		if rapid.Bool().Draw(rt, "mentions too") {
			change.Mentions = new([]string{w.somebody(rt, "mentioned").id})
		}
		return w.bySender(ctx, rt, id, seq, func(sender *person) error {
			return bold(failure(sender.EditMessage(ctx, id, seq, change)))
		})
	},
	"recall": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id, seq := w.message(rt)
		return w.bySender(ctx, rt, id, seq, func(sender *person) error { return failure(sender.RecallMessage(ctx, id, seq)) })
	},
	"delete": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id, seq := w.message(rt)
		return w.somebody(rt, "who").DeleteMessage(ctx, id, seq)
	},
	"react": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id, seq := w.message(rt)
		who, emoji := w.somebody(rt, "who"), rapid.SampledFrom([]string{"👍", "❤️"}).Draw(rt, "emoji")
		if rapid.IntRange(0, 2).Draw(rt, "off") == 2 {
			return failure(who.RemoveReaction(ctx, id, seq, emoji))
		}
		return failure(who.AddReaction(ctx, id, seq, emoji))
	},
	"pin": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		id, seq := w.message(rt)
		who := w.somebody(rt, "who")
		if rapid.IntRange(0, 2).Draw(rt, "off") == 2 {
			return failure(who.UnpinMessage(ctx, id, seq))
		}
		return failure(who.PinMessage(ctx, id, seq))
	},
	"profile": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		change := rapid.SampledFrom([]client.UpdateMeRequest{
			{StatusText: new("away")},
			{DisplayName: new("Somebody else")},
			{StatusText: new(""), AcceptMessagesFrom: new(client.AcceptanceEveryone)},
			{AcceptGroupInvitesFrom: new(client.AcceptanceFriends)},
			{AcceptMessagesFrom: new(client.AcceptanceEveryone), PresenceVisibility: new(client.PresenceVisibilityNobody)},
		}).Draw(rt, "what")
		return failure(w.somebody(rt, "who").UpdateMe(ctx, change))
	},
	"remark": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who := w.somebody(rt, "who")
		return failure(who.SetRemark(ctx, w.another(rt, who).id, rapid.StringMatching(`[a-z]{0,2}`).Draw(rt, "remark")))
	},
	"login": func(ctx context.Context, w *crowd, _ *rapid.T) error {
		signIn, err := w.d.on(w.t, w.ada.http, 0, client.Options{}).Login(ctx, client.LoginRequest{Username: w.ada.name, Password: password, DeviceName: new("another")})
		if err == nil {
			w.devices = append(w.devices, signIn.SessionID)
		}
		return err
	},
	"logout": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		if len(w.devices) == 0 {
			return nil
		}
		return w.ada.EndSession(ctx, rapid.SampledFrom(w.devices).Draw(rt, "session"))
	},
	"mute": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who, whom, group := w.somebody(rt, "who"), w.somebody(rt, "whom"), w.group(rt)
		if rapid.Bool().Draw(rt, "on") {
			return failure(who.MuteMember(ctx, group, whom.id, time.Now().Add(time.Hour).Truncate(time.Millisecond)))
		}
		return who.UnmuteMember(ctx, group, whom.id)
	},
	"ban": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who, whom, group := w.somebody(rt, "who"), w.somebody(rt, "whom"), w.group(rt)
		if rapid.Bool().Draw(rt, "on") {
			return failure(who.BanUser(ctx, group, whom.id, "Spam."))
		}
		return who.LiftBan(ctx, group, whom.id)
	},
	"invite": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		made, err := w.somebody(rt, "who").CreateInvitation(ctx, w.group(rt), client.CreateInvitationRequest{MaxUses: new(2)})
		if err != nil {
			return err
		}
		if rapid.IntRange(0, 2).Draw(rt, "revoked") == 2 {
			return w.somebody(rt, "who revokes").RevokeInvitation(ctx, made.GroupID, made.ID)
		}
		return failure(w.somebody(rt, "who comes").JoinByInvitation(ctx, made.Code))
	},
	"let in": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		who, whom, group := w.somebody(rt, "who"), w.somebody(rt, "whom"), w.group(rt)
		if rapid.IntRange(0, 2).Draw(rt, "decline") == 2 {
			return who.DeclineJoinRequest(ctx, group, whom.id)
		}
		return failure(who.AcceptJoinRequest(ctx, group, whom.id))
	},
	"announce": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		return failure(w.somebody(rt, "who").SetAnnouncement(ctx, w.group(rt), "Now."))
	},
	"dissolve": func(ctx context.Context, w *crowd, rt *rapid.T) error {
		if len(w.groups) < 2 {
			return nil
		}
		return w.somebody(rt, "who").DissolveGroup(ctx, w.group(rt))
	},
}

// bySender does something as the one who sent a message.
func (w *crowd) bySender(ctx context.Context, rt *rapid.T, conversation string, seq int64, do func(sender *person) error) error {
	for _, p := range w.people {
		message, err := p.Message(ctx, conversation, seq)
		if err != nil {
			continue
		}
		for _, sender := range w.people {
			if sender.id == message.SenderID {
				return do(sender.at(rapid.IntRange(0, 1).Draw(rt, "node")))
			}
		}
	}
	return nil
}

// often is how many times as often as others an action is drawn. Without it most of what people do is refused, because they are no friends.
var often = map[string]int{"say": 5, "tell": 5, "read": 5, "mention": 4, "set": 4, "edit": 3, "recall": 2, "delete": 2, "react": 3, "pin": 3, "ask": 4, "answer": 4, "put": 3, "join": 2, "found": 2}

// lots is what actions are drawn from: first each of them once, and then again those that are to come more often. Drawing
// prefers what stands first.
func lots() []string {
	names := slices.Sorted(maps.Keys(actions))
	slices.SortStableFunc(names, func(a, b string) int { return often[b] - often[a] })
	all := slices.Clone(names)
	for round := 1; round < 5; round++ {
		for _, name := range names {
			if often[name] > round {
				all = append(all, name)
			}
		}
	}
	return all
}

// act does one thing, and returns what is not merely a refusal.
func (w *crowd) act(ctx context.Context, rt *rapid.T, name string) error {
	err := actions[name](ctx, w, rt)
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Status >= 400 && problem.Status < 500 && problem.Status != http.StatusUnprocessableEntity {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// newCrowd begins with people who know each other and have a group.
func newCrowd(t *testing.T, d *deployment) *crowd {
	t.Helper()
	people := d.people(t, "bob", "ada", "cleo")
	bob, ada, cleo := people[0], people[1], people[2]
	befriend(t, ada, bob)
	w := &crowd{t: t, d: d, people: people, ada: ada, groups: []string{bob.group(ada), ada.group(bob, cleo)}, talks: map[string]int64{}, far: map[string]bool{}}
	require.NoError(t, w.said(bob.say(ada, "There is something unread already."), nil))
	require.NoError(t, w.said(bob.tell(w.groups[0], "Here too."), nil))
	return w
}

// catchUp has a device read its inbox from where it is up to target, on transports, nodes and in portions that are drawn. Now and
// then the device forgets how far it was and applies events again.
func catchUp(ctx context.Context, rt *rapid.T, p *person, r *replica, target client.Cursor) error {
	before := r.cursor
	for place(r.cursor) < place(target) {
		reader := p.at(rapid.IntRange(0, 1).Draw(rt, "node"))
		portion := rapid.IntRange(1, 7).Draw(rt, "portion")
		how := rapid.SampledFrom([]string{"get", "poll", "stream", "again"}).Draw(rt, "transport")
		if how == "again" {
			r.cursor, before = before, r.cursor
			if place(r.cursor) > place(before) {
				r.cursor = before
			}
			how = "get"
		}
		var events []client.Event
		switch how {
		case "stream":
			ctx, cancel := context.WithTimeout(ctx, patience)
			for event, err := range reader.Stream(ctx, client.StreamOptions{Cursor: r.cursor}) {
				if err != nil {
					cancel()
					return err
				}
				if event.Cursor != "" {
					events = append(events, event)
				}
				if len(events) == min(portion, int(place(target)-place(r.cursor))) {
					break
				}
			}
			cancel()
		default:
			options := client.PollOptions{Cursor: r.cursor, Limit: portion}
			if how == "poll" {
				options.Wait = 5 * time.Second
			}
			part, err := reader.Poll(ctx, options)
			if err != nil {
				return err
			}
			if part.Reset != nil {
				return fmt.Errorf("reset: %s", part.Reset.Reason)
			}
			events = part.Events
		}
		for _, event := range events {
			if event.Cursor == "" {
				continue
			}
			if place(event.Cursor) != place(r.cursor)+1 {
				return fmt.Errorf("after %s came %s", r.cursor, event.Cursor)
			}
			if err := r.applyEvent(event); err != nil {
				return err
			}
			r.cursor = event.Cursor
		}
	}
	return nil
}

// TestDevicesConverge: a device that was away shows, from its inbox alone, what the server shows the others. What the people do, in which
// portions and by which transports the device comes back, is drawn; a failure is shrunk to the fewest actions that show it.
func TestDevicesConverge(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		names := lots()
		applied := map[client.EventType]int{}
		rapid.Check(t, func(rt *rapid.T) {
			ctx := t.Context()
			w := newCrowd(t, d)
			ada := w.ada
			away, err := fetch(ctx, ada.Client)
			require.NoError(rt, err)
			for range rapid.IntRange(1, 3).Draw(rt, "absences") {
				for range rapid.IntRange(12, 40).Draw(rt, "actions") {
					require.NoError(rt, w.act(ctx, rt, rapid.SampledFrom(names).Draw(rt, "action")))
				}
				shown, err := fetch(ctx, ada.Client)
				require.NoError(rt, err)
				require.NoError(rt, catchUp(ctx, rt, ada, away, shown.cursor))
				near := func(user string) bool { return !w.far[user] }
				require.Equal(rt, shown.shown(away, near), away.shown(shown, near), "by what the server shows, and by events")
				require.NoError(rt, away.open(ctx, ada.Client))
			}
			for kind, times := range away.applied {
				applied[kind] += times
			}
		})
		t.Logf("events applied: %v", applied)
	})
}
