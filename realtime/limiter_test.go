package realtime

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestLimiterAllowsTheBurstThenTheRate(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		limiter := NewLimiter(rdb)
		limit := Limit{Rate: 10, Period: time.Hour, Burst: 3}
		key := randomEpoch()
		for i := range 3 {
			d, err := limiter.Allow(t.Context(), key, limit)
			require.NoError(t, err)
			require.True(t, d.Allowed)
			require.Equal(t, 3, d.Limit)
			require.Equal(t, 2-i, d.Remaining)
			require.Zero(t, d.RetryAfter)
			require.InDelta(t, float64(i+1)*360, d.ResetAfter.Seconds(), 1)
		}
		d, err := limiter.Allow(t.Context(), key, limit)
		require.NoError(t, err)
		require.False(t, d.Allowed)
		require.Zero(t, d.Remaining)
		require.InDelta(t, 360, d.RetryAfter.Seconds(), 1)
		require.InDelta(t, 3*360, d.ResetAfter.Seconds(), 1)

		other, err := limiter.Allow(t.Context(), key+"x", limit)
		require.NoError(t, err)
		require.True(t, other.Allowed, "another key has its own")
		require.Empty(t, limiter.local, "Redis decided")
	})
}

func TestLimitersOfAllNodesCountTogether(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		a, b := NewLimiter(rdb), NewLimiter(rdb)
		key, allowed := randomEpoch(), 0
		for range 10 {
			for _, limiter := range []*Limiter{a, b} {
				d, err := limiter.Allow(t.Context(), key, Limit{Rate: 7, Period: time.Hour})
				require.NoError(t, err)
				if d.Allowed {
					allowed++
				}
			}
		}
		require.Equal(t, 7, allowed)
	})
}

func TestLimiterGoesOnWithoutRedis(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*redisServer){
		"gone":    (*redisServer).kill,
		"hanging": func(s *redisServer) { s.signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			limiter := NewLimiter(client(t, server.address()))
			_, err := limiter.Allow(t.Context(), "key", Limit{Rate: 5, Period: time.Hour})
			require.NoError(t, err)
			require.Empty(t, limiter.local)
			breakIt(server)
			began, allowed := time.Now(), 0
			for range 50 {
				d, err := limiter.Allow(t.Context(), "key", Limit{Rate: 5, Period: time.Hour})
				require.NoError(t, err)
				if d.Allowed {
					allowed++
				}
			}
			require.Equal(t, 5, allowed)
			require.Less(t, time.Since(began), 2*limiterTimeout+time.Second/2, "one request waits, the others do not")
		})
	}
}

func TestLimiterRefillsWithTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := NewLimiter(nil)
		limiter.avoided.Store(time.Now().Add(time.Hour).UnixNano())
		limit := Limit{Rate: 2, Period: time.Second, Burst: 4}
		allow := func() Decision {
			d, err := limiter.Allow(t.Context(), "key", limit)
			require.NoError(t, err)
			return d
		}
		for range 4 {
			require.True(t, allow().Allowed)
		}
		d := allow()
		require.False(t, d.Allowed)
		time.Sleep(d.RetryAfter)
		require.True(t, allow().Allowed)
		require.False(t, allow().Allowed)
		time.Sleep(allow().ResetAfter)
		require.Equal(t, 3, allow().Remaining)
	})
}

func TestLimiterKeepsFewKeysWithoutRedis(t *testing.T) {
	t.Parallel()
	limiter := NewLimiter(nil)
	limiter.avoided.Store(time.Now().Add(time.Hour).UnixNano())
	for i := range maxLocalLimits * 2 {
		d, err := limiter.Allow(t.Context(), strconv.Itoa(i), Limit{Rate: 1, Period: time.Hour})
		require.NoError(t, err)
		require.True(t, d.Allowed)
	}
	require.LessOrEqual(t, len(limiter.local), maxLocalLimits)
}

func TestLimiterRefusesWhatIsNoLimit(t *testing.T) {
	t.Parallel()
	limiter := NewLimiter(nil)
	for _, limit := range []Limit{{}, {Rate: 1}, {Period: time.Second}, {Rate: 1, Period: time.Second, Burst: -1}} {
		_, err := limiter.Allow(t.Context(), "key", limit)
		require.Error(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := limiter.Allow(ctx, "key", Limit{Rate: 1, Period: time.Second})
	require.ErrorIs(t, err, context.Canceled)
}
