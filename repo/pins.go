package repo

import (
	"cmp"
	"context"
	"slices"

	"longwire/chat"
)

// SetPin pins or unpins a message.
func (t *tx) SetPin(ref chat.MessageRef, by chat.ID, on bool) (bool, error) {
	if on {
		return t.inserted("INSERT INTO pin (conversation_id, seq, pinned_by, pinned_at) VALUES (?, ?, ?, ?)", ref.ConversationID, ref.Seq, by, t.at)
	}
	n, err := t.exec("DELETE FROM pin WHERE conversation_id = ? AND seq = ?", ref.ConversationID, ref.Seq)
	return n > 0, err
}

// PinsOf returns what is pinned in a conversation, the last pinned first.
func (t *tx) PinsOf(conversation chat.ID) ([]chat.Pin, error) {
	pins, err := all(t.conn, func(r row) (pin chat.Pin, err error) {
		return pin, r.Scan(&pin.Seq, &pin.PinnedBy, &pin.PinnedAt)
	}, "SELECT seq, pinned_by, pinned_at FROM pin WHERE conversation_id = ?", conversation)
	// There are few, and an index by time would be one more to write.
	slices.SortFunc(pins, func(a, b chat.Pin) int {
		return cmp.Or(cmp.Compare(b.PinnedAt, a.PinnedAt), cmp.Compare(b.Seq, a.Seq))
	})
	return pins, err
}

// Pins returns the pinned messages of a conversation as a user sees them, the
// last pinned first. CodeNotFound when the user does not belong to it.
func (db *DB) Pins(ctx context.Context, conversation, user chat.ID) ([]chat.PinnedMessage, error) {
	c := db.reader(ctx)
	seen, err := readable(c, conversation, user)
	if err != nil {
		return nil, err
	}
	pins, err := all(c, func(r row) (pin chat.PinnedMessage, err error) {
		pin.Message, err = scanSeen(pinned{row: r, pin: &pin}, user)
		return pin, err
	}, "SELECT p.pinned_by, p.pinned_at, "+messageColumns+", x.seq FROM pin p"+
		" JOIN chat_history h ON h.conversation_id = p.conversation_id AND h.seq = p.seq"+hiddenFrom+" WHERE p.conversation_id = ? AND p.seq >= ?", user, conversation, seen.firstSeq)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pins, func(a, b chat.PinnedMessage) int {
		return cmp.Or(cmp.Compare(b.PinnedAt, a.PinnedAt), cmp.Compare(b.Message.Seq, a.Message.Seq))
	})
	messages := make([]*chat.Message, len(pins))
	for i := range pins {
		messages[i] = &pins[i].Message
	}
	return pins, markMine(c, user, messages)
}

// pinned is a row that begins with what is known of a pin.
type pinned struct {
	row

	pin *chat.PinnedMessage
}

// Scan reads the rest of the row.
func (p pinned) Scan(dest ...any) error {
	return p.row.Scan(append([]any{&p.pin.PinnedBy, &p.pin.PinnedAt}, dest...)...)
}
