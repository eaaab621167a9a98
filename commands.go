package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"longwire/config"
	"longwire/repo"
)

// dataSettings are the settings of commands that need the database only.
var dataSettings = []string{"mysql-dsn", "data-dir"}

// openData opens the database that a node with the same settings would use.
func openData(ctx context.Context, cfg config.Config, logger *slog.Logger) (*repo.DB, error) {
	where := repo.Config{MySQLDSN: cfg.MySQLDSN.Reveal(), Connections: cfg.MySQLConnections, Logger: logger}
	if cfg.Embedded() {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
		where.SQLitePath = filepath.Join(cfg.DataDir, "longwire.db")
	}
	return repo.Open(ctx, where)
}

// withData reads a command's settings and its one word, and runs it on the database.
func (p program) withData(ctx context.Context, command string, args []string, run func(db *repo.DB, word string) error) (err error) {
	cfg, rest, err := config.LoadOnly(command, dataSettings, args, p.getenv, p.stdout)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: %s takes one word", errUsage, command)
	}
	db, err := openData(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return run(db, rest[0])
}

// migrate changes the tables, or says which version they have.
func (p program) migrate(ctx context.Context, args []string) error {
	return p.withData(ctx, "migrate", args, func(db *repo.DB, word string) error {
		switch word {
		case "up":
			if err := db.MigrateUp(ctx); err != nil {
				return err
			}
		case "down":
			if err := db.MigrateDown(ctx); err != nil {
				return err
			}
		case "version":
		default:
			return fmt.Errorf("%w: migrate %q", errUsage, word)
		}
		at, dirty, err := db.MigrateVersion(ctx)
		if err != nil {
			return err
		}
		if dirty {
			return fmt.Errorf("the tables are half way to version %d: a migration failed, and somebody must look", at)
		}
		_, err = fmt.Fprintf(p.stdout, "version %d\n", at)
		return err
	})
}

// epoch says or renews the word by which data from before a restore is noticed.
func (p program) epoch(ctx context.Context, args []string) error {
	return p.withData(ctx, "epoch", args, func(db *repo.DB, word string) error {
		var epoch string
		var err error
		switch word {
		case "show":
			epoch, err = db.Epoch(ctx)
		case "renew":
			epoch, err = db.RenewEpoch(ctx)
		default:
			return fmt.Errorf("%w: epoch %q", errUsage, word)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "epoch %s\n", epoch)
		return err
	})
}

// healthcheck asks the node at the configured address whether it is up, for
// containers that have no curl.
func (p program) healthcheck(ctx context.Context, args []string) error {
	cfg, _, err := config.LoadOnly("healthcheck", []string{"listen"}, args, p.getenv, p.stdout)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // nothing of it is read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the node answers %s", answer.Status)
	}
	return nil
}
