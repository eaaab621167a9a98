package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// The soak's flags. Without any of them it is short and part of all tests; `make soak` gives it ten minutes.
var (
	soakTime   = flag.Duration("soak.time", 18*time.Second, "how long there is load")
	soakPeople = flag.Int("soak.people", 10, "how many people stay all the time")
	soakPace   = flag.Duration("soak.pace", 200*time.Millisecond, "between two messages of one person, about")
	soakRace   = flag.Bool("soak.race", true, "build the nodes with the race detector")
)

// What may be more at rest after the load than before it, on one node: connections to MySQL and Redis that their pools keep, each with a
// descriptor and with MySQL a goroutine. A leak of one for each reader that came and went would be many times that.
const (
	soakMySQL = 8
	soakPools = soakMySQL + 24
)

// What a node has, and Redis, stays the same however long there is load: people who stay and talk, readers that come, are cut and resume
// on any transport and node, readers that hardly read, people who register and log out. When it ends, everything that it took is given
// back, and nothing was lost.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t)
	rest := s.rest(nil)
	began := time.Now()
	s.live(*soakTime)
	s.complete()
	after := s.rest(rest)
	require.Greater(t, s.cut.Load(), int64(3*soakPools), "so few readers came and went that a leak would not show")
	s.flat(began)
	t.Log(s.report(rest, after))
}

// newSoak starts two nodes with a Redis that nobody else uses, and registers those who stay.
func newSoak(t *testing.T) *soak {
	t.Helper()
	dir := t.TempDir()
	s := &soak{t: t, d: &deployment{backend: cluster}, acked: map[string]map[int64]string{}}
	program := binary
	if !*soakRace {
		program = buildNode(t, filepath.Join(dir, "longwire"))
	}
	var err error
	s.redis, err = newRedis(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(s.redis.kill)
	dsn, drop, err := newDatabase()
	require.NoError(t, err)
	s.d.dropData = drop
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range s.d.nodes {
				t.Logf("log of %s:\n%s", n.url, n.log.tail())
			}
		}
		if err := s.d.stop(); err != nil {
			t.Error(err)
		}
	})
	secret := rand.Text() + rand.Text()
	for range 2 {
		ops := "127.0.0.1:" + freePort()
		n := newNode(map[string]string{
			"LONGWIRE_MYSQL_DSN": dsn, "LONGWIRE_REDIS_URL": "redis://" + s.redis.address() + "/0", "LONGWIRE_JWT_SECRET": secret,
			"LONGWIRE_OPS_LISTEN": ops, "LONGWIRE_SHUTDOWN_GRACE": "500ms", "LONGWIRE_TRUSTED_PROXIES": "127.0.0.0/8",
			"LONGWIRE_STREAM_WRITE_TIMEOUT": "1s", "LONGWIRE_STREAM_LIFETIME": "1m", "LONGWIRE_HEARTBEAT": "2s",
			"LONGWIRE_MAX_STREAMS_PER_USER": "32", "LONGWIRE_INBOX_STREAM_LENGTH": "200", "LONGWIRE_LOG_LEVEL": "warn",
			"LONGWIRE_MYSQL_CONNECTIONS": fmt.Sprint(soakMySQL),
		})
		n.program = program
		s.d.nodes, s.ops = append(s.d.nodes, n), append(s.ops, "http://"+ops)
		require.NoError(t, n.start())
	}
	s.transport = newSoakTransport()
	t.Cleanup(s.transport.CloseIdleConnections)
	s.settle()
	return s
}

// settle registers those who stay: neighbours are friends, and everybody is in one group.
func (s *soak) settle() {
	var registering sync.WaitGroup
	s.people = make([]*person, *soakPeople)
	for i := range s.people {
		registering.Go(func() { s.people[i] = s.register(s.t.Context(), i) })
	}
	registering.Wait()
	require.NotContains(s.t, s.people, (*person)(nil), "somebody could not register")
	for i := 0; i+1 < len(s.people); i += 2 {
		befriend(s.t, s.people[i], s.people[i+1])
	}
	s.group = s.people[0].group(s.people[1:]...)
}

// live is the load. It returns when all of it has stopped but the readers that stay.
func (s *soak) live(long time.Duration) {
	for i, p := range s.people {
		s.witnesses = append(s.witnesses, p.at(i).stream(client.Begin))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), long)
	defer cancel()
	var busy sync.WaitGroup
	for i, p := range s.people {
		busy.Go(func() { s.talk(ctx, i, p) })
		busy.Go(func() { s.comeAndGo(ctx, i, p) })
		if i%4 == 0 {
			busy.Go(func() { s.dawdle(ctx, i, p) })
		}
	}
	busy.Go(func() { s.registerAndLeave(ctx) })
	busy.Go(func() { s.sample(ctx, max(long/100, 500*time.Millisecond)) })
	busy.Wait()
}

