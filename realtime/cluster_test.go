package realtime

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// cluster is three masters and a server that nothing is asked of yet.
type cluster struct {
	servers []*redisServer
	clients []redis.UniversalClient // to each server by itself
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var buses []string
	for range 4 {
		bus := freePort(t)
		server := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
		c.servers, c.clients, buses = append(c.servers, server), append(c.clients, client(t, server.address())), append(buses, bus)
	}
	for i, slots := range [][2]int{{0, 5461}, {5462, 10922}, {10923, 16383}} {
		require.NoError(t, c.clients[i].Do(t.Context(), "cluster", "addslotsrange", slots[0], slots[1]).Err())
	}
	for i := 1; i < len(c.servers); i++ {
		require.NoError(t, c.clients[0].Do(t.Context(), "cluster", "meet", "127.0.0.1", c.servers[i].port, buses[i]).Err())
	}
	for _, rdb := range c.clients {
		eventually(t, func() bool {
			info := rdb.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:4")
		}, "the cluster is up")
	}
	return c
}

// masterOf returns which master has a key.
func (c *cluster) masterOf(t *testing.T, key string) int {
	t.Helper()
	slot, err := c.clients[0].ClusterKeySlot(t.Context(), key).Result()
	require.NoError(t, err)
	switch {
	case slot <= 5461:
		return 0
	case slot <= 10922:
		return 1
	default:
		return 2
	}
}

// follow makes the fourth server the replica of a master.
func (c *cluster) follow(t *testing.T, master int) {
	t.Helper()
	id, err := c.clients[master].Do(t.Context(), "cluster", "myid").Text()
	require.NoError(t, err)
	eventually(t, func() bool { return c.clients[3].Do(t.Context(), "cluster", "replicate", id).Err() == nil }, "it knows its master")
	eventually(t, func() bool {
		return strings.Contains(c.clients[3].Info(t.Context(), "replication").Val(), "master_link_status:up")
	}, "it has everything")
}

// The client of a cluster looks once a minute who its masters are; a node must not wait for that when one is gone.
func TestNodesFindTheMasterThatTakesOver(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	address := "redis://127.0.0.1:" + c.servers[0].port + ",127.0.0.1:" + c.servers[1].port + ",127.0.0.1:" + c.servers[2].port
	source := newMemorySource(randomEpoch())
	quick := func(c *Config) { c.RedisTimeout, c.ProbeTimeout = 500*time.Millisecond, time.Second }
	a := startNode(t, "a", client(t, address), source, quick)
	b := startNode(t, "b", client(t, address), source, quick)
	master := c.masterOf(t, b.currentEra().nodeChannel("b"))
	c.follow(t, master)
	there := b.follow(streamOf(alice))
	sent := int64(0)
	send := func() {
		for range 20 {
			a.Announce(source.commit(alice, bob))
			sent++
		}
		there.waitFor(sent)
	}
	send()
	c.servers[master].kill()
	send()
	eventually(t, func() bool {
		return strings.Contains(c.clients[3].Info(t.Context(), "replication").Val(), "role:master")
	}, "the replica takes over")
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.Ready() == nil }, "the node is ready again")
	}
	send()
	require.Len(t, there.events(), int(sent))
}
