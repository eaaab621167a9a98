package realtime

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// unhurried makes a node look at the database and renew its registrations rarely, so that what arrives was announced to a
// node that was found.
func unhurried(c *Config) {
	c.HeadCheck, c.Registration = time.Hour, time.Hour
	c.RedisTimeout, c.ProbeTimeout = 250*time.Millisecond, 500*time.Millisecond
}

// Redis is started again without what it had: nodes are known in it as soon as they are ready.
func TestNodesFindEachOtherInARedisThatStartedEmpty(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", client(t, server.address()), source, unhurried)
	b := startNode(t, "b", client(t, server.address()), source, unhurried)
	there := b.follow(streamOf(alice))
	a.Announce(source.commit(alice))
	there.waitFor(1)

	server.kill()
	eventually(t, func() bool { return a.Ready() != nil && b.Ready() != nil }, "both notice")
	server.start()
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.Ready() == nil }, "the node is ready again")
	}
	a.Announce(source.commit(alice))
	there.waitFor(2)
	requireFound(t, client(t, server.address()), a, b)
}

// Redis is emptied and no connection breaks: the probe that goes the way of every announcement finds that out.
func TestNodesFindEachOtherInARedisThatWasEmptied(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	source := newMemorySource(randomEpoch())
	a := startNode(t, "a", client(t, server.address()), source, unhurried)
	b := startNode(t, "b", client(t, server.address()), source, unhurried)
	there := b.follow(streamOf(alice))
	a.Announce(source.commit(alice))
	there.waitFor(1)

	rdb := client(t, server.address())
	require.NoError(t, rdb.FlushAll(t.Context()).Err())
	a.Announce(source.commit(alice))
	there.waitFor(2)
	requireFound(t, rdb, a, b)
	require.Positive(t, value(a.metrics.lost.WithLabelValues(lostRegistry)), "it is counted")
}

// requireFound waits until Redis has two nodes, and that alice is on the second.
func requireFound(t *testing.T, rdb redis.UniversalClient, a, b *node) {
	t.Helper()
	e := a.currentEra()
	eventually(t, func() bool { return len(rdb.HGetAll(t.Context(), e.presenceKey()).Val()) == 2 }, "both nodes are known")
	eventually(t, func() bool { return rdb.HExists(t.Context(), e.nodesKey(alice.String()), b.cfg.Node).Val() }, "alice is found on the second")
}

// A registration that is under way when all are lost may have reached what is gone.
func TestRegistrationFromBeforeAllWereLostIsWorthNothing(t *testing.T) {
	t.Parallel()
	h := still(t)
	b := h.sit(t, streamOf(alice)).inbox
	began := h.now()
	h.unregistered()
	b.noteRegistered(began, h.now(), began+time.Minute)
	require.False(t, b.isRegistered())
	require.False(t, b.mayTrust())
	again := h.now()
	b.noteRegistered(again, again, again+time.Minute)
	require.True(t, b.isRegistered())
	require.False(t, b.mayTrust(), "it must be compared with the database first")
}

// Nodes that were killed and had names of their own do not stay in a registration for as long as its user is connected.
func TestKilledNodesAreSweptOutOfRegistrations(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	a := startNode(t, "a", rdb, newMemorySource(randomEpoch()), patient)
	key := a.currentEra().nodesKey(alice.String())
	now := time.Now()
	dead := registration{expires: now.Add(-sweptAfter - time.Second).UnixMilli(), streams: 1, node: "dead"}
	late := registration{expires: now.Add(-time.Second).UnixMilli(), streams: 1, node: "late"}
	require.NoError(t, rdb.HSet(t.Context(), key, dead.node, dead.String(), late.node, late.String()).Err())
	a.follow(streamOf(alice))
	eventually(t, func() bool { return !rdb.HExists(t.Context(), key, "dead").Val() }, "it goes")
	require.True(t, rdb.HExists(t.Context(), key, "late").Val(), "its clock may be late")
}
