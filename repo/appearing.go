package repo

import (
	"encoding/json"
	"fmt"

	"longwire/chat"
)

// A private conversation appears for a user with the first message that there
// is to show: the very first, or the first after the user has cleared it. The
// row that the batch has locked says so; nothing is asked for any other
// message.

// appearance is a conversation that appears for a user with a message of the
// batch, as it was before that message.
type appearance struct {
	user, peer chat.ID
	id         chat.ID
	at         chat.Standing
	time       chat.Time // of the message
	event      chat.ID   // as it is stored
	body       int       // index into the announcement's bodies
}

// appear notes for whom a conversation appears with the message that is being
// accepted.
func (b *batch) appear(c *conversation, time chat.Time) {
	if c.kind != chat.KindPrivate || c.shownLo && c.shownHi {
		return
	}
	at := chat.Standing{LastSeq: c.lastSeq, LastActivityAt: c.lastActivity}
	if !c.shownLo {
		b.appearing = append(b.appearing, appearance{user: c.lo, peer: c.hi, id: c.id, at: at, time: time})
	}
	if !c.shownHi {
		b.appearing = append(b.appearing, appearance{user: c.hi, peer: c.lo, id: c.id, at: at, time: time})
	}
	c.shownLo, c.shownHi = true, true
}

// introduced is what there is of a private conversation for one of its users
// before a message makes it appear.
type introduced struct {
	state                chat.StoredState
	readSeq, peerReadSeq int64
}

// selectIntroduced reads both users' states and read marks of private conversations.
const selectIntroduced = "SELECT c.id, c.user_lo, c.user_hi, COALESCE(rl.read_seq, 0), COALESCE(rh.read_seq, 0)," +
	" sl.pinned_at, COALESCE(sl.muted_until, 0), sl.archived_seq, COALESCE(sl.marked_unread, 0), COALESCE(sl.cleared_seq, 0)," +
	" sh.pinned_at, COALESCE(sh.muted_until, 0), sh.archived_seq, COALESCE(sh.marked_unread, 0), COALESCE(sh.cleared_seq, 0) FROM conversation c" +
	" LEFT JOIN read_position rl ON rl.user_id = c.user_lo AND rl.conversation_id = c.id" +
	" LEFT JOIN read_position rh ON rh.user_id = c.user_hi AND rh.conversation_id = c.id" +
	" LEFT JOIN conversation_state sl ON sl.user_id = c.user_lo AND sl.conversation_id = c.id" +
	" LEFT JOIN conversation_state sh ON sh.user_id = c.user_hi AND sh.conversation_id = c.id WHERE c.id IN "

// readIntroduced returns them by user and conversation.
func readIntroduced(x *conn, ids []chat.ID) (map[[2]chat.ID]introduced, error) {
	found := make(map[[2]chat.ID]introduced, 2*len(ids))
	text := new(statement).sql(selectIntroduced).ids(ids)
	return found, text.each(x, func(r row) error {
		var (
			id, lo, hi chat.ID
			a, b       introduced
		)
		err := r.Scan(&id, &lo, &hi, &a.readSeq, &b.readSeq,
			&a.state.PinnedAt, &a.state.MutedUntil, &a.state.ArchivedSeq, &a.state.MarkedUnread, &a.state.ClearedSeq,
			&b.state.PinnedAt, &b.state.MutedUntil, &b.state.ArchivedSeq, &b.state.MarkedUnread, &b.state.ClearedSeq)
		a.peerReadSeq, b.peerReadSeq = b.readSeq, a.readSeq
		found[[2]chat.ID{lo, id}], found[[2]chat.ID{hi, id}] = a, b
		return err
	})
}

// introduce makes and stores the events that tell users of the conversations
// that appear for them. There is nothing unread in one that has nothing to show.
func (b *batch) introduce() error {
	if len(b.appearing) == 0 {
		return nil
	}
	var ids, peers []chat.ID
	for _, a := range b.appearing {
		if len(ids) == 0 || ids[len(ids)-1] != a.id {
			ids = append(ids, a.id)
		}
		peers = append(peers, a.peer)
	}
	known, err := readIntroduced(b.x, ids)
	if err != nil {
		return err
	}
	profiles, err := profilesByID(b.x, peers)
	if err != nil {
		return err
	}
	b.text.reset()
	for i := range b.appearing {
		a := &b.appearing[i]
		was := known[[2]chat.ID{a.user, a.id}]
		data, err := json.Marshal(chat.Conversation{
			ID: a.id, Kind: chat.KindPrivate, Peer: profiles[a.peer], LastSeq: a.at.LastSeq, LastActivityAt: a.at.LastActivityAt, ReadSeq: was.readSeq,
			PeerReadSeq: &was.peerReadSeq, PeerDeliveredSeq: &was.peerReadSeq, ConversationState: was.state.Seen(a.at),
		})
		if err != nil {
			return fmt.Errorf("encode a conversation: %w", err)
		}
		a.event, a.body = b.db.ids.Next(), len(b.announcement.Bodies)
		b.announcement.Bodies = append(b.announcement.Bodies, chat.AppendBody(nil, chat.ConversationAdded, a.time, data))
		if b.text.full(len(data)) {
			if err := b.x.later(&b.text); err != nil {
				return err
			}
			b.text.reset()
		}
		b.text.event(a.event, chat.ConversationAdded, a.time, data)
	}
	return b.x.later(&b.text)
}

// introductions returns the inbox rows of what introduce has stored. They come
// before all messages of the batch.
func (b *batch) introductions() []inboxRow {
	rows := make([]inboxRow, len(b.appearing))
	for i := range b.appearing {
		a := &b.appearing[i]
		rows[i] = inboxRow{user: a.user, order: i - len(b.appearing), event: a.body, source: sourceEvent, ref: a.event, at: a.time}
	}
	return rows
}
