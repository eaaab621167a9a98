package repo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	migratesqlite "github.com/golang-migrate/migrate/v4/database/sqlite"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"longwire/migrations"
)

// migrating makes those who migrate a SQLite file in this process wait for each
// other. For MySQL the driver takes a lock in the database.
var migrating sync.Mutex

// MigrateUp brings the tables to the newest version and makes sure that the
// data has an epoch. Nodes that start at once wait for each other.
func (db *DB) MigrateUp(ctx context.Context) error {
	if _, err := db.refuseNewer(ctx); err != nil {
		return err
	}
	if err := db.migrate(ctx, (*migrate.Migrate).Up); err != nil {
		return err
	}
	_, err := db.Epoch(ctx)
	return err
}

// MigrateDown takes back the newest migration, with all data it gave a place.
func (db *DB) MigrateDown(ctx context.Context) error {
	at, err := db.refuseNewer(ctx)
	if err != nil {
		return err
	}
	if at == 0 {
		return ErrNoTables
	}
	return db.migrate(ctx, func(m *migrate.Migrate) error { return m.Steps(-1) })
}

// migrate runs fn; again while another node has the lock.
func (db *DB) migrate(ctx context.Context, fn func(m *migrate.Migrate) error) error {
	ctx, cancel := context.WithTimeout(ctx, migrationDeadline)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := db.migrateOnce(ctx, fn)
		if err == nil || errors.Is(err, migrate.ErrNoChange) {
			return nil
		}
		if dirty, ok := errors.AsType[migrate.ErrDirty](err); ok {
			return halfWay(uint(max(dirty.Version, 0)))
		}
		if !errors.Is(err, database.ErrLocked) && !errors.Is(err, migrate.ErrLocked) && !errors.Is(err, migrate.ErrLockTimeout) {
			return fmt.Errorf("migrate: %w", err)
		}
		if pause(ctx, attempt) != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
}

// migrateOnce runs fn over connections of its own: a migration sends several
// statements at once, and may take longer than any other statement.
func (db *DB) migrateOnce(ctx context.Context, fn func(m *migrate.Migrate) error) (err error) {
	if db.mysql == nil {
		migrating.Lock()
		defer migrating.Unlock()
	}
	files, err := iofs.New(migrations.Files, db.dialect.name)
	if err != nil {
		return err
	}
	pool, err := db.migrationPool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var target database.Driver
	if db.mysql != nil {
		target, err = mysqlTarget(ctx, pool)
	} else {
		target, err = migratesqlite.WithInstance(pool, &migratesqlite.Config{})
	}
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("embedded", files, db.dialect.name, target)
	if err != nil {
		return err
	}
	defer func() {
		sourceErr, targetErr := m.Close()
		err = errors.Join(err, sourceErr, targetErr)
	}()
	return fn(m)
}

func (db *DB) migrationPool() (*sql.DB, error) {
	if db.mysql == nil {
		return sqlitePool(db.config.SQLitePath, "&_txlock=immediate", 1)
	}
	cfg := db.mysql.Clone()
	cfg.MultiStatements = true
	cfg.ReadTimeout = max(cfg.ReadTimeout, migrationDeadline)
	return openMySQL(cfg, 1)
}

func mysqlTarget(ctx context.Context, pool *sql.DB) (database.Driver, error) {
	connection, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	target, err := migratemysql.WithConnection(ctx, connection, &migratemysql.Config{StatementTimeout: migrationDeadline - 10*time.Second})
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return target, nil
}
