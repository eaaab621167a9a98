package repo

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"longwire/chat"
)

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

// ConversationFor returns one conversation as a user sees it, CodeNotFound when
// the user does not belong to it.
func (db *DB) ConversationFor(ctx context.Context, id, user chat.ID) (chat.Conversation, error) {
	return conversationFor(db.reader(ctx), id, user)
}

// ConversationOf does the same within the transaction.
func (t *tx) ConversationOf(conversation, user chat.ID) (chat.Conversation, error) {
	return conversationFor(t.conn, conversation, user)
}

func conversationFor(c *conn, id, user chat.ID) (chat.Conversation, error) {
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
			peers = append(peers, f.peer.id)
		}
		if after := max(f.ReadSeq, f.firstSeq-1); after < f.LastSeq {
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
	if err := findDelivered(c, user, found); err != nil {
		return nil, err
	}
	items := make([]chat.Conversation, 0, len(ids))
	for _, id := range ids {
		f := found[id]
		if f == nil {
			continue
		}
		f.UnreadCount, f.MentionsUnread, f.Peer, f.Group = unread[id], mentions[id], profiles[f.peer.id], live[id]
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

	firstSeq int64 // that the user may see
	peer     peerPosition
}

const selectConversations = "SELECT c.id, c.kind, c.user_lo, c.user_hi, c.last_seq, c.last_activity_at, COALESCE(mine.read_seq, 0), COALESCE(theirs.read_seq, 0)," +
	" COALESCE(d.seq, 0), COALESCE(gm.visible_from_seq, 1), s.pinned_at, COALESCE(s.muted_until, 0), s.archived_seq, COALESCE(s.marked_unread, 0), COALESCE(s.cleared_seq, 0), h.peer_inbox_seq, x.seq, " +
	messageColumns + " FROM conversation c LEFT JOIN chat_history h ON h.conversation_id = c.id AND h.seq = c.last_seq" + hiddenFrom +
	" LEFT JOIN group_member gm ON gm.group_id = c.id AND gm.user_id = ?" +
	" LEFT JOIN read_position mine ON mine.conversation_id = c.id AND mine.user_id = ?" + joinState + joinPeer + " WHERE c.id IN "

// readConversations reads conversations with their last message, what the user
// has set for them, and how far those in them have read.
func readConversations(c *conn, user chat.ID, ids []chat.ID) (map[chat.ID]*foundConversation, error) {
	found := make(map[chat.ID]*foundConversation, len(ids))
	text := new(statement).sql(selectConversations).ids(ids)
	text.args = append(text.args, user, user, user, user, user, user)
	var last []*chat.Message
	err := text.each(c, func(r row) error {
		var (
			f             foundConversation
			lo, hi, inbox sql.NullInt64
			hidden        sql.NullInt64
			visibleFrom   int64
			state         chat.StoredState
			m             messageRow
		)
		dest := []any{
			&f.ID, &f.Kind, &lo, &hi, &f.LastSeq, &f.LastActivityAt, &f.ReadSeq, &f.peer.readSeq, &f.peer.saved, &visibleFrom,
			&state.PinnedAt, &state.MutedUntil, &state.ArchivedSeq, &state.MarkedUnread, &state.ClearedSeq, &inbox, &hidden,
		}
		if err := r.Scan(append(dest, m.dest()...)...); err != nil {
			return err
		}
		f.ConversationState = state.Seen(chat.Standing{LastSeq: f.LastSeq, LastActivityAt: f.LastActivityAt})
		f.firstSeq = firstVisible(state.ClearedSeq, visibleFrom)
		if f.Kind == chat.KindPrivate {
			f.PeerReadSeq, f.peer.id = &f.peer.readSeq, otherOf(lo, hi, user)
		}
		if m.seq.Valid && m.seq.Int64 >= f.firstSeq {
			message := seenBy(m.message(), user, hidden.Valid)
			message.Delivery = f.peer.delivery(f.Kind, &message, user, inbox)
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
	unreadWindow = 4 * chat.MaxUnreadCount
	// unionChunk bounds the parts of a UNION; SQLite takes 500.
	unionChunk = 100
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
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(runs)), unionChunk) {
		text.reset()
		for i, id := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			text.sql("SELECT ").id(id).sql(", COUNT(*) FROM (SELECT h.seq FROM chat_history h WHERE h.conversation_id = ").id(id).
				sql(" AND h.seq > ").int(runs[id].after).sql(" AND h.seq <= ").int(min(runs[id].after+unreadWindow, runs[id].last)).
				sql(" AND h.sender_id <> ").id(user).sql(" AND h.kind <> 'system' LIMIT ").int(chat.MaxUnreadCount).sql(") page")
		}
		err := text.each(c, func(r row) error {
			var (
				id    chat.ID
				count int64
			)
			err := r.Scan(&id, &count)
			counts[id] = count
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
