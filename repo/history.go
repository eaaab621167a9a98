package repo

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"

	"longwire/chat"
)

// messageColumns are the columns of chat_history as h that make a message.
const messageColumns = "h.conversation_id, h.seq, h.sender_id, h.kind, h.body, h.reply_to, h.mentions, h.created_at, h.edited_at, h.recalled, h.idempotency_key," +
	" h.payload, h.forwarded_from, h.reactions, h.recalled_by" +
	", h.system_data"

// messageRow is messageColumns as read, all NULL where a join found none.
type messageRow struct {
	conversation, seq, sender, replyTo, createdAt, editedAt, recalled, recalledBy sql.NullInt64
	kind, body, mentions, key, payload, forwardedFrom, reactions                  sql.NullString

	system sql.NullString
}

// dest returns where Scan puts the columns.
func (m *messageRow) dest() []any {
	return []any{
		&m.conversation, &m.seq, &m.sender, &m.kind, &m.body, &m.replyTo, &m.mentions, &m.createdAt, &m.editedAt, &m.recalled, &m.key,
		&m.payload, &m.forwardedFrom, &m.reactions, &m.recalledBy,
		&m.system,
	}
}

// message returns the message with its key, as its sender may see it. Whose
// reactions there are it does not know; see markMine.
func (m *messageRow) message() chat.Message {
	message := chat.Message{
		ConversationID: chat.ID(m.conversation.Int64), Seq: m.seq.Int64, SenderID: chat.ID(m.sender.Int64),
		Kind: chat.MessageKind(m.kind.String), Body: m.body.String, Mentions: parseMentions(m.mentions.String),
		CreatedAt: chat.Time(m.createdAt.Int64), Recalled: m.recalled.Int64 != 0, IdempotencyKey: m.key.String,
		RecalledBy: chat.ID(m.recalledBy.Int64),
	}
	if m.payload.Valid {
		message.Payload = json.RawMessage(m.payload.String)
	}
	if m.forwardedFrom.Valid {
		message.ForwardedFrom = parseOrigin(m.forwardedFrom.String)
	}
	if m.reactions.Valid {
		message.Reactions = parseReactions(m.reactions.String)
	}
	if m.replyTo.Valid {
		message.ReplyTo = &m.replyTo.Int64
	}
	if m.editedAt.Valid {
		edited := chat.Time(m.editedAt.Int64)
		message.EditedAt = &edited
	}
	message.System = parseSystem(m.system)
	return message
}

// mentions writes mentioned users as parseMentions reads them.
func (s *statement) mentions(ids []chat.ID) *statement {
	if len(ids) == 0 {
		return s.sql("NULL")
	}
	s.sql("'")
	for i, id := range ids {
		s.comma(i).id(id)
	}
	return s.sql("'")
}

func parseMentions(text string) []chat.ID {
	ids := []chat.ID{} // never nil in JSON
	for part := range strings.SplitSeq(text, ",") {
		if id, err := strconv.ParseInt(part, 10, 64); err == nil {
			ids = append(ids, chat.ID(id))
		}
	}
	return ids
}

// History returns messages of a conversation as a user sees them, ascending.
// CodeNotFound when the user does not belong to it.
func (db *DB) History(ctx context.Context, conversation, user chat.ID, query chat.HistoryQuery) (chat.History, error) {
	c := db.reader(ctx)
	seen, err := readable(c, conversation, user)
	if err != nil {
		return chat.History{}, err
	}
	if query, err = byTime(c, conversation, seen.lastSeq, query); err != nil {
		return chat.History{}, err
	}
	first, last := historyRange(query, seen.firstSeq, seen.lastSeq)
	history := chat.History{HasMoreBefore: first > seen.firstSeq, HasMoreAfter: last < seen.lastSeq, Items: []chat.Message{}}
	if first > last {
		return history, nil
	}
	history.Items, err = all(c, func(r row) (chat.Message, error) {
		var (
			m             messageRow
			hidden, inbox sql.NullInt64
		)
		err := r.Scan(append(m.dest(), &hidden, &inbox)...)
		message := seenBy(m.message(), user, hidden.Valid)
		message.Delivery = seen.peer.delivery(seen.kind, &message, user, inbox)
		return message, err
	}, "SELECT "+messageColumns+", x.seq, h.peer_inbox_seq FROM chat_history h"+hiddenFrom+
		" WHERE h.conversation_id = ? AND h.seq BETWEEN ? AND ? ORDER BY h.seq", user, conversation, first, last)
	if err != nil {
		return chat.History{}, err
	}
	return history, markMine(c, user, pointers(history.Items))
}

// historyRange returns the first and the last seq that a query selects of a
// conversation in which messages oldest … newest can be seen; nothing when
// first > last. Because seqs have no gaps, no more than these numbers is needed.
func historyRange(query chat.HistoryQuery, oldest, newest int64) (first, last int64) {
	limit := int64(max(query.Limit, 1))
	none := oldest - 1
	switch {
	case query.AfterSeq != nil:
		first = max(min(*query.AfterSeq, newest), none) + 1
		return first, min(first+limit-1, newest)
	case query.BeforeSeq != nil:
		last = max(min(*query.BeforeSeq-1, newest), none)
	case query.AroundSeq != nil:
		last = min(max(*query.AroundSeq, oldest), newest) - limit/2 + limit - 1
		last = min(max(last, none+limit), newest)
	default:
		last = newest
	}
	return max(last-limit+1, oldest), last
}
