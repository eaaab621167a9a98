package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// balanced is a way to all nodes of a deployment, as a balancer in front of them is: each connection goes to the next one that takes it.
func (d *deployment) balanced(t *testing.T) *http.Client {
	t.Helper()
	var turn atomic.Int64
	transport := &http.Transport{
		MaxIdleConnsPerHost: 10, IdleConnTimeout: time.Second, ResponseHeaderTimeout: patience,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var failed []error
			for range d.nodes {
				n := d.node(int(turn.Add(1)))
				connection, err := new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(n.url, "http://"))
				if err == nil {
					return connection, nil
				}
				failed = append(failed, err)
			}
			return nil, errors.Join(failed...)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// follower is one of many streams: it keeps only where it is.
type follower struct {
	place  atomic.Int64 // of the last event
	hellos atomic.Int64
	byes   atomic.Int64
}

func (f *follower) follow(ctx context.Context, t *testing.T, c *client.Client) {
	for event, err := range c.Stream(ctx, client.StreamOptions{Cursor: client.Begin, Trace: client.StreamTrace{
		Connected: func(client.HelloData) { f.hellos.Add(1) },
		Bye: func(bye client.ByeData) {
			assert.Equal(t, client.ByeReasonShutdown, bye.Reason)
			f.byes.Add(1)
		},
		Repeated: func(event client.Event) { t.Errorf("%s came twice", event.Cursor) },
	}}) {
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.Errorf("a stream ended: %v", err)
			return
		case event.Ephemeral():
			continue
		case f.place.Load()+1 != place(event.Cursor):
			t.Errorf("after %d came %s", f.place.Load(), event.Cursor)
		}
		f.place.Store(place(event.Cursor))
	}
}

// Every node of a cluster is drained and started again, one after the other, with a thousand streams open and people talking. Every
// stream is told and moves, and nothing is lost, doubled or told twice.
func TestRollingRestartMovesAThousandStreams(t *testing.T) {
	t.Parallel()
	const each = 125
	d := fresh(t, cluster, settings{"SHUTDOWN_GRACE": "4s", "MAX_STREAMS_PER_USER": "1000", "LOG_LEVEL": "warn"})
	people := d.people(t, "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
	group := people[0].group(people[1:]...)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	way := d.balanced(t)
	var followers []*follower
	for _, p := range people {
		c, err := client.New(d.node(0).url, client.Options{HTTPClient: way, Tokens: client.Tokens{Access: p.Tokens().Access}})
		require.NoError(t, err)
		for range each {
			f := &follower{}
			followers = append(followers, f)
			following.Go(func() { f.follow(ctx, t, c) })
		}
	}
	count := func(so func(f *follower) bool) (n int) {
		for _, f := range followers {
			if so(f) {
				n++
			}
		}
		return n
	}
	await(t, "all streams are open", func() bool { return count(func(f *follower) bool { return f.hellos.Load() > 0 }) == len(followers) })

	var acked atomic.Int64
	talking, hush := context.WithCancel(t.Context())
	var talk sync.WaitGroup
	for i, p := range people[:3] {
		c, err := client.New(d.node(i).url, client.Options{HTTPClient: way, Tokens: client.Tokens{Access: p.Tokens().Access}, Tries: 20})
		require.NoError(t, err)
		talk.Go(func() {
			for n := 0; nap(talking, 100*time.Millisecond); n++ {
				_, err := c.SendToGroup(context.WithoutCancel(talking), group, client.SendMessageRequest{Body: fmt.Sprint(p.name, n)})
				if assert.NoError(t, err) {
					acked.Add(1)
				}
			}
		})
	}
	for n, node := range d.nodes {
		byes, hellos := count(func(f *follower) bool { return f.byes.Load() > 0 }), int64(0)
		for _, f := range followers {
			hellos += f.hellos.Load()
		}
		code, err := node.terminate()
		require.NoError(t, err)
		require.Zero(t, code)
		require.NoError(t, node.start())
		t.Logf("node %d was drained: %d streams had been told to go, %d have", n, byes, count(func(f *follower) bool { return f.byes.Load() > 0 }))
	}
	hush()
	talk.Wait()
	require.Equal(t, len(followers), count(func(f *follower) bool { return f.byes.Load() > 0 }), "each stream was on a node that was drained, and was told")
	people[0].tell(group, "the last word")
	history := people[0].history(group)
	require.Len(t, history, int(acked.Load())+1, "what was acknowledged is stored once")
	for i, p := range people {
		all := p.everything(500)
		end := place(all[len(all)-1].Cursor)
		await(t, "every stream has everything", func() bool {
			for _, f := range followers[i*each : (i+1)*each] {
				if f.place.Load() != end {
					return false
				}
			}
			return true
		})
		assert.Equal(t, bodies(history), bodies(messages(all, group)), p.name)
	}
}

// await is eventually for what a thousand take longer for.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * patience); !so(); nap(t.Context(), 50*time.Millisecond) {
		require.True(t, time.Now().Before(end), "it never came to be: %s", what)
	}
}