// complete checks that nothing was lost: whoever reads an inbox anew finds what those found who read along, and the histories have what
// was acknowledged.
func (s *soak) complete() {
	for i, p := range s.people {
		all := p.everything(500)
		w := s.witnesses[i]
		w.until("everything", func() bool { return len(w.events) >= len(all) })
		w.stop()
		assert.Equal(s.t, all, w.all(), p.name)
	}
	for _, p := range s.people {
		for conversation, acked := range s.of(p) {
			history := p.wholeHistory(conversation)
			for seq, body := range acked {
				if assert.LessOrEqual(s.t, seq, int64(len(history)), "an acknowledged message is lost") {
					require.Equal(s.t, body, history[seq-1].Body)
				}
			}
		}
	}
	assert.Empty(s.t, s.faults())
}

// rest is what the nodes have while nobody is there; with before, when they are back to that.
func (s *soak) rest(before []vitals) []vitals {
	s.t.Helper()
	s.transport.CloseIdleConnections()
	var now []vitals
	back := func() bool {
		now = nil
		for n := range s.d.nodes {
			v, err := s.look(s.t.Context(), n)
			require.NoError(s.t, err)
			now = append(now, v)
			if before != nil && (v.descriptors > before[n].descriptors+soakPools || v.goroutines > before[n].goroutines+soakPools) {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(2 * patience); !back(); <-tick() {
		if time.Now().After(end) {
			require.FailNow(s.t, "a node does not give back what it took", "it had %+v, and has %+v", before, now)
		}
	}
	return now
}

// growth is how much more there may be late in the load than in its middle. What a node keeps for a while and then lets go is full by
// then: windows of recent events and inboxes that nobody reads (a minute), answers about sessions (seconds). A leak of 100 bytes for
// each message or reader of ten minutes would be more. The collector is run before each look; what it does to the resident memory is
// up to it.
var growth = map[string]struct {
	share  float64
	allows float64
}{
	"heap":        {0.05, 2 << 20},
	"resident":    {0.15, 16 << 20},
	"goroutines":  {0.10, soakPools},
	"descriptors": {0.10, soakPools},
	"redis":       {0.10, 1 << 20},
}

// keptOfLeavers is what Redis keeps, for minutes, of each who came and left: a warm stream, where they were, and what they spent.
const keptOfLeavers = 6 << 10

// flat compares the medians of the middle with those of the end: of ten minutes, minutes 3 to 5 with 8 to 10.
func (s *soak) flat(began time.Time) {
	s.t.Helper()
	span := func(from, to float64) (part []moment) {
		for _, m := range s.moments {
			if share := float64(m.at.Sub(began)) / float64(*soakTime); share >= from && share < to {
				part = append(part, m)
			}
		}
		return part
	}
	middle, end := span(0.3, 0.5), span(0.8, 1.1)
	require.NotEmpty(s.t, middle)
	require.NotEmpty(s.t, end)
	left := float64(end[len(end)-1].left - middle[0].left)
	var rows []string
	for _, name := range soakSeries(len(s.d.nodes)) {
		kind, _, _ := strings.Cut(name, " ")
		was, is := medianOf(middle, name), medianOf(end, name)
		most := was*(1+growth[kind].share) + growth[kind].allows
		if kind == "redis" {
			most += left * keptOfLeavers
		}
		rows = append(rows, fmt.Sprintf("  %-24s %14.0f %14.0f %14.0f", name, was, is, most))
		assert.LessOrEqual(s.t, is, most, "%s grows: it was %.0f", name, was)
	}
	s.rows = rows
}

func medianOf(moments []moment, name string) float64 {
	values := make([]float64, len(moments))
	for i, m := range moments {
		values[i] = m.values[name]
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (s *soak) report(before, after []vitals) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nsoak: %s, %d people who stay\n", *soakTime, len(s.people))
	fmt.Fprintf(&b, "  %d messages acknowledged, %d events at those who stay; looked at %d times\n", s.sent.Load(), s.delivered(), len(s.moments))
	fmt.Fprintf(&b, "  %d readers came and were cut, %d of them long-polls; %d that hardly read; %d people registered and left\n",
		s.cut.Load(), s.polled.Load(), s.dawdled.Load(), s.left.Load())
	fmt.Fprintf(&b, "  %-24s %14s %14s %14s\n%s\n", "median of", "middle", "end", "bound", strings.Join(s.rows, "\n"))
	for n := range before {
		fmt.Fprintf(&b, "  node %d at rest: goroutines %.0f, then %.0f; descriptors %.0f, then %.0f\n", n,
			before[n].goroutines, after[n].goroutines, before[n].descriptors, after[n].descriptors)
	}
	return b.String()
}

func (s *soak) delivered() (n int) {
	for _, w := range s.witnesses {
		n += len(w.all())
	}
	return n
}

// of returns what was acknowledged in the conversations of a person.
func (s *soak) of(p *person) map[string]map[int64]string {
	part := map[string]map[int64]string{}
	conversations := client.All(s.t.Context(), p.Conversations)
	for c, err := range conversations {
		require.NoError(s.t, err)
		if acked := s.acked[c.ID]; acked != nil {
			part[c.ID] = acked
		}
	}
	return part
}

// failed notes what must not have happened; the end of the load is no failure.
func (s *soak) failed(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf("%s: %v", what, err))
}

func (s *soak) faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problems[:min(len(s.problems), 10)]
}
