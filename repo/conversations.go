package repo

import (
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"

	"longwire/chat"
)

const listConversations = 'c'

// privateConversation returns the conversation of two users, CodeNotFound when they have none.
func privateConversation(c *conn, a, b chat.ID) (chat.ID, error) {
	return one(c, errNoConversation(), scanID, "SELECT id FROM conversation WHERE user_lo = ? AND user_hi = ?", min(a, b), max(a, b))
}

// PrivateConversation returns the conversation of two users, from memory once
// it was found; CodeNotFound when they have none yet.
func (db *DB) PrivateConversation(ctx context.Context, a, b chat.ID) (chat.ID, error) {
	pair := [2]chat.ID{min(a, b), max(a, b)}
	if id, ok := db.pairs.get(pair); ok {
		return id, nil
	}
	id, err := privateConversation(db.reader(ctx), a, b)
	if err == nil {
		db.pairs.put(pair, id)
	}
	return id, err
}

// pageOfConversations selects ids and activity of a user's conversations behind
// a place. It reads all of the user's conversations: keeping them sorted by
// activity would cost every message two more index writes.
var pageOfConversations = func() string {
	behind := " AND (c.last_activity_at < ? OR c.last_activity_at = ? AND c.id > ?)"
	return "SELECT c.id AS id, c.last_activity_at AS last_activity_at FROM conversation c WHERE c.user_lo = ? AND c.last_seq > 0" + behind +
		" UNION ALL SELECT c.id, c.last_activity_at FROM conversation c WHERE c.user_hi = ? AND c.last_seq > 0" + behind +
		" UNION ALL SELECT c.id, c.last_activity_at FROM group_member m JOIN conversation c ON c.id = m.group_id WHERE m.user_id = ?" + behind +
		" ORDER BY last_activity_at DESC, id LIMIT ?"
}()

// Conversations lists a user's groups, and those private conversations that
// have a message, by last activity, newest first. It takes the same number of
// queries however long the page is.
func (db *DB) Conversations(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.Conversation], error) {
	from := place{numbers: []int64{math.MaxInt64, 0}}
	if page.After != "" {
		var err error
		if from, err = parsePlace(listConversations, page.After, 2); err != nil {
			return chat.List[chat.Conversation]{}, err
		}
	}
	c, at, id := db.reader(ctx), from.numbers[0], from.numbers[1]
	type spot struct {
		id chat.ID
		at int64
	}
	spots, err := all(c, func(r row) (s spot, err error) {
		return s, r.Scan(&s.id, &s.at)
	}, pageOfConversations, user, at, at, id, user, at, at, id, user, at, at, id, page.Limit+1)
	if err != nil {
		return chat.List[chat.Conversation]{}, err
	}
	part := list(spots, page.Limit, func(last spot) string {
		return place{list: listConversations, numbers: []int64{last.at, int64(last.id)}}.String()
	})
	ids := make([]chat.ID, 0, len(part.Items))
	for _, s := range part.Items {
		ids = append(ids, s.id)
	}
	items, err := conversationsFor(c, user, ids)
	return chat.List[chat.Conversation]{Items: items, Next: part.Next}, err
}

// ConversationFor returns one conversation as a user sees it, CodeNotFound when
// the user does not belong to it.
func (db *DB) ConversationFor(ctx context.Context, id, user chat.ID) (chat.Conversation, error) {
	c := db.reader(ctx)
	if _, err := readable(c, id, user); err != nil {
		return chat.Conversation{}, err
	}
	items, err := conversationsFor(c, user, []chat.ID{id})
	if err == nil && len(items) == 0 {
		err = errNoConversation()
	}
	if err != nil {
		return chat.Conversation{}, err
	}
	return items[0], nil
}

// conversationsFor returns conversations of a user in the given order, without
// those that ended meanwhile.
func conversationsFor(c *conn, user chat.ID, ids []chat.ID) ([]chat.Conversation, error) {
	if len(ids) == 0 {
		return []chat.Conversation{}, nil
	}
	found, err := readConversations(c, user, ids)
	if err != nil {
		return nil, err
	}
	var peers, groups []chat.ID
	runs := make(map[chat.ID]unreadRun)
	for id, f := range found {
		if f.Kind == chat.KindGroup {
			groups = append(groups, id)
		} else {
			peers = append(peers, f.peer)
		}
		if after := max(f.ReadSeq, f.visibleFrom-1); after < f.LastSeq {
			runs[id] = unreadRun{after: after, last: f.LastSeq}
		}
	}
	profiles, err := profilesByID(c, peers)
	if err != nil {
		return nil, err
	}
	live, err := groupsByID(c, groups, user)
	if err != nil {
		return nil, err
	}
	unread, err := countUnread(c, user, runs)
	if err != nil {
		return nil, err
	}
	mentions, err := countMentions(c, user, runs)
	if err != nil {
		return nil, err
	}
	items := make([]chat.Conversation, 0, len(ids))
	for _, id := range ids {
		f := found[id]
		if f == nil {
			continue
		}
		f.UnreadCount, f.MentionsUnread, f.Peer, f.Group = unread[id], mentions[id], profiles[f.peer], live[id]
		if f.Kind == chat.KindGroup && f.Group == nil {
			continue
		}
		items = append(items, f.Conversation)
	}
	return items, nil
}

