package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// ownRedis is a Redis that a test may do to what it likes.
type ownRedis struct {
	*process

	t    *testing.T
	port string
	dir  string
}

func startRedis(t *testing.T) *ownRedis {
	t.Helper()
	r := &ownRedis{t: t, port: freePort(), dir: t.TempDir()}
	r.start()
	t.Cleanup(func() { r.kill() })
	return r
}

func (r *ownRedis) url() string {
	return "redis://127.0.0.1:" + r.port + "/0"
}

// start runs the server, empty.
func (r *ownRedis) start() {
	r.t.Helper()
	program := os.Getenv("TEST_REDIS_SERVER")
	if program == "" {
		var err error
		program, err = exec.LookPath("redis-server")
		require.NoError(r.t, err, "neither TEST_REDIS_SERVER nor redis-server in PATH")
	}
	var err error
	r.process, err = startProcess(&log{}, nil, program,
		"--bind", "127.0.0.1", "--port", r.port, "--save", "", "--appendonly", "no", "--dir", r.dir)
	require.NoError(r.t, err)
	eventually(r.t, "Redis is up", func() bool { return r.do("PING") == "+PONG" })
}

// do sends one command and returns the first line of the answer, "" for none.
func (r *ownRedis) do(command string) string {
	connection, err := net.DialTimeout("tcp", "127.0.0.1:"+r.port, time.Second)
	if err != nil {
		return ""
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(connection, "%s\r\n", command); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(connection).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestRedisLossLosesNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		strike func(r *ownRedis)
		mend   func(r *ownRedis) // nil = there is nothing to mend, and nodes may stay ready
	}{
		"it is emptied": {strike: func(r *ownRedis) { require.Equal(r.t, "+OK", r.do("FLUSHALL")) }},
		"it is killed and starts empty": {
			strike: func(r *ownRedis) { r.kill() },
			mend:   func(r *ownRedis) { r.start() },
		},
		"it hangs": {
			strike: func(r *ownRedis) { r.signal(syscall.SIGSTOP) },
			mend:   func(r *ownRedis) { r.signal(syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := startRedis(t)
			d := fresh(t, cluster, settings{"REDIS_URL": redis.url(), "HEAD_CHECK": "1s"})
			people := d.people(t, "alice", "bob", "carol")
			alice, bob, carol := people[0], people[1], people[2]
			befriend(t, alice, bob)
			group := alice.group(bob, carol)
			inboxes := map[*inbox]*person{
				bob.at(0).stream(client.Begin): bob, bob.at(1).poll(): bob,
				carol.at(1).stream(client.Begin): carol, alice.at(0).poll(): alice,
			}
			sending := startTraffic(t, alice.toUser(0, bob), alice.toGroup(1, group), carol.toGroup(0, group))
			sending.more(40)

			fault.strike(redis)
			sending.more(40) // sending goes on
			if fault.mend != nil {
				for _, n := range d.nodes {
					eventually(t, "the node says that it is not ready", func() bool {
						return n.ready(t.Context()) == http.StatusServiceUnavailable
					})
				}
				sending.more(20)
				for i := range inboxes { // and so does delivery, out of the database
					sending.reaches(i, group)
				}
				fault.mend(redis)
			}
			for _, n := range d.nodes {
				eventually(t, "the node is ready again", func() bool { return n.ready(t.Context()) == http.StatusOK })
			}
			sending.more(40)
			sending.stop()

			assert.Empty(t, sending.failed(), "Redis is not needed for sending")
			private := conversationWith(t, alice, bob)
			for i, p := range inboxes {
				if p == carol {
					sending.arrived(p, i, group)
				} else {
					sending.arrived(p, i, group, private)
				}
				assert.Empty(t, i.resets)
			}

			// All is as before: what is sent now is there at once, on the other node.
			live := bob.at(1).stream(client.Now)
			before := time.Now()
			alice.at(0).say(bob, "after all that")
			live.first(client.EventMessageCreated)
			assert.Less(t, time.Since(before), 3*time.Second)
		})
	}
}

// The streams of a deleted account end also where the word of it was lost: it stands in the inbox.
func TestStreamsOfADeletedAccountEndWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	d := fresh(t, cluster, settings{"REDIS_URL": redis.url(), "HEAD_CHECK": "1s"})
	gone := d.person(t, 0, "gone")
	there := gone.device(1).at(1).stream(client.Now)
	redis.kill()
	require.NoError(t, gone.at(0).DeleteMe(t.Context(), password))
	redis.start()
	there.until("bye", func() bool { return len(there.byes) > 0 })
	assert.Equal(t, client.ByeReasonRevoked, there.byes[0])
}

// conversationWith returns the id of the conversation of two people.
func conversationWith(t *testing.T, p, peer *person) string {
	t.Helper()
	list, err := p.Conversations(t.Context(), client.Page{})
	require.NoError(t, err)
	for _, conversation := range list.Items {
		if conversation.Peer != nil && conversation.Peer.ID == peer.id {
			return conversation.ID
		}
	}
	require.FailNow(t, "there is no such conversation")
	return ""
}

func TestEverythingSurvivesKill(t *testing.T) {
	onFresh(t, nil, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		group := alice.group(bob, carol)
		reader := bob.at(0).stream(client.Begin)
		for range 3 {
			sending := startTraffic(t, alice.toUser(0, bob), carol.toGroup(0, group), alice.toGroup(0, group))
			sending.more(30)
			d.node(0).kill() // in the middle of everything
			sending.stop()
			require.NoError(t, d.node(0).start())

			private := conversationWith(t, alice, bob)
			sending.kept(bob.history(private), sending.of(private))
			sending.kept(carol.wholeHistory(group), sending.of(group))
		}
		// The reader's stream broke three times, and it has everything once and in order.
		all := bob.everything(500)
		reader.until("everything", func() bool { return len(reader.events) == len(all) })
		assert.Equal(t, all, reader.all())
		for i, event := range all {
			require.EqualValues(t, i+1, place(event.Cursor))
		}
	})
}
