package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EventType says what a user learns by an event.
type EventType string

// The events of the inbox.
const (
	MessageCreated       EventType = "message.created"
	MessageEdited        EventType = "message.edited"
	MessageRecalled      EventType = "message.recalled"
	MessageDeleted       EventType = "message.deleted"
	ReactionChanged      EventType = "reaction.changed"
	PinChanged           EventType = "pin.changed"
	ConversationRead     EventType = "conversation.read"
	FriendRequestCreated EventType = "friend_request.created"
	FriendRequestUpdated EventType = "friend_request.updated"
	FriendAdded          EventType = "friend.added"
	FriendRemoved        EventType = "friend.removed"
	GroupCreated         EventType = "group.created"
	GroupUpdated         EventType = "group.updated"
	GroupDissolved       EventType = "group.dissolved"
	MemberJoined         EventType = "member.joined"
	MemberLeft           EventType = "member.left"
	MemberUpdated        EventType = "member.updated"
	SessionRevoked       EventType = "session.revoked"
	SessionCreated       EventType = "session.created"

	JoinRequestCreated EventType = "join_request.created"
	JoinRequestUpdated EventType = "join_request.updated"
	InvitationCreated  EventType = "invitation.created"
	InvitationUpdated  EventType = "invitation.updated"
	InvitationRevoked  EventType = "invitation.revoked"
	BanAdded           EventType = "ban.added"
	BanRemoved         EventType = "ban.removed"
	UserUpdated        EventType = "user.updated"
	FriendUpdated      EventType = "friend.updated"
	BlockChanged       EventType = "block.changed"
)

// Body is an event as it goes out, but for the opening brace and the cursor,
// which differ from user to user: `"type":"…","at":"…","data":{…}}`. It is made
// once, where the event is committed or read back, and spliced by every
// transport; no line break occurs in it, as JSON has none outside strings and
// escapes those inside.
type Body []byte

// EncodeBody makes the body of an event. Equal arguments give equal bytes, so
// that an event read back from the database is the one that was announced.
func EncodeBody(kind EventType, at Time, data any) (Body, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return AppendBody(make(Body, 0, len(encoded)+64), kind, at, encoded), nil
}

// AppendBody appends the body of an event whose data is JSON already.
func AppendBody(b Body, kind EventType, at Time, data []byte) Body {
	b = append(appendBodyHead(b, kind, at), data...)
	return append(b, '}')
}

// appendBodyHead appends what comes before the data.
func appendBodyHead(b Body, kind EventType, at Time) Body {
	b = append(b, `"type":"`...)
	b = append(b, kind...)
	b = append(b, `","at":"`...)
	b = at.Std().AppendFormat(b, timeLayout)
	return append(b, `","data":`...)
}

// Data returns what the event says, as JSON. It is a part of the body: do not
// change it.
func (b Body) Data() []byte {
	const before = `,"data":`
	at := bytes.Index(b, []byte(before)) // type and at, in front, cannot have it in them
	return b[at+len(before) : len(b)-1]
}

// WithKey returns the sender's own copy of the body of a message, given that of
// the others: the same but for the idempotency key, which is its last field.
func (b Body) WithKey(key string) (Body, error) {
	encoded, err := json.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	const field = `,"idempotency_key":`
	own := make(Body, 0, len(b)+len(field)+len(encoded))
	own = append(own, b[:len(b)-2]...) // without the ends of data and event
	own = append(own, field...)
	own = append(own, encoded...)
	return append(own, "}}"...), nil
}

// AppendEnvelope appends the whole event as one user sees it:
// `{"cursor":"…","type":…}`.
func AppendEnvelope(b []byte, cursor string, body Body) []byte {
	b = append(b, `{"cursor":"`...)
	b = append(b, cursor...)
	b = append(b, `",`...)
	return append(b, body...)
}

// InboxEvent is one event in one user's inbox.
type InboxEvent struct {
	Seq  int64
	Body Body
}

