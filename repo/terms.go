package repo

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"

	"longwire/chat"
)

// segmentBits: so many low bits of a seq are its place in its segment. A search
// looks at segments of 1,024 messages, newest first, until it has enough; so a
// common word in a long conversation costs no more than in a short one.
const segmentBits = 10

// segment is a part of a conversation that is searched at once.
type segment struct {
	conversation   chat.ID
	number         int64
	oldest, newest chat.Time // of its messages
}

func segmentOf(seq int64) int64 {
	return seq >> segmentBits
}

// scope begins all terms of one segment. So the words of one conversation
// stand together in the index, and other people's messages with the same word
// are not even read. Two segments that share a scope by chance would find each
// other's messages, which the search sees and drops.
func scope(conversation chat.ID, number int64) string {
	const length, all = 7, 36 * 36 * 36 * 36 * 36 * 36 * 36
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(conversation))
	binary.BigEndian.PutUint64(raw[8:], uint64(number))
	sum := fnv.New64a()
	_, _ = sum.Write(raw[:]) // never fails
	digits := strconv.FormatUint(sum.Sum64()%all, 36)
	return "0000000"[:length-len(digits)] + digits
}

// indexed is a row of message_search.
type indexed struct {
	conversation chat.ID
	seq          int64
	sender       chat.ID
	createdAt    chat.Time
	terms        []string
}

// scoped returns the terms as they are stored.
func (m *indexed) scoped() string {
	prefix := scope(m.conversation, segmentOf(m.seq))
	var text strings.Builder
	for i, term := range m.terms {
		if i > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(prefix)
		text.WriteString(term)
	}
	return text.String()
}

// termIndex is how a database keeps terms and finds them.
type termIndex interface {
	// insert adds messages that are not there; newID makes ids where they are wanted.
	insert(c *conn, rows []indexed, newID func() chat.ID) error
	// remove forgets messages of a conversation; those that are not there are passed over.
	remove(c *conn, conversation chat.ID, seqs []int64) error
	// find selects conversation, seq and time of messages in the segments, of
	// which each has, for every term, one that begins with it.
	find(text *statement, segments []segment, terms []string) *statement
}

// fulltextIndex is an InnoDB FULLTEXT index.
type fulltextIndex struct{}

func (fulltextIndex) insert(c *conn, rows []indexed, _ func() chat.ID) error {
	text := new(statement)
	for i := range rows {
		m, terms := &rows[i], rows[i].scoped()
		if len(text.text) > 0 && text.full(len(terms)) {
			if err := text.exec(c); err != nil {
				return err
			}
			text.reset()
		}
		if len(text.text) == 0 {
			text.sql("INSERT INTO message_search (conversation_id, seq, sender_id, created_at, terms) VALUES ")
		} else {
			text.sql(",")
		}
		text.sql("(").id(m.conversation).sql(",").int(m.seq).sql(",").id(m.sender).sql(",").int(int64(m.createdAt)).sql(",").arg(terms).sql(")")
	}
	if len(text.text) == 0 {
		return nil
	}
	return text.exec(c)
}

func (fulltextIndex) remove(c *conn, conversation chat.ID, seqs []int64) error {
	return new(statement).sql("DELETE FROM message_search WHERE conversation_id = ").id(conversation).
		sql(" AND seq IN ").ints(seqs).exec(c)
}

func (fulltextIndex) find(text *statement, segments []segment, terms []string) *statement {
	return text.sql("SELECT s.conversation_id, s.seq, s.created_at FROM message_search s WHERE MATCH (s.terms) AGAINST (").
		arg(booleanMode(segments, terms)).sql(" IN BOOLEAN MODE)")
}

// booleanMode writes a query in InnoDB's language: any of the segments, with
// all of the terms.
func booleanMode(segments []segment, terms []string) string {
	var text strings.Builder
	for _, s := range segments {
		prefix := scope(s.conversation, s.number)
		if len(terms) == 1 {
			text.WriteString(prefix + terms[0] + "* ")
			continue
		}
		text.WriteByte('(')
		for _, term := range terms {
			text.WriteString("+" + prefix + term + "* ")
		}
		text.WriteString(") ")
	}
	return text.String()
}

// fts5Index is an SQLite FTS5 table beside message_search.
type fts5Index struct{}

func (fts5Index) insert(c *conn, rows []indexed, newID func() chat.ID) error {
	var messages, terms statement
	for i := range rows {
		m, words, id := &rows[i], rows[i].scoped(), newID()
		if len(messages.text) > 0 && (messages.full(0) || terms.full(len(words))) {
			if err := execBoth(c, &messages, &terms); err != nil {
				return err
			}
		}
		if len(messages.text) == 0 {
			messages.sql("INSERT INTO message_search (id, conversation_id, seq, sender_id, created_at) VALUES ")
			terms.sql("INSERT INTO message_terms (rowid, terms) VALUES ")
		} else {
			messages.sql(",")
			terms.sql(",")
		}
		messages.sql("(").id(id).sql(",").id(m.conversation).sql(",").int(m.seq).sql(",").id(m.sender).sql(",").int(int64(m.createdAt)).sql(")")
		terms.sql("(").id(id).sql(",").arg(words).sql(")")
	}
	if len(messages.text) == 0 {
		return nil
	}
	return execBoth(c, &messages, &terms)
}

func execBoth(c *conn, first, second *statement) error {
	if err := first.exec(c); err != nil {
		return err
	}
	if err := second.exec(c); err != nil {
		return err
	}
	first.reset()
	second.reset()
	return nil
}

func (fts5Index) remove(c *conn, conversation chat.ID, seqs []int64) error {
	text := new(statement).sql("DELETE FROM message_terms WHERE rowid IN (SELECT id FROM message_search WHERE conversation_id = ").id(conversation).
		sql(" AND seq IN ").ints(seqs).sql(")")
	if err := text.exec(c); err != nil {
		return err
	}
	return text.reset().sql("DELETE FROM message_search WHERE conversation_id = ").id(conversation).sql(" AND seq IN ").ints(seqs).exec(c)
}

func (fts5Index) find(text *statement, segments []segment, terms []string) *statement {
	// CROSS JOIN keeps the order: the terms first.
	return text.sql("SELECT s.conversation_id, s.seq, s.created_at FROM message_terms CROSS JOIN message_search s ON s.id = message_terms.rowid" +
		" WHERE message_terms MATCH ").arg(matchExpression(segments, terms))
}

// matchExpression writes a query in FTS5's language.
func matchExpression(segments []segment, terms []string) string {
	var text strings.Builder
	for i, s := range segments {
		if i > 0 {
			text.WriteString(" OR ")
		}
		prefix := scope(s.conversation, s.number)
		text.WriteByte('(')
		for j, term := range terms {
			if j > 0 {
				text.WriteString(" AND ")
			}
			text.WriteString(prefix + term + "*")
		}
		text.WriteByte(')')
	}
	return text.String()
}
