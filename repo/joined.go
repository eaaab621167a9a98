package repo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// A transaction of messages is a handful of statements, and between two
// processes each round trip costs more than the statement itself. Where the
// database takes several statements at once, those whose results nobody needs
// wait for the next one that has a result: two or three round trips instead of nine.

// rollbackTimeout bounds the undoing of a failed transaction; a connection on
// which that fails is closed, which undoes it too.
const rollbackTimeout = 3 * time.Second

// transactJoined is transact over connections that take several statements in
// one round trip. Where there are none it is transact.
func (db *DB) transactJoined(ctx context.Context, fn func(x *conn) error) error {
	if db.joined == nil {
		return db.transact(ctx, fn)
	}
	return db.again(ctx, func() error { return db.transactJoinedOnce(ctx, fn) })
}

// transactJoinedOnce runs fn in one transaction, as transactOnce does. The
// transaction begins with the first statement and commits with the last.
func (db *DB) transactJoinedOnce(ctx context.Context, fn func(x *conn) error) error {
	x := &conn{ctx: ctx, dialect: db.dialect, inTx: true, joins: true, returns: db.returning.known(ctx, db.read)}
	connection, err := db.joined.Conn(ctx)
	if err != nil {
		return x.note(err)
	}
	defer func() { _ = connection.Close() }() // gives it back to the pool
	committed := false
	defer func() {
		if !committed { // an error, or fn panicked
			rollBack(ctx, connection)
		}
	}()
	x.on = connection
	x.pending.sql("START TRANSACTION")
	err = fn(x)
	if x.failed != nil {
		if !x.sent && errors.Is(x.failed, driver.ErrBadConn) {
			return &retryError{cause: x.failed} // it died in the pool; nothing has happened yet
		}
		var again *retryError
		if err == nil || errors.As(x.failed, &again) {
			return x.failed
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return x.note(err)
	}
	// Who stops waiting must not cut the commit off: others wait for it too.
	x.ctx = context.WithoutCancel(ctx)
	_, err = x.exec("COMMIT")
	committed = err == nil
	if errors.Is(err, errDuplicate) {
		// Of a statement that went with the commit, which therefore did not
		// run: it was stored before, or a twin was faster. The next run finds it.
		return &retryError{cause: err, atOnce: true}
	}
	return err
}

// rollBack undoes what was sent on a connection. A connection that does not
// answer is closed rather than given to the next transaction.
func rollBack(ctx context.Context, connection *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, err := connection.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = connection.Raw(func(any) error { return driver.ErrBadConn }) // which is how one asks for that
	}
}

// later runs a statement whose result nobody needs: with the next one, where
// statements can be joined. What goes wrong then is the next one's error.
func (c *conn) later(s *statement) error {
	if !c.joins {
		return s.exec(c)
	}
	if c.failed != nil {
		return c.failed
	}
	if c.pending.full(len(s.text) + s.long) {
		return s.exec(c) // with what is pending
	}
	c.pending.join(s)
	return nil
}

// withPending puts what waits in front of a statement.
func (c *conn) withPending(text string, args []any) (string, []any) {
	if len(c.pending.text) == 0 {
		return text, args
	}
	c.pending.join(&statement{text: []byte(text), args: args})
	text, args = string(c.pending.text), append([]any(nil), c.pending.args...)
	c.pending.reset()
	return text, args
}

// eachOf runs queries, one after the other but in one round trip where they can
// be joined.
func (c *conn) eachOf(queries []query) error {
	if c.failed != nil || len(queries) == 0 {
		return c.failed
	}
	if !c.joins {
		for i := range queries {
			if err := queries[i].run(c); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range queries {
		if len(queries[i].before.text) > 0 {
			c.pending.join(&queries[i].before)
		}
		c.pending.join(&queries[i].statement)
	}
	text, args := string(c.pending.text), append([]any(nil), c.pending.args...)
	c.pending.reset()
	rows, err := c.on.QueryContext(c.ctx, text, args...)
	if err != nil {
		return c.note(err)
	}
	c.sent = true
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	return c.note(scanEach(rows, queries))
}

// run runs a query by itself.
func (q *query) run(c *conn) error {
	if len(q.before.text) > 0 {
		if err := q.before.exec(c); err != nil {
			return err
		}
	}
	return q.each(c, q.scan)
}

// scanEach reads the results of queries that were joined.
func scanEach(rows *sql.Rows, queries []query) error {
	for i := range queries {
		if i > 0 && !rows.NextResultSet() {
			if err := rows.Err(); err != nil {
				return err
			}
			return errors.New("fewer results than queries")
		}
		for rows.Next() {
			if err := queries[i].scan(rows); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}
