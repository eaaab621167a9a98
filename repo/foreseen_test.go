package repo_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// countedConn counts what the driver sends: each statement, or run of them, is
// one write and waits for its answer.
type countedConn struct {
	net.Conn

	writes *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestMessagesForKnownAudiencesTakeTwoRoundTrips(t *testing.T) {
	t.Parallel()
	cfg, err := mysql.ParseDSN(newDatabase(t))
	require.NoError(t, err)
	var writes atomic.Int64
	network := "counted-" + cfg.DBName
	mysql.RegisterDialContext(network, func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return countedConn{conn, &writes}, err
	})
	t.Cleanup(func() { mysql.DeregisterDialContext(network) })
	cfg.Net = network
	w := newWorld(t, "mysql", repo.Config{MySQLDSN: cfg.FormatDSN(), Connections: 8})
	users := w.users(5)
	ab, group := w.private(users[0], users[1]), w.group("all", users...)
	w.commit(w.toPrivate(ab, users[0], "these are"), w.toGroup(group, users[1], "known now"))

	before := writes.Load()
	outcomes, announcement := w.commit(
		keyed(w.toPrivate(ab, users[0], "one"), "key"), w.toGroup(group, users[1], "two"), w.toPrivate(ab, users[1], "three"))
	assert.Equal(t, int64(2), writes.Load()-before)
	for i, seq := range []int64{2, 2, 3} {
		require.NoError(t, outcomes[i].Err)
		assert.Equal(t, seq, outcomes[i].Message.Seq)
	}
	assert.Len(t, announcement.Deliveries, 2+5+2)
	for i, events := range []int{5, 5, 2, 2, 2} {
		assert.Len(t, w.inbox(users[i]), events, "user %d", i)
	}
}

// When a batch reaches others than it was expected to, the heads that were
// raised for nothing must be what they were before.
func TestMisjudgedBatchLeavesNoTrace(t *testing.T) {
	t.Parallel()
	const a, b, c, d = 0, 1, 2, 3
	cases := []struct {
		name string
		// change is what another node does after this one has learnt the audiences.
		change func(w, other *world, ab, group chat.ID, users []chat.ID)
		batch  func(w *world, ab, group chat.ID, users []chat.ID) []chat.Outgoing
		taken  []bool
		events [4]int // that each of the users gets from the batch
	}{
		{
			name: "somebody left the group",
			change: func(_, other *world, _, group chat.ID, users []chat.ID) {
				other.write(func(tx chat.Tx) error { return tx.DeleteMember(group, users[c]) })
			},
			taken: []bool{true, true}, events: [4]int{2, 2, 0, 0},
		},
		{
			name: "somebody joined the group",
			change: func(_, other *world, _, group chat.ID, users []chat.ID) {
				other.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, users[d]) })
			},
			taken: []bool{true, true}, events: [4]int{2, 2, 1, 1},
		},
		{
			name: "a message is refused",
			batch: func(w *world, ab, group chat.ID, users []chat.ID) []chat.Outgoing {
				return []chat.Outgoing{w.toPrivate(ab, users[d], "not mine"), w.toGroup(group, users[b], "hello")}
			},
			taken: []bool{false, true}, events: [4]int{1, 1, 1, 0},
		},
		{
			name: "all messages are refused",
			batch: func(w *world, ab, group chat.ID, users []chat.ID) []chat.Outgoing {
				return []chat.Outgoing{w.toPrivate(ab, users[d], "not mine"), w.toGroup(group, users[d], "nor this")}
			},
			taken: []bool{false, false},
		},
		{
			name: "two messages are twins",
			batch: func(w *world, ab, _ chat.ID, users []chat.ID) []chat.Outgoing {
				return []chat.Outgoing{keyed(w.toPrivate(ab, users[a], "twin"), "key"), keyed(w.toPrivate(ab, users[a], "twin"), "key")}
			},
			taken: []bool{true, true}, events: [4]int{1, 1, 0, 0},
		},
		{
			name: "the conversation appears for one of its users",
			change: func(_, other *world, ab, _ chat.ID, users []chat.ID) {
				other.set(ab, users[a], func(s *chat.StoredState) { s.ClearedSeq = 1 })
			},
			taken: []bool{true, true}, events: [4]int{3, 2, 1, 0},
		},
	}
	for _, test := range cases {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				users := w.users(4)
				ab, group := w.private(users[a], users[b]), w.group("three", users[:3]...)
				w.commit(w.toPrivate(ab, users[a], "these are"), w.toGroup(group, users[b], "known now"))
				var before [4]int
				for i, user := range users {
					before[i] = len(w.inbox(user))
				}
				if test.change != nil {
					other := &world{DB: w.open(), t: t, kind: w.kind, ids: w.ids}
					other.clock.Store(w.clock.Load())
					test.change(w, other, ab, group, users)
				}
				batch := []chat.Outgoing{w.toPrivate(ab, users[b], "one"), w.toGroup(group, users[a], "two")}
				if test.batch != nil {
					batch = test.batch(w, ab, group, users)
				}
				require.False(t, w.Misjudged())
				outcomes, announcement := w.commit(batch...)
				require.Equal(t, w.kind == "mysql", w.Misjudged(), "the heads were raised ahead, and others than had to be")
				deliveries := 0
				for i, outcome := range outcomes {
					assert.Equal(t, test.taken[i], outcome.Err == nil, "message %d: %v", i, outcome.Err)
				}
				for i, user := range users {
					assert.Len(t, w.inbox(user), before[i]+test.events[i], "user %d", i) // which has no hole
					deliveries += test.events[i]
				}
				assert.Len(t, announcement.Deliveries, deliveries)
				w.send(w.toGroup(group, users[a], "and so it goes on"))
				w.inbox(users[a])
			})
		})
	}
}
