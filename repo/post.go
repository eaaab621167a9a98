package repo

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"longwire/chat"
)

// Post stores a message under the next seq of its conversation and notes it for
// the inboxes of the given users. Sending has its own way, by batches; this is
// for messages that tell of a change and are committed with it.
func (t *tx) Post(message chat.Message, users ...chat.ID) error {
	var c *conversation
	if err := lockConversations(t.conn, []chat.ID{message.ConversationID}, func(found *conversation) { c = found }); err != nil {
		return err
	}
	if c == nil {
		return errNoConversation()
	}
	message.Seq, message.CreatedAt = c.lastSeq+1, t.at
	said, err := encodeSystem(message.System)
	if err != nil {
		return err
	}
	text := new(statement).sql("INSERT INTO chat_history (conversation_id, seq, sender_id, kind, body, mentions, created_at, recalled, system_data) VALUES (").
		id(message.ConversationID).sql(",").int(message.Seq).sql(",").id(message.SenderID).sql(",").arg(string(message.Kind)).
		sql(",").arg(message.Body).sql(",").mentions(message.Mentions).sql(",").int(int64(message.CreatedAt)).sql(",0,").arg(said).sql(")")
	if err := text.exec(t.conn); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE conversation SET last_seq = ?, last_activity_at = ? WHERE id = ?",
		message.Seq, max(c.lastActivity, message.CreatedAt), c.id); err != nil {
		return err
	}
	return t.AppendMessage(chat.MessageCreated, message, users...)
}

// LastSeq returns the last seq of a conversation.
func (t *tx) LastSeq(conversation chat.ID) (int64, error) {
	return one(t.conn, errNoConversation(), scanInt, "SELECT last_seq FROM conversation WHERE id = ?", conversation)
}

// encodeSystem returns what the column holds: NULL for messages that are not the system's.
func encodeSystem(said *chat.SystemEvent) (sql.NullString, error) {
	if said == nil {
		return sql.NullString{}, nil
	}
	encoded, err := json.Marshal(said)
	if err != nil {
		return sql.NullString{}, fmt.Errorf("encode a system message: %w", err)
	}
	return sql.NullString{String: string(encoded), Valid: true}, nil
}

// parseSystem reads what encodeSystem wrote. What cannot be read is none:
// the message has a body all the same.
func parseSystem(text sql.NullString) *chat.SystemEvent {
	if !text.Valid {
		return nil
	}
	said := new(chat.SystemEvent)
	if json.Unmarshal([]byte(text.String), said) != nil {
		return nil
	}
	return said
}
