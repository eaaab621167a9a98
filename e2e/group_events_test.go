package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// groupView is what a device knows of one group by nothing but events, applied in order.
type groupView struct {
	group       client.Group
	there       bool // the user is a member
	role        client.Role
	members     map[string]client.Role
	muted       map[string]*client.Time
	requests    map[string]client.JoinRequest // waiting
	invitations map[string]client.Invitation
	bans        map[string]client.Ban
	messages    []client.Message
	unread      int64
	readSeq     int64
	waiting     *int
}

// viewOf applies an inbox from a cursor on to what a device knew of a group.
func viewOf(p *person, known *groupView, id string, events []client.Event) *groupView {
	v := known
	for _, event := range events {
		switch data := event.Value().(type) {
		case client.Group:
			if data.ID == id {
				v.group, v.there = data, true
			}
		case client.GroupDissolvedData:
			v.there = v.there && data.GroupID != id
		case client.MemberJoinedData:
			if data.Group.ID == id {
				v.joined(p, data)
			}
		case client.MemberLeftData:
			if data.GroupID == id {
				v.group.MemberCount = data.MemberCount
				delete(v.members, data.UserID)
				delete(v.muted, data.UserID)
				v.there = v.there && data.UserID != p.id
			}
		case client.MemberUpdatedData:
			if data.GroupID == id {
				v.members[data.UserID], v.muted[data.UserID] = data.Role, data.MutedUntil
				if data.UserID == p.id {
					v.role = data.Role
				}
				if data.JoinRequestCount != nil {
					v.waiting = data.JoinRequestCount
				}
			}
		case client.JoinRequest:
			if data.GroupID == id {
				if data.State == client.RequestStatePending {
					v.requests[data.User.ID] = data
				} else {
					delete(v.requests, data.User.ID)
				}
				v.waiting = data.PendingCount
			}
		case client.Invitation:
			v.invitations[data.ID] = data
		case client.InvitationRevokedData:
			delete(v.invitations, data.ID)
		case client.Ban:
			v.bans[data.User.ID] = data
		case client.BanRemovedData:
			delete(v.bans, data.UserID)
		case client.Message:
			if data.ConversationID == id {
				v.messages = append(v.messages, data)
			}
		case client.Conversation:
			if data.ID == id {
				v.readSeq, v.unread = data.ReadSeq, data.UnreadCount
			}
		case client.ConversationReadData:
			if data.ConversationID == id {
				v.readSeq, v.unread = data.ReadSeq, *data.UnreadCount
			}
		}
	}
	return v
}

func (v *groupView) joined(p *person, data client.MemberJoinedData) {
	v.group = data.Group
	v.members[data.User.ID] = data.Role
	v.muted[data.User.ID] = data.MutedUntil
	if data.User.ID == p.id {
		v.there, v.role = true, data.Role
	}
}

// snapshotOf is what a device knows of a group by asking.
func snapshotOf(p *person, id string) *groupView {
	p.t.Helper()
	v := &groupView{
		members: map[string]client.Role{}, muted: map[string]*client.Time{}, requests: map[string]client.JoinRequest{},
		invitations: map[string]client.Invitation{}, bans: map[string]client.Ban{},
	}
	group, err := p.Group(p.t.Context(), id)
	if err != nil || group.MyRole == nil {
		return v
	}
	v.there, v.role, v.waiting = true, *group.MyRole, group.JoinRequestCount
	group.MyRole, group.JoinRequestCount = nil, nil // as in events
	v.group = group
	conversation, err := p.Conversation(p.t.Context(), id)
	require.NoError(p.t, err)
	v.unread, v.readSeq = conversation.UnreadCount, conversation.ReadSeq
	v.messages = p.wholeHistory(id)
	each(p, func(page client.Page) (client.List[client.Member], error) { return p.Members(p.t.Context(), id, page) }, func(m client.Member) {
		v.members[m.User.ID] = m.Role
		if m.MutedUntil != nil {
			v.muted[m.User.ID] = m.MutedUntil
		}
	})
	if v.role == client.RoleMember {
		return v
	}
	each(p, func(page client.Page) (client.List[client.JoinRequest], error) {
		return p.JoinRequests(p.t.Context(), id, page)
	},
		func(r client.JoinRequest) { v.requests[r.User.ID] = r })
	each(p, func(page client.Page) (client.List[client.Invitation], error) {
		return p.Invitations(p.t.Context(), id, page)
	},
		func(i client.Invitation) { v.invitations[i.ID] = i })
	each(p, func(page client.Page) (client.List[client.Ban], error) { return p.Bans(p.t.Context(), id, page) },
		func(b client.Ban) { v.bans[b.User.ID] = b })
	return v
}

