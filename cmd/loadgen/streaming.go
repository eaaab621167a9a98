package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"longwire/repo"
)

// idle opens streams on which nothing happens and looks at what they take.
func (b *bench) idle(ctx context.Context, sys *system, streams int) ([]figure, error) {
	const settle = time.Second
	hold := 16 * time.Second // longer than a heartbeat
	parts := []string{sys.processes[0].part}
	if sys.name == nameLongwire && !b.embedded {
		parts = append(parts, "redis")
	}
	before := map[string]int64{}
	for _, part := range parts {
		n, err := resident(sys.processes, part)
		if err != nil {
			return nil, err
		}
		before[part] = n
	}
	spentBefore, err := spent(sys.processes)
	if err != nil {
		return nil, err
	}
	began := now()
	f, err := openFleet(ctx, sys.openings(firstPeople(streams), none, nil), sys.numbered, nil)
	if err != nil {
		return nil, err
	}
	defer f.close()
	opened := time.Duration(now() - began)
	spentAfter, err := spent(sys.processes)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	cost, err := b.measured(ctx, sys, func() error { return pause(ctx, hold) })
	if err != nil {
		return nil, err
	}
	if b.profiles != "" && len(sys.ops) > 0 {
		if err := errors.Join(b.saveProfile(ctx, sys, "heap", ".heap.pprof"), b.saveProfile(ctx, sys, "goroutine", ".goroutine.pprof")); err != nil {
			return nil, err
		}
	}
	figures := []figure{}
	for i, part := range parts {
		n, err := resident(sys.processes, part)
		if err != nil {
			return nil, err
		}
		metric := "resident memory"
		if i > 0 {
			metric += " of " + part
		}
		figures = append(figures, figure{metric, "KiB per stream", float64(n-before[part]) / 1024 / float64(streams)})
	}
	figures = append(figures, figure{"all streams opened in", "s", opened.Seconds()})
	figures = append(figures, costs("opened stream", spentAfter.since(spentBefore), int64(streams))[0])
	figures = append(figures, figure{"CPU of all server processes while idle", "% of a CPU", 100 * cost.all().Seconds() / hold.Seconds()})
	if ended := f.ended.Load(); ended > 0 {
		return figures, fmt.Errorf("%d streams ended: %w", ended, f.why())
	}
	return figures, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// attach opens one stream after the other, of users whom the node has not seen
// yet, and each of them a second time from the cursor it got.
func (b *bench) attach(ctx context.Context, sys *system) ([]figure, error) {
	var first, again histogram
	hello := func(h *histogram, user int, cursors []string) (string, error) {
		f, err := openFleet(ctx, sys.openings([]int{user}, none, cursors), sys.numbered, nil)
		if err != nil {
			return "", err
		}
		f.close()
		s := f.streams[0]
		h.record(s.met - s.began)
		return s.cursor, nil
	}
	people := len(b.world.people)
	end := now() + int64(4*b.measure)
	for user := people - strangers; user < people && now() < end; user++ {
		cursor, err := hello(&first, user, nil)
		if err != nil {
			return nil, err
		}
		if _, err := hello(&again, user, []string{cursor}); err != nil {
			return nil, err
		}
	}
	return append(latencies("connect → hello, user not seen before", &first), latencies("connect → hello, back at once with a cursor", &again)...), nil
}

// cut opens streams, ends them all, sends what they miss, and looks how long it
// takes until all are back and have it. With crash the node is killed too, and
// they come back to a new one. The bare loop has nothing to catch up with: there
// they just come back.
func (b *bench) cut(ctx context.Context, sys *system, streams int, crash bool) ([]figure, error) {
	const missed = 10
	group := b.world.groupOf(streams)
	f, err := openFleet(ctx, sys.openings(firstPeople(streams), group, nil), sys.numbered, nil)
	if err != nil {
		return nil, err
	}
	f.close()
	cursors := make([]string, streams)
	for i, s := range f.streams {
		cursors[i] = s.cursor
	}
	expected := int64(0)
	if sys.numbered {
		expected = missed
		_, err := drive(ctx, load{
			address: sys.sending(), inFlight: 1, count: missed, time: time.Minute,
			request: func(buffer []byte, n int64) []byte { return sys.api.toGroup(buffer, 0, group, n) },
		})
		if err != nil {
			return nil, err
		}
	}
	if crash {
		if err := b.crash(ctx); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, time.Second); err != nil { // what the end of the old ones costs is not counted
		return nil, err
	}
	var level histogram
	began := now()
	last := began
	cost, err := b.measured(ctx, sys, func() error {
		back, err := openFleet(ctx, sys.openings(firstPeople(streams), group, cursors), sys.numbered, func(s *stream, _ []byte, at int64) {
			if s.events == expected {
				level.record(at - began)
			}
		})
		if err != nil {
			return err
		}
		defer back.close()
		for _, s := range back.streams {
			last = max(last, s.met)
		}
		err = back.await(ctx, expected*int64(streams))
		last = max(last, back.last.Load())
		return errors.Join(err, back.check(), excess(back, expected*int64(streams)))
	})
	if err != nil {
		return nil, err
	}
	figures := []figure{{"until all are level", "s", time.Duration(last - began).Seconds()}}
	if expected > 0 {
		figures = append(figures, figure{"until half are level", "s", level.quantile(0.5) / 1e9})
	}
	return append(figures, costs("stream", cost, int64(streams))...), nil
}

// deepen fills the history up to so many messages, with the nodes away.
func (b *bench) deepen(ctx context.Context, messages int) error {
	for _, node := range b.nodes {
		node.stop()
	}
	missing := messages - b.history
	b.history = messages
	err := b.servers.withStore(ctx, func(db *repo.DB) error { return b.world.remember(ctx, db, missing, friends) })
	if err != nil {
		return err
	}
	return b.startNodes(ctx, b.nodeCount)
}
