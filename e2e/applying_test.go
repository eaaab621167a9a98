package e2e_test

import (
	"fmt"
	"slices"

	"longwire/client"
)

// applyEvent brings the replica up to an event, by what the event says and the replica has. Every type of the specification
// has a case; a test sees to it.
func (r *replica) applyEvent(event client.Event) error {
	r.applied[event.Type]++
	switch data := event.Value().(type) {
	case client.Conversation:
		r.set(data)
	case client.Message:
		r.applyMessage(event.Type, data)
	case client.MessageDeletedData:
		r.change(data.ConversationID, data.Seq, func(m *client.Message) {
			m.Body, m.Payload, m.ReplyTo, m.Mentions, m.ForwardedFrom, m.Reactions, m.EditedAt = "", nil, nil, []client.ID{}, nil, nil, nil
			m.Deleted = true
		})
	case client.ReactionChangedData:
		r.applyReaction(data)
	case client.PinChangedData:
		if t := r.talks[data.ConversationID]; t != nil {
			t.pins, t.pinsHeld = data.Pins, true
		}
	case client.ConversationReadData:
		r.applyRead(data)
	case client.ConversationUpdatedData:
		r.applyState(data)
	case client.FriendRequest: // created and updated
		data.IncomingRequestCount = nil // of all requests, not of this one
		if data.State == client.RequestStatePending {
			r.requests[data.ID] = data
		} else {
			delete(r.requests, data.ID)
		}
	case client.Friend:
		r.friends[data.User.ID] = data
	case client.FriendRemovedData:
		delete(r.friends, data.UserID)
	case client.UserUpdatedData:
		r.applyProfile(data)
	case client.BlockChangedData:
		if data.Blocked {
			r.blocks[data.User.ID] = client.Block{User: data.User, Since: *data.Since}
		} else {
			delete(r.blocks, data.User.ID)
		}
	case client.SessionCreatedData:
		r.sessions[data.ID] = device{data.DeviceName, data.CreatedAt}
	case client.SessionRevokedData:
		delete(r.sessions, data.SessionID)
	case client.TypingData, client.Presence: // forgotten soon, and kept nowhere
	default:
		return r.applyGroupEvent(event)
	}
	return nil
}

// applyGroupEvent is applyEvent for what happens to groups.
func (r *replica) applyGroupEvent(event client.Event) error {
	switch data := event.Value().(type) {
	case client.Group: // created and updated
		r.groups[data.ID] = data
	case client.GroupDissolvedData:
		r.forget(data.GroupID)
	case client.MemberJoinedData:
		r.groups[data.Group.ID] = data.Group
		if members := r.members[data.Group.ID]; members != nil {
			members[data.User.ID] = client.Member{User: data.User, Role: data.Role, MutedUntil: data.MutedUntil}
		}
	case client.MemberLeftData:
		if data.UserID == r.me {
			r.forget(data.GroupID)
			return nil
		}
		if group, known := r.groups[data.GroupID]; known {
			group.MemberCount = data.MemberCount
			r.groups[data.GroupID] = group
		}
		delete(r.members[data.GroupID], data.UserID)
	case client.MemberUpdatedData:
		if member, known := r.members[data.GroupID][data.UserID]; known {
			member.Role, member.MutedUntil = data.Role, data.MutedUntil
			r.members[data.GroupID][data.UserID] = member
		}
		if data.UserID == r.me {
			r.setRole(data.GroupID, data.Role)
			if data.JoinRequestCount != nil {
				r.waiting[data.GroupID] = *data.JoinRequestCount
			}
		}
	case client.JoinRequest:
		r.applyJoinRequest(data)
	case client.Invitation:
		if invitations := r.invitations[data.GroupID]; invitations != nil {
			invitations[data.ID] = data
		}
	case client.InvitationRevokedData:
		delete(r.invitations[data.GroupID], data.ID)
	case client.Ban:
		if bans := r.bans[data.GroupID]; bans != nil {
			bans[data.User.ID] = data
		}
	case client.BanRemovedData:
		delete(r.bans[data.GroupID], data.UserID)
	default:
		return fmt.Errorf("nobody knows how to apply %s: %s", event.Type, event.Data)
	}
	return nil
}

