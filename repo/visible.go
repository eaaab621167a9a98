package repo

import (
	"database/sql"
	"slices"

	"longwire/chat"
)

// view is a conversation as one of those who belong to it may see it.
type view struct {
	kind     chat.ConversationKind
	firstSeq int64 // messages before it are hidden
	lastSeq  int64
	peer     peerPosition // private conversations
}

// peerPosition is how far the other one of a private conversation has come.
type peerPosition struct {
	id      chat.ID
	readSeq int64
	saved   int64 // in the peer's inbox, by any device; 0 = none yet
}

// firstVisible is the one place where it is decided which message of a
// conversation is the first that a user may see: visibleFrom is what a group
// shows to this member, 1 for everything.
func firstVisible(clearedSeq, visibleFrom int64) int64 {
	return max(clearedSeq+1, visibleFrom)
}

// joinPeer joins the read mark as theirs and the saved position as d of the
// other user of a private conversation c; the user is two arguments. For groups
// there is no such other.
const joinPeer = " LEFT JOIN read_position theirs ON theirs.conversation_id = c.id AND theirs.user_id = CASE WHEN c.user_lo = ? THEN c.user_hi ELSE c.user_lo END" +
	" LEFT JOIN delivered_position d ON d.user_id = CASE WHEN c.user_lo = ? THEN c.user_hi ELSE c.user_lo END"

// joinState joins what a user, who is the argument, has set for conversation c.
const joinState = " LEFT JOIN conversation_state s ON s.conversation_id = c.id AND s.user_id = ?"

const readView = "SELECT c.kind, c.user_lo, c.user_hi, c.last_seq, COALESCE(s.cleared_seq, 0), COALESCE(m.visible_from_seq, 1), COALESCE(theirs.read_seq, 0), COALESCE(d.seq, 0)" +
	" FROM conversation c LEFT JOIN group_member m ON m.group_id = c.id AND m.user_id = ?" + joinState + joinPeer +
	" WHERE c.id = ? AND (c.user_lo = ? OR c.user_hi = ? OR m.user_id IS NOT NULL)"

// readable returns a conversation that the user belongs to, otherwise CodeNotFound.
func readable(c *conn, id, user chat.ID) (view, error) {
	return one(c, errNoConversation(), func(r row) (v view, err error) {
		var (
			lo, hi               sql.NullInt64
			cleared, visibleFrom int64
		)
		err = r.Scan(&v.kind, &lo, &hi, &v.lastSeq, &cleared, &visibleFrom, &v.peer.readSeq, &v.peer.saved)
		v.firstSeq, v.peer.id = firstVisible(cleared, visibleFrom), otherOf(lo, hi, user)
		return v, err
	}, readView, user, user, user, user, id, user, user)
}

// firstSeq returns the first message of a locked conversation that a user may see.
func (t *tx) firstSeq(conversation, user chat.ID) (int64, error) {
	return one(t.conn, errNoConversation(), func(r row) (int64, error) {
		var cleared, visibleFrom int64
		err := r.Scan(&cleared, &visibleFrom)
		return firstVisible(cleared, visibleFrom), err
	}, "SELECT COALESCE(s.cleared_seq, 0), COALESCE(m.visible_from_seq, 1) FROM conversation c"+
		" LEFT JOIN group_member m ON m.group_id = c.id AND m.user_id = ?"+joinState+" WHERE c.id = ?", user, user, conversation)
}

// FirstSeqs returns what of a conversation is hidden from whom.
func (t *tx) FirstSeqs(conversation chat.ID, audience chat.Audience) (chat.Horizons, error) {
	h := chat.Horizons{Joined: make(map[chat.ID]int64), Cleared: make(map[chat.ID]int64)}
	take := func(into map[chat.ID]int64) func(r row) error {
		return func(r row) error {
			var (
				user chat.ID
				seq  int64
			)
			err := r.Scan(&user, &seq)
			into[user] = seq
			return err
		}
	}
	text := new(statement)
	if audience.Kind == chat.KindGroup {
		text.sql("SELECT user_id, visible_from_seq FROM group_member WHERE group_id = ").id(conversation).sql(" AND visible_from_seq > 1")
		if err := text.each(t.conn, take(h.Joined)); err != nil {
			return h, err
		}
	}
	for chunk := range slices.Chunk(audience.Members, inChunk) {
		text.reset().sql("SELECT user_id, cleared_seq FROM conversation_state WHERE user_id IN ").ids(chunk).
			sql(" AND conversation_id = ").id(conversation).sql(" AND cleared_seq > 0")
		if err := text.each(t.conn, take(h.Cleared)); err != nil {
			return h, err
		}
	}
	return h, nil
}

// otherOf returns the other user of a private conversation.
func otherOf(lo, hi sql.NullInt64, user chat.ID) chat.ID {
	if chat.ID(lo.Int64) == user {
		return chat.ID(hi.Int64)
	}
	return chat.ID(lo.Int64)
}

// delivery says how far a user's own message has come; "" for another's.
// inboxSeq is where it stands in the peer's inbox, NULL in groups and for
// messages from before that was kept: of those it is only known when they are read.
func (p peerPosition) delivery(kind chat.ConversationKind, m *chat.Message, user chat.ID, inboxSeq sql.NullInt64) chat.DeliveryState {
	switch {
	case kind != chat.KindPrivate || m.SenderID != user:
		return ""
	case m.Seq <= p.readSeq:
		return chat.DeliveryRead
	case inboxSeq.Valid && inboxSeq.Int64 <= p.saved:
		return chat.DeliveryDelivered
	default:
		return chat.DeliverySent
	}
}
