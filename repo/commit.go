package repo

import (
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"longwire/chat"
)

// maxKeyBytes is what the column holds.
const maxKeyBytes = 255

// CommitMessages puts messages into their conversations and inboxes in one
// transaction. One that may not be sent gets its own error and leaves no trace;
// a replay gets the message that was stored. When nothing is left to store,
// nothing is written.
func (db *DB) CommitMessages(ctx context.Context, messages []chat.Outgoing) ([]chat.Outcome, chat.Announcement, error) {
	if len(messages) == 0 {
		return nil, chat.Announcement{}, nil
	}
	var b *batch
	lookUp, ahead := db.replayed.lately(), !db.misjudged.lately()
	err := db.transactJoined(ctx, func(x *conn) error {
		b = &batch{x: x, db: db, lookUp: lookUp, out: messages, outcomes: make([]chat.Outcome, len(messages))}
		if ahead && x.joins && !lookUp {
			b.foreseen = foresee(messages, &db.audiences)
		}
		lookUp, ahead = true, false // when this run fails, that may be why
		return b.commit()
	})
	if err != nil {
		return nil, chat.Announcement{}, err
	}
	db.unindexed.noteAll(b.accepted)
	return b.outcomes, b.announcement, nil
}

// batch is one run of CommitMessages.
type batch struct {
	x      *conn
	db     *DB
	lookUp bool // replays are looked for before anything is decided
	out    []chat.Outgoing

	conversations map[chat.ID]*conversation // those locked
	replays       map[messageKey]stored     // what is stored under the messages' keys
	accepted      []accepted
	appearing     []appearance
	foreseen      *foresight // what is done before it is known that it has to be; nil = nothing
	text          statement  // memory for one statement after the other

	outcomes     []chat.Outcome
	announcement chat.Announcement
}

// messageKey is an idempotency key and whose it is.
type messageKey struct {
	sender chat.ID
	key    string
}

// stored is a message and the fingerprint of what was asked for.
type stored struct {
	message     chat.Message
	fingerprint [16]byte
}

// accepted is a message that will be stored.
type accepted struct {
	message     chat.Message
	fingerprint [16]byte
	members     []chat.ID
	// Which of the announcement's bodies the sender and the others get; the
	// same but for the key, so one is enough without a key.
	own, others int
	private     bool
	// peerInboxSeq is where a private message stands in its recipient's inbox.
	peerInboxSeq int64
}

// plain tells whether a message has nothing but a text.
func (a *accepted) plain() bool {
	m := &a.message
	return m.ReplyTo == nil && len(m.Mentions) == 0 && m.Payload == nil && m.ForwardedFrom == nil
}

// commit runs the batch. Hardly any message is a replay, so none is looked for:
// the key that makes replays impossible finds one, and what would be refused may
// be one; then the batch runs again and looks first, under the locks, where a
// twin in the same conversation has committed or waits for us.
func (b *batch) commit() error {
	b.replays = make(map[messageKey]stored)
	if err := b.lock(); err != nil {
		return err
	}
	for i := range b.out {
		if err := b.settle(i); err != nil {
			return err
		}
	}
	if b.foreseen != nil && len(b.accepted) < len(b.out) {
		return b.misjudged()
	}
	if len(b.accepted) == 0 {
		return nil
	}
	err := b.write()
	if errors.Is(err, errDuplicate) {
		return b.lookAgain(err) // a replay, or a twin in another conversation was faster
	}
	return err
}

// lookAgain asks for another run, which finds the replays.
func (b *batch) lookAgain(cause error) error {
	b.db.replayed.note()
	return &retryError{cause: cause, atOnce: !b.lookUp}
}

// errMayBeReplay is why a batch runs again in which something would be refused.
var errMayBeReplay = errors.New("what would be refused may be a replay")

// write stores what was accepted. Private messages come after the inbox heads,
// because each keeps its place in its recipient's inbox; groups' come before,
// because others wait for the heads of many members.
func (b *batch) write() error {
	if err := b.insertMessages(false); err != nil {
		return err
	}
	if err := b.insertMentions(); err != nil {
		return err
	}
	if b.foreseen == nil {
		if err := b.updateConversations(); err != nil {
			return err
		}
	}
	if err := b.introduce(); err != nil {
		return err
	}
	rows := append(b.inboxRows(), b.introductions()...)
	sortInboxRows(rows)
	raises, err := b.raiseHeads(rows)
	if err != nil {
		return err
	}
	deliveries, err := deliveriesOf(rows, raises)
	if err != nil {
		return err
	}
	b.announcement.Deliveries = deliveries
	for i, r := range rows {
		if r.order < 0 { // no message, see introductions
			continue
		}
		if a := &b.accepted[r.order]; a.private && r.user != a.message.SenderID {
			a.peerInboxSeq = deliveries[i].Seq
		}
	}
	if err := b.insertMessages(true); err != nil {
		return err
	}
	return writeInboxRows(b.x, &b.text, rows, deliveries)
}

