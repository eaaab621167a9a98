package chat

import (
	"context"
	"encoding/json"
)

// MessageRef names a message.
type MessageRef struct {
	ConversationID ID    `json:"conversation_id"`
	Seq            int64 `json:"seq"`
}

// MessageVersion is what a message said from a time on.
type MessageVersion struct {
	Version  int             `json:"version"` // from 1
	Body     string          `json:"body"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Mentions []ID            `json:"mentions"` // never nil in JSON
	At       Time            `json:"at"`
}

// messageStore is what single messages need of a [Store].
type messageStore interface {
	// Message returns one message as a user sees it. CodeNotFound when the user
	// does not belong to the conversation, or may not see that far.
	Message(ctx context.Context, conversation, user ID, seq int64) (Message, error)
	// MessageVersions returns what a message said before it was edited, oldest first.
	MessageVersions(ctx context.Context, ref MessageRef) ([]MessageVersion, error)
	// Reactors lists who reacted to a message, by user.
	Reactors(ctx context.Context, ref MessageRef, page Page) (List[Reactor], error)
	// Pins returns the pinned messages of a conversation as a user sees them,
	// the last pinned first. CodeNotFound when the user does not belong to it.
	Pins(ctx context.Context, conversation, user ID) ([]PinnedMessage, error)
}

// messageTx is what changing messages needs of a [Tx]. The conversation is
// locked, so that what is read stays so.
type messageTx interface {
	// AppendMessage is Append for events that show a message as it is now:
	// inboxes point to it, and whoever reads them later sees it as it is then.
	// With MessageRecalled whatever was copied of these inboxes is forgotten.
	AppendMessage(kind EventType, message Message, users ...ID) error
	// MessageOf returns a message, CodeNotFound when there is none of that seq.
	// Nobody's view of it: Mine and Deleted are not set.
	MessageOf(ref MessageRef) (Message, error)
	// EditMessage keeps what a message says as a version and stores what it is
	// to say; it returns how often the message has been edited.
	EditMessage(before, after Message) (edits int, err error)
	// RecallMessage takes away all that a message said: its text, earlier
	// versions, mentions, reactions, and its pin. It returns the message as it
	// is now, and whether it was pinned.
	RecallMessage(message Message, by ID) (recalled Message, unpinned bool, err error)
	// HideMessage deletes a message for one user, whom it mentions no more; it
	// tells whether anything changed.
	HideMessage(ref MessageRef, user ID) (bool, error)
	// SetReaction adds or removes a reaction and returns what there is now; the
	// message is as MessageOf returned it.
	SetReaction(message Message, user ID, emoji string, on bool) (now []ReactionCount, changed bool, err error)
	// SetPin pins or unpins a message; it tells whether anything changed.
	SetPin(ref MessageRef, by ID, on bool) (bool, error)
	// PinsOf returns what is pinned in a conversation, the last pinned first.
	PinsOf(conversation ID) ([]Pin, error)
	// UnreadMentions counts the messages after a seq that mention a user, up to
	// MaxUnreadCount.
	UnreadMentions(conversation, user ID, after int64) (int64, error)
	// ReadStateOf returns how far a user has read a conversation, with the counts
	// that follow.
	ReadStateOf(conversation, user ID) (ReadState, error)
	// ConversationOf returns a conversation as a user sees it, as it is in this
	// transaction. CodeNotFound when the user does not belong to it.
	ConversationOf(conversation, user ID) (Conversation, error)
	// FirstSeqs returns, of those in the audience of a conversation from whom
	// something is hidden, the first message that they see: later members where
	// history is not for newcomers, and who has cleared it.
	FirstSeqs(conversation ID, audience Audience) (Horizons, error)
}
