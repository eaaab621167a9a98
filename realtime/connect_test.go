package realtime

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestConnectRedisReadsAddresses(t *testing.T) {
	t.Parallel()
	single := func(address string) *redis.Options {
		one, ok := client(t, address).(*redis.Client)
		require.True(t, ok, address)
		return one.Options()
	}
	o := single("redis://me:se%40cret@cache.example:7000/3")
	require.Equal(t, "cache.example:7000", o.Addr)
	require.Equal(t, []any{"me", "se@cret", 3}, []any{o.Username, o.Password, o.DB})
	require.Nil(t, o.TLSConfig)
	require.LessOrEqual(t, o.DialTimeout, 2*time.Second)
	require.LessOrEqual(t, o.ReadTimeout, 2*time.Second)
	require.True(t, o.ContextTimeoutEnabled)
	require.Equal(t, "localhost:6379", single("redis://localhost").Addr)
	require.Equal(t, "[::1]:6379", single("redis://[::1]").Addr)
	require.NotNil(t, single("rediss://localhost").TLSConfig)

	for address, hosts := range map[string][]string{
		"redis://a:1,b:2":              {"a:1", "b:2"},
		"rediss://u:p@a,b":             {"a:6379", "b:6379"},
		"redis://a:1/?cluster=true":    {"a:1"},
		"redis://u:p@a:1?cluster=true": {"a:1"},
		"redis://[::1]:1,[::2]:2":      {"[::1]:1", "[::2]:2"},
	} {
		cluster, ok := client(t, address).(*redis.ClusterClient)
		require.True(t, ok, address)
		require.Equal(t, hosts, cluster.Options().Addrs, address)
	}
	sentinel := single("redis+sentinel://u:p@a:1,b/main/2?sentinel_password=x")
	require.Equal(t, "FailoverClient", sentinel.Addr)
	require.Equal(t, []any{"u", "p", 2}, []any{sentinel.Username, sentinel.Password, sentinel.DB})
}

func TestConnectRedisTellsWhatIsWrongWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "localhost:6379", "http://x", "redis://", "redis://:secret@", "redis://u:secret@a:b", "redis://u:secret@a/x", "redis://u:secret@a/1/2",
		"redis://u:secret@a,b/1", "redis://u:secret@a,,b", "redis+sentinel://u:secret@a", "redis://u:secret@a?dial=1", "redis://u:sec%zzret@a",
	} {
		_, err := ConnectRedis(address)
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "sec", address)
	}
}

func TestEmbeddedRedisForgetsWhatExpired(t *testing.T) {
	t.Parallel()
	rdb := embeddedRedis(t)
	require.NoError(t, rdb.Set(t.Context(), "key", "1", time.Second).Err())
	eventually(t, func() bool { return rdb.Exists(t.Context(), "key").Val() == 0 }, "the key expires")
}
