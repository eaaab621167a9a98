package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// chaosFault is one thing that goes wrong, and gets well again.
type chaosFault struct {
	name string
	// hurts is what the fault takes for itself while it lasts, so that two faults do not mend each other; %d is the number of
	// a node, which makes it a fault of one node.
	hurts       string
	least, most time.Duration // how long it lasts
	long        bool          // for the long form only, and once in it
	// strike breaks something, holds, and mends it. An error says that the machine failed, not the program under test.
	strike func(ctx context.Context, s *strike) error
}

// strike is one fault under way.
type strike struct {
	*chaosCluster

	fault *chaosFault
	hurts string     // what it has for itself
	node  *chaosNode // whom it hits, for a fault of one node
	rng   *rand.Rand
	lasts time.Duration
}

// hold lets the fault last.
func (s *strike) hold(ctx context.Context) { nap(ctx, s.lasts) }

// every is for faults of one node and of all.
func (s *strike) every() []*chaosNode {
	if s.node != nil {
		return []*chaosNode{s.node}
	}
	return s.nodes
}

// links are the cables to Redis, or with true to MySQL, of those who are hit.
func (s *strike) links(mysql bool) (all []*relay) {
	for _, n := range s.every() {
		if mysql {
			all = append(all, n.toMySQL)
		} else {
			all = append(all, n.toRedis)
		}
	}
	return all
}

func slowLinks(mysql bool, least, most time.Duration) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		delay := least + time.Duration(s.rng.Int64N(int64(most-least)))
		for _, r := range s.links(mysql) {
			r.delay.Store(int64(delay))
			defer r.delay.Store(0)
		}
		s.hold(ctx)
		return nil
	}
}

func turnLinks(mysql bool, mode int32) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		for _, r := range s.links(mysql) {
			r.turn(mode)
			defer r.turn(relayPasses)
		}
		s.hold(ctx)
		return nil
	}
}

func cutLinks(mysql bool) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		delay := s.rng.Int64N(int64(20 * time.Millisecond)) // so that something is on its way when it is cut
		for _, r := range s.links(mysql) {
			r.delay.Store(delay)
			defer r.delay.Store(0)
		}
		for end := time.Now().Add(s.lasts); time.Now().Before(end) && ctx.Err() == nil; nap(ctx, time.Duration(20+s.rng.IntN(300))*time.Millisecond) {
			for _, r := range s.links(mysql) {
				r.cut()
			}
		}
		return nil
	}
}

func redisSays(times bool, commands ...string) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		for end := time.Now().Add(s.lasts); ; nap(ctx, time.Duration(50+s.rng.IntN(400))*time.Millisecond) {
			for _, command := range commands {
				if err := s.redis.do(command, ""); err != nil {
					return err
				}
			}
			if done := !times || time.Now().After(end) || ctx.Err() != nil; done {
				return nil
			}
		}
	}
}

// redisFor tells Redis something for a while.
func redisFor(broken, mended string) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		if err := s.redis.do(broken, "+OK"); err != nil {
			return err
		}
		s.hold(ctx)
		return s.redis.do(mended, "+OK")
	}
}

// failover promotes a replica that nothing came to for a while. The old Redis is killed before; but when one node is late, it goes on
// with the old one for as long again.
func (s *strike) failover(ctx context.Context, late *chaosNode) error {
	old := s.redis
	replica, err := old.replica(ctx)
	if err != nil {
		return err
	}
	replica.upstream.turn(relayHoles)
	s.hold(ctx) // what is written now is lost
	if late == nil {
		old.kill()
	}
	if err := replica.promote(); err != nil {
		return err
	}
	s.redis = replica
	for _, n := range s.nodes {
		if n != late {
			n.toRedis.lead(replica.address())
		}
	}
	if late != nil {
		s.hold(ctx)
		late.toRedis.lead(replica.address())
		old.kill()
	}
	return nil
}

func pause(ctx context.Context, s *strike, p *process) {
	p.signal(syscall.SIGSTOP)
	defer p.signal(syscall.SIGCONT)
	s.hold(ctx)
}

