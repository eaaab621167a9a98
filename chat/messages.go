package chat

import (
	"encoding/json"
	"slices"
)

// ConversationKind tells private conversations from groups.
type ConversationKind string

// The kinds of conversation.
const (
	KindPrivate ConversationKind = "private"
	KindGroup   ConversationKind = "group"
)

// MessageKind says how a message's body is to be read.
type MessageKind string

// The kinds of message: plain text, shown as it is; and what clients agree on
// among themselves, a JSON object beside a text for those who do not know it.
const (
	KindText   MessageKind = "text"
	KindCustom MessageKind = "custom"
)

// Message is one message; conversation and seq name it everywhere. Seq is
// gap-free per conversation, from 1.
type Message struct {
	ConversationID ID          `json:"conversation_id"`
	Seq            int64       `json:"seq"`
	SenderID       ID          `json:"sender_id"`
	Kind           MessageKind `json:"kind"`
	Body           string      `json:"body"`
	// Payload is a custom message's JSON object; nil for all others.
	Payload   json.RawMessage `json:"payload,omitempty"`
	ReplyTo   *int64          `json:"reply_to"` // seq in the same conversation; nil = none
	Mentions  []ID            `json:"mentions"` // never nil in JSON
	CreatedAt Time            `json:"created_at"`
	EditedAt  *Time           `json:"edited_at"` // nil = never
	// Recalled tells that the message says nothing any more: kind, sender and
	// times are left.
	Recalled   bool `json:"recalled"`
	RecalledBy ID   `json:"recalled_by,omitempty"` // 0 = nobody
	// ForwardedFrom is where a forwarded message is from; nil = it is none.
	ForwardedFrom *Origin    `json:"forwarded_from,omitempty"`
	Reactions     []Reaction `json:"reactions,omitempty"`
	// Deleted tells that the asking user has deleted the message for
	// themselves: to them it says nothing any more.
	Deleted bool `json:"deleted,omitempty"`

	System *SystemEvent `json:"system,omitempty"` // of KindSystem only
	// Delivery is how far one's own message has come in a private
	// conversation, where it is read from history; "" elsewhere.
	Delivery DeliveryState `json:"delivery,omitempty"`
	// IdempotencyKey is in the sender's own copies only; "" elsewhere. It is
	// the last field, see WithKey.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// ForOthers returns the message as everybody but its sender sees it.
func (m Message) ForOthers() Message {
	m.IdempotencyKey = ""
	return m
}

// SeenBy returns the message as the given user sees it.
func (m Message) SeenBy(user ID) Message {
	if m.SenderID != user {
		return m.ForOthers()
	}
	return m
}

// Outgoing is a message on its way into a conversation.
type Outgoing struct {
	ConversationID ID
	Target         ConversationKind // what the sender took the conversation for
	SenderID       ID
	Kind           MessageKind
	Body           string
	Payload        json.RawMessage // nil = none
	ReplyTo        *int64
	Mentions       []ID
	ForwardedFrom  *Origin
	IdempotencyKey string   // "" = none
	Fingerprint    [16]byte // of target and content; a replay must have the same
	At             Time
	// Refusal is why it cannot be sent, unless it has been sent before under
	// its key; nil = it can.
	Refusal error

	forward *MessageRef // what it repeats; nil = nothing
}

// Outcome is what became of an Outgoing: a message, or the error of that one alone.
type Outcome struct {
	Message  Message
	Replayed bool // the message was there already, under the same key
	// Recipients is into how many inboxes it went, 0 for a replay or an error.
	Recipients int
	// Body is the event in the sender's own inbox; nil for a replay or an error.
	Body Body
	Err  error
}

// Audience is who belongs to a conversation, as of one version of it.
type Audience struct {
	Kind    ConversationKind
	Version int64
	// Members is everybody who gets what is sent, ascending.
	Members []ID
	// Relations holds, for a private conversation, what decides whether the
	// lower (index 0) and the higher user id (index 1) may send to the other.
	Relations [2]Relation

	GroupVoices // who may send, of a group
}

// Has tells whether user belongs to the conversation.
func (a *Audience) Has(user ID) bool {
	_, found := slices.BinarySearch(a.Members, user)
	return found
}

// Check tells whether out may be sent to this audience while lastSeq is the
// conversation's last message. It is called under the conversation's lock, with
// an audience that is current: this is where a removed member is stopped.
func (a *Audience) Check(out Outgoing, lastSeq int64) error {
	if out.Refusal != nil {
		return out.Refusal
	}
	if a.Kind != out.Target || !a.Has(out.SenderID) {
		return NotFound("There is no such conversation.")
	}
	if a.Kind == KindPrivate {
		side := 0
		if out.SenderID != a.Members[0] {
			side = 1
		}
		if err := a.Relations[side].MaySend(); err != nil {
			return err
		}
	}
	if err := a.MaySpeak(out.SenderID, out.At); err != nil {
		return err
	}
	if out.ReplyTo != nil && (*out.ReplyTo < 1 || *out.ReplyTo > lastSeq) {
		return Invalid("reply_to", "must be the seq of a message in this conversation")
	}
	for _, mentioned := range out.Mentions {
		if !a.Has(mentioned) {
			return Invalid("mentions", "must be members of this conversation")
		}
	}
	return nil
}

// Conversation is one entry of a user's list of conversations.
type Conversation struct {
	ID          ID               `json:"id"`
	Kind        ConversationKind `json:"kind"`
	Peer        *Profile         `json:"peer,omitempty"`  // private conversations
	Group       *Group           `json:"group,omitempty"` // groups
	LastMessage *Message         `json:"last_message"`    // nil = none yet
	LastSeq     int64            `json:"last_seq"`
	ReadSeq     int64            `json:"read_seq"`
	PeerReadSeq *int64           `json:"peer_read_seq,omitempty"` // private conversations
	// PeerDeliveredSeq is how far one's own messages have reached a device of
	// the peer, at least; private conversations.
	PeerDeliveredSeq *int64 `json:"peer_delivered_seq,omitempty"`
	UnreadCount      int64  `json:"unread_count"`    // others' messages after ReadSeq that are not hidden, at most MaxUnreadCount
	MentionsUnread   int64  `json:"mentions_unread"` // those of them that mention the user, at most MaxUnreadCount
	LastActivityAt   Time   `json:"last_activity_at"`
	ConversationState
}

// MaxUnreadCount is where counting unread messages stops: a list of
// conversations counts fifty times.
const MaxUnreadCount = 1000

// HistoryQuery selects messages of a conversation by seq or by time. At most
// one of the six is set; none means the newest.
type HistoryQuery struct {
	BeforeSeq  *int64
	AfterSeq   *int64
	AroundSeq  *int64
	BeforeTime *Time // before the first message of this time or later
	AfterTime  *Time // from that message on
	AroundTime *Time // around that message
	Limit      int
}

// History is a run of messages, ascending by seq.
type History struct {
	Items         []Message `json:"items"`
	HasMoreBefore bool      `json:"has_more_before"`
	HasMoreAfter  bool      `json:"has_more_after"`
}

// ReadState is how far a user has read a conversation.
type ReadState struct {
	ConversationID ID    `json:"conversation_id"`
	ReadSeq        int64 `json:"read_seq"`
	UnreadCount    int64 `json:"unread_count"`
	MentionsUnread int64 `json:"mentions_unread"`
	LastSeq        int64 `json:"last_seq"`
}
