package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// scenario is one thing to be measured.
type scenario struct {
	name  string // by which --only selects it
	title string
	needs population
	nodes int // 0 = one

	fresh    bool     // processes must be new
	restarts bool     // it ends nodes by itself
	alone    bool     // the bare loop has nothing to compare
	rounds   bool     // it has no end of its own, so it can be cut in pieces
	settings []string // of its nodes, beside those of all
	run      func(ctx context.Context, sys *system) ([]figure, error)
}

// strangers are the last people of the world, who are in no other scenario than
// the one of attaching.
const strangers = 300

// friends is how many pairs exchange private messages, unless it is said otherwise.
const friends = 128

// scenarios returns what there is to measure, in the order in which it is done.
func (b *bench) scenarios() []scenario {
	idle, cut := []int{5000}, 1000
	if b.full {
		idle, cut = []int{5000, 15_000}, 5000
	}
	list := []scenario{{name: "durable", title: "durable commits, for comparison", alone: true, run: b.durable}}
	for _, streams := range idle {
		list = append(list, scenario{
			name: fmt.Sprintf("idle-%d", streams), title: fmt.Sprintf("%d idle streams", streams), fresh: true,
			needs: population{people: streams}, run: func(ctx context.Context, sys *system) ([]figure, error) { return b.idle(ctx, sys, streams) },
		})
	}
	list = append(list, b.privateScenario("private-1", "private messages, 1 in flight", 1, 1, friends))
	list[len(list)-1].fresh = true
	list = append(
		list,
		b.privateScenario("private-16", "private messages, 16 in flight", 1, 16, friends),
		b.privateScenario("private-128", "private messages, 128 in flight", 1, 128, friends),
	)
	for _, members := range []int{10, 100, 1000} {
		list = append(list, scenario{
			name: fmt.Sprintf("group-%d", members), title: fmt.Sprintf("one group to %d streams", members),
			needs: population{groups: []int{members}}, rounds: true,
			run: func(ctx context.Context, sys *system) ([]figure, error) {
				return b.group(ctx, sys, members, members, 8)
			},
		})
	}
	list = append(list, scenario{
		name: "large-group", title: "a group of 3,000 members, 20 of them online", needs: population{groups: []int{3000}},
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.largeGroup(ctx, sys, 3000, 20) },
	}, scenario{
		name: "poll", title: "private messages to 1,000 long-polls, 16 in flight", needs: population{pairs: 1000}, rounds: true,
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.polls(ctx, sys, 1000, 16) },
	}, scenario{
		name: "attach", title: "attaching a stream, one after the other", run: b.attach,
	}, scenario{
		name: "cut", title: fmt.Sprintf("%d streams cut at once, 10 events missed", cut), needs: population{groups: []int{cut}},
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.cut(ctx, sys, cut, false) },
	}, scenario{
		name: "crash", title: fmt.Sprintf("%d streams of a killed node, 10 events missed", cut), needs: population{groups: []int{cut}},
		restarts: true, alone: true,
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.cut(ctx, sys, cut, true) },
	})
	if !b.embedded {
		list = append(list, b.privateScenario("two-nodes", "private messages between two nodes, 128 in flight", 2, 128, friends))
	}
	if b.full || b.only != nil {
		list = append(list, b.slowScenario())
	}
	if b.full {
		list = append(list, b.growth()...)
	}
	return list
}

