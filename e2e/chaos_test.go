package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/client"
)

// The attack's flags. Without any of them it is short and part of all tests; `make chaos` gives it more.
var (
	chaosSeed       = flag.Int64("chaos.seed", 0, "what decides which faults come when; 0 = a random one, which is printed")
	chaosFaultCount = flag.Int("chaos.faults", 10, "how many faults")
	chaosDeliveries = flag.Int64("chaos.deliveries", 0, "go on until readers got so many events")
	chaosMinutes    = flag.Float64("chaos.minutes", 30, "do not go on for longer than this for the sake of chaos.deliveries")
	chaosNodes      = flag.Int("chaos.nodes", 2, "how many nodes")
	chaosMembers    = flag.Int("chaos.members", 8, "how many people, and members of a group")
	chaosPace       = flag.Duration("chaos.pace", 150*time.Millisecond, "between two messages of one person, about")
	chaosRace       = flag.Bool("chaos.race", true, "build the nodes with the race detector")
	chaosOnly       = flag.String("chaos.only", "", "only faults whose names contain this")
)

// chaosOptions is what one run is like.
type chaosOptions struct {
	seed       int64
	faults     int
	wave       int // faults between two moments of peace
	deliveries int64
	most       time.Duration
	nodes      int
	members    int
	pace       time.Duration
	stay       time.Duration // how long a reader stays on one connection, about
	look       float64       // how many of the events are looked for in the history
	lastWords  int
	long       bool
	only       string // a part of the names of faults; several with | between
	binary     string
	given      settings // instead of those that the seed draws
}

func (o chaosOptions) wanted(name string) bool {
	for part := range strings.SplitSeq(o.only, "|") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// What must hold holds while everything that can break breaks.
func TestChaos(t *testing.T) {
	options := chaosOptions{
		seed: *chaosSeed, faults: *chaosFaultCount, wave: 4, deliveries: *chaosDeliveries, most: time.Duration(*chaosMinutes * float64(time.Minute)),
		nodes: *chaosNodes, members: *chaosMembers, pace: *chaosPace, stay: 3 * time.Second, look: 0.3, lastWords: 5, only: *chaosOnly, binary: binary,
	}
	if options.seed == 0 {
		options.seed = rand.Int64N(1_000_000)
	}
	if options.faults > 40 {
		options.long, options.wave, options.look = true, 6, 0.1
	}
	if !*chaosRace {
		options.binary = buildNode(t, filepath.Join(t.TempDir(), "longwire"))
	}
	t.Logf("seed %d (again: -chaos.seed=%d)", options.seed, options.seed)
	violations, report := runChaos(t, options)
	t.Log(report)
	if len(violations) > 0 {
		t.Errorf("%d violations, with seed %d:\n%s", len(violations), options.seed, strings.Join(violations, "\n"))
	}
}

// buildNode builds the program under test in another way than all tests use it.
func buildNode(t *testing.T, to string, options ...string) string {
	t.Helper()
	arguments := append([]string{"build"}, options...)
	build := exec.CommandContext(t.Context(), "go", append(arguments, "-o", to, "longwire")...)
	output, err := build.CombinedOutput()
	require.NoError(t, err, "go build: %s", output)
	return to
}

// runChaos does everything once and returns what must not be, and a report.
func runChaos(t *testing.T, options chaosOptions) (violations []string, report string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), options.most+30*time.Minute)
	defer cancel()
	w := &chaosWorld{
		options: options, began: time.Now(), progress: t.Logf, recent: make(chan *chaosEvent, 16),
		events: map[string]*chaosEvent{}, messages: map[place2]*chaosEvent{}, sends: map[string]*chaosSend{}, acked: map[string][]*chaosSend{},
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}},
		streams: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 20 * time.Second}},
	}
	w.settings = w.draw()
	maps.Copy(w.settings, options.given)
	cluster, err := newChaosCluster(ctx, options.binary, options.nodes, w.violate, w.settings)
	w.cluster = cluster
	a := newAttack(w)
	var logs string
	func() {
		defer cluster.stop() //nolint:contextcheck // everything must end, whatever the context says
		require.NoError(t, err)
		w.populate(ctx, t)
		w.live(ctx, a)
	}()
	if w.violated() || t.Failed() {
		logs = cluster.keepLogs()
	} else {
		_ = os.RemoveAll(cluster.dir)
	}
	for _, err := range a.errs {
		t.Errorf("the machine itself failed: %v", err)
	}
	return w.violations, w.report(a, logs)
}

