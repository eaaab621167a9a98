package repo

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders is how many connections read beside the one that writes.
const sqliteReaders = 4

// openSQLite opens the file for writing, by one connection, and for reading.
// It makes the file if it is not there, for its owner only; SQLite gives the
// files beside it the same mode.
func openSQLite(path string) (write, read *sql.DB, err error) {
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open SQLite file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, nil, fmt.Errorf("open SQLite file: %w", err)
	}
	// BEGIN IMMEDIATE: a transaction that began to read could not go on to
	// write when another has written meanwhile.
	if write, err = sqlitePool(path, "&_txlock=immediate", 1); err != nil {
		return nil, nil, err
	}
	if read, err = sqlitePool(path, "&_query_only=1", sqliteReaders); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

// sqlitePool returns a pool of connections to the file that never expire. Each
// caches up to 16 MB of pages; what a statement of many rows keeps to undo
// itself stays in memory, where SQLite would write a file. A batch changes many
// pages that the next one changes again, so the log is folded into the database
// less often than by default: at 32 MB.
func sqlitePool(path, options string, connections int) (*sql.DB, error) {
	connector, err := sqliteConnector(path, options)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool, nil
}

func sqliteConnector(path, options string) (driver.Connector, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("SQLite path: %w", err)
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}
	connector, err := sqlite.NewConnector(name.String() + "?_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1" +
		"&_pragma=cache_size(-16000)&_pragma=temp_store(2)&_pragma=wal_autocheckpoint(8000)" + options)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	return connector, nil
}

// sqliteFault tells SQLite's errors apart by their result code.
func sqliteFault(err error) fault {
	var answer *sqlite.Error
	if !errors.As(err, &answer) {
		if connectionLost(err) {
			return faultUnavailable
		}
		return faultUnknown
	}
	switch answer.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return faultDuplicate
	}
	switch answer.Code() & 0xff { // the primary code; the rest says more exactly where
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return faultRetry
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT:
		return faultUnavailable
	default:
		return faultUnknown
	}
}