// growth returns the scenarios that tell how cost grows with users, with
// history and with the size of a group.
func (b *bench) growth() []scenario {
	var list []scenario
	for _, factor := range []int{1, 4, 16} {
		s := b.privateScenario(fmt.Sprintf("users-%d", factor), fmt.Sprintf("growth: %d users online, 128 in flight", 2*friends*factor), 1, 128, friends*factor)
		s.fresh = true
		list = append(list, s)
	}
	for _, factor := range []int{1, 4, 16} {
		messages := 50_000 * factor
		s := b.privateScenario(fmt.Sprintf("history-%d", factor), fmt.Sprintf("growth: history of %d messages, 128 in flight", messages), 1, 128, friends)
		s.restarts, s.alone = true, true
		send := s.run
		s.run = func(ctx context.Context, sys *system) ([]figure, error) {
			if err := b.deepen(ctx, messages); err != nil {
				return nil, err
			}
			return send(ctx, sys)
		}
		list = append(list, s)
	}
	for _, factor := range []int{1, 4, 16} {
		members := 250 * factor
		list = append(list, scenario{
			name: fmt.Sprintf("members-%d", factor), title: fmt.Sprintf("growth: a group of %d members, 20 online, 8 in flight", members),
			needs: population{groups: []int{members}}, fresh: factor == 1, rounds: true,
			run: func(ctx context.Context, sys *system) ([]figure, error) { return b.group(ctx, sys, members, 20, 8) },
		})
	}
	return list
}

func (b *bench) privateScenario(name, title string, nodes, inFlight, pairs int) scenario {
	return scenario{
		name: name, title: title, needs: population{pairs: pairs}, nodes: nodes, rounds: true,
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.private(ctx, sys, inFlight, pairs) },
	}
}

// measured runs work and returns what the server processes spent meanwhile. A
// profile of the nodes is taken if one is wanted.
func (b *bench) measured(ctx context.Context, sys *system, work func() error) (spending, error) {
	before, err := lookAround(sys.processes)
	if err != nil {
		return nil, err
	}
	var saved chan error
	if b.profiles != "" && len(sys.ops) > 0 {
		saved = make(chan error, 1)
		go func() {
			saved <- b.saveProfile(ctx, sys, fmt.Sprintf("profile?seconds=%d", max(1, int(b.phase().Seconds()))), ".cpu.pprof")
		}()
	}
	if err := work(); err != nil {
		return nil, err
	}
	after, err := lookAround(sys.processes)
	if saved != nil {
		err = errors.Join(err, <-saved)
	}
	b.others = after.others(before)
	return after.servers.since(before.servers), err
}

// saveProfile fetches a profile of the first node that reads.
func (b *bench) saveProfile(ctx context.Context, sys *system, what, suffix string) error {
	address := "http://" + sys.ops[len(sys.ops)-1] + "/debug/pprof/" + what
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if err := os.MkdirAll(b.profiles, 0o750); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(b.profiles, b.scenario.name+suffix))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, answer.Body)
	return errors.Join(err, file.Close())
}

// allCPU is the figure by which rounds are compared.
const allCPU = "CPU of all server processes"

// costs tells what the servers spent on each of so many things.
func costs(each string, spending spending, things int64) []figure {
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(things, 1)) }
	figures := []figure{{allCPU, "µs per " + each, per(spending.all())}}
	if len(spending) > 1 {
		for _, part := range []string{"node", "mariadb", "redis"} {
			if cpu, there := spending[part]; there {
				figures = append(figures, figure{"… " + part, "µs per " + each, per(cpu)})
			}
		}
	}
	return figures
}

// latencies tells the middle and the slow end of what a histogram has.
func latencies(what string, h *histogram) []figure {
	return []figure{
		{what + " p50", "ms", h.quantile(0.5) / 1e6},
		{what + " p99", "ms", h.quantile(0.99) / 1e6},
	}
}

// openings returns how streams of users are opened at the node that is read
// from. Cursors are those to go on from; nil = from now on.
func (s *system) openings(users []int, group int, cursors []string) []opening {
	list := make([]opening, len(users))
	for i, user := range users {
		cursor := ""
		if cursors != nil {
			cursor = cursors[i]
		}
		list[i] = opening{address: s.reading(), request: s.api.stream(user, group, cursor)}
	}
	return list
}

// firstPeople returns the first people of the world.
func firstPeople(n int) []int {
	users := make([]int, n)
	for i := range users {
		users[i] = i
	}
	return users
}

// recipients returns the second of each of the first pairs.
func recipients(pairs int) []int {
	users := make([]int, pairs)
	for i := range users {
		users[i] = 2*i + 1
	}
	return users
}
