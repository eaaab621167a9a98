package realtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// watched is a master, its replica, and the sentinel that lets the one take over from the other.
type watched struct {
	master, replica *redisServer
	old             redis.UniversalClient // to the master by itself
	sentinel        *redis.SentinelClient
	address         string // as it is configured
}

func startWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{master: startRedis(t, "--repl-diskless-sync-delay", "0")} // which would wait 5 s for more replicas
	w.old = client(t, w.master.address())
	w.replica = startRedis(t, "--replicaof", "127.0.0.1", w.master.port)
	replica := client(t, w.replica.address())
	eventually(t, func() bool {
		return strings.Contains(replica.Info(t.Context(), "replication").Val(), "master_link_status:up")
	}, "it has everything")

	port, dir := freePort(t), t.TempDir()
	settings := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", port, dir, w.master.port)
	file := filepath.Join(dir, "sentinel.conf") // which the sentinel writes anew
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o600))
	process := exec.Command(redisBinary(), file, "--sentinel")
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	w.sentinel = redis.NewSentinelClient(&redis.Options{Addr: "127.0.0.1:" + port})
	t.Cleanup(func() { require.NoError(t, w.sentinel.Close()) })
	eventually(t, func() bool {
		replicas, err := w.sentinel.Replicas(t.Context(), "main").Result()
		return err == nil && len(replicas) == 1
	}, "the sentinel knows the replica")
	w.address = "redis+sentinel://127.0.0.1:" + port + "/main"
	return w
}

// failOver strikes the master of two nodes. They lose nothing, and go on with the replica as if nothing had happened; back, if
// it is not nil, brings the old master back, which changes nothing.
func failOver(t *testing.T, strike, back func(*redisServer)) {
	t.Helper()
	w := startWatched(t)
	source := newMemorySource(randomEpoch())
	quick := func(c *Config) { c.RedisTimeout, c.ProbeTimeout = 250*time.Millisecond, 500*time.Millisecond }
	a := startNode(t, "a", client(t, w.address), source, quick)
	b := startNode(t, "b", client(t, w.address), source, quick)
	here, there := a.follow(streamOf(alice)), b.follow(streamOf(alice))
	sent := int64(0)
	send := func() {
		for range 20 {
			a.Announce(source.commit(alice))
			sent++
		}
		here.waitFor(sent)
		there.waitFor(sent)
	}
	// well: both are ready, and the one is told of what the other commits: again and again, nothing has to be looked for.
	well := func() {
		for _, n := range []*node{a, b} {
			eventually(t, func() bool { return n.Ready() == nil }, "node "+n.cfg.Node+" is ready again")
		}
		end := time.Now().Add(patience)
		for told := 0; told < 5; told++ {
			before := value(b.metrics.headsBehind)
			if send(); value(b.metrics.headsBehind) != before {
				require.True(t, time.Now().Before(end), "events are announced again")
				told = -1
			}
		}
	}
	well()
	strike(w.master)
	send()
	eventually(t, func() bool {
		master, err := w.sentinel.GetMasterAddrByName(t.Context(), "main").Result()
		return err == nil && master[1] == w.replica.port
	}, "the replica takes over")
	well()
	if back != nil {
		back(w.master)
		well() // while both are masters
		eventually(t, func() bool {
			return strings.Contains(w.old.Info(t.Context(), "replication").Val(), "role:slave")
		}, "the old master follows the new one")
		well()
	}
	require.Len(t, here.events(), int(sent))
	require.Len(t, there.events(), int(sent))
}

func TestNodesGoOnWithTheReplicaWhenTheMasterHangs(t *testing.T) {
	t.Parallel()
	failOver(t, func(s *redisServer) { s.signal(syscall.SIGSTOP) }, func(s *redisServer) { s.signal(syscall.SIGCONT) })
}

func TestNodesGoOnWithTheReplicaWhenTheMasterIsGone(t *testing.T) {
	t.Parallel()
	failOver(t, (*redisServer).kill, nil)
}
