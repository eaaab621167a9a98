package repo

import (
	"cmp"
	"errors"
	"slices"

	"longwire/chat"
)

// What becomes of a batch is known for certain only when its conversations are
// locked. But nearly always all messages are accepted and the audiences are what
// they were the last time. So the round trip that locks the conversations gives
// the seqs too, of conversations and of inboxes, and only then is looked whether
// it was right. When not, the batch is undone and runs again step by step:
// nothing was committed, and no seq is lost.

// mostForeseen bounds the inbox rows of such a batch: beyond, a round trip is
// little beside the rest, and much would be undone.
const mostForeseen = 512

// foresight is what a batch will most likely do.
type foresight struct {
	advances []advance // in the order of ids
	raises   []raise
}

// advance moves the last seq of a conversation.
type advance struct {
	id       chat.ID
	by       int64     // messages
	at       chat.Time // of the last of them
	audience *chat.Audience
}

// foresee returns what becomes of messages if all are accepted and their
// conversations still have the audiences that are remembered; nil when those
// are not known or many.
func foresee(messages []chat.Outgoing, audiences *audienceCache) *foresight {
	var (
		users    []chat.ID
		advances = make([]advance, 0, len(messages))
	)
	for i := range messages {
		out := &messages[i]
		audience := audiences.likely(out.ConversationID)
		if audience == nil || len(users)+len(audience.Members) > mostForeseen {
			return nil
		}
		users = append(users, audience.Members...)
		advances = append(advances, advance{id: out.ConversationID, by: 1, at: out.At, audience: audience})
	}
	slices.SortFunc(advances, func(a, b advance) int { return cmp.Compare(a.id, b.id) })
	merged := advances[:0]
	for _, a := range advances {
		if last := len(merged) - 1; last >= 0 && merged[last].id == a.id {
			merged[last].by++
			merged[last].at = max(merged[last].at, a.at)
			continue
		}
		merged = append(merged, a)
	}
	slices.Sort(users)
	return &foresight{advances: merged, raises: raisesFor(len(users), func(i int) chat.ID { return users[i] })}
}

// advanceAhead is how what was foreseen is done: conversations first, as by
// everybody else. It hands over the conversations as they were before; those
// that are not what they are remembered as are left out.
func (f *foresight) advanceAhead(x *conn, found func(c *conversation)) []query {
	var queries []query
	for chunk := range slices.Chunk(f.advances, inChunk) {
		q := query{}
		// The rows are there: the INSERT never inserts, see updateConversations.
		q.sql("INSERT INTO conversation (id, kind, last_seq, last_activity_at, audience_version) VALUES ")
		for i, a := range chunk {
			q.comma(i).sql("(").id(a.id).sql(",'',").int(a.by).sql(",").int(int64(a.at)).sql(",0)")
		}
		q.sql(x.dialect.addToLastSeq)
		q.scan = func(r row) error {
			var c conversation
			if err := r.Scan(&c.id, &c.lastSeq, &c.lastActivity, &c.version); err != nil {
				return err
			}
			i, known := slices.BinarySearchFunc(chunk, c.id, func(a advance, id chat.ID) int { return cmp.Compare(a.id, id) })
			if known && chunk[i].audience.Version == c.version {
				c.kind, c.audience, c.lastSeq = chunk[i].audience.Kind, chunk[i].audience, c.lastSeq-chunk[i].by
				c.shownLo, c.shownHi = true, true // an audience that is not settled is not foreseen
				found(&c)
			}
			return nil
		}
		q.returning(x, "id, last_seq, last_activity_at, audience_version", "conversation", len(chunk), func(i int) chat.ID { return chunk[i].id })
		queries = append(queries, q)
	}
	return append(queries, raiseQueries(x, f.raises)...)
}

// errMisjudged is why a batch runs again that did more than was to be done.
var errMisjudged = errors.New("other seqs were given ahead than there are messages and inbox rows")

// misjudged asks for another run, which foresees nothing.
func (b *batch) misjudged() error {
	b.db.misjudged.note()
	return &retryError{cause: errMisjudged, atOnce: true}
}
