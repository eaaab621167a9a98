package e2e_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// household is Ada, who has several devices, the people around her, and what they have together.
type household struct {
	t                        *testing.T
	ada, bob, cleo, dan, eve *person
	private, cleos           string // conversations with Bob and with Cleo
	group, other             string // Ada's and Bob's; joining the first needs approval
	request, session         string // what the step before has made
	invitation               client.Invitation
}

// happening is something that happens while one of Ada's devices is away, and the event by which the device must learn of it.
type happening struct {
	event client.EventType
	what  string
	do    func(ctx context.Context, h *household) error
}

// happenings go through every event there is, in this order, because one makes what the next changes. A new event needs one here.
var happenings = []happening{
	{client.EventMessageCreated, "a private message", func(ctx context.Context, h *household) error {
		message, err := h.bob.SendToUser(ctx, h.ada.id, client.SendMessageRequest{Body: "one"})
		h.private = message.ConversationID
		return err
	}},
	{client.EventMessageCreated, "a group's message, with a mention", func(ctx context.Context, h *household) error {
		return failure(h.bob.SendToGroup(ctx, h.group, client.SendMessageRequest{Body: "you", Mentions: []string{h.ada.id}}))
	}},
	{client.EventMessageCreated, "her own message, from another device", func(ctx context.Context, h *household) error {
		return failure(h.ada.SendToUser(ctx, h.bob.id, client.SendMessageRequest{Body: "two"}, client.WithIdempotencyKey("k")))
	}},
	{client.EventConversationAdded, "somebody's first message", func(ctx context.Context, h *household) error {
		message, err := h.cleo.SendToUser(ctx, h.ada.id, client.SendMessageRequest{Body: "hello"})
		h.cleos = message.ConversationID
		return err
	}},
	{client.EventConversationUpdated, "clearing", func(ctx context.Context, h *household) error {
		return h.ada.ClearConversation(ctx, h.cleos)
	}},
	{client.EventConversationAdded, "a message after clearing", func(ctx context.Context, h *household) error {
		return failure(h.cleo.SendToUser(ctx, h.ada.id, client.SendMessageRequest{Body: "again"}))
	}},
	{client.EventMessageEdited, "an edit", func(ctx context.Context, h *household) error {
		return failure(h.bob.EditMessage(ctx, h.private, 1, client.EditMessageRequest{Body: new("one!")}))
	}},
	{client.EventConversationRead, "an edit that takes a mention away", func(ctx context.Context, h *household) error {
		return failure(h.bob.EditMessage(ctx, h.group, 2, client.EditMessageRequest{Body: new("all"), Mentions: new([]string{})}))
	}},
	{client.EventReactionChanged, "another's reaction", func(ctx context.Context, h *household) error {
		return failure(h.bob.AddReaction(ctx, h.private, 2, "👍"))
	}},
	{client.EventReactionChanged, "her own reaction", func(ctx context.Context, h *household) error {
		return failure(h.ada.AddReaction(ctx, h.private, 2, "👍"))
	}},
	{client.EventPinChanged, "pinning a message", func(ctx context.Context, h *household) error {
		return failure(h.bob.PinMessage(ctx, h.private, 1))
	}},
	{client.EventMessageDeleted, "deleting a message", func(ctx context.Context, h *household) error {
		return h.ada.DeleteMessage(ctx, h.private, 2)
	}},
	{client.EventMessageRecalled, "recalling a pinned message", func(ctx context.Context, h *household) error {
		return failure(h.bob.RecallMessage(ctx, h.private, 1))
	}},
	{client.EventConversationRead, "reading", func(ctx context.Context, h *household) error {
		return failure(h.ada.MarkRead(ctx, h.private, 1))
	}},
	{client.EventConversationRead, "the peer's reading", func(ctx context.Context, h *household) error {
		return failure(h.bob.MarkRead(ctx, h.private, 2))
	}},
	{client.EventConversationUpdated, "pinning and muting a conversation", func(ctx context.Context, h *household) error {
		return failure(h.ada.UpdateConversation(ctx, h.private, client.UpdateConversationRequest{Pinned: new(true), Muted: new(true), MarkedUnread: new(true)}))
	}},
	{client.EventFriendRequestCreated, "a friend request", func(ctx context.Context, h *household) error {
		request, err := h.dan.RequestFriend(ctx, client.FriendRequestRequest{UserID: h.ada.id})
		h.request = request.ID
		return err
	}},
	{client.EventFriendRequestUpdated, "declining it", func(ctx context.Context, h *household) error {
		return failure(h.ada.DeclineFriendRequest(ctx, h.request))
	}},
	{client.EventFriendAdded, "becoming friends", func(_ context.Context, h *household) error {
		befriend(h.t, h.cleo, h.ada)
		return nil
	}},
	{client.EventFriendUpdated, "a remark", func(ctx context.Context, h *household) error {
		return failure(h.ada.SetRemark(ctx, h.cleo.id, "from the fair"))
	}},
	{client.EventUserUpdated, "a friend's profile", func(ctx context.Context, h *household) error {
		return failure(h.bob.UpdateMe(ctx, client.UpdateMeRequest{DisplayName: new("Robert"), StatusText: new("away")}))
	}},
	{client.EventUserUpdated, "her own settings", func(ctx context.Context, h *household) error {
		return failure(h.ada.UpdateMe(ctx, client.UpdateMeRequest{AcceptGroupInvitesFrom: new(client.AcceptanceFriends)}))
	}},
	{client.EventFriendRemoved, "a friend who is none any more", func(ctx context.Context, h *household) error {
		return h.cleo.RemoveFriend(ctx, h.ada.id)
	}},
	{client.EventBlockChanged, "a block", func(ctx context.Context, h *household) error { return h.ada.Block(ctx, h.dan.id) }},
	{client.EventBlockChanged, "its end", func(ctx context.Context, h *household) error { return h.ada.Unblock(ctx, h.dan.id) }},
	{client.EventSessionCreated, "a login", func(_ context.Context, h *household) error {
		h.session = h.ada.device(1).session
		return nil
	}},
	{client.EventSessionRevoked, "a session's end", func(ctx context.Context, h *household) error { return h.ada.EndSession(ctx, h.session) }},
	{client.EventGroupCreated, "a group", func(ctx context.Context, h *household) error {
		made, err := h.bob.CreateGroup(ctx, client.CreateGroupRequest{
			Name: "Walks", Visibility: client.VisibilityPublic, JoinPolicy: client.JoinPolicyOpen, Members: []string{h.ada.id},
		})
		h.other = made.ID
		return err
	}},
	{client.EventGroupUpdated, "its new name", func(ctx context.Context, h *household) error {
		return failure(h.bob.UpdateGroup(ctx, h.other, client.UpdateGroupRequest{Name: new("Long walks")}))
	}},
	{client.EventMemberJoined, "a new member", func(ctx context.Context, h *household) error { return failure(h.cleo.JoinGroup(ctx, h.other)) }},
	{client.EventMemberUpdated, "a mute", func(ctx context.Context, h *household) error {
		return failure(h.bob.MuteMember(ctx, h.other, h.cleo.id, time.Now().Add(time.Hour).Truncate(time.Millisecond)))
	}},
	{client.EventMemberUpdated, "becoming an admin", func(ctx context.Context, h *household) error {
		return failure(h.bob.PutMember(ctx, h.other, h.ada.id, client.RoleAdmin))
	}},
	{client.EventJoinRequestCreated, "somebody who asks to join", func(ctx context.Context, h *household) error {
		return failure(h.eve.AskToJoin(ctx, h.group, "please"))
	}},
	{client.EventJoinRequestUpdated, "letting them in", func(ctx context.Context, h *household) error {
		return failure(h.ada.AcceptJoinRequest(ctx, h.group, h.eve.id))
	}},
	{client.EventInvitationCreated, "an invitation", func(ctx context.Context, h *household) (err error) {
		h.invitation, err = h.ada.CreateInvitation(ctx, h.group, client.CreateInvitationRequest{MaxUses: new(3)})
		return err
	}},
	{client.EventInvitationUpdated, "its use", func(ctx context.Context, h *household) error {
		return failure(h.dan.JoinByInvitation(ctx, h.invitation.Code))
	}},
	{client.EventInvitationRevoked, "its end", func(ctx context.Context, h *household) error {
		return h.ada.RevokeInvitation(ctx, h.group, h.invitation.ID)
	}},
	{client.EventBanAdded, "a ban", func(ctx context.Context, h *household) error {
		return failure(h.ada.BanUser(ctx, h.group, h.dan.id, "Spam."))
	}},
	{client.EventBanRemoved, "its end", func(ctx context.Context, h *household) error { return h.ada.LiftBan(ctx, h.group, h.dan.id) }},
	{client.EventMemberLeft, "another's leaving", func(ctx context.Context, h *household) error { return h.eve.LeaveGroup(ctx, h.group) }},
	{client.EventMemberLeft, "her own leaving", func(ctx context.Context, h *household) error { return h.ada.LeaveGroup(ctx, h.other) }},
	{client.EventConversationAdded, "coming back", func(ctx context.Context, h *household) error {
		h.bob.tell(h.other, "While you were out.")
		return failure(h.ada.JoinGroup(ctx, h.other))
	}},
	{client.EventGroupDissolved, "a group's end", func(ctx context.Context, h *household) error { return h.bob.DissolveGroup(ctx, h.other) }},
	{client.EventUserUpdated, "a friend's account's end", func(ctx context.Context, h *household) error {
		if err := h.bob.DeleteMe(ctx, password); err != nil {
			return err
		}
		eventually(h.t, "all of it is told, which takes a moment", func() bool {
			missing := map[client.EventType]bool{client.EventUserUpdated: true, client.EventFriendRemoved: true, client.EventMemberLeft: true}
			for _, event := range h.ada.everything(500) {
				switch data := event.Value().(type) {
				case client.UserUpdatedData:
					missing[event.Type] = missing[event.Type] && data.Deleted == nil
				case client.FriendRemovedData:
					missing[event.Type] = missing[event.Type] && data.UserID != h.bob.id
				case client.MemberLeftData:
					missing[event.Type] = missing[event.Type] && (data.UserID != h.bob.id || data.GroupID != h.group)
				}
			}
			return !missing[client.EventUserUpdated] && !missing[client.EventFriendRemoved] && !missing[client.EventMemberLeft]
		})
		return nil
	}},
}

