package repo_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// bare returns a database without tables.
func bare(t *testing.T, kind string) repo.Config {
	t.Helper()
	if kind == "sqlite" {
		return repo.Config{SQLitePath: filepath.Join(t.TempDir(), "a ? name % with # signs.db")}
	}
	return repo.Config{MySQLDSN: newDatabase(t), Connections: 4}
}

func openBare(t *testing.T, config repo.Config) *repo.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := openBare(t, bare(t, kind))
			version := func() uint {
				version, dirty, err := db.MigrateVersion(t.Context())
				require.NoError(t, err)
				require.False(t, dirty)
				return version
			}
			require.NoError(t, db.Ping(t.Context()))
			assert.Zero(t, version())
			require.NoError(t, db.MigrateUp(t.Context()))
			newest := version()
			assert.Positive(t, newest)
			require.NoError(t, db.MigrateUp(t.Context()), "a second time there is nothing to do")
			for before := newest; before > 0; {
				require.NoError(t, db.MigrateDown(t.Context()))
				now := version()
				require.Less(t, now, before)
				before = now
			}
			_, err := db.UserByID(t.Context(), 1)
			requireCode(t, chat.CodeInternal, err)
			require.NoError(t, db.MigrateUp(t.Context()))
			_, err = db.UserByID(t.Context(), 1)
			requireCode(t, chat.CodeNotFound, err)
		})
	}
}

func TestTablesOfAnotherVersionAreToldApart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := openBare(t, bare(t, kind))
			ctx := t.Context()
			_, _, err := db.MigrateVersion(ctx)
			require.NoError(t, err)
			_, err = db.Pool().ExecContext(ctx, "SELECT 1 FROM schema_migrations")
			require.Error(t, err, "who only looks makes no table")
			require.ErrorIs(t, db.CheckVersion(ctx), repo.ErrNoTables)
			require.ErrorIs(t, db.MigrateDown(ctx), repo.ErrNoTables)

			require.NoError(t, db.MigrateUp(ctx))
			require.NoError(t, db.CheckVersion(ctx))
			newest, _, err := db.MigrateVersion(ctx)
			require.NoError(t, err)
			require.NoError(t, db.MigrateDown(ctx))
			require.EqualError(t, db.CheckVersion(ctx),
				fmt.Sprintf("the tables have version %d, this program needs %d: run `longwire migrate up`", newest-1, newest))

			set := func(statement string) {
				_, err := db.Pool().ExecContext(ctx, statement)
				require.NoError(t, err)
			}
			set("UPDATE schema_migrations SET dirty = 1")
			halfWay := fmt.Sprintf("half way to version %d", newest-1)
			require.ErrorContains(t, db.CheckVersion(ctx), halfWay)
			require.ErrorContains(t, db.MigrateUp(ctx), halfWay)
			set("UPDATE schema_migrations SET dirty = 0, version = 99")
			for _, err := range []error{db.CheckVersion(ctx), db.MigrateUp(ctx), db.MigrateDown(ctx)} {
				require.EqualError(t, err, fmt.Sprintf("the tables are of a newer Longwire (version 99; this one knows %d)", newest))
			}
		})
	}
}

func TestRefusalsAreToldFromSilence(t *testing.T) {
	t.Parallel()
	config, err := mysql.ParseDSN(newDatabase(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "no.db")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("no database\n"), 1000), 0o600))
	elsewhere, stranger := config.Clone(), config.Clone()
	elsewhere.DBName = "repo_that_is_not_there"
	stranger.User, stranger.Passwd = "nobody-of-this-name", "wrong"
	for what, wrong := range map[string]repo.Config{
		"database": {MySQLDSN: elsewhere.FormatDSN()}, "user": {MySQLDSN: stranger.FormatDSN()}, "file": {SQLitePath: path},
	} {
		err := openBare(t, wrong).Ping(t.Context())
		assert.True(t, repo.Refused(err), "%s: %v", what, err)
	}
	assert.False(t, repo.Refused(openBare(t, repo.Config{MySQLDSN: "root@tcp(127.0.0.1:1)/nothing"}).Ping(t.Context())))
	assert.False(t, repo.Refused(nil))
}

func TestNodesThatStartAtOnceAgreeOnTablesAndEpoch(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			config := bare(t, kind)
			var all sync.WaitGroup
			epochs := make([]string, 4)
			for i := range epochs {
				db := openBare(t, config)
				all.Go(func() {
					err := db.MigrateUp(t.Context())
					if err == nil {
						epochs[i], err = db.Epoch(t.Context())
					}
					assert.NoError(t, err)
				})
			}
			all.Wait()
			assert.Regexp(t, `^[a-z0-9]{8}$`, epochs[0])
			for _, epoch := range epochs {
				assert.Equal(t, epochs[0], epoch)
			}
		})
	}
}

func TestRenewedEpochIsAnother(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		before, err := w.Epoch(t.Context())
		require.NoError(t, err)
		renewed, err := w.RenewEpoch(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, before, renewed)
		after, err := w.open().Epoch(t.Context())
		require.NoError(t, err)
		assert.Equal(t, renewed, after)
	})
}

func TestSQLiteFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	db := openBare(t, repo.Config{SQLitePath: path})
	require.NoError(t, db.MigrateUp(t.Context()))
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Contains(t, files, path+"-wal")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestSQLiteIsDurableAndChecksItsWriters(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		require.NoError(t, w.Pool().QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		assert.Equal(t, want, got, pragma)
	}
	assert.Equal(t, 1, w.Pool().Stats().MaxOpenConnections)
}

func TestTablesDoNotTakeOverTheServersDefaults(t *testing.T) {
	t.Parallel()
	w := onMySQL(t) // the database's default is latin1
	var wrong int
	require.NoError(t, w.Pool().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"+
		" AND table_name <> 'schema_migrations' AND (table_collation <> 'utf8mb4_bin' OR engine <> 'InnoDB')").Scan(&wrong))
	assert.Zero(t, wrong)
}
