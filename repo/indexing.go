package repo

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"longwire/chat"
	"longwire/repo/fulltext"
)

// Messages are indexed for search after they were committed, so that sending
// does not wait for it. Who commits a message remembers its conversation, in
// memory; what a node that died had not yet indexed is found by walking over all
// conversations, and by who searches them. How far a conversation is indexed is
// in search_progress, whose lock lets many nodes share the work.

const (
	// maxUnindexed bounds the conversations that wait in memory; what does not
	// find room is found by the walk.
	maxUnindexed = 10_000
	// Bounds of one transaction: some tens of milliseconds of database.
	indexMessages      = 256
	indexConversations = 64
	indexChanges       = 100
	// walkConversations is how many are compared by one query.
	walkConversations = 1000
)

// searchedKind is the kind of message that is found.
const searchedKind = chat.KindText

// unindexed is which conversations may have messages that the index lacks, and
// since when. The zero value has none.
type unindexed struct {
	mu      sync.Mutex            // guards all
	since   map[chat.ID]chat.Time // when the oldest such message was sent
	sent    int64                 // messages committed by this node
	walked  chat.ID               // the walk has compared conversations up to here
	walking sync.Mutex            // held while comparing
}

// note adds a conversation unless there is no room.
func (u *unindexed) note(id chat.ID, since chat.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.noteLocked(id, since)
}

func (u *unindexed) noteLocked(id chat.ID, since chat.Time) {
	if u.since == nil {
		u.since = make(map[chat.ID]chat.Time)
	}
	if known, ok := u.since[id]; ok {
		u.since[id] = min(known, since)
	} else if len(u.since) < maxUnindexed {
		u.since[id] = since
	}
}

// noteAll adds the conversations of messages that were committed.
func (u *unindexed) noteAll(messages []accepted) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent += int64(len(messages))
	for i := range messages {
		u.noteLocked(messages[i].message.ConversationID, messages[i].message.CreatedAt)
	}
}

// take removes up to n conversations and returns them, those that wait longest.
func (u *unindexed) take(n int) map[chat.ID]chat.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := make(map[chat.ID]chat.Time, min(n, len(u.since)))
	if len(u.since) <= n {
		taken, u.since = u.since, nil
		return taken
	}
	ids := make([]chat.ID, 0, len(u.since))
	for id := range u.since {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b chat.ID) int { return cmp.Compare(u.since[a], u.since[b]) })
	for _, id := range ids[:n] {
		taken[id] = u.since[id]
		delete(u.since, id)
	}
	return taken
}

func (u *unindexed) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.since)
}

// SearchLag returns for how long the oldest message has waited for the index
// of which this node knows, 0 when none does.
func (db *DB) SearchLag(now time.Time) time.Duration {
	db.unindexed.mu.Lock()
	defer db.unindexed.mu.Unlock()
	var lag time.Duration
	for _, since := range db.unindexed.since {
		lag = max(lag, now.Sub(since.Std()))
	}
	return lag
}

// SentMessages returns how many messages this node has committed.
func (db *DB) SentMessages() int64 {
	db.unindexed.mu.Lock()
	defer db.unindexed.mu.Unlock()
	return db.unindexed.sent
}

// IndexMessages puts a bounded number of messages into the search index and
// returns how many; more tells that others are waiting. Nodes may do so at the
// same time. What an error left undone is done by a later call.
func (db *DB) IndexMessages(ctx context.Context) (done int, more bool, err error) {
	changed, err := db.reindex(ctx)
	if err != nil {
		return 0, false, err
	}
	waiting := db.unindexed.take(indexConversations)
	if len(waiting) == 0 {
		return changed, changed == indexChanges, nil
	}
	behind := make(map[chat.ID]bool)
	err = db.transact(ctx, func(x *conn) error {
		clear(behind)
		var err error
		done, err = db.indexNew(x, slices.Sorted(maps.Keys(waiting)), behind)
		return err
	})
	for id, since := range waiting {
		if err != nil || behind[id] {
			db.unindexed.note(id, since)
		}
	}
	if err != nil {
		return changed, false, err
	}
	return done + changed, len(behind) > 0 || changed == indexChanges || db.unindexed.len() > 0, nil
}