// draw chooses settings under which everything must hold as well.
func (w *chaosWorld) draw() settings {
	rng := w.random(12, 0)
	one := func(values ...string) string { return values[rng.IntN(len(values))] }
	return settings{
		"HEAD_CHECK": one("1s", "3s", "5s"), "INBOX_STREAM_LENGTH": one("1", "20", "1000"), "PARK_STREAMS": one("on", "off"),
		"WRITERS": one("1", "2", "4"), "WRITER_QUEUE": one("4", "4096"), "WRITER_BATCH": one("1", "8", "256"),
		"STREAM_LIFETIME": one("5s", "40s"), "MYSQL_CONNECTIONS": one("8", "32"),
	}
}

// populate registers people and makes friends and groups, while all is well.
func (w *chaosWorld) populate(ctx context.Context, t *testing.T) {
	t.Helper()
	var registering sync.WaitGroup
	w.users = make([]*chaosPerson, w.options.members)
	clients := make([]*client.Client, w.options.members)
	for i := range w.users {
		registering.Go(func() {
			c, err := client.New(w.cluster.nodes[i%len(w.cluster.nodes)].url, client.Options{Timeout: time.Minute})
			if err != nil {
				w.violate("%v", err)
				return
			}
			signIn, err := c.Register(ctx, client.RegisterRequest{Username: fmt.Sprintf("user%d", i), Password: password})
			if err != nil {
				w.violate("register: %v", err)
				return
			}
			clients[i] = c
			w.users[i] = &chaosPerson{index: i, id: signIn.User.ID, token: signIn.AccessToken, marks: map[string]int64{}}
		})
	}
	registering.Wait()
	require.False(t, w.violated(), "%v", w.violations)
	befriend := func(a, b int) {
		request, err := clients[a].RequestFriend(ctx, client.FriendRequestRequest{UserID: w.users[b].id})
		require.NoError(t, err)
		_, err = clients[b].AcceptFriendRequest(ctx, request.ID)
		require.NoError(t, err)
	}
	for i := 0; i+1 < len(w.users); i += 2 {
		befriend(i, i+1)
		w.pairs = append(w.pairs, &chaosPair{a: w.users[i], b: w.users[i+1]})
	}
	for g := range 2 {
		owner := g % len(w.users)
		var others []string
		group := &chaosGroup{}
		for i := range w.users {
			p := w.users[(owner+i)%len(w.users)]
			switch {
			case i < len(w.users)/2:
				group.core, group.first = append(group.core, p), append(group.first, p)
			case i%2 == 0:
				group.others, group.first = append(group.others, p), append(group.first, p)
			default:
				group.others = append(group.others, p)
			}
		}
		for _, p := range group.first[1:] {
			others = append(others, p.id)
		}
		made, err := clients[owner].CreateGroup(ctx, client.CreateGroupRequest{
			Name: fmt.Sprintf("group %d", g), Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: others,
		})
		require.NoError(t, err)
		group.id = made.ID
		w.groups = append(w.groups, group)
	}
	readers := 0
	for i, p := range w.users {
		for range 1 + i%2 {
			r := &chaosReader{w: w, p: p, index: readers, rng: w.random(11, readers), cursor: client.Begin}
			p.readers = append(p.readers, r)
			readers++
		}
	}
}

