package repo

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"longwire/chat"
)

func errNoMessage() error {
	return chat.NotFound("There is no such message.")
}

// payload writes a custom message's JSON, or NULL.
func (s *statement) payload(payload []byte) *statement {
	if payload == nil {
		return s.sql("NULL")
	}
	return s.arg(string(payload))
}

// origin writes where a message is from as parseOrigin reads it, or NULL.
func (s *statement) origin(origin *chat.Origin) *statement {
	if origin == nil {
		return s.sql("NULL")
	}
	encoded, _ := json.Marshal(origin) // of ids, a number and a time: cannot fail
	return s.arg(string(encoded))
}

func parseOrigin(text string) *chat.Origin {
	origin := new(chat.Origin)
	if json.Unmarshal([]byte(text), origin) != nil {
		return nil // nobody else writes the column
	}
	return origin
}

// hiddenFrom joins whether the user of the first argument has deleted message h: x.seq is NULL then.
const hiddenFrom = " LEFT JOIN hidden_message x ON x.user_id = ? AND x.conversation_id = h.conversation_id AND x.seq = h.seq"

// seenBy returns a message as a user sees it, who may have deleted it.
func seenBy(message chat.Message, user chat.ID, hidden bool) chat.Message {
	message = message.SeenBy(user)
	if hidden {
		return deleted(message)
	}
	return message
}

// deleted returns a message as somebody sees it who has deleted it.
func deleted(message chat.Message) chat.Message {
	message = emptied(message)
	message.Deleted = true
	return message
}

// markDeleted takes the text out of those messages that the user has deleted.
// Without messages it asks nothing.
func markDeleted(c *conn, user chat.ID, messages []*chat.Message) error {
	text := new(statement)
	for chunk := range slices.Chunk(messages, mineChunk) {
		text.reset().sql("SELECT conversation_id, seq FROM hidden_message WHERE ")
		for i, m := range chunk {
			if i > 0 {
				text.sql(" OR ")
			}
			text.sql("user_id = ").id(user).sql(" AND conversation_id = ").id(m.ConversationID).sql(" AND seq = ").int(m.Seq)
		}
		err := text.each(c, func(r row) error {
			var ref chat.MessageRef
			err := r.Scan(&ref.ConversationID, &ref.Seq)
			for _, m := range chunk {
				if m.ConversationID == ref.ConversationID && m.Seq == ref.Seq {
					*m = deleted(*m)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deletedBy returns who of the users has deleted a message.
func deletedBy(c *conn, ref chat.MessageRef, users []chat.ID) (map[chat.ID]bool, error) {
	found := make(map[chat.ID]bool)
	text := new(statement)
	for chunk := range slices.Chunk(users, inChunk) {
		text.reset().sql("SELECT user_id FROM hidden_message WHERE user_id IN ").ids(chunk).
			sql(" AND conversation_id = ").id(ref.ConversationID).sql(" AND seq = ").int(ref.Seq)
		err := text.each(c, func(r row) error {
			user, err := scanID(r)
			found[user] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// emptied returns what is left of a message that says nothing any more.
func emptied(message chat.Message) chat.Message {
	message.Body, message.Payload, message.ReplyTo, message.Mentions = "", nil, nil, []chat.ID{}
	message.ForwardedFrom, message.Reactions, message.EditedAt = nil, nil, nil
	return message
}

// scanSeen reads messageColumns and x.seq of hiddenFrom.
func scanSeen(r row, user chat.ID) (chat.Message, error) {
	var (
		m      messageRow
		hidden sql.NullInt64
	)
	err := r.Scan(append(m.dest(), &hidden)...)
	return seenBy(m.message(), user, hidden.Valid), err
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// Message returns one message as a user sees it, by the rules of History.
func (db *DB) Message(ctx context.Context, conversation, user chat.ID, seq int64) (chat.Message, error) {
	before := seq - 1
	history, err := db.History(ctx, conversation, user, chat.HistoryQuery{AfterSeq: &before, Limit: 1})
	if err != nil {
		return chat.Message{}, err
	}
	if len(history.Items) == 0 || history.Items[0].Seq != seq {
		return chat.Message{}, errNoMessage()
	}
	return history.Items[0], nil
}

// MessageVersions returns what a message said before it was edited, oldest first.
func (db *DB) MessageVersions(ctx context.Context, ref chat.MessageRef) ([]chat.MessageVersion, error) {
	return all(db.reader(ctx), func(r row) (chat.MessageVersion, error) {
		var (
			version           chat.MessageVersion
			payload, mentions sql.NullString
		)
		err := r.Scan(&version.Version, &version.Body, &payload, &mentions, &version.At)
		version.Mentions = parseMentions(mentions.String)
		if payload.Valid {
			version.Payload = json.RawMessage(payload.String)
		}
		return version, err
	}, "SELECT version, body, payload, mentions, written_at FROM message_version WHERE conversation_id = ? AND seq = ? ORDER BY version",
		ref.ConversationID, ref.Seq)
}

// MessageOf returns a message, in nobody's view.
func (t *tx) MessageOf(ref chat.MessageRef) (chat.Message, error) {
	return one(t.conn, errNoMessage(), func(r row) (chat.Message, error) {
		var m messageRow
		err := r.Scan(m.dest()...)
		return m.message(), err
	}, "SELECT "+messageColumns+" FROM chat_history h WHERE h.conversation_id = ? AND h.seq = ?", ref.ConversationID, ref.Seq)
}

// EditMessage keeps what a message says as a version and stores what it is to say.
func (t *tx) EditMessage(before, after chat.Message) (edits int, err error) {
	last, err := one(t.conn, nil, scanMaybe, "SELECT MAX(version) FROM message_version WHERE conversation_id = ? AND seq = ?", before.ConversationID, before.Seq)
	if err != nil {
		return 0, err
	}
	edits = 1
	if last != nil {
		edits = int(*last) + 1
	}
	written := before.CreatedAt
	if before.EditedAt != nil {
		written = *before.EditedAt
	}
	text := new(statement).sql("INSERT INTO message_version (conversation_id, seq, version, body, payload, mentions, written_at) VALUES (").
		id(before.ConversationID).sql(",").int(before.Seq).sql(",").int(int64(edits)).sql(",").arg(before.Body).sql(",").payload(before.Payload).
		sql(",").mentions(before.Mentions).sql(",").int(int64(written)).sql(")")
	if err := text.exec(t.conn); err != nil {
		return 0, err
	}
	text.reset().sql("UPDATE chat_history SET body = ").arg(after.Body).sql(", payload = ").payload(after.Payload).
		sql(", mentions = ").mentions(after.Mentions).sql(", edited_at = ").int(int64(t.at)).
		sql(" WHERE conversation_id = ").id(after.ConversationID).sql(" AND seq = ").int(after.Seq)
	if err := text.exec(t.conn); err != nil {
		return 0, err
	}
	if err := t.messageChanged(after.ConversationID, after.Seq); err != nil {
		return 0, err
	}
	return edits, t.replaceMentions(&before, &after)
}

// HideMessage deletes a message for one user.
func (t *tx) HideMessage(ref chat.MessageRef, user chat.ID) (bool, error) {
	changed, err := t.inserted("INSERT INTO hidden_message (user_id, conversation_id, seq) VALUES (?, ?, ?)", user, ref.ConversationID, ref.Seq)
	if err != nil || !changed {
		return false, err
	}
	_, err = t.exec("DELETE FROM mention WHERE user_id = ? AND conversation_id = ? AND seq = ?", user, ref.ConversationID, ref.Seq)
	return true, err
}