// chaosFaults is everything that is done to a deployment.
var chaosFaults = []chaosFault{
	{name: "redis: killed, starts empty", hurts: "redis", least: 200 * time.Millisecond, most: 4 * time.Second, strike: func(ctx context.Context, s *strike) error {
		s.redis.kill()
		s.hold(ctx)
		if err := s.redis.forget(); err != nil {
			return err
		}
		return s.redis.up(context.WithoutCancel(ctx))
	}},
	{name: "redis: killed, starts with an older state", hurts: "redis", least: time.Second, most: 4 * time.Second, strike: func(ctx context.Context, s *strike) error {
		if err := s.redis.do("SAVE", "+OK"); err != nil {
			return err
		}
		s.hold(ctx) // what is written now is lost
		s.redis.kill()
		if err := s.redis.up(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		return s.redis.forget()
	}},
	{name: "redis: killed, a replica without the last writes promoted", hurts: "redis", least: time.Second, most: 3 * time.Second, strike: func(ctx context.Context, s *strike) error {
		return s.failover(ctx, nil)
	}},
	{name: "redis: a replica promoted, one node stays with the old one", hurts: "redis", least: time.Second, most: 4 * time.Second, strike: func(ctx context.Context, s *strike) error {
		return s.failover(ctx, s.nodes[s.rng.IntN(len(s.nodes))])
	}},
	{name: "redis: emptied", hurts: "redis", strike: redisSays(false, "FLUSHALL")},
	{name: "redis: emptied again and again", hurts: "redis", least: time.Second, most: 3 * time.Second, strike: redisSays(true, "FLUSHALL")},
	{name: "redis: stopped", hurts: "redis", least: time.Second, most: 8 * time.Second, strike: func(ctx context.Context, s *strike) error {
		pause(ctx, s, s.redis.process)
		return nil
	}},
	{name: "redis: full", hurts: "redis", least: time.Second, most: 4 * time.Second, strike: redisFor("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")},
	{name: "redis: a replica that refuses writes", hurts: "redis", least: time.Second, most: 4 * time.Second, strike: redisFor("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")},
	{name: "redis: subscribers' connections killed", hurts: "redis", least: 0, most: 2 * time.Second, strike: redisSays(true, "CLIENT KILL TYPE pubsub")},
	{name: "redis: all connections killed", hurts: "redis", least: 0, most: 2 * time.Second, strike: redisSays(true, "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub")},
	{
		name: "redis: tiny output buffer for subscribers", hurts: "redis", least: 2 * time.Second, most: 5 * time.Second,
		strike: redisFor(`CONFIG SET client-output-buffer-limit "pubsub 1kb 1kb 1"`, `CONFIG SET client-output-buffer-limit "pubsub 32mb 8mb 60"`),
	},
	{name: "redis: slow for one node", hurts: "redis of %d", least: 2 * time.Second, most: 5 * time.Second, strike: slowLinks(false, 20*time.Millisecond, 300*time.Millisecond)},
	{name: "redis: slow for all", hurts: "redis", least: 2 * time.Second, most: 5 * time.Second, strike: slowLinks(false, 20*time.Millisecond, 300*time.Millisecond)},
	{name: "redis: cut off for one node", hurts: "redis of %d", least: time.Second, most: 5 * time.Second, strike: turnLinks(false, relayRefuses)},
	{name: "redis: half-open for one node", hurts: "redis of %d", least: 2 * time.Second, most: 6 * time.Second, strike: turnLinks(false, relayHoles)},
	{name: "redis: half-open for all", hurts: "redis", least: 2 * time.Second, most: 6 * time.Second, strike: turnLinks(false, relayHoles)},
	{name: "redis: connections of one node cut again and again", hurts: "redis of %d", least: time.Second, most: 3 * time.Second, strike: cutLinks(false)},

	{name: "mysql: killed", hurts: "mysql", least: 200 * time.Millisecond, most: 3 * time.Second, strike: func(ctx context.Context, s *strike) error {
		s.mysql.kill()
		s.hold(ctx)
		return s.mysql.up(context.WithoutCancel(ctx))
	}},
	{name: "mysql: stopped", hurts: "mysql", least: time.Second, most: 5 * time.Second, strike: func(ctx context.Context, s *strike) error {
		pause(ctx, s, s.mysql.process)
		return nil
	}},
	{name: "mysql: slow for one node", hurts: "mysql of %d", least: 2 * time.Second, most: 4 * time.Second, strike: slowLinks(true, 5*time.Millisecond, 60*time.Millisecond)},
	{name: "mysql: cut off for one node", hurts: "mysql of %d", least: time.Second, most: 4 * time.Second, strike: turnLinks(true, relayRefuses)},
	{name: "mysql: half-open for one node", hurts: "mysql of %d", least: 2 * time.Second, most: 6 * time.Second, strike: turnLinks(true, relayHoles)},
	{name: "mysql: connections of one node cut again and again", hurts: "mysql of %d", least: time.Second, most: 3 * time.Second, strike: cutLinks(true)},
	{name: "mysql: read-only", hurts: "mysql", least: time.Second, most: 3 * time.Second, strike: func(ctx context.Context, s *strike) error {
		if err := s.mysql.do(ctx, "SET GLOBAL read_only = 1"); err != nil {
			return err
		}
		s.hold(ctx)
		return s.mysql.do(context.WithoutCancel(ctx), "SET GLOBAL read_only = 0")
	}},
	{name: "mysql: no connection left", hurts: "mysql", least: time.Second, most: 4 * time.Second, strike: takeConnections},
	{name: "mysql: rows locked by somebody else", hurts: "mysql", least: time.Second, most: 4 * time.Second, strike: lockRows},
	{name: "mysql: deadlocks", hurts: "mysql", least: time.Second, most: 3 * time.Second, strike: deadlocks},

	{name: "node: killed", hurts: "node %d", least: 0, most: 3 * time.Second, strike: func(ctx context.Context, s *strike) error {
		s.node.doomed().kill()
		s.hold(ctx)
		return s.node.launch()
	}},
	{name: "node: drained and started again", hurts: "node %d", least: 0, most: time.Second, strike: func(ctx context.Context, s *strike) error {
		up := s.node.awaitReady(ctx, 10*time.Second) // one that has hardly begun knows no signals yet
		p := s.node.doomed()
		if code, err := p.terminate(); up && (err != nil || code != 0) {
			s.told("node %d: drained, it ended with code %d: %v", s.node.index, code, err)
		}
		s.hold(ctx)
		return s.node.launch()
	}},
	{name: "node: stopped", hurts: "node %d", least: time.Second, most: 6 * time.Second, strike: func(ctx context.Context, s *strike) error {
		pause(ctx, s, s.node.running())
		return nil
	}},
	{name: "node: stopped for more than a minute", hurts: "node %d", least: 65 * time.Second, most: 70 * time.Second, long: true, strike: func(ctx context.Context, s *strike) error {
		pause(ctx, s, s.node.running())
		return nil
	}},
	{name: "people: connections to a node cut again and again", hurts: "people of %d", least: time.Second, most: 4 * time.Second, strike: func(ctx context.Context, s *strike) error {
		for end := time.Now().Add(s.lasts); time.Now().Before(end) && ctx.Err() == nil; nap(ctx, time.Duration(50+s.rng.IntN(500))*time.Millisecond) {
			s.node.front.cut()
		}
		return nil
	}},
	{name: "people: get a byte a second from a node", hurts: "people of %d", least: 3 * time.Second, most: 8 * time.Second, strike: func(ctx context.Context, s *strike) error {
		s.node.front.turn(relayTrickles)
		defer s.node.front.turn(relayPasses)
		s.hold(ctx)
		return nil
	}},
	{name: "people: half-open connections to a node", hurts: "people of %d", least: 2 * time.Second, most: 6 * time.Second, strike: func(ctx context.Context, s *strike) error {
		s.node.front.turn(relayHoles)
		defer s.node.front.turn(relayPasses)
		s.hold(ctx)
		return nil
	}},
}

// takeConnections leaves no connection for anybody else.
func takeConnections(ctx context.Context, s *strike) error {
	db, err := sql.Open("mysql", s.mysql.dsn(s.mysql.address()))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, n := range s.nodes {
		n.toMySQL.cut()
	}
	var taken []*sql.Conn
	defer func() {
		for _, c := range taken {
			_ = c.Close()
		}
	}()
	for end := time.Now().Add(s.lasts); time.Now().Before(end) && ctx.Err() == nil; {
		c, err := db.Conn(ctx)
		if err != nil { // all are taken
			nap(ctx, 50*time.Millisecond)
			continue
		}
		taken = append(taken, c)
	}
	return nil
}

// side runs a transaction beside those of the nodes. What comes of it does not matter.
func (s *strike) side(ctx context.Context, within time.Duration, statements ...string) {
	ctx, cancel := context.WithTimeout(ctx, within+5*time.Second)
	defer cancel()
	tx, err := s.mysql.admin.BeginTx(ctx, nil)
	if err != nil {
		return
	}
	defer tx.Rollback()
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return
		}
	}
	nap(ctx, within)
}