// Delivery says that an event stands in a user's inbox at a seq.
type Delivery struct {
	User  ID
	Seq   int64
	Event int // index into Announcement.Bodies
}

// Announcement is what one committed transaction put into inboxes: each body
// once, and where it stands. Deliveries are in the order of (user, seq).
type Announcement struct {
	Bodies     []Body
	Deliveries []Delivery
	// EndedSessions have ended in this transaction: their streams must close
	// and their tokens be refused, on every node.
	EndedSessions []SessionRef
	// Forgotten says from where on copies of inboxes are to be believed: all of
	// an earlier event, in memory and in Redis, must go, on every node. Each has
	// a delivery at that seq.
	Forgotten []Forgotten
}

// Forgotten says that what was copied of a user's inbox before a seq is not to
// be believed any more; the store has it as it is now.
type Forgotten struct {
	User ID
	Seq  int64
}

// SessionRef names a session and whose it is.
type SessionRef struct {
	User    ID
	Session ID
}

// Empty tells whether there is nothing to announce.
func (a Announcement) Empty() bool {
	return len(a.Deliveries) == 0 && len(a.EndedSessions) == 0
}

// The data of events that are no noun of their own.
type (
	// ConversationReadData says how far somebody has read. The counts are in
	// the reader's own copy only, and absolute: of the messages up to LastSeq.
	ConversationReadData struct {
		ConversationID ID     `json:"conversation_id"`
		UserID         ID     `json:"user_id"`
		ReadSeq        int64  `json:"read_seq"`
		UnreadCount    *int64 `json:"unread_count,omitempty"`
		MentionsUnread *int64 `json:"mentions_unread,omitempty"`
		LastSeq        *int64 `json:"last_seq,omitempty"`
	}
	// MessageDeletedData names a message that the user has deleted for themselves.
	MessageDeletedData struct {
		ConversationID ID    `json:"conversation_id"`
		Seq            int64 `json:"seq"`
	}
	// FriendRemovedData names the friend that is none any more.
	FriendRemovedData struct {
		UserID ID `json:"user_id"`
	}
	// GroupDissolvedData names the group that is gone.
	GroupDissolvedData struct {
		GroupID ID `json:"group_id"`
	}
	// MemberJoinedData introduces a new member, and the group to that member.
	MemberJoinedData struct {
		Group Group   `json:"group"`
		User  Profile `json:"user"`
		Role  Role    `json:"role"`
		By    ID      `json:"by"` // who added them; themselves when they joined
		// MutedUntil is a mute that the member had before; nil = none.
		MutedUntil *Time `json:"muted_until"`
	}
	// MemberLeftData says who is no member any more, and why.
	MemberLeftData struct {
		GroupID     ID     `json:"group_id"`
		UserID      ID     `json:"user_id"`
		Reason      string `json:"reason"` // "left", "removed" or "banned"
		By          ID     `json:"by"`
		MemberCount int    `json:"member_count"`
	}
	// MemberUpdatedData says what a member now is. JoinRequestCount is in the
	// own copy of somebody who became an admin or the owner.
	MemberUpdatedData struct {
		GroupID          ID    `json:"group_id"`
		UserID           ID    `json:"user_id"`
		Role             Role  `json:"role"`
		MutedUntil       *Time `json:"muted_until"`
		JoinRequestCount *int  `json:"join_request_count,omitempty"`
	}
	// InvitationRevokedData names an invitation that is good no more.
	InvitationRevokedData struct {
		ID      ID `json:"id"`
		GroupID ID `json:"group_id"`
	}
	// BanRemovedData names who is banned no more.
	BanRemovedData struct {
		GroupID ID `json:"group_id"`
		UserID  ID `json:"user_id"`
	}
	// SessionCreatedData is a session that has begun, without what only one
	// that asks can be told: whether it is the session.
	SessionCreatedData struct {
		Session

		Current *bool `json:"current,omitempty"` // nil, in the place of Session's
	}
	// SessionRevokedData names the session that ended.
	SessionRevokedData struct {
		SessionID ID `json:"session_id"`
	}
)