// forgotten are the events that are for who is connected just now: a device that was away has no use for them, and gets none.
var forgotten = []client.EventType{client.EventTyping, client.EventPresence}

// TestDeviceThatWasAwayShowsWhatTheOtherShows: one of Ada's devices acts, or somebody else does, while another is away; that one then shows the
// same from its old cursor alone. It is so for each kind of event that the specification has.
func TestDeviceThatWasAwayShowsWhatTheOtherShows(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		ctx := t.Context()
		covered := slices.Clone(forgotten)
		for _, h := range happenings {
			covered = append(covered, h.event)
		}
		for kind := range d.doc.Components.Schemas["Event"].Value.Discriminator.Mapping {
			assert.Contains(t, covered, client.EventType(kind), "nothing makes this event happen while a device is away")
		}
		people := d.people(t, "ada", "bob", "cleo", "dan", "eve")
		h := &household{t: t, ada: people[0], bob: people[1], cleo: people[2], dan: people[3], eve: people[4]}
		_, err := h.ada.UpdateMe(ctx, client.UpdateMeRequest{AcceptMessagesFrom: new(client.AcceptanceEveryone)})
		require.NoError(t, err)
		befriend(t, h.ada, h.bob)
		h.group = h.ada.makes(client.VisibilityPublic, client.JoinPolicyApproval, h.bob).ID
		away := h.ada.device(1)
		everybody := func(string) bool { return true }
		for _, step := range happenings {
			known, err := fetch(ctx, away.Client)
			require.NoError(t, err)
			require.NoError(t, step.do(ctx, h), step.what)
			shown, err := fetch(ctx, h.ada.Client)
			require.NoError(t, err)
			for place(known.cursor) < place(shown.cursor) {
				part, err := away.Poll(ctx, client.PollOptions{Cursor: known.cursor, Wait: 5 * time.Second})
				require.NoError(t, err)
				require.Nil(t, part.Reset)
				for _, event := range part.Events {
					if event.Ephemeral() {
						continue
					}
					require.NotContains(t, forgotten, event.Type)
					require.NoError(t, known.applyEvent(event), step.what)
					known.cursor = event.Cursor
				}
			}
			assert.Positive(t, known.applied[step.event], "%s is told by %s", step.what, step.event)
			assert.Equal(t, shown.shown(known, everybody), known.shown(shown, everybody), "after %s", step.what)
		}
		require.NoError(t, h.cleo.SetTyping(ctx, h.cleos, client.TypingStateTyping))
		for _, event := range away.everything(100) {
			assert.NotContains(t, forgotten, event.Type)
		}
	})
}
