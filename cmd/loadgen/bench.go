package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"longwire/repo"
)

// bench is one run.
type bench struct {
	options

	dir      string // for what the run leaves behind until it ends
	secret   string
	servers  *servers
	world    *world
	report   *report
	scenario *scenario // the one that runs
	round    int       // of it, from 0
	others   float64   // processors that others used while it was measured; negative = not known

	bare      *system
	longwire  *system
	loop      *child
	nodes     []*child
	nodeCount int
	settings  []string // of the nodes that run, beside those of all
	history   int      // messages that were put into it
}

// scenarioLimit is the most that one scenario may take of one system.
const scenarioLimit = 5 * time.Minute

// benchCommand runs the scenarios and prints what they found. The error says
// that one of them lost something or could not run, never that it was slow.
func benchCommand(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := o.check(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	b := &bench{options: o, secret: rand.Text() + rand.Text()}
	if b.dir, err = os.MkdirTemp("", "longwire-bench-"); err != nil {
		return err
	}
	err = b.run(ctx)
	b.stopAll()
	// What was made is taken away, also after an interruption.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer stop()
	if b.servers != nil {
		err = errors.Join(err, b.servers.close(last))
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.servers, err = b.findServers(ctx); err != nil {
		return err
	}
	mode := "servers"
	if b.embedded {
		mode = "embedded"
	}
	b.report = newReport(mode, b.full, b.servers.versions)
	scenarios := slices.DeleteFunc(b.scenarios(), func(s scenario) bool {
		return b.only != nil && !b.only.MatchString(s.name) || len(b.targets) > 0 && (s.restarts || s.nodes > 1)
	})
	if err := b.prepare(ctx, scenarios); err != nil {
		return err
	}
	for i := 0; i < len(scenarios) && err == nil; i++ {
		b.scenario = &scenarios[i]
		err = b.perform(ctx)
	}
	// What was found until then is worth knowing, however it ended.
	b.report.Took = time.Since(b.report.Began).Seconds()
	b.report.print(os.Stdout)
	if b.json != "" {
		err = errors.Join(err, b.report.write(b.json))
	}
	if n := len(b.report.Failures); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d scenarios did not go as they must", n))
	}
	return err
}

// findServers returns where the data of the run will be.
func (b *bench) findServers(ctx context.Context) (*servers, error) {
	switch {
	case b.embedded:
		return embeddedServers(filepath.Join(b.dir, "data", "longwire.db")), os.Mkdir(filepath.Join(b.dir, "data"), 0o700)
	case len(b.targets) > 0:
		b.secret = os.Getenv("LONGWIRE_JWT_SECRET")
		return targetServers(ctx, b.allowed, os.Getenv("LONGWIRE_MYSQL_DSN"), b.targetPIDs)
	default:
		dsn, redisURL := os.Getenv("TEST_MYSQL_DSN"), os.Getenv("TEST_REDIS_URL")
		if dsn == "" || redisURL == "" {
			return nil, errors.New("TEST_MYSQL_DSN and TEST_REDIS_URL say where the servers are; scripts/bench starts some, --embedded does without")
		}
		return ownDatabase(ctx, b.allowed, dsn, redisURL)
	}
}

// prepare makes the world that the scenarios need.
func (b *bench) prepare(ctx context.Context, scenarios []scenario) error {
	p := population{people: 2, groups: []int{}}
	for _, s := range scenarios {
		p.people = max(p.people, s.needs.people, 2*s.needs.pairs)
		p.pairs = max(p.pairs, s.needs.pairs)
		for _, size := range s.needs.groups {
			p.people = max(p.people, size)
			if !slices.Contains(p.groups, size) {
				p.groups = append(p.groups, size)
			}
		}
	}
	p.people += strangers
	b.say("preparing %d users, %d friendships, groups of %v", p.people, p.pairs, p.groups)
	return b.servers.withStore(ctx, func(db *repo.DB) (err error) {
		b.world, err = newWorld(ctx, db, b.secret, p)
		return err
	})
}

// rounds is how often a scenario is run on both systems by turns when it can be
// cut in pieces: the speed of a machine that others share changes by the second.
const rounds = 3

// rounds returns how often the present scenario is run.
func (b *bench) rounds() int {
	if b.scenario.rounds && !b.scenario.alone && b.profiles == "" {
		return rounds
	}
	return 1
}

// phase is the length of a measured phase of the present scenario.
func (b *bench) phase() time.Duration {
	return b.measure / time.Duration(b.rounds())
}

// perform runs the present scenario on both systems. What fails there is
// noted; an error is returned when the run cannot go on.
func (b *bench) perform(ctx context.Context) error {
	var found []pair
	for b.round = range b.rounds() {
		var p pair
		for i, name := range []string{nameBare, nameLongwire} {
			if name == nameBare && b.scenario.alone {
				continue
			}
			var err error
			if p[i], err = b.tries(ctx, name); err != nil {
				return err
			}
		}
		found = append(found, p)
	}
	middle := middleOf(found)
	b.report.add(b.scenario.title, middle[0], middle[1])
	return nil
}

// pair is what a round found: of the bare loop and of Longwire.
type pair [2][]figure

// middleOf returns the round in which Longwire's processor time for each of the
// bare loop's was neither the least nor the most.
func middleOf(found []pair) pair {
	slices.SortStableFunc(found, func(a, b pair) int { return cmp.Compare(a.ratio(), b.ratio()) })
	return found[len(found)/2]
}

// ratio compares the processor time, 0 where it is not known.
func (p pair) ratio() float64 {
	var cpu [2]float64
	for i, figures := range p {
		for _, f := range figures {
			if f.metric == allCPU {
				cpu[i] = f.value
			}
		}
	}
	if cpu[0] == 0 {
		return 0
	}
	return cpu[1] / cpu[0]
}

// disturbance is how much of a processor others may take before a scenario is
// repeated, while there is patience for that.
const disturbance = 0.15

// tries runs the present scenario on one system, again while others on this
// machine disturb it and patience lasts, and returns what the quietest try found.
func (b *bench) tries(ctx context.Context, name string) ([]figure, error) {
	s := b.scenario
	var best []figure
	quietest := math.Inf(1)
	for patience := time.Now().Add(b.patience); ; {
		b.awaitQuiet(ctx, patience)
		sys, err := b.ensure(ctx, name)
		if err != nil {
			return nil, err
		}
		b.say("%s: %s", s.title, name)
		limited, cancel := context.WithTimeout(ctx, scenarioLimit)
		b.others = -1
		found, err := s.run(limited, sys)
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			b.say("%s: %s: FAILED: %v", s.title, name, err)
			b.report.fail(s.title, name, err)
			return found, nil
		}
		if b.others < 0 {
			return found, nil
		}
		if b.others < quietest {
			quietest, best = b.others, append(found, figure{"CPU that others took meanwhile", "% of a CPU", 100 * b.others})
		}
		if quietest < disturbance || time.Now().After(patience) {
			return best, nil
		}
	}
}

