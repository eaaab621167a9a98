package client

import (
	"encoding/json"
	"fmt"
)

// EventType says what happened. New ones may come; ignore those you do not know.
type EventType string

// The events of the inbox.
const (
	EventMessageCreated       EventType = "message.created"        // Message
	EventMessageEdited        EventType = "message.edited"         // Message
	EventMessageRecalled      EventType = "message.recalled"       // Message
	EventMessageDeleted       EventType = "message.deleted"        // MessageDeletedData
	EventReactionChanged      EventType = "reaction.changed"       // ReactionChangedData
	EventPinChanged           EventType = "pin.changed"            // PinChangedData
	EventConversationAdded    EventType = "conversation.added"     // Conversation
	EventConversationRead     EventType = "conversation.read"      // ConversationReadData
	EventConversationUpdated  EventType = "conversation.updated"   // ConversationUpdatedData
	EventFriendRequestCreated EventType = "friend_request.created" // FriendRequest
	EventFriendRequestUpdated EventType = "friend_request.updated" // FriendRequest
	EventFriendAdded          EventType = "friend.added"           // Friend
	EventFriendRemoved        EventType = "friend.removed"         // FriendRemovedData
	EventGroupCreated         EventType = "group.created"          // Group
	EventGroupUpdated         EventType = "group.updated"          // Group
	EventGroupDissolved       EventType = "group.dissolved"        // GroupDissolvedData
	EventMemberJoined         EventType = "member.joined"          // MemberJoinedData
	EventMemberLeft           EventType = "member.left"            // MemberLeftData
	EventMemberUpdated        EventType = "member.updated"         // MemberUpdatedData
	EventSessionCreated       EventType = "session.created"        // SessionCreatedData
	EventSessionRevoked       EventType = "session.revoked"        // SessionRevokedData

	EventJoinRequestCreated EventType = "join_request.created" // JoinRequest
	EventJoinRequestUpdated EventType = "join_request.updated" // JoinRequest
	EventInvitationCreated  EventType = "invitation.created"   // Invitation
	EventInvitationUpdated  EventType = "invitation.updated"   // Invitation
	EventInvitationRevoked  EventType = "invitation.revoked"   // InvitationRevokedData
	EventBanAdded           EventType = "ban.added"            // Ban
	EventBanRemoved         EventType = "ban.removed"          // BanRemovedData
	EventUserUpdated        EventType = "user.updated"         // UserUpdatedData
	EventFriendUpdated      EventType = "friend.updated"       // Friend
	EventBlockChanged       EventType = "block.changed"        // BlockChangedData
)

// The ephemeral events: they have no cursor, are kept nowhere, and may be dropped. Of two about the same user (and conversation)
// the one with the later At counts.
const (
	EventTyping   EventType = "typing"   // TypingData
	EventPresence EventType = "presence" // Presence
)

// Event is something that its user must learn.
type Event struct {
	Cursor Cursor          `json:"cursor"` // go on from here; "" = ephemeral, it is kept nowhere
	Type   EventType       `json:"type"`
	At     Time            `json:"at"`
	Data   json.RawMessage `json:"data"` // see Value and Decode
}

// Ephemeral tells whether the event is kept nowhere: it moves no cursor, and nobody gets it again.
func (e Event) Ephemeral() bool {
	return e.Cursor == ""
}

// Decode reads the event's data into what is fit for its type.
func (e Event) Decode(into any) error {
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("%s: read the data: %w", e.Type, err)
	}
	return nil
}

// Value returns the event's data as the noun that stands beside its [EventType]: a [Message], a [FriendRequest] and so on. It
// returns nil for types that this package does not know, and for data that is not what the type promises.
func (e Event) Value() any {
	switch e.Type {
	case EventMessageCreated, EventMessageEdited, EventMessageRecalled:
		return valueOf[Message](e)
	case EventMessageDeleted:
		return valueOf[MessageDeletedData](e)
	case EventReactionChanged:
		return valueOf[ReactionChangedData](e)
	case EventPinChanged:
		return valueOf[PinChangedData](e)
	case EventConversationAdded:
		return valueOf[Conversation](e)
	case EventConversationRead:
		return valueOf[ConversationReadData](e)
	case EventConversationUpdated:
		return valueOf[ConversationUpdatedData](e)
	case EventFriendRequestCreated, EventFriendRequestUpdated:
		return valueOf[FriendRequest](e)
	case EventFriendAdded, EventFriendUpdated:
		return valueOf[Friend](e)
	case EventFriendRemoved:
		return valueOf[FriendRemovedData](e)
	case EventGroupCreated, EventGroupUpdated:
		return valueOf[Group](e)
	case EventGroupDissolved:
		return valueOf[GroupDissolvedData](e)
	case EventMemberJoined:
		return valueOf[MemberJoinedData](e)
	case EventMemberLeft:
		return valueOf[MemberLeftData](e)
	case EventMemberUpdated:
		return valueOf[MemberUpdatedData](e)
	case EventSessionCreated:
		return valueOf[SessionCreatedData](e)
	case EventSessionRevoked:
		return valueOf[SessionRevokedData](e)
	case EventTyping:
		return valueOf[TypingData](e)
	case EventPresence:
		return valueOf[Presence](e)
	case EventJoinRequestCreated, EventJoinRequestUpdated:
		return valueOf[JoinRequest](e)
	case EventInvitationCreated, EventInvitationUpdated:
		return valueOf[Invitation](e)
	case EventInvitationRevoked:
		return valueOf[InvitationRevokedData](e)
	case EventBanAdded:
		return valueOf[Ban](e)
	case EventBanRemoved:
		return valueOf[BanRemovedData](e)
	case EventUserUpdated:
		return valueOf[UserUpdatedData](e)
	case EventBlockChanged:
		return valueOf[BlockChangedData](e)
	default:
		return nil
	}
}

func valueOf[T any](e Event) any {
	var data T
	if e.Decode(&data) != nil {
		return nil
	}
	return data
}
