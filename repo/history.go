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

// readable returns which part of a conversation a user may read: from the first
// seq to the last, CodeNotFound for somebody who does not belong to it. A
// member of a group may be one who does not see what was said before joining.
// Whatever shows messages asks this, or joins group_member itself.
func readable(c *conn, id, user chat.ID) (part visible, err error) {
	return one(c, errNoConversation(), func(r row) (part visible, err error) {
		return part, r.Scan(&part.first, &part.last)
	}, "SELECT COALESCE(m.visible_from_seq, 1), c.last_seq FROM conversation c LEFT JOIN group_member m ON m.group_id = c.id AND m.user_id = ?"+
		" WHERE c.id = ? AND (c.user_lo = ? OR c.user_hi = ? OR m.user_id IS NOT NULL)", user, id, user, user)
}

// visible is a part of a conversation; none of it when first is behind last.
type visible struct {
	first, last int64
}

// History returns messages of a conversation as a user sees them, ascending.
// CodeNotFound when the user does not belong to it.
func (db *DB) History(ctx context.Context, conversation, user chat.ID, query chat.HistoryQuery) (chat.History, error) {
	c := db.reader(ctx)
	part, err := readable(c, conversation, user)
	if err != nil {
		return chat.History{}, err
	}
	if query, err = byTime(c, conversation, part.last, query); err != nil {
		return chat.History{}, err
	}
	first, last := historyRange(query, part)
	history := chat.History{HasMoreBefore: first > part.first, HasMoreAfter: last < part.last, Items: []chat.Message{}}
	if first > last {
		return history, nil
	}
	history.Items, err = all(c, func(r row) (chat.Message, error) {
		return scanSeen(r, user)
	}, "SELECT "+messageColumns+", x.seq FROM chat_history h"+hiddenFrom+" WHERE h.conversation_id = ? AND h.seq BETWEEN ? AND ? ORDER BY h.seq",
		user, conversation, first, last)
	if err != nil {
		return chat.History{}, err
	}
	return history, markMine(c, user, pointers(history.Items))
}

// historyRange returns the first and the last seq that a query selects of the
// part that may be read; nothing when first > last. Because seqs have no gaps,
// no more than these numbers is needed.
func historyRange(query chat.HistoryQuery, part visible) (first, last int64) {
	limit, hidden := int64(max(query.Limit, 1)), part.first-1
	switch {
	case query.AfterSeq != nil:
		first = min(max(*query.AfterSeq, hidden), part.last) + 1
		return max(first, part.first), min(first+limit-1, part.last)
	case query.BeforeSeq != nil:
		last = max(min(*query.BeforeSeq-1, part.last), hidden)
	case query.AroundSeq != nil:
		last = min(max(*query.AroundSeq, part.first), part.last) - limit/2 + limit - 1
		last = min(max(last, hidden+limit), part.last)
	default:
		last = part.last
	}
	return max(last-limit+1, part.first), last
}
