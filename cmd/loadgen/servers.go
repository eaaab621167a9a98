package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"longwire/repo"
)

// servers are the database and the Redis of a run.
type servers struct {
	store repo.Config
	redis string // URL; "" for embedded mode
	// versions says what they are, for the report.
	versions map[string]string
	// processes are those of them that run on this machine.
	processes []process
	close     func(ctx context.Context) error
}

// embeddedServers is a file in a folder and nothing else.
func embeddedServers(path string) *servers {
	return &servers{
		store: repo.Config{SQLitePath: path}, versions: map[string]string{},
		close: func(context.Context) error { return nil },
	}
}

// ownDatabase makes a database for this run on a server, which close drops.
func ownDatabase(ctx context.Context, allowed hosts, dsn, redisURL string) (*servers, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("the MySQL DSN cannot be read: want user:password@tcp(127.0.0.1:port)/")
	}
	if err := allowed.check(ctx, "the database", cfg.Addr); err != nil {
		return nil, err
	}
	cfg.DBName = ""
	server, err := openServer(cfg)
	if err != nil {
		return nil, err
	}
	name := "longwire_bench_" + strconv.Itoa(os.Getpid())
	if _, err := server.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, errors.Join(fmt.Errorf("make a database: %w", err), server.Close())
	}
	cfg.DBName, cfg.InterpolateParams = name, true
	s := &servers{store: repo.Config{MySQLDSN: cfg.FormatDSN()}, redis: redisURL, versions: map[string]string{}}
	s.close = func(ctx context.Context) error {
		_, err := server.ExecContext(ctx, "DROP DATABASE "+name)
		return errors.Join(err, server.Close())
	}
	if err := s.lookAt(ctx, allowed, server); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func openServer(cfg *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// lookAt finds out which versions the servers have, and their processes if they
// are on this machine.
func (s *servers) lookAt(ctx context.Context, allowed hosts, server *sql.DB) error {
	var version, pidFile string
	if err := server.QueryRowContext(ctx, "SELECT VERSION(), @@pid_file").Scan(&version, &pidFile); err != nil {
		return err
	}
	s.versions["database"] = version
	if text, err := os.ReadFile(pidFile); err == nil {
		s.note("mariadb", strings.TrimSpace(string(text)), "mariadbd", "mysqld")
	}
	options, err := redis.ParseURL(s.redis)
	if err != nil {
		return errors.New("the Redis URL cannot be read: want redis://127.0.0.1:port/0")
	}
	if err := allowed.check(ctx, "Redis", options.Addr); err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }() // nothing is under way
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "redis_version":
			s.versions["redis"] = value
		case "process_id":
			s.note("redis", value, "redis-server", "valkey-server")
		}
	}
	return nil
}

// note adds a server's process, if it is what it says: in a container a
// process has another number than outside.
func (s *servers) note(part, pid string, names ...string) {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return
	}
	is := nameOf(number)
	for _, name := range names {
		if is == name {
			s.processes = append(s.processes, process{part: part, pid: number})
		}
	}
}

// withStore opens the database for a while, with its tables up to date.
func (s *servers) withStore(ctx context.Context, work func(db *repo.DB) error) (err error) {
	db, err := repo.Open(ctx, s.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := db.MigrateUp(limited); err != nil {
		return err
	}
	return work(db)
}

// targetServers is the database of nodes that run already.
func targetServers(ctx context.Context, allowed hosts, dsn string, processes []process) (*servers, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil || cfg.DBName == "" {
		return nil, errors.New("with --target, LONGWIRE_MYSQL_DSN must be the nodes' database")
	}
	if err := allowed.check(ctx, "the database", cfg.Addr); err != nil {
		return nil, err
	}
	return &servers{
		store: repo.Config{MySQLDSN: dsn}, versions: map[string]string{}, processes: processes,
		close: func(context.Context) error { return nil },
	}, nil
}
