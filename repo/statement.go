package repo

import (
	"encoding/hex"
	"strconv"
	"strings"

	"longwire/chat"
)

// Bounds of one statement: its text, well below the smallest max_allowed_packet
// in use and SQLite's limit; and the arguments SQLite takes.
const (
	maxStatementBytes = 512 << 10
	maxStatementArgs  = 30_000
)

// statement is SQL in the making. Integers are written into the text, which
// spares an argument each; text always goes as an argument.
type statement struct {
	text []byte
	args []any
	long int // bytes of text arguments: they are sent too
}

func (s *statement) sql(text string) *statement {
	s.text = append(s.text, text...)
	return s
}

func (s *statement) int(n int64) *statement {
	s.text = strconv.AppendInt(s.text, n, 10)
	return s
}

func (s *statement) id(id chat.ID) *statement {
	return s.int(int64(id))
}

// nullable writes an integer or NULL.
func (s *statement) nullable(n *int64) *statement {
	if n == nil {
		return s.sql("NULL")
	}
	return s.int(*n)
}

// bytes writes a literal that every database reads as these bytes.
func (s *statement) bytes(b []byte) *statement {
	s.sql("x'")
	s.text = hex.AppendEncode(s.text, b)
	return s.sql("'")
}

func (s *statement) arg(value any) *statement {
	s.args = append(s.args, value)
	if text, ok := value.(string); ok {
		s.long += len(text)
	}
	return s.sql("?")
}

// ids writes a list in parentheses.
func (s *statement) ids(ids []chat.ID) *statement {
	s.sql("(")
	for i, id := range ids {
		s.comma(i).id(id)
	}
	return s.sql(")")
}

// ints writes a list in parentheses.
func (s *statement) ints(numbers []int64) *statement {
	s.sql("(")
	for i, n := range numbers {
		s.comma(i).int(n)
	}
	return s.sql(")")
}

// comma writes what separates item i from the one before.
func (s *statement) comma(i int) *statement {
	if i > 0 {
		s.sql(",")
	}
	return s
}

// event writes a row of the table of events: the first with what is before it.
func (s *statement) event(id chat.ID, kind chat.EventType, at chat.Time, data []byte) {
	if len(s.text) == 0 {
		s.sql("INSERT INTO `event` (id, type, at, data) VALUES ")
	} else {
		s.sql(",")
	}
	s.sql("(").id(id).sql(",").arg(string(kind)).sql(",").int(int64(at)).sql(",").arg(string(data)).sql(")")
}

// full tells whether it is time to run what there is and begin anew.
func (s *statement) full(pending int) bool {
	return len(s.text)+s.long+pending > maxStatementBytes || len(s.args) > maxStatementArgs
}

// reset empties the statement but keeps its memory.
func (s *statement) reset() *statement {
	clear(s.args)
	s.text, s.args, s.long = s.text[:0], s.args[:0], 0
	return s
}

// join adds another statement behind this one.
func (s *statement) join(other *statement) {
	if len(s.text) > 0 {
		s.sql(";")
	}
	s.text = append(s.text, other.text...)
	s.args = append(s.args, other.args...)
	s.long += other.long
}

// query is a statement and what takes its rows.
type query struct {
	statement

	before statement // goes right before it and has no rows; empty = none
	scan   func(r row) error
}

// returning lets a query that writes n rows hand them over: as part of the
// statement where the database can, else by another one behind it. The first of
// columns is the key; id is that of the ith row.
func (q *query) returning(x *conn, columns, table string, n int, id func(i int) chat.ID) {
	if x.returns {
		q.sql(" RETURNING ").sql(columns)
		return
	}
	q.before, q.statement = q.statement, statement{}
	key, _, _ := strings.Cut(columns, ",")
	q.sql("SELECT ").sql(columns).sql(" FROM ").sql(table).sql(" WHERE ").sql(key).sql(" IN (")
	for i := range n {
		q.comma(i).id(id(i))
	}
	q.sql(")")
}

func (s *statement) exec(c *conn) error {
	_, err := c.exec(string(s.text), s.args...)
	return err
}

func (s *statement) each(c *conn, scan func(r row) error) error {
	return each(c, scan, string(s.text), s.args...)
}