func each[T any](p *person, list func(page client.Page) (client.List[T], error), do func(item T)) {
	p.t.Helper()
	for item, err := range client.All(p.t.Context(), func(_ context.Context, page client.Page) (client.List[T], error) { return list(page) }) {
		require.NoError(p.t, err)
		do(item)
	}
}

// agree checks that two devices show the same.
func (v *groupView) agree(t *testing.T, who string, asked *groupView) {
	t.Helper()
	require.Equal(t, asked.there, v.there, who)
	if !asked.there {
		return
	}
	assert.Equal(t, asked.group, v.group, who)
	assert.Equal(t, asked.role, v.role, who)
	assert.Equal(t, asked.members, v.members, who)
	for user := range v.members {
		assert.Equal(t, asked.muted[user], v.muted[user], who)
	}
	assert.Equal(t, asked.readSeq, v.readSeq, who)
	if asked.role == client.RoleMember {
		return
	}
	assert.Len(t, v.requests, len(asked.requests), who)
	require.NotNil(t, v.waiting, who)
	assert.Equal(t, len(asked.requests), *v.waiting, who)
	assert.Equal(t, asked.invitations, v.invitations, who)
	assert.Equal(t, asked.bans, v.bans, who)
}

// One device of everybody is away while all of this happens; with its old cursor and nothing else it comes to show what the others show.
func TestDeviceThatWasAwayLearnsAllOfAGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "member", "joiner", "leaver", "asker", "invited", "banned")
		owner, admin, member, joiner, leaver, asker, invited, banned := people[0], people[1], people[2], people[3], people[4], people[5], people[6], people[7]
		ctx := t.Context()
		group := owner.makes(client.VisibilityPublic, client.JoinPolicyApproval, admin, member, leaver, banned).ID
		_, err := owner.PutMember(ctx, group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		owner.tell(group, "Welcome.")
		away := map[*person]client.Cursor{}
		known := map[*person]*groupView{}
		for _, p := range people {
			snapshot, err := p.Sync(ctx)
			require.NoError(t, err)
			away[p], known[p] = snapshot.Cursor, snapshotOf(p, group)
		}
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		for i, act := range []func() error{
			func() error { _, err := joiner.AskToJoin(ctx, group, "please"); return err },
			func() error { _, err := asker.JoinGroup(ctx, group); return err },
			func() error { _, err := admin.AcceptJoinRequest(ctx, group, joiner.id); return err },
			func() error { return leaver.LeaveGroup(ctx, group) },
			func() error {
				_, err := owner.UpdateGroup(ctx, group, client.UpdateGroupRequest{Name: new("New name"), AddPolicy: new(client.AddPolicyMembers)})
				return err
			},
			func() error { _, err := admin.SetAnnouncement(ctx, group, "Next week."); return err },
			func() error { _, err := admin.MuteMember(ctx, group, member.id, until); return err },
			func() error { return member.LeaveGroup(ctx, group) }, // and is muted all the same, coming back
			func() error { _, err := admin.PutMember(ctx, group, member.id, ""); return err },
			func() error { _, err := admin.BanUser(ctx, group, banned.id, "Spam."); return err },
			func() error { _, err := owner.BanUser(ctx, group, leaver.id, ""); return err },
			func() error { return owner.LiftBan(ctx, group, leaver.id) },
			func() error {
				kept, err := owner.CreateInvitation(ctx, group, client.CreateInvitationRequest{MaxUses: new(5)})
				if err == nil {
					_, err = invited.JoinByInvitation(ctx, kept.Code)
				}
				return err
			},
			func() error {
				made, err := admin.CreateInvitation(ctx, group, client.CreateInvitationRequest{})
				if err == nil {
					err = admin.RevokeInvitation(ctx, group, made.ID)
				}
				return err
			},
			func() error { _, err := owner.PutMember(ctx, group, joiner.id, client.RoleAdmin); return err },
			func() error { _, err := owner.PutMember(ctx, group, admin.id, client.RoleOwner); return err },
			func() error {
				_, err := joiner.SendToGroup(ctx, group, client.SendMessageRequest{Body: "Hello."})
				return err
			},
		} {
			require.NoError(t, act(), "step %d", i)
		}
		for _, p := range people {
			var events []client.Event
			for _, event := range p.everything(100) {
				if place(event.Cursor) > place(away[p]) {
					events = append(events, event)
				}
			}
			before := len(known[p].messages)
			view, asked := viewOf(p, known[p], group, events), snapshotOf(p, group)
			if p == invited || p == joiner { // the other members of a group that is new to the device are asked for
				view.members, view.muted, view.invitations, view.bans = asked.members, asked.muted, asked.invitations, asked.bans
				if p == joiner {
					view.requests = asked.requests
				}
			}
			view.agree(t, p.name, asked)
			if asked.there {
				assert.Subset(t, asked.messages, view.messages, p.name)
				assert.Greater(t, len(view.messages), before, p.name)
				if p != member { // who was no member for a moment
					assert.Equal(t, asked.messages[len(asked.messages)-len(view.messages):], view.messages, p.name)
				}
			}
		}
	})
}

func TestChangesOfMembershipAreSystemMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "member", "added", "banned", "new")
		owner, member, added, banned := people[0], people[1], people[2], people[3]
		joiner := people[4]
		group := owner.makes(client.VisibilityPublic, client.JoinPolicyOpen, member, banned).ID
		ctx := t.Context()
		for i, act := range []func() error{
			func() error { _, err := owner.PutMember(ctx, group, added.id, ""); return err },
			func() error { _, err := joiner.JoinGroup(ctx, group); return err },
			func() error { return owner.RemoveMember(ctx, group, added.id) },
			func() error { _, err := owner.BanUser(ctx, group, banned.id, ""); return err },
			func() error {
				_, err := owner.UpdateGroup(ctx, group, client.UpdateGroupRequest{Name: new("Go")})
				return err
			},
			func() error {
				_, err := owner.UpdateGroup(ctx, group, client.UpdateGroupRequest{Description: new("Not worth a message")})
				return err
			},
			func() error { _, err := owner.SetAnnouncement(ctx, group, "Now."); return err },
			func() error { _, err := owner.PutMember(ctx, group, member.id, client.RoleOwner); return err },
			func() error { return owner.LeaveGroup(ctx, group) },
		} {
			require.NoError(t, act(), "step %d", i)
		}
		want := []client.SystemEvent{
			{Type: client.SystemTypeGroupCreated, By: owner.id, UserIds: []string{member.id, banned.id}},
			{Type: client.SystemTypeMemberJoined, By: owner.id, UserIds: []string{added.id}},
			{Type: client.SystemTypeMemberJoined, By: joiner.id, UserIds: []string{joiner.id}},
			{Type: client.SystemTypeMemberRemoved, By: owner.id, UserIds: []string{added.id}},
			{Type: client.SystemTypeMemberBanned, By: owner.id, UserIds: []string{banned.id}},
			{Type: client.SystemTypeGroupRenamed, By: owner.id, UserIds: []string{}, Name: new("Go")},
			{Type: client.SystemTypeAnnouncementChanged, By: owner.id, UserIds: []string{}},
			{Type: client.SystemTypeOwnerChanged, By: owner.id, UserIds: []string{member.id}},
			{Type: client.SystemTypeMemberLeft, By: owner.id, UserIds: []string{owner.id}},
		}
		sentences := []string{
			"owner created the group.", "owner added added.", "new joined.", "owner removed added.", "owner banned banned.",
			"owner renamed the group to “Go”.", "owner changed the announcement.", "owner made member the owner.", "owner left.",
		}
		history := member.wholeHistory(group)
		require.Len(t, history, len(want))
		for i, message := range history {
			assert.EqualValues(t, i+1, message.Seq)
			assert.Equal(t, client.MessageKindSystem, message.Kind)
			assert.ElementsMatch(t, want[i].UserIds, message.System.UserIds)
			want[i].UserIds = message.System.UserIds
			assert.Equal(t, want[i], *message.System)
			assert.Equal(t, sentences[i], message.Body)
			assert.Equal(t, want[i].By, message.SenderID)
		}
		// Who was there all the time has the same in the inbox; others from their joining to their going.
		assert.Equal(t, history, everyMessage(member.everything(3), group))
		assert.Equal(t, history[2:], everyMessage(joiner.everything(500), group), "from the message of one's own joining on")
		assert.Equal(t, history[1:3], everyMessage(added.everything(500), group), "up to the removal")
		assert.Equal(t, history[:4], everyMessage(banned.everything(500), group))
		conversation, err := joiner.Conversation(ctx, group)
		require.NoError(t, err)
		assert.Zero(t, conversation.UnreadCount, "nobody has to read them")
		assert.Equal(t, history[len(history)-1], *conversation.LastMessage)
		forged := ask(t, member.http, raw{
			method: http.MethodPost, url: d.url(0, "/v1/groups/"+group+"/messages"), body: `{"kind":"system","body":"I am the system."}`,
			token: member.Tokens().Access, wrong: true,
		})
		assert.Equal(t, http.StatusUnprocessableEntity, forged.status)
	})
}

