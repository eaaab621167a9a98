package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"longwire/config"
	"longwire/repo"
)

// dataSettings are the settings of commands that need the database only.
var dataSettings = []string{"mysql-dsn", "data-dir"}

var (
	migrateCommand = config.Command{
		Name: "migrate", Words: []string{"up", "down", "version"}, Settings: dataSettings,
		About: "Brings the tables to the newest version (up), takes the last step back with all data it gave a place (down), or says\n" +
			"which version they have (version). Without MySQL, up and down are for while no node runs.",
	}
	epochCommand = config.Command{
		Name: "epoch", Words: []string{"show", "renew"}, Settings: dataSettings,
		About: "Says the epoch of the data (show), or gives it another one (renew): after restoring a backup, while no node runs, so that\n" +
			"no client and no Redis believes in what the backup does not have.",
	}
	healthcheckCommand = config.Command{
		Name: "healthcheck", Settings: []string{"listen"}, About: "Exits with 0 if the node at LONGWIRE_LISTEN answers, and with 1 if not.",
	}
	versionCommand = config.Command{Name: "version", About: "Says which version this is."}
)

// withData reads a command's settings and its one word, and runs it on the database, which it uses as the word says.
func (p program) withData(
	ctx context.Context, command config.Command, args []string, uses map[string]use, run func(db *repo.DB, word string) error,
) (err error) {
	cfg, word, err := config.LoadOnly(command, args, p.getenv, p.stdout)
	if err != nil {
		return misuse{err}
	}
	release, err := claimData(cfg, uses[word])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	db, err := connectData(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := pingData(ctx, db.Ping); err != nil {
		return dataSetting(cfg, err)
	}
	return run(db, word)
}

// migrate changes the tables, or says which version they have.
func (p program) migrate(ctx context.Context, args []string) error {
	uses := map[string]use{"up": makes, "down": changes, "version": looks}
	return p.withData(ctx, migrateCommand, args, uses, func(db *repo.DB, word string) error {
		var err error
		switch word {
		case "up":
			err = db.MigrateUp(ctx)
		case "down":
			err = db.MigrateDown(ctx)
		}
		if err != nil {
			return err
		}
		at, dirty, err := db.MigrateVersion(ctx)
		if err != nil {
			return err
		}
		if dirty {
			return db.CheckVersion(ctx) // says what that means
		}
		_, err = fmt.Fprintf(p.stdout, "version %d\n", at)
		return err
	})
}

// epoch says or renews the word by which data from before a restore is noticed.
func (p program) epoch(ctx context.Context, args []string) error {
	uses := map[string]use{"show": looks, "renew": changes}
	return p.withData(ctx, epochCommand, args, uses, func(db *repo.DB, word string) error {
		at, _, err := db.MigrateVersion(ctx)
		if err != nil {
			return err
		}
		if at == 0 {
			return repo.ErrNoTables
		}
		ask := db.Epoch
		if word == "renew" {
			ask = db.RenewEpoch
		}
		epoch, err := ask(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "epoch %s\n", epoch)
		return err
	})
}

// version says which version this is.
func (p program) version(args []string) error {
	if _, _, err := config.LoadOnly(versionCommand, args, p.getenv, p.stdout); err != nil {
		return misuse{err}
	}
	_, err := fmt.Fprintf(p.stdout, "longwire %s\n", version)
	return err
}

// healthcheck asks the node at the configured address whether it is up, for
// containers that have no curl.
func (p program) healthcheck(ctx context.Context, args []string) error {
	cfg, _, err := config.LoadOnly(healthcheckCommand, args, p.getenv, p.stdout)
	if err != nil {
		return misuse{err}
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