// indexNew indexes the messages of conversations that come after what is
// indexed, as many as a transaction may have; ids are ascending. In behind it
// notes who has more.
func (db *DB) indexNew(x *conn, ids []chat.ID, behind map[chat.ID]bool) (int, error) {
	indexedSeq, err := lockProgress(x, ids)
	if err != nil {
		return 0, err
	}
	last := make(map[chat.ID]int64, len(ids))
	text := new(statement).sql("SELECT id, last_seq FROM conversation WHERE id IN ").ids(ids)
	err = text.each(x, func(r row) error {
		var (
			id  chat.ID
			seq int64
		)
		err := r.Scan(&id, &seq)
		last[id] = seq
		return err
	})
	if err != nil {
		return 0, err
	}
	var (
		runs []messageRun
		room = int64(indexMessages)
	)
	for _, id := range ids {
		from, to := indexedSeq[id]+1, min(last[id], indexedSeq[id]+room)
		if to < last[id] {
			behind[id] = true
		}
		if from <= to {
			runs = append(runs, messageRun{id, from, to})
			room -= to - from + 1
		}
	}
	return int(indexMessages - room), db.indexRuns(x, runs)
}

func (db *DB) indexRuns(x *conn, runs []messageRun) error {
	if len(runs) == 0 {
		return nil
	}
	var (
		rows     []indexed
		segments = make(map[segment]segment) // without times → with them
		order    []segment
	)
	err := readRuns(x, 0, runs, func(m chat.Message) {
		name := segment{conversation: m.ConversationID, number: segmentOf(m.Seq)}
		s, known := segments[name]
		if !known {
			order = append(order, name)
			s = segment{name.conversation, name.number, m.CreatedAt, m.CreatedAt}
		}
		s.oldest, s.newest = min(s.oldest, m.CreatedAt), max(s.newest, m.CreatedAt)
		segments[name] = s
		rows = appendIndexed(rows, m)
	})
	if err != nil {
		return err
	}
	if err := x.dialect.terms.insert(x, rows, db.ids.Next); err != nil {
		return err
	}
	text := new(statement).sql("INSERT INTO search_segment (conversation_id, segment, oldest_at, newest_at) VALUES ")
	for i, name := range order {
		s := segments[name]
		text.comma(i).sql("(").id(s.conversation).sql(",").int(s.number).sql(",").int(int64(s.oldest)).sql(",").int(int64(s.newest)).sql(")")
	}
	if len(order) > 0 {
		if err := text.sql(x.dialect.widenSegment).exec(x); err != nil {
			return err
		}
	}
	text.reset().sql("INSERT INTO search_progress (conversation_id, indexed_seq) VALUES ")
	for i, run := range runs {
		text.comma(i).sql("(").id(run.conversation).sql(",").int(run.last).sql(")")
	}
	return text.sql(x.dialect.replaceProgress).exec(x)
}

// appendIndexed appends a message if there is anything to find in it.
func appendIndexed(rows []indexed, m chat.Message) []indexed {
	if m.Kind != searchedKind || m.Recalled {
		return rows
	}
	if terms := fulltext.Terms(m.Body); len(terms) > 0 {
		rows = append(rows, indexed{m.ConversationID, m.Seq, m.SenderID, m.CreatedAt, terms})
	}
	return rows
}

// lockProgress returns how far conversations are indexed, and keeps others from
// indexing them until the transaction ends. ids are ascending.
func lockProgress(x *conn, ids []chat.ID) (map[chat.ID]int64, error) {
	text := new(statement).sql("INSERT INTO search_progress (conversation_id, indexed_seq) VALUES ")
	for i, id := range ids {
		text.comma(i).sql("(").id(id).sql(",0)")
	}
	if err := text.sql(x.dialect.keepProgress).exec(x); err != nil {
		return nil, err
	}
	seqs := make(map[chat.ID]int64, len(ids))
	text.reset().sql("SELECT conversation_id, indexed_seq FROM search_progress WHERE conversation_id IN ").ids(ids).
		sql(" ORDER BY conversation_id" + x.dialect.forUpdate)
	return seqs, text.each(x, func(r row) error {
		var (
			id  chat.ID
			seq int64
		)
		err := r.Scan(&id, &seq)
		seqs[id] = seq
		return err
	})
}

// messageRun is messages first … last of a conversation.
type messageRun struct {
	conversation chat.ID
	first, last  int64
}

// runChunk bounds the parts of a UNION; SQLite takes 500.
const runChunk = 100