func TestNewcomersSeeNoEarlierHistoryWhereTheGroupSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "early", "late")
		owner, early, late := people[0], people[1], people[2]
		for _, shown := range []bool{true, false} {
			made, err := owner.CreateGroup(t.Context(), client.CreateGroupRequest{
				Name: "Club", Visibility: client.VisibilityPublic, JoinPolicy: client.JoinPolicyOpen, Members: []string{early.id}, HistoryForNewcomers: &shown,
			})
			require.NoError(t, err)
			assert.Equal(t, shown, made.HistoryForNewcomers)
			for i := range 3 {
				owner.tell(made.ID, fmt.Sprint("before ", i))
			}
			_, err = late.JoinGroup(t.Context(), made.ID)
			require.NoError(t, err)
			conversation, err := late.at(1).Conversation(t.Context(), made.ID)
			require.NoError(t, err)
			assert.Zero(t, conversation.UnreadCount, "what was said before is history")
			require.NotNil(t, conversation.LastMessage)
			assert.Equal(t, "late joined.", conversation.LastMessage.Body)
			owner.tell(made.ID, "after")
			all := early.wholeHistory(made.ID)
			require.Len(t, all, 6)
			if !shown {
				all = all[4:]
			}
			assert.Equal(t, all, late.wholeHistory(made.ID))
			first, err := late.Messages(t.Context(), made.ID, client.HistoryQuery{Limit: 1, BeforeSeq: new(all[1].Seq)})
			require.NoError(t, err)
			assert.False(t, first.HasMoreBefore, "nothing tells that there is more")
			conversation, err = late.at(1).Conversation(t.Context(), made.ID)
			require.NoError(t, err)
			assert.EqualValues(t, 1, conversation.UnreadCount)
			listed, err := late.Conversations(t.Context(), client.Page{Limit: 1})
			require.NoError(t, err)
			assert.Equal(t, "after", listed.Items[0].LastMessage.Body)

			// What is said of a message later would say what the history hides.
			earlier := early.wholeHistory(made.ID)[1].Seq
			_, err = owner.EditMessage(t.Context(), made.ID, earlier, client.EditMessageRequest{Body: new("Not for newcomers.")})
			require.NoError(t, err)
			_, err = early.AddReaction(t.Context(), made.ID, earlier, "👍")
			require.NoError(t, err)
			for _, seq := range []int64{earlier, all[len(all)-1].Seq} {
				_, err = owner.PinMessage(t.Context(), made.ID, seq)
				require.NoError(t, err)
			}
			_, err = owner.RecallMessage(t.Context(), made.ID, earlier)
			require.NoError(t, err)
			heard := map[client.EventType]int{}
			for _, event := range late.everything(500) {
				switch data := event.Value().(type) {
				case client.Message:
					if data.ConversationID == made.ID && data.Seq == earlier {
						heard[event.Type]++
					}
				case client.ReactionChangedData:
					heard[event.Type]++
				case client.PinChangedData:
					if data.ConversationID != made.ID {
						continue
					}
					heard[event.Type]++
					assert.Equal(t, shown, slices.ContainsFunc(data.Pins, func(pin client.Pin) bool { return pin.Seq == earlier }) || data.Seq == earlier)
				}
			}
			if shown {
				assert.Equal(t, map[client.EventType]int{
					client.EventMessageEdited: 1, client.EventReactionChanged: 1, client.EventPinChanged: 3, client.EventMessageRecalled: 1,
				}, heard)
			} else {
				assert.Equal(t, map[client.EventType]int{client.EventReactionChanged: 1, client.EventPinChanged: 1}, heard, "the reaction is that of the other group")
			}
		}
	})
}

