package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// chaosCluster is a deployment under attack: nodes, a database and a Redis that may all be killed, and cables between them.
type chaosCluster struct {
	dir    string
	binary string
	mysql  *chaosMySQL
	redis  *chaosRedis
	nodes  []*chaosNode
	told   func(format string, args ...any) // what must not have happened

	closing atomic.Bool
	watched sync.WaitGroup
}

// chaosNode is one node with its cables.
type chaosNode struct {
	*node

	cluster *chaosCluster
	index   int
	toMySQL *relay
	toRedis *relay
	front   *relay // between people and the node

	mu       sync.Mutex // guards the process
	expected bool       // its end is meant; guarded by mu
	restarts atomic.Int64
}

// newChaosCluster starts everything in a folder of its own.
func newChaosCluster(ctx context.Context, binary string, nodes int, told func(string, ...any), given settings) (*chaosCluster, error) {
	dir, err := os.MkdirTemp("", "longwire-chaos-*")
	if err != nil {
		return nil, err
	}
	c := &chaosCluster{dir: dir, binary: binary, told: told}
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(filepath.Join(dir, "mysql"), 0o755), os.Mkdir(filepath.Join(dir, "redis"), 0o755)); err != nil {
		return c, err
	}
	if c.mysql, err = newMySQL(ctx, filepath.Join(dir, "mysql")); err != nil {
		return c, err
	}
	if c.redis, err = newRedis(ctx, filepath.Join(dir, "redis")); err != nil {
		return c, err
	}
	secret := rand.Text() + rand.Text()
	for i := range nodes {
		n, err := c.firstNode(ctx, i, secret, given)
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, n)
	}
	return c, nil
}

// firstNode starts a node for the first time. When somebody was faster to take its port, it gets another.
func (c *chaosCluster) firstNode(ctx context.Context, i int, secret string, given settings) (*chaosNode, error) {
	for try := 1; ; try++ {
		n, err := c.newNode(i, secret, given)
		if err != nil {
			return nil, err
		}
		if err := n.launch(); err != nil { //nolint:contextcheck // a node lives until it is ended
			return nil, err
		}
		for end := time.Now().Add(time.Minute); n.restarts.Load() == 0 && time.Now().Before(end); {
			if n.awaitReady(ctx, 200*time.Millisecond) {
				return n, nil
			}
		}
		n.doomed().kill()
		n.closeCables()
		if try == 3 {
			return nil, fmt.Errorf("node %d does not get ready\n%s", i, n.log.tail())
		}
	}
}

func (n *chaosNode) closeCables() {
	for _, r := range []*relay{n.front, n.toMySQL, n.toRedis} {
		r.close()
	}
}

func (c *chaosCluster) newNode(i int, secret string, given settings) (*chaosNode, error) {
	n := &chaosNode{cluster: c, index: i}
	var err error
	if n.toMySQL, err = newRelay(c.mysql.address()); err != nil {
		return nil, err
	}
	if n.toRedis, err = newRelay(c.redis.address()); err != nil {
		return nil, err
	}
	env := map[string]string{
		"LONGWIRE_MYSQL_DSN":             c.mysql.dsn(n.toMySQL.address()),
		"LONGWIRE_REDIS_URL":             "redis://" + n.toRedis.address() + "/0",
		"LONGWIRE_JWT_SECRET":            secret,
		"LONGWIRE_NODE_NAME":             fmt.Sprintf("node-%d", i),
		"LONGWIRE_RATE_LIMIT":            "off",
		"LONGWIRE_SHUTDOWN_GRACE":        "2s",
		"LONGWIRE_HEARTBEAT":             "2s",
		"LONGWIRE_STREAM_WRITE_TIMEOUT":  "2s",
		"LONGWIRE_MAX_STREAMS_PER_USER":  "64",
		"LONGWIRE_ACCESS_TOKEN_LIFETIME": "6h",
	}
	for name, value := range given {
		env["LONGWIRE_"+name] = value
	}
	n.node = newNode(env)
	n.front, err = newRelay(n.url[len("http://"):])
	return n, err
}

