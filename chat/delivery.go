package chat

import "context"

// DeliveryState is how far a message has come on its way to somebody.
type DeliveryState string

// The steps: it is stored; a device of theirs has acknowledged it; they have read it.
const (
	DeliverySent      DeliveryState = "sent"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryRead      DeliveryState = "read"
)

// Receipt says how far a message has come on its way to one of its recipients.
type Receipt struct {
	User  Profile       `json:"user"`
	State DeliveryState `json:"state"`
}

// Receipts says how far a message has come. In groups beyond
// Limits.MaxReceiptMembers there are only counts of who has read it.
type Receipts struct {
	ConversationID ID    `json:"conversation_id"`
	Seq            int64 `json:"seq"`
	// RecipientCount is members who were there when it was sent, and still
	// are, but for the sender.
	RecipientCount int `json:"recipient_count"`
	ReadCount      int `json:"read_count"`
	// DeliveredCount has those who have read it too; nil = not counted.
	DeliveredCount *int      `json:"delivered_count"`
	Items          []Receipt `json:"items"` // by user id; nil = only counted
}

// deliveryStore is the part of [Store] for what has arrived.
type deliveryStore interface {
	// Receipts says how far a message of the user's has come, with a list of
	// at most so many recipients. CodeNotFound when the user cannot see the
	// message, CodeForbidden when it is another's.
	Receipts(ctx context.Context, conversation ID, seq int64, user ID, most int) (Receipts, error)
}

// Receipts says how far one of the caller's own messages has come.
func (s *Service) Receipts(ctx context.Context, caller Caller, conversation ID, seq int64) (Receipts, error) {
	return s.store.Receipts(ctx, conversation, seq, caller.User, s.limits.MaxReceiptMembers)
}