// lock locks the conversations of the batch, ascending, and learns who belongs
// to them.
func (b *batch) lock() error {
	ids := make([]chat.ID, 0, len(b.out))
	for i := range b.out {
		ids = append(ids, b.out[i].ConversationID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	b.conversations = make(map[chat.ID]*conversation, len(ids))
	found := func(c *conversation) { b.conversations[c.id] = c }
	if b.foreseen != nil {
		err := b.x.eachOf(b.foreseen.advanceAhead(b.x, found))
		if err == nil && len(b.conversations) < len(ids) {
			err = b.misjudged()
		}
		return err
	}
	queries := lockQueries(b.x, ids, found)
	if b.lookUp {
		queries = append(queries, b.findReplays()...)
	}
	if err := b.x.eachOf(queries); err != nil {
		return err
	}
	return b.db.audiences.load(b.x, b.conversations)
}

// replayChunk bounds the alternatives in one WHERE clause.
const replayChunk = 200

// findReplays reads what is stored under the keys of the batch.
func (b *batch) findReplays() []query {
	scan := func(r row) error {
		var (
			m           messageRow
			fingerprint []byte
		)
		if err := r.Scan(append(m.dest(), &fingerprint)...); err != nil {
			return err
		}
		found := stored{message: m.message()}
		copy(found.fingerprint[:], fingerprint)
		b.replays[messageKey{found.message.SenderID, found.message.IdempotencyKey}] = found
		return nil
	}
	var queries []query
	pending := replayChunk // in the last query
	for i := range b.out {
		if b.out[i].IdempotencyKey == "" {
			continue
		}
		if pending == replayChunk {
			queries, pending = append(queries, query{scan: scan}), 0
		}
		q := &queries[len(queries)-1]
		if pending == 0 {
			q.sql("SELECT " + messageColumns + ", h.fingerprint FROM chat_history h WHERE ")
		} else {
			q.sql(" OR ")
		}
		q.sql("h.sender_id = ").id(b.out[i].SenderID).sql(" AND h.idempotency_key = ").arg(b.out[i].IdempotencyKey)
		pending++
	}
	return queries
}

// settle decides what becomes of message i.
func (b *batch) settle(i int) error {
	out, outcome := &b.out[i], &b.outcomes[i]
	key := messageKey{out.SenderID, out.IdempotencyKey}
	if known, replay := b.replays[key]; replay && key.key != "" {
		// A recalled message has none any more: it says nothing, not even by that.
		if known.fingerprint != out.Fingerprint && !known.message.Recalled {
			outcome.Err = &chat.Error{
				Code:   chat.CodeIdempotencyConflict,
				Detail: "This Idempotency-Key was used for another message. Use a new key for each message.",
			}
			return nil
		}
		outcome.Message, outcome.Replayed = known.message, true
		b.db.replayed.note()
		return nil
	}
	c := b.conversations[out.ConversationID]
	if refusal := check(out, c); refusal != nil {
		if key.key != "" && !b.lookUp {
			return b.lookAgain(errMayBeReplay)
		}
		outcome.Err = refusal
		return nil
	}
	b.appear(c, out.At)
	c.lastSeq++
	c.lastActivity = max(c.lastActivity, out.At)
	c.changed = true
	outcome.Message = chat.Message{
		ConversationID: c.id, Seq: c.lastSeq, SenderID: out.SenderID, Kind: out.Kind, Body: out.Body, Payload: out.Payload,
		ReplyTo: out.ReplyTo, Mentions: out.Mentions, ForwardedFrom: out.ForwardedFrom, CreatedAt: out.At, IdempotencyKey: out.IdempotencyKey,
	}
	if out.Mentions == nil {
		outcome.Message.Mentions = []chat.ID{}
	}
	outcome.Recipients = len(c.audience.Members)
	if key.key != "" {
		b.replays[key] = stored{outcome.Message, out.Fingerprint} // for a twin later in the batch
	}
	return b.accept(outcome, out.Fingerprint, c.audience)
}

// check tells whether a message may be sent to a locked conversation, nil for
// one that is not there. What the database would refuse is refused here, where
// it fails alone.
func check(out *chat.Outgoing, c *conversation) error {
	if c == nil {
		return errNoConversation()
	}
	if err := c.audience.Check(*out, c.lastSeq); err != nil {
		return err
	}
	if !utf8.ValidString(out.Body) || len(out.Body) >= maxStatementBytes {
		return chat.Invalid("body", "must be valid UTF-8 and not longer than the limit")
	}
	if out.Payload != nil && (!utf8.Valid(out.Payload) || len(out.Body)+len(out.Payload) >= maxStatementBytes) {
		return chat.Invalid("payload", "must be valid UTF-8 and not longer than the limit")
	}
	if len(out.IdempotencyKey) > maxKeyBytes {
		return chat.Invalid("Idempotency-Key", "is too long")
	}
	return nil
}

// accept encodes a message and notes it for writing.
func (b *batch) accept(outcome *chat.Outcome, fingerprint [16]byte, audience *chat.Audience) error {
	message := outcome.Message
	forOthers := message.ForOthers()
	body, err := chat.EncodeMessage(chat.MessageCreated, message.CreatedAt, &forOthers)
	if err != nil {
		return err
	}
	b.announcement.Bodies = append(b.announcement.Bodies, body)
	others := len(b.announcement.Bodies) - 1
	own := others
	if message.IdempotencyKey != "" {
		if body, err = body.WithKey(message.IdempotencyKey); err != nil {
			return err
		}
		b.announcement.Bodies = append(b.announcement.Bodies, body)
		own++
	}
	outcome.Body = body
	b.accepted = append(b.accepted, accepted{
		message: message, fingerprint: fingerprint, members: audience.Members, own: own, others: others, private: audience.Kind == chat.KindPrivate,
	})
	return nil
}

// insertMessages writes the history, of private conversations or of groups.
// What no message of them has is left out: most of what a database spends on a
// row is reading its text.
func (b *batch) insertMessages(private bool) error {
	b.text.reset()
	plain := !slices.ContainsFunc(b.accepted, func(a accepted) bool { return a.private == private && !a.plain() })
	for i := range b.accepted {
		if b.accepted[i].private != private {
			continue
		}
		m := &b.accepted[i].message
		if b.text.full(len(m.Body) + len(m.Payload)) {
			if err := b.x.later(&b.text); err != nil {
				return err
			}
			b.text.reset()
		}
		if len(b.text.text) == 0 {
			b.text.sql("INSERT INTO chat_history (conversation_id, seq, sender_id, kind, body, created_at, recalled, idempotency_key, fingerprint, peer_inbox_seq")
			if !plain {
				b.text.sql(", reply_to, mentions, payload, forwarded_from")
			}
			b.text.sql(") VALUES ")
		} else {
			b.text.sql(",")
		}
		b.text.sql("(").id(m.ConversationID).sql(",").int(m.Seq).sql(",").id(m.SenderID).sql(",").arg(string(m.Kind)).
			sql(",").arg(m.Body).sql(",").int(int64(m.CreatedAt)).sql(",0,")
		if m.IdempotencyKey == "" {
			b.text.sql("NULL,NULL,")
		} else {
			b.text.arg(m.IdempotencyKey).sql(",").bytes(b.accepted[i].fingerprint[:]).sql(",")
		}
		if private {
			b.text.int(b.accepted[i].peerInboxSeq)
		} else {
			b.text.sql("NULL")
		}
		if !plain {
			b.text.sql(",").nullable(m.ReplyTo).sql(",").mentions(m.Mentions).sql(",").payload(m.Payload).sql(",").origin(m.ForwardedFrom)
		}
		b.text.sql(")")
	}
	if len(b.text.text) == 0 {
		return nil
	}
	return b.x.later(&b.text)
}

// updateConversations writes the new last seqs. The rows are there and ours:
// the INSERT never inserts, it is the way to give each row its own value.
func (b *batch) updateConversations() error {
	b.text.reset().sql("INSERT INTO conversation (id, kind, last_seq, last_activity_at, audience_version) VALUES ")
	n := 0
	for _, c := range b.conversations {
		if !c.changed {
			continue
		}
		b.text.comma(n).sql("(").id(c.id).sql(",'',").int(c.lastSeq).sql(",").int(int64(c.lastActivity)).sql(",0)")
		n++
	}
	return b.x.later(b.text.sql(b.x.dialect.replaceLastSeq))
}

// raiseHeads raises the heads for sorted rows, unless that was done ahead.
func (b *batch) raiseHeads(rows []inboxRow) ([]raise, error) {
	if b.foreseen != nil {
		return b.foreseen.raises, nil
	}
	raises := raisesFor(len(rows), func(i int) chat.ID { return rows[i].user })
	return raises, b.x.eachOf(raiseQueries(b.x, raises))
}

// inboxRows returns a row for each member and message.
func (b *batch) inboxRows() []inboxRow {
	n := 0
	for i := range b.accepted {
		n += len(b.accepted[i].members)
	}
	rows := make([]inboxRow, 0, n)
	for i := range b.accepted {
		a := &b.accepted[i]
		for _, member := range a.members {
			event := a.others
			if member == a.message.SenderID {
				event = a.own
			}
			rows = append(rows, inboxRow{
				user: member, order: i, event: event, source: sourceMessage,
				ref: a.message.ConversationID, refSeq: a.message.Seq, at: a.message.CreatedAt,
			})
		}
	}
	return rows
}
