package repo

import (
	"maps"
	"math"
	"slices"

	"longwire/chat"
)

// insertMentions notes whom the accepted messages mention, for counting. Most
// batches have no mentions, and then there is no statement.
func (b *batch) insertMentions() error {
	b.text.reset()
	n := 0
	for i := range b.accepted {
		n = b.text.mentionRows(n, &b.accepted[i].message)
	}
	if n == 0 {
		return nil
	}
	return b.x.later(&b.text)
}

// mentionRows writes a row for each user whom a message mentions, behind n rows
// of others, and returns how many there are now. Senders need not be told.
func (s *statement) mentionRows(n int, message *chat.Message) int {
	for _, user := range message.Mentions {
		if user == message.SenderID {
			continue
		}
		if n == 0 {
			s.sql("INSERT INTO mention (user_id, conversation_id, seq) VALUES ")
		}
		s.comma(n).sql("(").id(user).sql(",").id(message.ConversationID).sql(",").int(message.Seq).sql(")")
		n++
	}
	return n
}

// replaceMentions stores whom a message mentions in the place of those it
// mentioned before.
func (t *tx) replaceMentions(before, after *chat.Message) error {
	text := new(statement)
	if len(before.Mentions) > 0 {
		text.sql("DELETE FROM mention WHERE user_id IN ").ids(before.Mentions).
			sql(" AND conversation_id = ").id(before.ConversationID).sql(" AND seq = ").int(before.Seq)
		if err := text.exec(t.conn); err != nil {
			return err
		}
	}
	// To who has deleted it, it mentions nobody.
	hidden, err := deletedBy(t.conn, chat.MessageRef{ConversationID: after.ConversationID, Seq: after.Seq}, after.Mentions)
	if err != nil {
		return err
	}
	mentioning := *after
	mentioning.Mentions = slices.DeleteFunc(slices.Clone(after.Mentions), func(user chat.ID) bool { return hidden[user] })
	text.reset()
	if text.mentionRows(0, &mentioning) == 0 {
		return nil
	}
	return text.exec(t.conn)
}

// countMentions counts messages that mention the user in the given runs, each
// count up to chat.MaxUnreadCount.
func countMentions(c *conn, user chat.ID, runs map[chat.ID]unreadRun) (map[chat.ID]int64, error) {
	counts := make(map[chat.ID]int64, len(runs))
	text := new(statement)
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(runs)), unionChunk) {
		text.reset()
		for i, id := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			text.sql("SELECT ").id(id).sql(", COUNT(*) FROM mention WHERE user_id = ").id(user).sql(" AND conversation_id = ").id(id).
				sql(" AND seq > ").int(runs[id].after).sql(" AND seq <= ").int(min(runs[id].after+unreadWindow, runs[id].last))
		}
		err := text.each(c, func(r row) error {
			var (
				id    chat.ID
				count int64
			)
			err := r.Scan(&id, &count)
			counts[id] = min(count, chat.MaxUnreadCount)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// UnreadMentions counts the messages after a seq, and not hidden, that mention a user.
func (t *tx) UnreadMentions(conversation, user chat.ID, after int64) (int64, error) {
	first, err := t.firstSeq(conversation, user)
	if err != nil {
		return 0, err
	}
	return t.countMentionsAfter(conversation, user, max(after, first-1))
}

// countMentionsAfter counts the messages after a seq that mention a user.
func (t *tx) countMentionsAfter(conversation, user chat.ID, after int64) (int64, error) {
	counts, err := countMentions(t.conn, user, map[chat.ID]unreadRun{conversation: {after: after, last: math.MaxInt64}})
	return counts[conversation], err
}

// ReadStateOf returns how far a user has read a conversation, with the counts
// that follow.
func (t *tx) ReadStateOf(conversation, user chat.ID) (chat.ReadState, error) {
	state := chat.ReadState{ConversationID: conversation}
	var err error
	if state.ReadSeq, err = t.ReadSeq(conversation, user); err != nil {
		return state, err
	}
	if state.LastSeq, err = t.LastSeq(conversation); err != nil {
		return state, err
	}
	first, err := t.firstSeq(conversation, user)
	if err != nil {
		return state, err
	}
	after := max(state.ReadSeq, first-1)
	if state.UnreadCount, err = t.countUnreadAfter(conversation, user, after); err != nil {
		return state, err
	}
	state.MentionsUnread, err = t.countMentionsAfter(conversation, user, after)
	return state, err
}
