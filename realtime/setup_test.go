package realtime

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"longwire/chat"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	LogRedisTo(slog.New(slog.DiscardHandler))
	// The library dials a server that is gone once a second; it notices only then that its client has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// onEveryRedis runs a test on the in-process Redis and on a real one: both must
// keep the same promises.
func onEveryRedis(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, embeddedRedis(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, realRedis(t))
	})
}

func embeddedRedis(t testing.TB) redis.UniversalClient {
	t.Helper()
	embedded, err := NewEmbeddedRedis()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, embedded.Close()) })
	return embedded.Client
}

func realRedis(t testing.TB) redis.UniversalClient {
	t.Helper()
	address := os.Getenv("TEST_REDIS_URL")
	if address == "" {
		t.Fatal("TEST_REDIS_URL is not set: start a Redis and set it, as in TEST_REDIS_URL=redis://127.0.0.1:6379/0")
	}
	return client(t, address)
}

func client(t testing.TB, address string) redis.UniversalClient {
	t.Helper()
	rdb, err := ConnectRedis(address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// randomEpoch keeps tests that share a Redis apart.
func randomEpoch() string { return strings.ToLower(rand.Text()) }

// redisServer is a Redis of the test's own, to be broken.
type redisServer struct {
	t       *testing.T
	port    string
	dir     string
	options []string
	process *exec.Cmd
}

func startRedis(t *testing.T, options ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, port: freePort(t), dir: t.TempDir(), options: options}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return port
}

func (s *redisServer) address() string { return "redis://127.0.0.1:" + s.port }

// redisBinary is what a server of the test's own is started by.
func redisBinary() string {
	if binary := os.Getenv("TEST_REDIS_SERVER"); binary != "" {
		return binary
	}
	return "redis-server"
}

func (s *redisServer) start() {
	s.t.Helper()
	options := []string{"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}
	s.process = exec.Command(redisBinary(), append(options, s.options...)...)
	require.NoError(s.t, s.process.Start(), "install redis-server or set TEST_REDIS_SERVER")
	rdb, err := ConnectRedis(s.address())
	require.NoError(s.t, err)
	defer func() { _ = rdb.Close() }()
	eventually(s.t, func() bool { return rdb.Ping(s.t.Context()).Err() == nil }, "Redis answers")
}

func (s *redisServer) kill() {
	if s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGKILL)
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *redisServer) signal(signal syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Signal(signal))
}

// node is a hub that runs.
type node struct {
	*Hub

	t    testing.TB
	stop func() // returns when Run has
	logs *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startNode starts a hub and waits until it is ready.
func startNode(t testing.TB, name string, rdb redis.UniversalClient, source Source, changes ...func(*Config)) *node {
	t.Helper()
	n := launchNode(t, name, rdb, source, changes...)
	eventually(t, func() bool { return n.Ready() == nil }, "node "+name+" is ready")
	return n
}

func launchNode(t testing.TB, name string, rdb redis.UniversalClient, source Source, changes ...func(*Config)) *node {
	t.Helper()
	logs := &syncBuffer{}
	cfg := Config{
		Node: name, HeadCheck: 200 * time.Millisecond, ProbeInterval: 50 * time.Millisecond, ProbeTimeout: 2 * time.Second,
		SaveInterval: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(logs, nil)), Registerer: prometheus.NewRegistry(),
	}
	for _, change := range changes {
		change(&cfg)
	}
	hub, err := New(t.Context(), cfg, rdb, source)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- hub.Run(ctx) }()
	n := &node{Hub: hub, t: t, logs: logs}
	n.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-stopped)
	})
	t.Cleanup(n.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of node %s:\n%s", name, logs)
		}
	})
	return n
}

// patient makes a node look at the database rarely, so that what arrives was announced.
func patient(c *Config) { c.HeadCheck = time.Hour }

func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 2*time.Millisecond, what)
}

// reader follows a session and checks that it skips and repeats nothing.
type reader struct {
	*Session

	t      testing.TB
	late   *time.Timer
	mu     sync.Mutex
	got    []chat.InboxEvent
	reset  []Reset
	passed []chat.Body
	ended  EndReason
	done   chan struct{}
}

func (n *node) attach(req Request) *Session {
	n.t.Helper()
	s, err := n.Attach(n.t.Context(), req)
	require.NoError(n.t, err)
	n.t.Cleanup(s.Close)
	return s
}

// follow attaches and reads until the session ends or the test does.
func (n *node) follow(req Request) *reader {
	n.t.Helper()
	return follow(n.t, n.attach(req))
}

func follow(t testing.TB, s *Session) *reader {
	t.Helper()
	r := &reader{Session: s, t: t, late: time.NewTimer(patience), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go r.run(ctx)
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	pos := r.Seq()
	for {
		batch, err := r.Next(ctx)
		if err != nil {
			return
		}
		r.mu.Lock()
		for _, event := range batch.Events {
			if event.Seq != pos+1 {
				r.t.Errorf("after %d came %d", pos, event.Seq)
			}
			pos = event.Seq
		}
		r.got = append(r.got, batch.Events...)
		if len(batch.Ephemeral) > 0 && len(batch.Events) > 0 {
			r.t.Errorf("%d ephemeral events stand beside %d others", len(batch.Ephemeral), len(batch.Events))
		}
		r.passed = append(r.passed, batch.Ephemeral...)
		if batch.Reset != nil {
			r.reset = append(r.reset, *batch.Reset)
			pos = batch.Reset.Seq
		}
		r.ended = batch.End
		r.mu.Unlock()
		if batch.End != "" {
			return
		}
	}
}

func (r *reader) events() []chat.InboxEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *reader) resets() []Reset {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reset
}

// ephemerals is what passed by.
func (r *reader) ephemerals() []chat.Body {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed
}

func (r *reader) waitFor(seq int64) {
	r.t.Helper()
	eventually(r.t, func() bool { return r.Seq() >= seq }, fmt.Sprintf("event %d arrives", seq))
}

func (r *reader) waitEnd() EndReason {
	r.t.Helper()
	select {
	case <-r.done:
	case <-r.late.C:
		r.t.Fatal("the session did not end")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

func value(c prometheus.Collector) float64 { return testutil.ToFloat64(c) }

const (
	alice   = chat.ID(1001)
	bob     = chat.ID(1002)
	phone   = chat.ID(2001)
	tablet  = chat.ID(2002)
	unnamed = chat.ID(2003)
)

func streamOf(user chat.ID) Request {
	return Request{User: user, Session: unnamed, Kind: Stream, Start: AtNow}
}

func at(h *Hub, seq int64) chat.Cursor { return chat.Cursor{Epoch: h.Epoch(), Seq: seq} }

// noRedis dials a Redis that is not there.
func noRedis(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ECONNREFUSED
}