// lockRows holds the rows that everybody needs.
func lockRows(ctx context.Context, s *strike) error {
	what := "SELECT 1 FROM longwire.inbox_head ORDER BY user_id LIMIT 5 FOR UPDATE"
	if s.rng.IntN(2) == 0 {
		what = "SELECT 1 FROM longwire.conversation ORDER BY id LIMIT 5 FOR UPDATE"
	}
	s.side(ctx, s.lasts, what)
	return nil
}

// deadlocks takes locks in the wrong order, again and again.
func deadlocks(ctx context.Context, s *strike) error {
	for end := time.Now().Add(s.lasts); time.Now().Before(end) && ctx.Err() == nil; {
		s.side(ctx, 0,
			"SELECT 1 FROM longwire.inbox_head ORDER BY user_id DESC LIMIT "+strconv.Itoa(1+s.rng.IntN(8))+" FOR UPDATE", "DO SLEEP(0.05)",
			"SELECT 1 FROM longwire.conversation ORDER BY id DESC LIMIT "+strconv.Itoa(1+s.rng.IntN(3))+" FOR UPDATE")
		nap(ctx, 20*time.Millisecond)
	}
	return nil
}

// attack is the faults that a seed makes.
type attack struct {
	world *chaosWorld
	rng   *rand.Rand
	deck  []*chaosFault // to come, before it is shuffled again
	busy  sync.WaitGroup

	mu     sync.Mutex
	hurt   map[string]bool // what a fault has for itself; guarded by mu
	counts map[string]int  // guarded by mu
	errs   []error         // guarded by mu
	story  []string        // what began and ended when; guarded by mu
}

