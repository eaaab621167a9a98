package repo

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"longwire/chat"
)

const listReactors = 'x'

// parseReactions reads the counts that are kept with a message. Whose they are
// it does not know.
func parseReactions(text string) (reactions []chat.Reaction) {
	if json.Unmarshal([]byte(text), &reactions) != nil {
		return nil // nobody else writes the column
	}
	return reactions
}

// mineChunk bounds the alternatives in one WHERE clause.
const mineChunk = 100

// markMine notes which reactions are the user's. Without reactions it asks nothing.
func markMine(c *conn, user chat.ID, messages []*chat.Message) error {
	byRef := make(map[chat.MessageRef][]*chat.Message)
	var refs []chat.MessageRef
	for _, m := range messages {
		if len(m.Reactions) > 0 {
			ref := chat.MessageRef{ConversationID: m.ConversationID, Seq: m.Seq}
			if byRef[ref] == nil {
				refs = append(refs, ref)
			}
			byRef[ref] = append(byRef[ref], m)
		}
	}
	text := new(statement)
	for chunk := range slices.Chunk(refs, mineChunk) {
		text.reset().sql("SELECT conversation_id, seq, emoji FROM reaction WHERE ")
		for i, ref := range chunk {
			if i > 0 {
				text.sql(" OR ")
			}
			text.sql("conversation_id = ").id(ref.ConversationID).sql(" AND seq = ").int(ref.Seq).sql(" AND user_id = ").id(user)
		}
		err := text.each(c, func(r row) error {
			var (
				ref   chat.MessageRef
				emoji string
			)
			err := r.Scan(&ref.ConversationID, &ref.Seq, &emoji)
			for _, m := range byRef[ref] {
				for i := range m.Reactions {
					m.Reactions[i].Mine = m.Reactions[i].Mine || m.Reactions[i].Emoji == emoji
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

// reactionsByUser returns who reacted with what to a message.
func reactionsByUser(c *conn, message chat.Message) (map[chat.ID][]string, error) {
	if len(message.Reactions) == 0 {
		return nil, nil //nolint:nilnil // a map that is nil holds nothing
	}
	found := make(map[chat.ID][]string)
	return found, each(c, func(r row) error {
		var (
			user  chat.ID
			emoji string
		)
		err := r.Scan(&user, &emoji)
		found[user] = append(found[user], emoji)
		return err
	}, "SELECT user_id, emoji FROM reaction WHERE conversation_id = ? AND seq = ?", message.ConversationID, message.Seq)
}

// inserted adds a row and tells whether it was not there yet.
func (t *tx) inserted(query string, args ...any) (bool, error) {
	_, err := t.exec(query, args...)
	if errors.Is(err, errDuplicate) {
		return false, nil
	}
	return err == nil, err
}

// SetReaction adds or removes a reaction, and keeps the counts in step.
func (t *tx) SetReaction(message chat.Message, user chat.ID, emoji string, on bool) (now []chat.ReactionCount, changed bool, err error) {
	if on {
		changed, err = t.inserted("INSERT INTO reaction (conversation_id, seq, user_id, emoji, created_at) VALUES (?, ?, ?, ?, ?)",
			message.ConversationID, message.Seq, user, emoji, t.at)
	} else {
		var n int64
		n, err = t.exec("DELETE FROM reaction WHERE conversation_id = ? AND seq = ? AND user_id = ? AND emoji = ?",
			message.ConversationID, message.Seq, user, emoji)
		changed = n > 0
	}
	if err != nil {
		return nil, false, err
	}
	now = make([]chat.ReactionCount, 0, len(message.Reactions)+1)
	for _, r := range message.Reactions {
		now = append(now, chat.ReactionCount{Emoji: r.Emoji, Count: r.Count})
	}
	if !changed {
		return now, false, nil
	}
	now = counted(now, emoji, on)
	text := new(statement).sql("UPDATE chat_history SET reactions = ")
	if len(now) == 0 {
		text.sql("NULL")
	} else {
		encoded, err := json.Marshal(now)
		if err != nil {
			return nil, false, err
		}
		text.arg(string(encoded))
	}
	text.sql(" WHERE conversation_id = ").id(message.ConversationID).sql(" AND seq = ").int(message.Seq)
	return now, true, text.exec(t.conn)
}

// counted returns the counts after one more or one less of an emoji. New ones
// come last, and those of nobody go.
func counted(counts []chat.ReactionCount, emoji string, more bool) []chat.ReactionCount {
	i := slices.IndexFunc(counts, func(c chat.ReactionCount) bool { return c.Emoji == emoji })
	switch {
	case i < 0 && more:
		return append(counts, chat.ReactionCount{Emoji: emoji, Count: 1})
	case i < 0:
		return counts
	case more:
		counts[i].Count++
	case counts[i].Count == 1:
		return slices.Delete(counts, i, i+1)
	default:
		counts[i].Count--
	}
	return counts
}

// Reactors lists who reacted to a message, by user and emoji.
func (db *DB) Reactors(ctx context.Context, ref chat.MessageRef, page chat.Page) (chat.List[chat.Reactor], error) {
	var from place
	from.numbers = []int64{0}
	if page.After != "" {
		var err error
		if from, err = parsePlace(listReactors, page.After, 1); err != nil {
			return chat.List[chat.Reactor]{}, err
		}
	}
	c, user := db.reader(ctx), from.numbers[0]
	found, err := all(c, func(r row) (reactor chat.Reactor, err error) {
		return reactor, r.Scan(&reactor.User.ID, &reactor.Emoji, &reactor.At)
	}, "SELECT user_id, emoji, created_at FROM reaction WHERE conversation_id = ? AND seq = ? AND user_id >= ?"+
		" AND (user_id > ? OR emoji > ?) ORDER BY user_id, emoji LIMIT ?", ref.ConversationID, ref.Seq, user, user, from.text, page.Limit+1)
	if err != nil {
		return chat.List[chat.Reactor]{}, err
	}
	part := list(found, page.Limit, func(last chat.Reactor) string {
		return place{list: listReactors, numbers: []int64{int64(last.User.ID)}, text: last.Emoji}.String()
	})
	ids := make([]chat.ID, 0, len(part.Items))
	for i := range part.Items {
		ids = append(ids, part.Items[i].User.ID)
	}
	profiles, err := profilesByID(c, ids)
	if err != nil {
		return chat.List[chat.Reactor]{}, err
	}
	for i := range part.Items {
		if known := profiles[part.Items[i].User.ID]; known != nil {
			part.Items[i].User = *known
		}
	}
	return part, nil
}
