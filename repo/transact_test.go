package repo

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func TestMySQLErrorsAreToldApartByNumber(t *testing.T) {
	t.Parallel()
	for number, want := range map[uint16]fault{
		1062: faultDuplicate, 1213: faultRetry, 1205: faultRetry, 1040: faultUnavailable, 1290: faultUnavailable,
		1053: faultUnavailable, 1114: faultUnavailable, 1064: faultUnknown, 1146: faultUnknown, 1366: faultUnknown,
	} {
		assert.Equal(t, want, mysqlFault(fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: number})), "%d", number)
	}
	for _, lost := range []error{driver.ErrBadConn, mysql.ErrInvalidConn, io.ErrUnexpectedEOF} {
		assert.Equal(t, faultUnavailable, mysqlFault(lost))
	}
	assert.Equal(t, faultUnknown, mysqlFault(errors.New("what")))
	assert.Equal(t, faultUnknown, sqliteFault(errors.New("what")))
}

func openFile(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{SQLitePath: filepath.Join(t.TempDir(), "chat.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.MigrateUp(t.Context()))
	return db
}

func TestTransactionIsTriedABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	db := openFile(t)
	runs := 0
	err := db.transact(t.Context(), func(*conn) error {
		runs++
		return &retryError{cause: errors.New("deadlock")}
	})
	assert.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
	assert.Equal(t, maxAttempts, runs)

	ctx, cancel := context.WithCancel(t.Context())
	runs = 0
	err = db.transact(ctx, func(*conn) error {
		runs++
		cancel()
		return &retryError{cause: errors.New("deadlock")}
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, runs)
}

func TestNothingFollowsAFailedStatement(t *testing.T) {
	t.Parallel()
	db := openFile(t)
	var first error
	err := db.transact(t.Context(), func(x *conn) error {
		if _, err := x.exec("INSERT INTO meta (name, value) VALUES ('a', 'b')"); err != nil {
			return err
		}
		_, first = x.exec("no SQL")
		require.Error(t, first)
		_, second := x.exec("INSERT INTO meta (name, value) VALUES ('c', 'd')")
		assert.Equal(t, first, second)
		_, third := all(x, scanText, "SELECT name FROM meta")
		assert.Equal(t, first, third)
		return nil // a use case that swallows what happened
	})
	assert.Equal(t, first, err)
	names, err := all(db.reader(t.Context()), scanText, "SELECT name FROM meta")
	require.NoError(t, err)
	assert.Equal(t, []string{epochName}, names)
}

func TestStatementsStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	s := new(statement)
	assert.False(t, s.full(0))
	assert.True(t, s.full(maxStatementBytes+1))
	for range maxStatementArgs + 1 {
		s.arg(1)
	}
	assert.True(t, s.full(0))
	assert.False(t, s.reset().full(0))
}

func TestCachesAreBounded(t *testing.T) {
	t.Parallel()
	var audiences audienceCache
	members := make([]chat.ID, maxCachedMembers/8)
	for i := range chat.ID(100) {
		c := conversation{id: i, version: int64(i), audience: &chat.Audience{Version: int64(i), Members: members}}
		audiences.put(&c)
		require.LessOrEqual(t, audiences.weight, maxCachedMembers)
		require.NotNil(t, audiences.get(&c))
		require.Nil(t, audiences.likely(i), "not settled")
		c.shownLo, c.shownHi = true, true
		require.NotNil(t, audiences.get(&c))
		require.NotNil(t, audiences.likely(i))
		c.version++
		require.Nil(t, audiences.get(&c), "another version is another audience")
	}
	assert.Len(t, audiences.entries, 7)
	var pairs pairCache
	for i := range chat.ID(maxCachedPairs + 10) {
		pairs.put([2]chat.ID{i, i + 1}, i)
	}
	assert.Len(t, pairs.entries, maxCachedPairs)
}
