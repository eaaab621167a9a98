package repo

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"longwire/chat"
)

// What an inbox row points to.
const (
	sourceMessage  = 1 // chat_history (ref, refSeq), as it was sent
	sourceEvent    = 2 // event (ref)
	sourceEdited   = 3 // chat_history (ref, refSeq), because it was edited
	sourceRecalled = 4 // chat_history (ref, refSeq), because it was recalled
)

// messageEvents are the events that show a message, by what the row points to.
var messageEvents = map[int64]chat.EventType{
	sourceMessage: chat.MessageCreated, sourceEdited: chat.MessageEdited, sourceRecalled: chat.MessageRecalled,
}

// inboxRow is a row to be written, without the seq it will get.
type inboxRow struct {
	user   chat.ID
	order  int // rows of one user come in this order
	event  int // index of the body
	source int
	ref    chat.ID
	refSeq int64
	at     chat.Time
}

// writeInboxRows writes rows that have their places.
func writeInboxRows(x *conn, text *statement, rows []inboxRow, deliveries []chat.Delivery) error {
	const rowBytes = 100 // three ids, a seq, a time
	text.reset()
	for i, r := range rows {
		if text.full(rowBytes) {
			if err := x.later(text); err != nil {
				return err
			}
			text.reset()
		}
		if len(text.text) == 0 {
			text.sql("INSERT INTO inbox (user_id, seq, source, ref_id, ref_seq, at) VALUES ")
		} else {
			text.sql(",")
		}
		text.sql("(").id(r.user).sql(",").int(deliveries[i].Seq).sql(",").int(int64(r.source)).
			sql(",").id(r.ref).sql(",").int(r.refSeq).sql(",").int(int64(r.at)).sql(")")
	}
	return x.later(text)
}

// readInbox reads a head and a page of rows after a position as one statement,
// so that both are of one moment. A head without such rows is one row of NULLs.
// The page is cut before anything is joined to it, or the whole rest of the
// inbox would be joined and sorted; the few rows that are left are sorted by us.
const readInbox = "SELECT d.seq, d.pruned, d.forgotten, page.seq, page.source, page.at, e.type, e.data, " + messageColumns +
	" FROM inbox_head d LEFT JOIN" +
	" (SELECT i.user_id, i.seq, i.source, i.ref_id, i.ref_seq, i.at FROM inbox i WHERE i.user_id = ? AND i.seq > ? ORDER BY i.seq LIMIT ?) page" +
	" ON page.user_id = d.user_id" +
	" LEFT JOIN chat_history h ON page.source <> 2 AND h.conversation_id = page.ref_id AND h.seq = page.ref_seq" +
	" LEFT JOIN `event` e ON page.source = 2 AND e.id = page.ref_id" +
	" WHERE d.user_id = ?"

