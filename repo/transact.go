package repo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"longwire/chat"
)

const (
	// maxAttempts bounds how often a transaction is run; after that it is CodeUnavailable.
	maxAttempts = 10
	minPause    = 2 * time.Millisecond
	maxPause    = 250 * time.Millisecond
)

// errDuplicate is what a statement returns that a unique key refused. In a
// transaction it undid the statement and nothing else.
var errDuplicate = errors.New("duplicate key")

// retryError asks for the transaction to be run again. It never leaves the package.
type retryError struct {
	cause  error
	atOnce bool // nobody is in the way: there is no point in waiting
}

// Error returns the cause.
func (e *retryError) Error() string {
	return "run again: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *retryError) Unwrap() error {
	return e.cause
}

// executor is a pool of connections or a transaction.
type executor interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// conn is where statements run: the pool for reading, or one transaction,
// which lives no longer than its context.
type conn struct {
	ctx     context.Context
	on      executor
	dialect *dialect
	inTx    bool
	// joins tells that several statements may go in one round trip; pending are
	// those that wait for the next one, see later.
	joins   bool
	pending statement
	returns bool // INSERT can end with RETURNING
	sent    bool // a round trip has succeeded: the connection was alive
	// failed is what went wrong in the transaction; after a deadlock MySQL has
	// rolled it back and would commit further statements one by one, so none is
	// let through.
	failed error
}

// reader returns the pool for reading.
func (db *DB) reader(ctx context.Context) *conn {
	return &conn{ctx: ctx, on: db.read, dialect: db.dialect}
}

// transact runs fn in a transaction and commits it; again while the database
// asks for it.
func (db *DB) transact(ctx context.Context, fn func(x *conn) error) error {
	return db.again(ctx, func() error { return db.transactOnce(ctx, fn) })
}

// again runs a transaction, and runs it again while the database asks for it.
func (db *DB) again(ctx context.Context, once func() error) error {
	for attempt := 1; ; attempt++ {
		err := once()
		var again *retryError
		if !errors.As(err, &again) {
			return err
		}
		if attempt == maxAttempts {
			return chat.Unavailable(again.cause)
		}
		db.logger.DebugContext(ctx, "transaction runs again", "attempt", attempt, "cause", again.cause.Error())
		if again.atOnce {
			continue
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// transactOnce runs fn in one transaction. The context ends waiting and
// statements, but not the commit: who stops waiting for an answer must not
// keep others from hearing what was stored.
func (db *DB) transactOnce(ctx context.Context, fn func(x *conn) error) error {
	x := &conn{ctx: ctx, dialect: db.dialect, inTx: true}
	connection, err := db.write.Conn(ctx)
	if err != nil {
		return x.note(err)
	}
	defer func() { _ = connection.Close() }() // gives it back to the pool
	tx, err := connection.BeginTx(context.WithoutCancel(ctx), nil)
	if errors.Is(err, driver.ErrBadConn) {
		return &retryError{cause: err} // the connection died in the pool; nothing has happened yet
	}
	if err != nil {
		return x.note(err)
	}
	ended := false
	defer func() {
		if !ended { // an error, or fn panicked
			_ = tx.Rollback()
		}
	}()
	x.on = tx
	err = fn(x)
	if x.failed != nil {
		// Whatever fn made of it, this transaction cannot be committed.
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
	ended = true
	return x.note(tx.Commit())
}

// pause waits a while that doubles with each attempt, with jitter so that
// those who met do not meet again.
func pause(ctx context.Context, attempt int) error {
	longest := min(minPause<<attempt, maxPause)
	timer := time.NewTimer(rand.N(longest)) //nolint:gosec // jitter needs no secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return interrupted(ctx.Err())
	}
}

// interrupted says what an ended context means: who cancelled knows it, and who
// set a deadline found the database too slow.
func interrupted(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return chat.Unavailable(err)
	}
	return err
}

// note turns a driver's error into ours; in a transaction it keeps it, so that
// nothing follows it. nil stays nil.
func (c *conn) note(err error) error {
	if err == nil {
		return nil
	}
	err = c.translate(err)
	if c.inTx && !errors.Is(err, errDuplicate) {
		c.failed = err
	}
	return err
}

func (c *conn) translate(err error) error {
	if ended := c.ctx.Err(); ended != nil {
		if errors.Is(ended, context.DeadlineExceeded) {
			return chat.Unavailable(err)
		}
		return ended
	}
	switch c.dialect.fault(err) {
	case faultDuplicate:
		return fmt.Errorf("%w: %w", errDuplicate, err)
	case faultRetry:
		if c.inTx {
			return &retryError{cause: err}
		}
		return chat.Unavailable(err)
	case faultUnavailable:
		return chat.Unavailable(err)
	default:
		return interrupted(fmt.Errorf("%s: %w", c.dialect.name, err))
	}
}

// exec runs a statement and returns how many rows it found or added.
func (c *conn) exec(query string, args ...any) (int64, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	query, args = c.withPending(query, args)
	result, err := c.on.ExecContext(c.ctx, query, args...)
	if err != nil {
		return 0, c.note(err)
	}
	c.sent = true
	n, err := result.RowsAffected()
	return n, c.note(err)
}

// row is what a scan function reads from.
type row interface {
	Scan(dest ...any) error
}

// each runs a query and calls scan for each row.
func each(c *conn, scan func(r row) error, query string, args ...any) error {
	if c.failed != nil {
		return c.failed
	}
	query, args = c.withPending(query, args)
	rows, err := c.on.QueryContext(c.ctx, query, args...)
	if err != nil {
		return c.note(err)
	}
	c.sent = true
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return c.note(err)
		}
	}
	return c.note(rows.Err())
}

// all runs a query and returns its rows, never nil without an error.
func all[T any](c *conn, scan func(r row) (T, error), query string, args ...any) ([]T, error) {
	list := []T{}
	err := each(c, func(r row) error {
		item, err := scan(r)
		list = append(list, item)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// one runs a query and returns its only row, or missing.
func one[T any](c *conn, missing error, scan func(r row) (T, error), query string, args ...any) (T, error) {
	var (
		found T
		n     int
	)
	err := each(c, func(r row) (err error) {
		found, err = scan(r)
		n++
		return err
	}, query, args...)
	if err == nil && n == 0 {
		return found, missing
	}
	return found, err
}

func scanInt(r row) (n int64, err error) {
	return n, r.Scan(&n)
}

func scanID(r row) (id chat.ID, err error) {
	return id, r.Scan(&id)
}

func scanText(r row) (text string, err error) {
	return text, r.Scan(&text)
}