// foundConversation is a conversation without what other tables say of it.
type foundConversation struct {
	chat.Conversation

	peer        chat.ID
	visibleFrom int64 // earlier messages are not the user's to see
}

// readConversations reads conversations with their last message and read positions.
func readConversations(c *conn, user chat.ID, ids []chat.ID) (map[chat.ID]*foundConversation, error) {
	found := make(map[chat.ID]*foundConversation, len(ids))
	text := new(statement).
		sql("SELECT c.id, c.kind, c.user_lo, c.user_hi, c.last_seq, c.last_activity_at, COALESCE(mine.read_seq, 0), COALESCE(theirs.read_seq, 0), COALESCE(gm.visible_from_seq, 1), " + messageColumns +
			", x.seq FROM conversation c LEFT JOIN chat_history h ON h.conversation_id = c.id AND h.seq = c.last_seq" +
			" LEFT JOIN hidden_message x ON x.user_id = ").id(user).
		sql(" AND x.conversation_id = h.conversation_id AND x.seq = h.seq" +
			" LEFT JOIN read_position mine ON mine.conversation_id = c.id AND mine.user_id = ").id(user).
		sql(" LEFT JOIN group_member gm ON gm.group_id = c.id AND gm.user_id = ").id(user).
		sql(" LEFT JOIN read_position theirs ON theirs.conversation_id = c.id AND theirs.user_id = CASE WHEN c.user_lo = ").id(user).
		sql(" THEN c.user_hi ELSE c.user_lo END WHERE c.id IN ").ids(ids)
	var last []*chat.Message
	err := text.each(c, func(r row) error {
		var (
			f            foundConversation
			lo, hi       sql.NullInt64
			theirReadSeq int64
			m            messageRow
			hidden       sql.NullInt64
		)
		dest := []any{&f.ID, &f.Kind, &lo, &hi, &f.LastSeq, &f.LastActivityAt, &f.ReadSeq, &theirReadSeq, &f.visibleFrom}
		if err := r.Scan(append(append(dest, m.dest()...), &hidden)...); err != nil {
			return err
		}
		if f.Kind == chat.KindPrivate {
			f.PeerReadSeq = &theirReadSeq
			f.peer = chat.ID(lo.Int64)
			if f.peer == user {
				f.peer = chat.ID(hi.Int64)
			}
		}
		if m.seq.Valid && m.seq.Int64 >= f.visibleFrom {
			message := seenBy(m.message(), user, hidden.Valid)
			f.LastMessage = &message
			last = append(last, &message)
		}
		found[f.ID] = &f
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, markMine(c, user, last)
}

const (
	// unreadWindow is how many messages after the read mark are looked at, so
	// that counting is bounded also for somebody who sends a lot and never reads.
	unreadWindow = 2 * chat.MaxUnreadCount
	// unreadChunk bounds the parts of a UNION; SQLite takes 500.
	unreadChunk = 100
)

// unreadRun is the part of a conversation in which unread messages are counted.
type unreadRun struct {
	after int64 // the read seq
	last  int64 // the last seq that the same answer tells of: a count must not know more
}

// countUnread counts messages of others in the given runs, each count up to
// chat.MaxUnreadCount. What the system says is not counted.
func countUnread(c *conn, user chat.ID, runs map[chat.ID]unreadRun) (map[chat.ID]int64, error) {
	counts := make(map[chat.ID]int64, len(runs))
	text := new(statement)
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(runs)), unreadChunk) {
		text.reset()
		for i, id := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			text.sql("SELECT ").id(id).sql(", COUNT(*) FROM chat_history WHERE conversation_id = ").id(id).
				sql(" AND seq > ").int(runs[id].after).sql(" AND seq <= ").int(min(runs[id].after+unreadWindow, runs[id].last)).
				sql(" AND sender_id <> ").id(user).sql(" AND kind <> 'system'")
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