func (r *replica) applyJoinRequest(data client.JoinRequest) {
	pending := data.State == client.RequestStatePending
	if data.User.ID == r.me {
		if pending {
			r.asked[data.GroupID] = data
		} else {
			delete(r.asked, data.GroupID)
		}
	}
	if data.PendingCount != nil { // it is for who manages the group
		r.waiting[data.GroupID] = *data.PendingCount
	}
	if joining := r.joining[data.GroupID]; joining != nil {
		if pending {
			joining[data.User.ID] = data
		} else {
			delete(joining, data.User.ID)
		}
	}
}

// change changes a message where the device holds it.
func (r *replica) change(conversation string, seq int64, change func(m *client.Message)) {
	t := r.talks[conversation]
	if t == nil {
		return
	}
	if message, held := t.messages[seq]; held {
		change(&message)
		t.messages[seq] = message
	}
	if t.last != nil && t.last.Seq == seq {
		message := *t.last
		change(&message)
		t.last = &message
	}
}

func (r *replica) applyMessage(kind client.EventType, message client.Message) {
	t := r.talks[message.ConversationID]
	if kind != client.EventMessageCreated {
		r.change(message.ConversationID, message.Seq, func(m *client.Message) { *m = message })
		return
	}
	if t == nil {
		return // it was left later, and the device has come back to before that; what no event introduces is missed in the end
	}
	if t.archived && (t.mutedUntil == nil || !message.CreatedAt.Before(*t.mutedUntil)) {
		t.archived = false
	}
	if message.Seq > t.cleared {
		t.hold(message)
	}
	if message.Seq >= t.lastSeq {
		t.lastSeq = message.Seq
		if message.CreatedAt.After(t.lastActivity) {
			t.lastActivity = message.CreatedAt
		}
		if message.Seq > t.cleared {
			t.last = &message
		}
	}
}

func (r *replica) applyReaction(data client.ReactionChangedData) {
	r.change(data.ConversationID, data.Seq, func(m *client.Message) {
		if m.Recalled || m.Deleted {
			return
		}
		var now []client.Reaction
		for _, count := range data.Reactions {
			mine := slices.ContainsFunc(m.Reactions, func(r client.Reaction) bool { return r.Emoji == count.Emoji && r.Mine })
			if data.UserID == r.me && data.Emoji == count.Emoji {
				mine = data.Reacted
			}
			now = append(now, client.Reaction{Emoji: count.Emoji, Count: count.Count, Mine: mine})
		}
		m.Reactions = now
	})
}

func (r *replica) applyRead(read client.ConversationReadData) {
	t := r.talks[read.ConversationID]
	switch {
	case t == nil:
	case read.UserID != r.me:
		t.peerReadSeq = max(t.peerReadSeq, read.ReadSeq)
	case read.ReadSeq >= t.readSeq:
		t.readSeq = read.ReadSeq
		t.told(*read.UnreadCount, *read.MentionsUnread, *read.LastSeq)
	}
}

func (r *replica) applyState(state client.ConversationUpdatedData) {
	t := r.talks[state.ConversationID]
	if t == nil {
		return
	}
	t.pinned, t.pinnedAt, t.mutedUntil = state.Pinned, timeText(state.PinnedAt), state.MutedUntil
	t.archived, t.marked = state.Archived, state.MarkedUnread
	if state.ClearedSeq >= t.cleared {
		t.clear(state.ClearedSeq)
	}
	t.told(state.UnreadCount, state.MentionsUnread, *state.LastSeq)
}

// applyProfile takes over a profile where the device shows it.
func (r *replica) applyProfile(data client.UserUpdatedData) {
	if data.ID == r.me {
		r.own = client.User{
			ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, AvatarURL: data.AvatarURL, StatusText: data.StatusText,
			AcceptMessagesFrom: *data.AcceptMessagesFrom, AcceptFriendRequestsFrom: *data.AcceptFriendRequestsFrom,
			AcceptGroupInvitesFrom: *data.AcceptGroupInvitesFrom, PresenceVisibility: *data.PresenceVisibility, CreatedAt: *data.CreatedAt,
		}
	}
	profile := client.Profile{
		ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, AvatarURL: data.AvatarURL, StatusText: data.StatusText, Deleted: data.Deleted,
	}
	if friend, known := r.friends[data.ID]; known {
		friend.User = profile
		r.friends[data.ID] = friend
	}
	for _, t := range r.talks {
		if t.peer != nil && t.peer.ID == data.ID {
			t.peer = &profile
		}
	}
}
