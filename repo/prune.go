package repo

import (
	"context"
	"slices"
	"sync"
	"time"

	"longwire/chat"
)

// pruneWalk remembers which inbox comes next, so that pruning goes round all
// of them and needs no index by age, which every message would have to pay for.
// The zero value begins with the first inbox.
type pruneWalk struct {
	mu   sync.Mutex // held while pruning
	next chat.ID    // guarded by mu: inboxes up to here were looked at last
}

const (
	pruneLook  = 1000 // inboxes looked at by one query
	pruneLocks = 20   // inboxes locked by one transaction
	pruneRows  = 1000 // rows deleted by one statement
	// eventSlack is how much longer than inbox rows the events live that they
	// point to: clocks differ, and an inbox is not sorted by time to the millisecond.
	eventSlack = time.Hour
)

// PruneInboxes deletes up to limit inbox rows of transactions before the given
// time, and returns how many it deleted; less than limit means that none are
// left. Then it also deletes up to limit each of the stored events that no
// inbox points to any more, and of remembered answers of that age.
func (db *DB) PruneInboxes(ctx context.Context, before chat.Time, limit int) (int, error) {
	db.pruning.mu.Lock()
	defer db.pruning.mu.Unlock()
	deleted, start, wrapped := 0, db.pruning.next, db.pruning.next == 0
	for {
		old, last, err := db.oldInboxes(ctx, db.pruning.next, before)
		if err != nil {
			return deleted, err
		}
		for users := range slices.Chunk(old, pruneLocks) {
			n, err := db.pruneAll(ctx, users, before, limit-deleted)
			deleted += n
			if err != nil || deleted >= limit {
				return deleted, err // the next call begins with the same inboxes
			}
		}
		db.pruning.next = last
		switch {
		case wrapped && (last == 0 || start != 0 && last >= start): // once round
			return deleted, db.pruneUnused(ctx, before, limit)
		case last == 0:
			wrapped = true
		}
	}
}

// oldInboxes looks at the inboxes behind one user, and returns those whose
// oldest row is before the given time, and the last one looked at; 0 when there
// are no more.
func (db *DB) oldInboxes(ctx context.Context, after chat.ID, before chat.Time) (old []chat.ID, last chat.ID, err error) {
	err = each(db.reader(ctx), func(r row) error {
		var oldest *int64
		if err := r.Scan(&last, &oldest); err != nil {
			return err
		}
		if oldest != nil && chat.Time(*oldest) < before {
			old = append(old, last)
		}
		return nil
	}, "SELECT d.user_id, i.at FROM inbox_head d LEFT JOIN inbox i ON i.user_id = d.user_id AND i.seq = d.pruned + 1"+
		" WHERE d.user_id > ? ORDER BY d.user_id LIMIT ?", after, pruneLook)
	return old, last, err
}

// pruneAll deletes rows of a few inboxes, up to limit, by short transactions.
func (db *DB) pruneAll(ctx context.Context, users []chat.ID, before chat.Time, limit int) (int, error) {
	deleted := 0
	for deleted < limit {
		size := min(pruneRows, limit-deleted)
		n := 0
		err := db.transact(ctx, func(x *conn) (err error) {
			n, err = pruneSome(x, users, before, size)
			return err
		})
		if err != nil {
			return deleted, err
		}
		if deleted += n; n < size {
			break
		}
	}
	return deleted, nil
}

// pruneSome deletes rows of a few inboxes, up to limit, under the locks of
// their heads: whoever reads a head with the rows sees both or neither moved.
func pruneSome(x *conn, users []chat.ID, before chat.Time, limit int) (int, error) {
	type head struct {
		user        chat.ID
		seq, pruned int64
	}
	text := new(statement).sql("SELECT user_id, seq, pruned FROM inbox_head WHERE user_id IN ").ids(users).
		sql(" ORDER BY user_id" + x.dialect.forUpdate)
	heads, err := all(x, func(r row) (h head, err error) {
		return h, r.Scan(&h.user, &h.seq, &h.pruned)
	}, string(text.text))
	if err != nil {
		return 0, err
	}
	deleted := 0
	for _, h := range heads {
		upTo := min(h.seq, h.pruned+int64(limit-deleted))
		kept, err := one(x, nil, scanMaybe, "SELECT MIN(seq) FROM inbox WHERE user_id = ? AND seq > ? AND seq <= ? AND at >= ?",
			h.user, h.pruned, upTo, before)
		if err != nil {
			return 0, err
		}
		if kept != nil {
			upTo = *kept - 1
		}
		if upTo <= h.pruned {
			continue
		}
		if _, err := x.exec("DELETE FROM inbox WHERE user_id = ? AND seq > ? AND seq <= ?", h.user, h.pruned, upTo); err != nil {
			return 0, err
		}
		if _, err := x.exec("UPDATE inbox_head SET pruned = ? WHERE user_id = ?", upTo, h.user); err != nil {
			return 0, err
		}
		deleted += int(upTo - h.pruned)
	}
	return deleted, nil
}

func scanMaybe(r row) (n *int64, err error) {
	return n, r.Scan(&n)
}

// pruneUnused deletes stored events and remembered answers by age. It runs when
// no inbox has a row of that age any more.
func (db *DB) pruneUnused(ctx context.Context, before chat.Time, limit int) error {
	events := func(x *conn, size int) (int, error) {
		ids, err := all(x, scanID, "SELECT id FROM `event` WHERE at < ? ORDER BY at LIMIT ?", before-chat.Time(eventSlack.Milliseconds()), size)
		if err != nil || len(ids) == 0 {
			return 0, err
		}
		return len(ids), new(statement).sql("DELETE FROM `event` WHERE id IN ").ids(ids).exec(x)
	}
	answers := func(x *conn, size int) (int, error) {
		type answer struct {
			user chat.ID
			key  string
		}
		old, err := all(x, func(r row) (a answer, err error) {
			return a, r.Scan(&a.user, &a.key)
		}, "SELECT user_id, idempotency_key FROM remembered_answer WHERE created_at < ? ORDER BY created_at LIMIT ?", before, size)
		for _, a := range old {
			if _, err := x.exec("DELETE FROM remembered_answer WHERE user_id = ? AND idempotency_key = ?", a.user, a.key); err != nil {
				return 0, err
			}
		}
		return len(old), err
	}
	for _, some := range []func(x *conn, size int) (int, error){events, answers} {
		for left := limit; left > 0; {
			size, n := min(pruneRows, left), 0
			err := db.transact(ctx, func(x *conn) (err error) {
				n, err = some(x, size)
				return err
			})
			if err != nil {
				return err
			}
			if left -= n; n < size {
				break
			}
		}
	}
	return nil
}