func newAttack(w *chaosWorld) *attack {
	return &attack{world: w, rng: w.random(0, 0), hurt: map[string]bool{}, counts: map[string]int{}}
}

// next draws a fault; each comes once before any comes again.
func (a *attack) next() *chaosFault {
	for {
		if len(a.deck) == 0 {
			for i := range chaosFaults {
				f := &chaosFaults[i]
				if f.long && (!a.world.options.long || a.counts[f.name] > 0) || !a.world.options.wanted(f.name) {
					continue
				}
				a.deck = append(a.deck, f)
			}
			a.rng.Shuffle(len(a.deck), func(i, j int) { a.deck[i], a.deck[j] = a.deck[j], a.deck[i] })
		}
		f := a.deck[0]
		a.deck = a.deck[1:]
		return f
	}
}

// plan draws where a fault strikes and for how long.
func (a *attack) plan(f *chaosFault) *strike {
	s := &strike{chaosCluster: a.world.cluster, fault: f, hurts: f.hurts, lasts: f.least, rng: rand.New(rand.NewPCG(a.rng.Uint64(), 0))}
	if f.most > f.least {
		s.lasts += time.Duration(a.rng.Int64N(int64(f.most - f.least)))
	}
	if node := a.rng.IntN(len(s.nodes)); strings.HasSuffix(f.hurts, "%d") {
		s.node = s.nodes[node]
		s.hurts = fmt.Sprintf(f.hurts, node)
	}
	return s
}

// launch begins a fault and returns at once; false = something has what it hurts already, and nothing happened.
func (a *attack) launch(ctx context.Context, s *strike) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hurt[s.hurts] {
		return false
	}
	a.hurt[s.hurts] = true
	a.counts[s.fault.name]++
	needed := !strings.HasPrefix(s.hurts, "redis")
	if needed {
		a.world.broken.Add(1)
	}
	began := time.Since(a.world.began)
	a.busy.Go(func() {
		err := s.fault.strike(ctx, s)
		if needed {
			a.world.mended.Store(time.Now().UnixNano())
			a.world.broken.Add(-1)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil {
			a.errs = append(a.errs, fmt.Errorf("%s: %w", s.fault.name, err))
		}
		a.story = append(a.story, fmt.Sprintf("%7.2f s to %7.2f s: %s (%s)", began.Seconds(), time.Since(a.world.began).Seconds(), s.fault.name, s.hurts))
		a.hurt[s.hurts] = false
	})
	return true
}

// run strikes n times, alone and overlapping, with a moment of peace every few faults in which everything must get well by itself.
func (a *attack) run(ctx context.Context, n int) {
	for i := 1; i <= n && ctx.Err() == nil && !a.world.violated(); i++ {
		for s := a.plan(a.next()); !a.launch(ctx, s) && ctx.Err() == nil; {
			nap(ctx, 20*time.Millisecond)
		}
		switch {
		case i%a.world.options.wave == 0 || i == n:
			a.peace(ctx, i)
		case a.rng.IntN(2) == 0:
			nap(ctx, time.Duration(a.rng.IntN(1500))*time.Millisecond) // the next one strikes meanwhile
		default:
			a.busy.Wait()
			nap(ctx, time.Duration(a.rng.IntN(1000))*time.Millisecond)
		}
	}
	a.busy.Wait()
}

// peace waits until everything is mended and checks that it is well.
func (a *attack) peace(ctx context.Context, i int) {
	a.busy.Wait()
	a.world.awaitReadiness(ctx)
	a.world.level(ctx, 1000+i)
	a.world.tell(fmt.Sprintf("%d faults", i))
}
