package e2e_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// strangler connects with a window and packets so small that little fits between it and the node.
func strangler(t *testing.T, d *deployment, n int) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
		})
	}}
	connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(d.node(n).url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// Hundreds of readers whose sockets are full, and of requests that never end, are there all the time, and a node waits for each of them
// for a minute. Whoever had to wait for one of them would wait longer than this test does.
func TestSlowReadersDelayNobody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		backend backend
		park    string
	}{
		"embedded": {embedded, "on"}, "embedded, a handler for each stream": {embedded, "off"}, "cluster": {cluster, "on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slowReadersDelayNobody(t, fresh(t, test.backend, settings{
				"STREAM_WRITE_TIMEOUT": "1m", "MAX_STREAMS_PER_USER": "1000", "PARK_STREAMS": test.park,
			}))
		})
	}
}

func slowReadersDelayNobody(t *testing.T, d *deployment) {
	t.Helper()
	people := d.people(t, "alice", "bob", "carol")
	alice, bob, carol := people[0], people[1], people[2]
	befriend(t, alice, bob)
	befriend(t, alice, carol)
	group := alice.group(bob, carol)
	for n := range 20 { // more than fits between the node and one of carol's readers
		alice.say(carol, fmt.Sprint(n, strings.Repeat("🐎", 7900)))
	}
	const each = 75
	var greeted atomic.Int64
	began := time.Now()
	for n := range each {
		for _, reads := range []time.Duration{0, time.Second} {
			connection := strangler(t, d, n)
			_, err := fmt.Fprintf(connection, "GET /v1/inbox/stream?cursor=begin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", carol.Tokens().Access)
			require.NoError(t, err)
			go func() {
				if _, err := io.ReadFull(connection, make([]byte, 1000)); err == nil { // its hello, and then some
					greeted.Add(1)
				}
				for one := make([]byte, 1); reads > 0; {
					timer := time.NewTimer(reads)
					<-timer.C
					if _, err := connection.Read(one); err != nil {
						return
					}
				}
			}()
		}
		_, err := io.WriteString(strangler(t, d, n), "GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		require.NoError(t, err)
		_, err = fmt.Fprintf(strangler(t, d, n), "POST /v1/users/%s/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"Content-Length: 1000\r\nAuthorization: Bearer %s\r\n\r\n{", bob.id, carol.Tokens().Access)
		require.NoError(t, err)
	}
	eventually(t, "all slow readers have begun", func() bool { return greeted.Load() == 2*each })

	streams := []*inbox{bob.at(0).stream(client.Now), bob.at(1).stream(client.Now)}
	poll := bob.at(1).poll()
	for n := range 30 {
		alice.at(n).say(bob, fmt.Sprint("private ", n))
		alice.at(n).tell(group, fmt.Sprint("to all ", n)) // to the slow ones too
	}
	for _, i := range append(streams, poll) {
		i.hasMessages("", 60)
	}
	messages := 0
	for _, event := range carol.everything(500) {
		if event.Type == client.EventMessageCreated {
			messages++
		}
	}
	assert.Equal(t, len(carol.wholeHistory(conversationWith(t, alice, carol)))+len(carol.wholeHistory(group)), messages)
	require.Less(t, time.Since(began), time.Minute, "the slow ones were sent away before the others were served")
}