func TestWhoClearedAConversationHearsNoMoreOfWhatWasInIt(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		ctx := t.Context()
		first, second := alice.say(bob, "one"), alice.say(bob, "two")
		id := first.ConversationID
		_, err := alice.PinMessage(ctx, id, first.Seq)
		require.NoError(t, err)
		require.NoError(t, bob.ClearConversation(ctx, id))
		snapshot, err := bob.Sync(ctx)
		require.NoError(t, err)
		third := alice.say(bob, "three")
		for _, step := range []error{
			failure(alice.EditMessage(ctx, id, second.Seq, client.EditMessageRequest{Body: new("two!"), Mentions: new([]string{bob.id})})),
			failure(alice.AddReaction(ctx, id, second.Seq, "👍")),
			failure(alice.UnpinMessage(ctx, id, first.Seq)),
			failure(alice.PinMessage(ctx, id, second.Seq)),
			failure(alice.PinMessage(ctx, id, third.Seq)),
		} {
			require.NoError(t, step)
		}
		var kinds []client.EventType
		for _, event := range bob.everything(500) {
			if place(event.Cursor) <= place(snapshot.Cursor) {
				continue
			}
			kinds = append(kinds, event.Type)
			if pins, ok := event.Value().(client.PinChangedData); ok {
				require.Len(t, pins.Pins, 1)
				assert.Equal(t, third.Seq, pins.Pins[0].Seq)
			}
		}
		assert.Equal(t, []client.EventType{client.EventConversationAdded, client.EventMessageCreated, client.EventPinChanged}, kinds)
		now, err := bob.PinMessage(ctx, id, third.Seq) // it is pinned
		require.NoError(t, err)
		assert.Len(t, now.Pins, 1, "the answer has no more of them either")
		all, err := alice.PinMessage(ctx, id, third.Seq)
		require.NoError(t, err)
		assert.Len(t, all.Pins, 2)
	})
}
