package realtime

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// EmbeddedRedis is a Redis inside this process, for a node that has no other
// nodes. Nobody else on the machine can reach it.
type EmbeddedRedis struct {
	Client redis.UniversalClient

	server *miniredis.Miniredis
	stop   context.CancelFunc
	clock  sync.WaitGroup

	mu     sync.Mutex
	closed bool // no connection is made any more; guarded by mu
}

// embeddedTick is how often the clock of an embedded Redis moves. Without that
// nothing in it ever expires; moving it with every command would make each
// command as slow as there are keys.
const embeddedTick = time.Second

// NewEmbeddedRedis starts a Redis inside this process. Close it after the hub
// has stopped.
func NewEmbeddedRedis() (*EmbeddedRedis, error) {
	ctx, stop := context.WithCancel(context.Background())
	r := &EmbeddedRedis{server: miniredis.NewMiniRedis(), stop: stop}
	// The first connection makes the server, without a port of its own.
	first, err := r.server.Dial()
	if err != nil {
		stop()
		return nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	_ = first.Close()
	options := boundedOptions()
	options.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) }
	// One process needs few connections, and each costs its buffers.
	options.PoolSize = 8
	r.Client = redis.NewUniversalClient(options)
	r.clock.Go(func() { r.advance(ctx) })
	return r, nil
}

// dial connects a client to the server by a pair of sockets whose listener is
// gone before the first command. It is no [net.Pipe], which has no buffer: the
// client writes a long pipeline while the server writes its first answers, and
// each would wait for the other to read.
func (r *EmbeddedRedis) dial(ctx context.Context) (net.Conn, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for ourselves: %w", err)
	}
	defer func() { _ = listener.Close() }()
	var dialer net.Dialer
	ours, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("dial ourselves: %w", err)
	}
	for {
		theirs, err := listener.Accept()
		if err != nil {
			_ = ours.Close()
			return nil, fmt.Errorf("accept ourselves: %w", err)
		}
		if theirs.RemoteAddr().String() == ours.LocalAddr().String() {
			r.serve(theirs)
			return ours, nil
		}
		_ = theirs.Close() // somebody who found the port in this moment
	}
}

// serve hands a connection to the server; the client library may still be
// dialling when it is closed.
func (r *EmbeddedRedis) serve(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = conn.Close()
		return
	}
	r.server.Server().ServeConn(conn)
}

func (r *EmbeddedRedis) advance(ctx context.Context) {
	ticker := time.NewTicker(embeddedTick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			now := time.Now()
			r.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// Close stops the embedded Redis and forgets what it had.
func (r *EmbeddedRedis) Close() error {
	r.stop()
	r.clock.Wait()
	err := r.Client.Close()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.server.Close()
	return err
}
