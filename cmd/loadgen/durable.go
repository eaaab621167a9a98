package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// durable finds out what the machine takes for the least that a durable message
// needs: one row, committed.
func (b *bench) durable(ctx context.Context, _ *system) ([]figure, error) {
	took := b.measure / 2
	figures, err := b.flushes(ctx, took)
	if err != nil {
		return nil, err
	}
	driver, source, at := "mysql", b.servers.store.MySQLDSN, []int{1, 16}
	create := "CREATE TABLE IF NOT EXISTS bench_probe (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(255) NOT NULL)"
	if b.embedded {
		driver, at = "sqlite", []int{1}
		source = "file:" + filepath.Join(b.dir, "probe.db") + "?_journal_mode=WAL&_synchronous=FULL"
		create = "CREATE TABLE bench_probe (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pool.Close() }() // what it may say does not matter any more
	if _, err := pool.ExecContext(ctx, create); err != nil {
		return nil, err
	}
	for _, connections := range at {
		pool.SetMaxOpenConns(connections)
		pool.SetMaxIdleConns(connections)
		found, err := inserts(ctx, pool, connections, took)
		if err != nil {
			return nil, err
		}
		figures = append(figures, found...)
	}
	return figures, nil
}

// inserts commits rows one by one on so many connections.
func inserts(ctx context.Context, pool *sql.DB, connections int, took time.Duration) ([]figure, error) {
	var (
		each    histogram
		rows    atomic.Int64
		workers sync.WaitGroup
		failed  = make(chan error, connections)
		began   = now()
		end     = began + int64(took)
		text    = string(padding[:bodyLength])
	)
	for range connections {
		workers.Go(func() {
			for at := now(); at < end; at = now() {
				if _, err := pool.ExecContext(ctx, "INSERT INTO bench_probe (text) VALUES (?)", text); err != nil {
					failed <- err
					return
				}
				each.record(now() - at)
				rows.Add(1)
			}
		})
	}
	workers.Wait()
	elapsed := time.Duration(now() - began)
	close(failed)
	if err := <-failed; err != nil {
		return nil, err
	}
	name := fmt.Sprintf("INSERT of one row, %d at a time", connections)
	return append([]figure{{name, "per second", float64(rows.Load()) / elapsed.Seconds()}}, latencies(name, &each)...), nil
}

// flushes writes 4 KiB and flushes them, again and again, in a file that has
// its size already, as a database's log has.
func (b *bench) flushes(ctx context.Context, took time.Duration) (figures []figure, err error) {
	file, err := os.Create(filepath.Join(b.dir, "flushes"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	const blocks = 1024
	block := make([]byte, 4096)
	for range blocks {
		if _, err := file.Write(block); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	var each histogram
	began := now()
	end := began + int64(took)
	n := int64(0)
	for at := began; at < end && ctx.Err() == nil; at = now() {
		if _, err := file.WriteAt(block, n%blocks*4096); err != nil {
			return nil, err
		}
		if err := file.Sync(); err != nil {
			return nil, err
		}
		each.record(now() - at)
		n++
	}
	rate := float64(n) / time.Duration(now()-began).Seconds()
	return append([]figure{{"fsync of 4 KiB", "per second", rate}}, latencies("fsync of 4 KiB", &each)...), ctx.Err()
}
