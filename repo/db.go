package repo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/go-sql-driver/mysql"

	"longwire/chat"
)

// Config says where the data is. Exactly one of MySQLDSN and SQLitePath is set.
type Config struct {
	// MySQLDSN is in go-sql-driver's form and names a database. Timeouts it
	// does not give are set; what the statements rely on is set always.
	MySQLDSN string
	// SQLitePath is a file, which is made when it is not there.
	SQLitePath string
	// Connections bounds the pool; 0 = 32. SQLite has one writer whatever it says.
	Connections int
	// Now is the clock by which stored events get their ids; nil = time.Now.
	Now func() time.Time
	// Logger is told what is tried again; nil = nobody is.
	Logger *slog.Logger
}

// DB is the open database. Its methods may be called concurrently.
type DB struct {
	write   *sql.DB
	read    *sql.DB // the same pool as write but for SQLite
	joined  *sql.DB // for transactJoined; nil for SQLite
	dialect *dialect
	config  Config
	mysql   *mysql.Config // nil for SQLite
	logger  *slog.Logger
	ids     *chat.IDs // of stored events

	audiences audienceCache
	pairs     pairCache
	pruning   pruneWalk
	unindexed unindexed
	replayed  recent // a message that was stored before
	misjudged recent // a batch whose rows were not those foreseen
	returning returning
}

// Open opens the database. It does not connect to MySQL yet, nor make tables:
// see [DB.Ping] and [DB.MigrateUp]. Its errors are for those who run a node.
func Open(_ context.Context, config Config) (*DB, error) {
	if (config.MySQLDSN == "") == (config.SQLitePath == "") {
		return nil, errors.New("repo: want either a MySQL DSN or a SQLite path")
	}
	if config.Connections == 0 {
		config.Connections = defaultConns
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	db := &DB{config: config, logger: config.Logger, ids: chat.NewIDs(config.Now)}
	if db.logger == nil {
		db.logger = slog.New(slog.DiscardHandler)
	}
	if config.SQLitePath != "" {
		write, read, err := openSQLite(config.SQLitePath)
		if err != nil {
			return nil, err
		}
		db.write, db.read, db.dialect = write, read, &sqliteDialect
		return db, nil
	}
	cfg, err := mysqlConfig(config.MySQLDSN)
	if err != nil {
		return nil, err
	}
	pool, err := openMySQL(cfg, config.Connections)
	if err != nil {
		return nil, err
	}
	joining := cfg.Clone()
	joining.MultiStatements = true
	joined, err := openMySQL(joining, joinedConns)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	db.write, db.read, db.joined, db.dialect, db.mysql = pool, pool, joined, &mysqlDialect, cfg
	return db, nil
}

// Close closes all connections, after the statements that run on them.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	if db.joined != nil {
		err = errors.Join(err, db.joined.Close())
	}
	return err
}

// Ping tells whether the database answers; CodeUnavailable when it does not,
// see also [Refused].
func (db *DB) Ping(ctx context.Context) error {
	_, err := one(db.reader(ctx), nil, scanInt, "SELECT 1")
	return err
}

// epochName is the row of meta that holds the data's epoch.
const epochName = "epoch"

// Epoch names the past that this data has; it is made when it is first asked
// for or when the tables are made.
func (db *DB) Epoch(ctx context.Context) (string, error) {
	missing := chat.NotFound("The data has no epoch yet.")
	read := func() (string, error) {
		return one(db.reader(ctx), missing, scanText, "SELECT value FROM meta WHERE name = ?", epochName)
	}
	epoch, err := read()
	if !errors.Is(err, missing) {
		return epoch, err
	}
	err = db.transact(ctx, func(x *conn) error {
		_, err := x.exec("INSERT INTO meta (name, value) VALUES (?, ?)", epochName, newEpoch())
		if errors.Is(err, errDuplicate) {
			return nil // another node was faster; its epoch is the epoch
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return read()
}

// RenewEpoch gives the data a new past, so that cursors and Redis keys from
// before are noticed and not believed. It is for operators who have restored a
// backup, to be called while no node runs.
func (db *DB) RenewEpoch(ctx context.Context) (string, error) {
	epoch := newEpoch()
	err := db.transact(ctx, func(x *conn) error {
		if _, err := x.exec("DELETE FROM meta WHERE name = ?", epochName); err != nil {
			return err
		}
		_, err := x.exec("INSERT INTO meta (name, value) VALUES (?, ?)", epochName, epoch)
		return err
	})
	if err != nil {
		return "", err
	}
	return epoch, nil
}

// newEpoch returns eight random lower-case letters and digits.
func newEpoch() string {
	const letters = "abcdefghijklmnopqrstuvwxyz012345" // 32: no letter is likelier than another
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	for i := range raw {
		raw[i] = letters[raw[i]%32]
	}
	return string(raw)
}
