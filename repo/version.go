package repo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-sql-driver/mysql"

	"longwire/migrations"
)

// ErrNoTables says that nobody has made the tables yet, or that this is not the database that was meant.
var ErrNoTables = errors.New("the database has no tables of Longwire")

// MigrateVersion returns the version of the tables, 0 when there are none; dirty when a migration failed half way and
// somebody must look, or when one runs. It only looks, also in a database that is none of ours.
func (db *DB) MigrateVersion(ctx context.Context) (version uint, dirty bool, err error) {
	var at int64
	err = db.read.QueryRowContext(ctx, "SELECT version, dirty FROM schema_migrations LIMIT 1").Scan(&at, &dirty)
	switch {
	case errors.Is(err, sql.ErrNoRows), err != nil && noSuchTable(err):
		return 0, false, nil
	case err != nil:
		return 0, false, db.reader(ctx).translate(err)
	}
	return uint(max(at, 0)), dirty, nil // migrate writes -1 while it takes back the first step
}

// noSuchTable tells whether a statement failed for want of a table.
func noSuchTable(err error) bool {
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return answer.Number == 1146
	}
	return strings.Contains(err.Error(), "no such table") // SQLite has no code for it
}

// CheckVersion returns an error that says what is to be done when the tables are not those this program needs.
func (db *DB) CheckVersion(ctx context.Context) error {
	at, dirty, err := db.MigrateVersion(ctx)
	if err != nil {
		return err
	}
	needed, err := db.newestVersion()
	switch {
	case err != nil:
		return err
	case dirty:
		return halfWay(at)
	case at == 0:
		return fmt.Errorf("%w: run `longwire migrate up`", ErrNoTables)
	case at < needed:
		return fmt.Errorf("the tables have version %d, this program needs %d: run `longwire migrate up`", at, needed)
	}
	return tooNew(at, needed)
}

// newestVersion returns the version that the newest migration leads to.
func (db *DB) newestVersion() (uint, error) {
	files, err := fs.Glob(migrations.Files, db.dialect.name+"/*.up.sql")
	if err != nil {
		return 0, err
	}
	var newest uint
	for _, file := range files {
		var version uint
		if _, err := fmt.Sscanf(strings.TrimPrefix(file, db.dialect.name+"/"), "%d_", &version); err != nil {
			return 0, fmt.Errorf("name of the migration %s: %w", file, err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// refuseNewer returns an error when a program that knows more has made the tables: this one has no step from there.
func (db *DB) refuseNewer(ctx context.Context) (at uint, err error) {
	at, _, err = db.MigrateVersion(ctx)
	if err != nil {
		return 0, err
	}
	known, err := db.newestVersion()
	if err != nil {
		return 0, err
	}
	return at, tooNew(at, known)
}

func tooNew(at, known uint) error {
	if at <= known {
		return nil
	}
	return fmt.Errorf("the tables are of a newer Longwire (version %d; this one knows %d)", at, known)
}

func halfWay(version uint) error {
	return fmt.Errorf("the tables are half way to version %d: a migration runs, or one failed and somebody must look", version)
}