// awaitQuiet waits until nobody else uses the machine, or patience is over.
func (b *bench) awaitQuiet(ctx context.Context, patience time.Time) {
	for time.Now().Before(patience) {
		before, err := lookAround(nil)
		if err != nil || pause(ctx, time.Second) != nil {
			return
		}
		after, err := lookAround(nil)
		if err != nil || after.others(before) < disturbance {
			return
		}
	}
}

// ensure returns a system that runs as the present scenario wants it.
func (b *bench) ensure(ctx context.Context, name string) (*system, error) {
	if name == nameBare {
		if b.bare == nil || b.scenario.fresh && b.round == 0 {
			err := b.startBare(ctx)
			return b.bare, err
		}
		return b.bare, nil
	}
	nodes := max(b.scenario.nodes, 1)
	switch {
	case len(b.targets) > 0:
		if b.longwire == nil {
			b.longwire = b.newLongwire(b.targets, nil)
			b.longwire.processes = b.servers.processes
		}
		return b.longwire, nil
	case b.longwire == nil || b.scenario.fresh && b.round == 0 || b.nodeCount != nodes || !slices.Equal(b.settings, b.scenario.settings):
		err := b.startNodes(ctx, nodes)
		return b.longwire, err
	default:
		return b.longwire, nil
	}
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (b *bench) startBare(ctx context.Context) error {
	if b.loop != nil {
		b.loop.stop()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	b.loop, err = startChild(ctx, filepath.Join(b.dir, "bare.log"), address, nil, self, "bare", "--listen", address)
	if err != nil {
		return err
	}
	b.bare = &system{
		name: nameBare, addresses: []string{address}, api: bareDialect{},
		processes: []process{{part: "bare", pid: b.loop.pid()}},
	}
	return nil
}

// newLongwire describes nodes that run.
func (b *bench) newLongwire(addresses, ops []string) *system {
	return &system{
		name: nameLongwire, addresses: addresses, ops: ops, api: &longwireDialect{world: b.world}, numbered: true,
	}
}

// startNodes starts new nodes in place of those that run.
func (b *bench) startNodes(ctx context.Context, count int) error {
	for _, node := range b.nodes {
		node.stop()
	}
	b.nodes, b.nodeCount, b.settings = nil, 0, b.scenario.settings
	sys := b.newLongwire(nil, nil)
	for range count {
		address, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		ops, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		node, err := startChild(ctx, filepath.Join(b.dir, "node.log"), address, b.nodeEnvironment(address, ops), b.node, "serve")
		if err != nil {
			return err
		}
		b.nodes = append(b.nodes, node)
		sys.addresses, sys.ops = append(sys.addresses, address), append(sys.ops, ops)
		sys.processes = append(sys.processes, process{part: "node", pid: node.pid()})
	}
	sys.processes = append(sys.processes, b.servers.processes...)
	if b.longwire == nil {
		b.longwire = sys
	} else {
		*b.longwire = *sys // who holds it goes on with the new nodes
	}
	b.nodeCount = count
	return nil
}

// nodeEnvironment is what a node is told: where things are, and that nobody
// counts requests. All else is as anybody gets it.
func (b *bench) nodeEnvironment(address, ops string) []string {
	environment := []string{
		"LONGWIRE_LISTEN=" + address, "LONGWIRE_OPS_LISTEN=" + ops, "LONGWIRE_JWT_SECRET=" + b.secret,
		"LONGWIRE_RATE_LIMIT=off", "LONGWIRE_SHUTDOWN_GRACE=1s",
	}
	if b.embedded {
		environment = append(environment, "LONGWIRE_DATA_DIR="+filepath.Join(b.dir, "data"))
	} else {
		environment = append(environment, "LONGWIRE_MYSQL_DSN="+b.servers.store.MySQLDSN, "LONGWIRE_REDIS_URL="+b.servers.redis)
	}
	return slices.Concat(environment, b.scenario.settings, b.environment)
}

// crash ends the nodes as a power cut would, and starts others.
func (b *bench) crash(ctx context.Context) error {
	for _, node := range b.nodes {
		node.kill()
	}
	return b.startNodes(ctx, b.nodeCount)
}

// stopAll ends whatever was started.
func (b *bench) stopAll() {
	for _, node := range b.nodes {
		node.stop()
	}
	if b.loop != nil {
		b.loop.stop()
	}
}