// live lets people talk and read while the attack goes on, and checks all when it is over.
func (w *chaosWorld) live(ctx context.Context, a *attack) {
	var reading, talking sync.WaitGroup
	read, stopReading := context.WithCancel(ctx)
	talk, stopTalking := context.WithCancel(ctx)
	defer reading.Wait()
	defer stopReading()
	defer talking.Wait()
	defer stopTalking()
	for i, p := range w.users {
		for _, r := range p.readers {
			reading.Go(func() { r.run(read) })
		}
		talking.Go(func() { w.talk(talk, i, p) })
		talking.Go(func() { w.mark(talk, i, p) })
	}
	for i, g := range w.groups {
		talking.Go(func() { w.change(talk, i, g) })
	}
	for i := range 2 {
		reading.Go(func() { w.look(read, i) })
	}
	nap(ctx, time.Second)
	end := time.Now().Add(w.options.most)
	a.run(ctx, w.options.faults)
	for w.counts.deliveries.Load() < w.options.deliveries && time.Now().Before(end) && !w.violated() && nap(ctx, 100*time.Millisecond) {
	}
	stopTalking()
	talking.Wait()
	w.level(ctx, 0)
	w.settle(ctx)
	w.tell("all readers stay where they are")
	w.lastWords(ctx)
	stopReading()
	reading.Wait()
	w.tell("all is quiet")
	w.audit(ctx)
}

// tell says how far the attack has come.
func (w *chaosWorld) tell(what string) {
	w.progress("%4.0f s: %s; %d messages acknowledged, %d events delivered",
		time.Since(w.began).Seconds(), what, w.counts.acked.Load(), w.counts.deliveries.Load())
}

// report is what a run was like.
func (w *chaosWorld) report(a *attack, logs string) string {
	var b strings.Builder
	line := func(what string, value any) { fmt.Fprintf(&b, "  %-58s %v\n", what, value) }
	c := &w.counts
	fmt.Fprintf(&b, "\nchaos: seed %d, %d nodes, %d people, %s\n", w.options.seed, w.options.nodes, len(w.users), time.Since(w.began).Round(time.Second))
	fmt.Fprintf(&b, "  settings: %v\n", w.settings)
	for _, name := range slices.Sorted(maps.Keys(a.counts)) {
		line(name, a.counts[name])
	}
	line("sent", c.sent.Load())
	line("acknowledged", c.acked.Load())
	line("refused (no member any more)", c.refused.Load())
	line("tries that had no answer or 429, 5xx", c.retried.Load())
	line("answered by a replay", c.replayed.Load())
	line("twins", c.twins.Load())
	line("sent without a key, one try each", c.keyless.Load())
	line("members added, removed", fmt.Sprint(c.joins.Load(), ", ", c.leaves.Load()))
	line("read positions moved", c.marks.Load())
	line("events delivered to readers, each checked", c.deliveries.Load())
	line("looked for in the history as soon as seen", c.looked.Load())
	line("connections of readers", c.connections.Load())
	line("byes", c.byes.Load())
	line("silent streams closed by readers", c.closedSilent.Load())
	line("longest silence on an open stream", time.Duration(c.silence.Load()).Round(time.Millisecond))
	line("longest from acknowledgement to a connected reader", time.Duration(c.slowest.Load()).Round(time.Millisecond))
	line("the same while at most Redis was broken", time.Duration(c.slowestRedis.Load()).Round(time.Millisecond))
	restarts := int64(0)
	for _, n := range w.cluster.nodes {
		restarts += n.restarts.Load()
	}
	line("starts of a node that failed and were repeated", restarts)
	line("resets", c.resets.Load())
	line("violations", len(w.violations)+w.hidden)
	if logs != "" {
		line("logs", logs)
		slices.Sort(a.story)
		fmt.Fprintf(&b, "what was broken when:\n%s\n", strings.Join(a.story, "\n"))
	}
	return b.String()
}