// launch runs the node and watches over it, as whatever runs a node in production does.
func (n *chaosNode) launch() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		select {
		case <-n.ended:
		default:
			return nil // somebody was faster
		}
	}
	p, err := startProcess(n.log, n.env, n.cluster.binary, "serve")
	if err != nil {
		return err
	}
	n.process, n.expected = p, false
	n.cluster.watched.Go(func() { n.watch(p) })
	return nil
}

// watch starts the node again when it ends by itself. It may do so while it starts, when the database is away; never later.
func (n *chaosNode) watch(p *process) {
	wasReady := false
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for ended := false; !ended; {
		select {
		case <-p.ended:
			ended = true
		case <-look.C:
			wasReady = wasReady || n.ready(context.Background()) == http.StatusOK
			if wasReady {
				<-p.ended
				ended = true
			}
		}
	}
	n.mu.Lock()
	expected := n.expected
	n.mu.Unlock()
	if expected || n.cluster.closing.Load() {
		return
	}
	if wasReady {
		n.cluster.told("node %d ended by itself: %v", n.index, p.err)
	}
	n.restarts.Add(1)
	time.Sleep(200 * time.Millisecond)
	n.mu.Lock()
	expected = n.expected
	n.mu.Unlock()
	if expected {
		return
	}
	if err := n.launch(); err != nil {
		n.cluster.told("node %d cannot be started: %v", n.index, err)
	}
}

// doomed returns the process and says that its end is meant.
func (n *chaosNode) doomed() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expected = true
	return n.process
}

func (n *chaosNode) running() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// awaitReady tells whether the node says within some time that it is ready.
func (n *chaosNode) awaitReady(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for n.ready(ctx) != http.StatusOK {
		if !nap(ctx, 50*time.Millisecond) {
			return false
		}
	}
	return true
}

// badChaosLine is what no node may say, whatever is done to it.
var badChaosLine = regexp.MustCompile(`(?m:^panic: |^fatal error: |^goroutine \d+ \[)|DATA RACE|"panic`)

// stop ends everything. What was wrong is told.
func (c *chaosCluster) stop() {
	c.closing.Store(true)
	for _, n := range c.nodes {
		if p := n.doomed(); p != nil {
			p.signal(syscall.SIGCONT)
			up := n.ready(context.Background()) == http.StatusOK // one that has hardly begun knows no signals yet
			if code, err := p.terminate(); up && (err != nil || code != 0) {
				c.told("node %d: it ended with code %d: %v", n.index, code, err)
			}
		}
		text := n.log.String()
		if at := badChaosLine.FindStringIndex(text); at != nil {
			c.told("node %d says what none may say: %s", n.index, text[max(0, at[0]-200):min(len(text), at[0]+2000)])
		}
		n.closeCables()
	}
	c.watched.Wait()
	if c.redis != nil && c.redis.process != nil {
		c.redis.kill()
	}
	if c.mysql != nil && c.mysql.process != nil {
		_ = c.mysql.admin.Close()
		c.mysql.kill()
	}
}

// keepLogs writes what everybody said and returns where.
func (c *chaosCluster) keepLogs() string {
	for _, n := range c.nodes {
		_ = os.WriteFile(filepath.Join(c.dir, fmt.Sprintf("node-%d.log", n.index)), []byte(n.log.String()), 0o600)
	}
	for name, s := range map[string]*log{"mysql.log": c.mysql.output, "redis.log": c.redis.output} {
		_ = os.WriteFile(filepath.Join(c.dir, name), []byte(s.String()), 0o600)
	}
	_ = os.RemoveAll(filepath.Join(c.dir, "mysql"))
	_ = os.RemoveAll(filepath.Join(c.dir, "redis"))
	return c.dir
}

// nap waits, and tells whether there was time for that.
func nap(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