// readRuns hands over messages as a user sees them; 0 is nobody, who has deleted none.
func readRuns(c *conn, user chat.ID, runs []messageRun, found func(m chat.Message)) error {
	text := new(statement)
	for chunk := range slices.Chunk(runs, runChunk) {
		text.reset()
		for i, run := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			text.sql("SELECT " + messageColumns + ", x.seq FROM chat_history h" + hiddenFrom + " WHERE h.conversation_id = ").id(run.conversation).
				sql(" AND h.seq BETWEEN ").int(run.first).sql(" AND ").int(run.last)
			text.args = append(text.args, user) // of hiddenFrom
		}
		err := text.each(c, func(r row) error {
			m, err := scanSeen(r, user)
			if err == nil {
				found(m)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// messageChanged notes that a message must be indexed anew: the index is to
// forget the old words and learn the new ones. It waits for nobody who indexes.
func (t *tx) messageChanged(conversation chat.ID, seq int64) error {
	return new(statement).sql("INSERT INTO search_pending (conversation_id, seq, change_id) VALUES (").
		id(conversation).sql(",").int(seq).sql(",").id(t.db.ids.Next()).sql(")" + t.dialect.replaceChange).exec(t.conn)
}

// change is a row of search_pending.
type change struct {
	messageRun // of one message

	id int64
}

// reindex indexes messages that were changed, as they are now, and returns how many.
func (db *DB) reindex(ctx context.Context) (int, error) {
	changes, err := all(db.reader(ctx), func(r row) (c change, err error) {
		err = r.Scan(&c.conversation, &c.first, &c.id)
		c.last = c.first
		return c, err
	}, "SELECT conversation_id, seq, change_id FROM search_pending WHERE conversation_id > 0 ORDER BY conversation_id, seq LIMIT ?", indexChanges)
	if err != nil || len(changes) == 0 {
		return 0, err
	}
	return len(changes), db.transact(ctx, func(x *conn) error { return db.reindexChanges(x, changes) })
}

// reindexChanges reads each message under the lock that every indexer takes, so
// that an older text never comes after a newer one. A message that was changed
// again meanwhile keeps its note.
func (db *DB) reindexChanges(x *conn, changes []change) error {
	ids := make([]chat.ID, 0, len(changes))
	runs := make([]messageRun, 0, len(changes))
	seqs := make(map[chat.ID][]int64)
	for _, c := range changes {
		ids = append(ids, c.conversation)
	}
	indexedSeq, err := lockProgress(x, slices.Compact(ids)) // they are sorted
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.first > indexedSeq[c.conversation] {
			continue // it will be indexed for the first time, as it is then
		}
		runs = append(runs, c.messageRun)
		seqs[c.conversation] = append(seqs[c.conversation], c.first)
	}
	var rows []indexed
	if err := readRuns(x, 0, runs, func(m chat.Message) { rows = appendIndexed(rows, m) }); err != nil {
		return err
	}
	for conversation, old := range seqs {
		if err := x.dialect.terms.remove(x, conversation, old); err != nil {
			return err
		}
	}
	if err := x.dialect.terms.insert(x, rows, db.ids.Next); err != nil {
		return err
	}
	text := new(statement)
	for _, c := range changes {
		text.reset().sql("DELETE FROM search_pending WHERE conversation_id = ").id(c.conversation).
			sql(" AND seq = ").int(c.first).sql(" AND change_id = ").int(c.id)
		if err := text.exec(x); err != nil {
			return err
		}
	}
	return nil
}

// WalkUnindexed compares some conversations with how far they are indexed, and
// notes those that are behind. It tells when it has come round all of them; the
// next call begins anew. While many wait already it does nothing.
func (db *DB) WalkUnindexed(ctx context.Context) (round bool, err error) {
	u := &db.unindexed
	u.walking.Lock()
	defer u.walking.Unlock()
	if u.len()+walkConversations > maxUnindexed {
		return false, nil
	}
	compared := 0
	err = each(db.reader(ctx), func(r row) error {
		var (
			id         chat.ID
			last, done int64
			activity   chat.Time
		)
		if err := r.Scan(&id, &last, &activity, &done); err != nil {
			return err
		}
		compared++
		u.walked = id
		if done < last {
			u.note(id, activity)
		}
		return nil
	}, "SELECT c.id, c.last_seq, c.last_activity_at, COALESCE(p.indexed_seq, 0) FROM conversation c"+
		" LEFT JOIN search_progress p ON p.conversation_id = c.id WHERE c.id > ? ORDER BY c.id LIMIT ?", u.walked, walkConversations)
	if err != nil {
		return false, err
	}
	if compared < walkConversations {
		u.walked = 0
		return true, nil
	}
	return false, nil
}
