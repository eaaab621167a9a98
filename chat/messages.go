package chat

import "slices"

// ConversationKind tells private conversations from groups.
type ConversationKind string

// The kinds of conversation.
const (
	KindPrivate ConversationKind = "private"
	KindGroup   ConversationKind = "group"
)

// MessageKind says how a message's body is to be read.
type MessageKind string

// KindText is plain text, shown as it is.
const KindText MessageKind = "text"

// Message is one message; conversation and seq name it everywhere. Seq is
// gap-free per conversation, from 1.
type Message struct {
	ConversationID ID          `json:"conversation_id"`
	Seq            int64       `json:"seq"`
	SenderID       ID          `json:"sender_id"`
	Kind           MessageKind `json:"kind"`
	Body           string      `json:"body"`
	ReplyTo        *int64      `json:"reply_to"` // seq in the same conversation; nil = none
	Mentions       []ID        `json:"mentions"` // never nil in JSON
	CreatedAt      Time        `json:"created_at"`
	EditedAt       *Time       `json:"edited_at"` // nil = never
	Recalled       bool        `json:"recalled"`
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
	ReplyTo        *int64
	Mentions       []ID
	IdempotencyKey string   // "" = none
	Fingerprint    [16]byte // of target and content; a replay must have the same
	At             Time
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
	UnreadCount      int64  `json:"unread_count"` // others' messages after ReadSeq that are not hidden, at most MaxUnreadCount
	LastActivityAt   Time   `json:"last_activity_at"`
	ConversationState
}

// MaxUnreadCount is where counting unread messages stops: a list of
// conversations counts fifty times.
const MaxUnreadCount = 1000

// HistoryQuery selects messages of a conversation by seq. At most one of the
// three is set; none means the newest.
type HistoryQuery struct {
	BeforeSeq *int64
	AfterSeq  *int64
	AroundSeq *int64
	Limit     int
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
	LastSeq        int64 `json:"last_seq"`
}
