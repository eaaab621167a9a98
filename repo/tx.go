package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"longwire/chat"
)

var _ chat.Tx = (*tx)(nil)

// tx is one run of a [DB.Write].
type tx struct {
	*conn

	db     *DB
	at     chat.Time
	events []appended
	ended  []chat.SessionRef
	begun  []chat.SessionRef
	locked map[chat.ID]bool // users
	forget []chat.ID        // whose inboxes' copies are not to be believed any more
}

// appended is an event that will be put into inboxes.
type appended struct {
	kind    chat.EventType
	data    []byte        // JSON
	message *chat.Message // not nil: inboxes point to it, and there is no data
	users   []chat.ID
}

// Write runs fn in one transaction at READ COMMITTED, puts what it appended
// into inboxes, and commits; again when the database asks for it.
func (db *DB) Write(ctx context.Context, at chat.Time, fn func(tx chat.Tx) error) (chat.Announcement, error) {
	var announcement chat.Announcement
	err := db.transact(ctx, func(x *conn) error {
		t := &tx{conn: x, db: db, at: at, locked: make(map[chat.ID]bool)}
		if err := fn(t); err != nil {
			return err
		}
		var err error
		announcement, err = t.finish()
		return err
	})
	if err != nil {
		return chat.Announcement{}, err
	}
	return announcement, nil
}

// At is the transaction's time.
func (t *tx) At() chat.Time {
	return t.at
}

// Append puts an event into the inboxes of the given users; one who is named
// twice gets it once.
func (t *tx) Append(kind chat.EventType, data any, users ...chat.ID) error {
	if len(users) == 0 {
		return nil
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	users = slices.Clone(users)
	slices.Sort(users)
	t.events = append(t.events, appended{kind: kind, data: encoded, users: slices.Compact(users)})
	return nil
}

// finish stores the appended events and gives them their places.
func (t *tx) finish() (chat.Announcement, error) {
	announcement := chat.Announcement{EndedSessions: t.ended}
	if len(t.events) == 0 {
		return announcement, nil
	}
	var rows []inboxRow
	text := new(statement)
	for i, e := range t.events {
		if e.message != nil {
			shown, err := t.showMessage(i, e, &announcement)
			if err != nil {
				return announcement, err
			}
			rows = append(rows, shown...)
			continue
		}
		id := t.db.ids.Next()
		if text.full(len(e.data)) {
			if err := t.insertEvents(text); err != nil {
				return announcement, err
			}
			text.reset()
		}
		text.event(id, e.kind, t.at, e.data)
		announcement.Bodies = append(announcement.Bodies, chat.AppendBody(nil, e.kind, t.at, e.data))
		for _, user := range e.users {
			rows = append(rows, inboxRow{user: user, order: i, event: len(announcement.Bodies) - 1, source: sourceEvent, ref: id, at: t.at})
		}
	}
	if len(text.text) > 0 {
		if err := t.insertEvents(text); err != nil {
			return announcement, err
		}
	}
	var err error
	if announcement.Deliveries, err = insertInboxRows(t.conn, text, rows); err != nil {
		return announcement, err
	}
	if err := t.passOwnBeginning(announcement.Deliveries); err != nil {
		return announcement, err
	}
	announcement.Forgotten, err = t.forgetCopies(announcement.Deliveries)
	return announcement, err
}

// passOwnBeginning lets sessions that begin in this transaction stand after
// what it puts into their inboxes: it tells the other devices of them.
func (t *tx) passOwnBeginning(deliveries []chat.Delivery) error {
	for _, ref := range t.begun {
		for _, d := range slices.Backward(deliveries) { // in the order of (user, seq)
			if d.User != ref.User {
				continue
			}
			if _, err := t.exec("UPDATE session SET saved_seq = ? WHERE id = ?", d.Seq, ref.Session); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (t *tx) insertEvents(text *statement) error {
	err := text.exec(t.conn)
	if errors.Is(err, errDuplicate) {
		return &retryError{cause: err} // another node made the same id in the same millisecond
	}
	return err
}

// Remembered returns the answer kept under a user's idempotency key, CodeNotFound when there is none.
func (t *tx) Remembered(user chat.ID, key string) (chat.Remembered, error) {
	return one(t.conn, chat.NotFound("Nothing was done under this key yet."), func(r row) (known chat.Remembered, err error) {
		var fingerprint []byte
		err = r.Scan(&fingerprint, &known.Answer)
		copy(known.Fingerprint[:], fingerprint)
		return known, err
	}, "SELECT fingerprint, answer FROM remembered_answer WHERE user_id = ? AND idempotency_key = ?", user, key)
}

// Remember keeps an answer; CodeConflict when the key has one already.
func (t *tx) Remember(user chat.ID, key string, answer chat.Remembered) error {
	text := new(statement).sql("INSERT INTO remembered_answer (user_id, idempotency_key, fingerprint, answer, created_at) VALUES (").
		id(user).sql(",").arg(key).sql(",").bytes(answer.Fingerprint[:]).sql(",").arg(string(answer.Answer)).
		sql(",").int(int64(t.at)).sql(")")
	err := text.exec(t.conn)
	if errors.Is(err, errDuplicate) {
		return chat.Conflict("This Idempotency-Key is being used by another request just now.")
	}
	return err
}