// ReadInbox returns up to limit events of a user's inbox, from after+1 on
// without a hole, and where the inbox stands. There are none when after is not
// before the head. When after is before Head.Pruned there are none either: the
// inbox cannot be continued from there.
func (db *DB) ReadInbox(ctx context.Context, user chat.ID, after int64, limit int) (chat.InboxPage, error) {
	page := chat.InboxPage{}
	c := db.reader(ctx)
	var shown []shownMessage
	err := each(c, func(r row) error {
		var (
			seq, source, at sql.NullInt64
			kind, data      sql.NullString
			m               messageRow
		)
		dest := append([]any{&page.Head.Seq, &page.Head.Pruned, &page.Head.Forgotten, &seq, &source, &at, &kind, &data}, m.dest()...)
		if err := r.Scan(dest...); err != nil || !seq.Valid {
			return err
		}
		event := chat.InboxEvent{Seq: seq.Int64}
		switch {
		case source.Int64 == sourceEvent && kind.Valid:
			event.Body = chat.AppendBody(nil, chat.EventType(kind.String), chat.Time(at.Int64), []byte(data.String))
		case source.Int64 != sourceEvent && m.seq.Valid:
			shown = append(shown, shownMessage{
				at: len(page.Events), kind: messageEvents[source.Int64], time: chat.Time(at.Int64), message: m.message().SeenBy(user),
			})
		}
		page.Events = append(page.Events, event)
		return nil
	}, readInbox, user, after, limit, user)
	if err == nil {
		err = encodeShown(c, user, shown, page.Events)
	}
	if err != nil {
		return chat.InboxPage{}, err
	}
	if after < page.Head.Pruned {
		page.Events = nil
		return page, nil
	}
	slices.SortFunc(page.Events, func(a, b chat.InboxEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	for i, event := range page.Events {
		if event.Seq != after+int64(i)+1 {
			return chat.InboxPage{}, errors.New("the inbox has a hole")
		}
		if event.Body != nil {
			continue
		}
		// What the row pointed to is pruned; so, in effect, is the row. A
		// reader who stands right before it must start anew.
		if i == 0 {
			page.Head.Pruned = event.Seq
		}
		page.Events = page.Events[:i]
		break
	}
	return page, nil
}

// shownMessage is a message that an event of a page shows.
type shownMessage struct {
	at      int // in the page
	kind    chat.EventType
	time    chat.Time
	message chat.Message
}

// encodeShown makes the bodies of the events that show messages, as the
// messages are now.
func encodeShown(c *conn, user chat.ID, shown []shownMessage, events []chat.InboxEvent) error {
	messages := make([]*chat.Message, len(shown))
	var again []*chat.Message // a message that was deleted must not come back by an event
	for i := range shown {
		messages[i] = &shown[i].message
		if shown[i].kind != chat.MessageCreated {
			again = append(again, messages[i])
		}
	}
	if err := markMine(c, user, messages); err != nil {
		return err
	}
	if err := markDeleted(c, user, again); err != nil {
		return err
	}
	for i := range shown {
		body, err := chat.EncodeMessage(shown[i].kind, shown[i].time, &shown[i].message)
		if err != nil {
			return err
		}
		events[shown[i].at].Body = body
	}
	return nil
}

// InboxHead returns where a user's inbox stands; 0, 0 for one that never had an event.
func (db *DB) InboxHead(ctx context.Context, user chat.ID) (chat.InboxHead, error) {
	heads, err := db.InboxHeads(ctx, []chat.ID{user})
	return heads[user], err
}

// InboxHeads returns where the inboxes of many users stand, by one query for
// each 1,000 of them. Users without an inbox are left out.
func (db *DB) InboxHeads(ctx context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error) {
	heads := make(map[chat.ID]chat.InboxHead, len(users))
	c, text := db.reader(ctx), new(statement)
	for chunk := range slices.Chunk(users, inChunk) {
		text.reset().sql("SELECT user_id, seq, pruned, forgotten FROM inbox_head WHERE user_id IN ").ids(chunk)
		err := text.each(c, func(r row) error {
			var (
				user chat.ID
				head chat.InboxHead
			)
			err := r.Scan(&user, &head.Seq, &head.Pruned, &head.Forgotten)
			heads[user] = head
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// positionChunk bounds the alternatives in one CASE.
const positionChunk = 100

// SavePositions moves saved positions forward, never back. Sessions that are
// not there are passed over.
func (db *DB) SavePositions(ctx context.Context, positions []chat.SavedPosition) error {
	if len(positions) == 0 {
		return nil
	}
	sorted := slices.Clone(positions)
	// The farthest first: in the CASE below the first that fits counts.
	slices.SortFunc(sorted, func(a, b chat.SavedPosition) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(b.Seq, a.Seq))
	})
	return db.transact(ctx, func(x *conn) error {
		text := new(statement)
		ids := make([]chat.ID, 0, positionChunk)
		for chunk := range slices.Chunk(sorted, positionChunk) {
			ids = ids[:0]
			text.reset().sql("UPDATE session SET saved_seq = CASE")
			for _, p := range chunk {
				text.sql(" WHEN id = ").id(p.Session).sql(" AND user_id = ").id(p.User).
					sql(" AND saved_seq < ").int(p.Seq).sql(" THEN ").int(p.Seq)
				ids = append(ids, p.Session)
			}
			if err := text.sql(" ELSE saved_seq END WHERE id IN ").ids(ids).exec(x); err != nil {
				return err
			}
		}
		return saveDelivered(x, positions)
	})
}
