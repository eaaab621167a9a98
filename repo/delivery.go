package repo

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"

	"longwire/chat"
)

// What has been delivered is not stored message by message: a device
// acknowledges a position in its user's inbox, and what stands there or before
// has been delivered. A private message knows where it stands in its
// recipient's inbox, so that both are two numbers to compare. A conversation's
// messages stand in every inbox in the conversation's order; so the last one
// delivered tells of all before it.

const (
	// deliveredWindow is how many of a conversation's last messages are looked
	// at for the last one delivered; what lies before counts as far as it is read.
	deliveredWindow = 200
	// receiptWindow is how many events behind a saved position are looked at
	// for the first one of a group.
	receiptWindow = 200
)

// findDelivered fills in how far a user's own messages have reached the peers
// of private conversations.
func findDelivered(c *conn, user chat.ID, found map[chat.ID]*foundConversation) error {
	var open []chat.ID
	for id, f := range found {
		if f.Kind != chat.KindPrivate {
			continue
		}
		f.PeerDeliveredSeq = new(f.peer.readSeq)
		if f.peer.readSeq < f.LastSeq && f.peer.saved > 0 {
			open = append(open, id)
		}
	}
	slices.Sort(open)
	text := new(statement)
	for chunk := range slices.Chunk(open, unionChunk) {
		text.reset()
		for i, id := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			f := found[id]
			// The sum keeps MySQL from its index by sender, of which it would sort all.
			text.sql("SELECT conversation_id, seq FROM (SELECT h.conversation_id, h.seq FROM chat_history h WHERE h.conversation_id = ").id(id).
				sql(" AND h.seq > ").int(max(f.peer.readSeq, f.LastSeq-deliveredWindow)).sql(" AND h.seq <= ").int(f.LastSeq).
				sql(" AND h.sender_id + 0 = ").id(user).sql(" AND h.peer_inbox_seq <= ").int(f.peer.saved).
				sql(" ORDER BY h.seq DESC LIMIT 1) page")
		}
		err := text.each(c, func(r row) error {
			var (
				id  chat.ID
				seq int64
			)
			err := r.Scan(&id, &seq)
			if f := found[id]; f != nil {
				*f.PeerDeliveredSeq = max(*f.PeerDeliveredSeq, seq)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// saveDelivered moves users' delivered positions forward, never back.
func saveDelivered(x *conn, positions []chat.SavedPosition) error {
	farthest := make(map[chat.ID]int64, len(positions))
	for _, p := range positions {
		farthest[p.User] = max(farthest[p.User], p.Seq)
	}
	text := new(statement)
	for users := range slices.Chunk(slices.Sorted(maps.Keys(farthest)), inChunk) {
		text.reset().sql("INSERT INTO delivered_position (user_id, seq) VALUES ")
		for i, user := range users {
			text.comma(i).sql("(").id(user).sql(",").int(farthest[user]).sql(")")
		}
		if err := text.sql(x.dialect.raiseDelivered).exec(x); err != nil {
			return err
		}
	}
	return nil
}

// receiver is a recipient of a message, and what is known of their inbox.
type receiver struct {
	chat.Receipt

	saved, head, pruned int64
}

// Receipts says how far a message of the user's has come, with a list of at
// most so many recipients. CodeNotFound when the user cannot see the message,
// CodeForbidden when it is another's.
func (db *DB) Receipts(ctx context.Context, conversation chat.ID, seq int64, user chat.ID, most int) (chat.Receipts, error) {
	c := db.reader(ctx)
	seen, err := readable(c, conversation, user)
	if err != nil {
		return chat.Receipts{}, err
	}
	if seq < seen.firstSeq || seq > seen.lastSeq {
		return chat.Receipts{}, errNoMessage()
	}
	message := chat.Message{ConversationID: conversation, Seq: seq}
	inbox, err := one(c, errNoMessage(), func(r row) (inbox sql.NullInt64, err error) {
		return inbox, r.Scan(&message.SenderID, &message.CreatedAt, &inbox)
	}, "SELECT h.sender_id, h.created_at, h.peer_inbox_seq FROM chat_history h WHERE h.conversation_id = ? AND h.seq = ?", conversation, seq)
	if err != nil {
		return chat.Receipts{}, err
	}
	if message.SenderID != user {
		return chat.Receipts{}, chat.Forbidden("Receipts are for the sender of a message.")
	}
	if seen.kind == chat.KindPrivate {
		peer, err := profilesByID(c, []chat.ID{seen.peer.id})
		if err != nil || peer[seen.peer.id] == nil {
			return chat.Receipts{}, cmp.Or(err, error(errNoUser()))
		}
		receipt := chat.Receipt{User: *peer[seen.peer.id], State: seen.peer.delivery(seen.kind, &message, user, inbox)}
		return receiptsOf(&message, []chat.Receipt{receipt}), nil
	}
	return groupReceipts(c, &message, most)
}

// receiptsOf counts receipts.
func receiptsOf(message *chat.Message, items []chat.Receipt) chat.Receipts {
	receipts := chat.Receipts{
		ConversationID: message.ConversationID, Seq: message.Seq, RecipientCount: len(items), DeliveredCount: new(int), Items: items,
	}
	for _, item := range items {
		if item.State == chat.DeliveryRead {
			receipts.ReadCount++
		}
		if item.State != chat.DeliverySent {
			*receipts.DeliveredCount++
		}
	}
	return receipts
}

// fromRecipients are the members to whom a message went, with their read marks.
const fromRecipients = " FROM group_member m LEFT JOIN read_position p ON p.user_id = m.user_id AND p.conversation_id = m.group_id"

const whereRecipients = " WHERE m.group_id = ? AND m.user_id <> ? AND m.joined_at <= ?"

const selectReceivers = "SELECT " + profileColumns + ", COALESCE(p.read_seq, 0), COALESCE(d.seq, 0), COALESCE(i.seq, 0), COALESCE(i.pruned, 0)" + fromRecipients +
	" JOIN `user` u ON u.id = m.user_id LEFT JOIN delivered_position d ON d.user_id = m.user_id LEFT JOIN inbox_head i ON i.user_id = m.user_id" +
	whereRecipients + " ORDER BY m.user_id LIMIT ?"

func groupReceipts(c *conn, message *chat.Message, most int) (chat.Receipts, error) {
	recipients := []any{message.ConversationID, message.SenderID, message.CreatedAt}
	receivers, err := all(c, func(r row) (v receiver, err error) {
		var readSeq int64
		v.State = chat.DeliverySent
		err = scanProfile(r, &v.User, &readSeq, &v.saved, &v.head, &v.pruned)
		if readSeq >= message.Seq {
			v.State = chat.DeliveryRead
		}
		return v, err
	}, selectReceivers, append(recipients, most+1)...)
	if err != nil {
		return chat.Receipts{}, err
	}
	if len(receivers) > most {
		receipts := chat.Receipts{ConversationID: message.ConversationID, Seq: message.Seq}
		return receipts, each(c, func(r row) error {
			return r.Scan(&receipts.RecipientCount, &receipts.ReadCount)
		}, "SELECT COUNT(*), COUNT(CASE WHEN p.read_seq >= ? THEN 1 END)"+fromRecipients+whereRecipients, append([]any{message.Seq}, recipients...)...)
	}
	if err := settleReceivers(c, message, receivers); err != nil {
		return chat.Receipts{}, err
	}
	items := make([]chat.Receipt, len(receivers))
	for i, v := range receivers {
		items[i] = v.Receipt
	}
	return receiptsOf(message, items), nil
}

// settleReceivers decides to whom a group's message has been delivered. Whoever
// has acknowledged the whole inbox has it. For others the first message of the
// group behind their position tells: if it is a later one, this one stands
// before the position. What is not found within the window counts as not delivered.
func settleReceivers(c *conn, message *chat.Message, receivers []receiver) error {
	behind := make(map[chat.ID]*receiver)
	for i := range receivers {
		v := &receivers[i]
		switch {
		case v.State == chat.DeliveryRead || v.saved < max(v.pruned, 1):
		case v.saved >= v.head:
			v.State = chat.DeliveryDelivered
		default:
			behind[v.User.ID] = v
		}
	}
	text := new(statement)
	for users := range slices.Chunk(slices.Sorted(maps.Keys(behind)), unionChunk) {
		text.reset()
		for i, user := range users {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			v := behind[user]
			text.sql("SELECT ").id(user).sql(", MIN(i.ref_seq) FROM inbox i WHERE i.user_id = ").id(user).
				sql(" AND i.seq > ").int(v.saved).sql(" AND i.seq <= ").int(v.saved + receiptWindow).
				sql(" AND i.source = ").int(sourceMessage).sql(" AND i.ref_id = ").id(message.ConversationID)
		}
		err := text.each(c, func(r row) error {
			var (
				user  chat.ID
				first *int64
			)
			if err := r.Scan(&user, &first); err != nil {
				return err
			}
			v := behind[user]
			if first != nil && *first > message.Seq || first == nil && v.saved+receiptWindow >= v.head {
				v.State = chat.DeliveryDelivered
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
