package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"longwire/chat"
	"longwire/config"
	"longwire/repo"
)

// databaseFile is where embedded mode keeps its data.
func databaseFile(cfg config.Config) string {
	return filepath.Join(cfg.DataDir, "longwire.db")
}

// connectData opens the database that a node with these settings uses; it does not connect to a server yet.
func connectData(ctx context.Context, cfg config.Config, logger *slog.Logger) (*repo.DB, error) {
	where := repo.Config{MySQLDSN: cfg.MySQLDSN.Reveal(), Connections: cfg.MySQLConnections, Logger: logger}
	if cfg.Embedded() {
		where.SQLitePath = databaseFile(cfg)
	}
	db, err := repo.Open(ctx, where)
	return db, dataSetting(cfg, err)
}

// dataSetting adds to an error which setting it is about.
func dataSetting(cfg config.Config, err error) error {
	switch {
	case err == nil:
		return nil
	case cfg.Embedded():
		return fmt.Errorf("%w; the folder is LONGWIRE_DATA_DIR=%s", err, cfg.DataDir)
	default:
		return fmt.Errorf("LONGWIRE_MYSQL_DSN: %w", err)
	}
}

// use is what a command does with the data.
type use int

const (
	looks   use = iota // beside whoever uses it
	changes            // alone, what is there
	makes              // alone, also what is not there
)

// claimData looks that the data folder has what a command needs and, where it changes something, keeps it for this process
// until it is released. On MySQL there is nothing to do.
func claimData(cfg config.Config, how use) (release func() error, err error) {
	release = func() error { return nil }
	if !cfg.Embedded() {
		return release, nil
	}
	if how != makes { // or a misspelt folder would be made, and found empty
		_, err := os.Stat(databaseFile(cfg))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database in %s: set LONGWIRE_DATA_DIR, or LONGWIRE_MYSQL_DSN if it is in MySQL", cfg.DataDir)
		}
		if err != nil {
			return nil, dataSetting(cfg, err)
		}
	}
	if how == looks {
		return release, nil
	}
	release, err = lockDataDir(cfg.DataDir)
	if errors.Is(err, errDataInUse) {
		return nil, fmt.Errorf("a node uses the data folder %s: stop it first", cfg.DataDir)
	}
	return release, dataSetting(cfg, err)
}

// openData opens the database and brings its tables up to date, or looks that they are, waiting a while for a server that is
// still starting.
func (n *node) openData(ctx context.Context) error {
	db, err := connectData(ctx, n.cfg, n.logger)
	if err != nil {
		return err
	}
	n.db = db
	n.closers = append(n.closers, db.Close)
	if err := awaitData(ctx, db.Ping, n.logger); err != nil {
		return dataSetting(n.cfg, err)
	}
	if n.cfg.Migrate {
		return db.MigrateUp(ctx)
	}
	return db.CheckVersion(ctx)
}

// dataPatience is how long a node waits for the database when it starts.
const dataPatience = 30 * time.Second

// awaitData returns when the database answers; with its last error when that takes too long, and at once when it answers that
// it will not have us.
func awaitData(ctx context.Context, ping func(context.Context) error, logger *slog.Logger) error {
	const shortest, longest = 250 * time.Millisecond, 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, dataPatience)
	defer cancel()
	for wait := shortest; ; wait = min(2*wait, longest) {
		err := pingData(ctx, ping)
		if err == nil || repo.Refused(err) {
			return err
		}
		logger.WarnContext(ctx, "waiting for the database", "error", err, "retry_in", wait)
		retry := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			retry.Stop()
			return err
		case <-retry.C:
		}
	}
}

// pingData says in an operator's words that the database does not answer: those of the error are for who sends a message.
func pingData(ctx context.Context, ping func(context.Context) error) error {
	err := ping(ctx)
	if known, ok := errors.AsType[*chat.Error](err); ok && known.Err != nil {
		err = known.Err
	}
	switch {
	case err == nil:
		return nil
	case repo.Refused(err):
		return fmt.Errorf("the database cannot be used: %w", err)
	default:
		return fmt.Errorf("the database does not answer: %w", err)
	}
}
