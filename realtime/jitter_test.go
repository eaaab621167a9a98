package realtime

import (
	"testing"
	"time"

	"longwire/chat"

	"github.com/stretchr/testify/require"
)

// What nodes or clients would do at once is spread from a half to one and a half of a wait.
func TestJitterIsBetweenAHalfAndOneAndAHalf(t *testing.T) {
	t.Parallel()
	for drawn, want := range map[float64]time.Duration{0: 5 * time.Second, 0.5: 10 * time.Second, 0.999: 14_990 * time.Millisecond} {
		cfg, err := Config{Node: "a", Random: func() float64 { return drawn }}.withDefaults()
		require.NoError(t, err)
		require.Equal(t, want, (&Hub{cfg: cfg}).jitter(10*time.Second), drawn)
	}
	cfg, err := Config{Node: "a"}.withDefaults()
	require.NoError(t, err)
	drawn := map[time.Duration]bool{}
	for range 50 {
		wait := (&Hub{cfg: cfg}).jitter(10 * time.Second)
		require.GreaterOrEqual(t, wait, 5*time.Second)
		require.Less(t, wait, 15*time.Second)
		drawn[wait] = true
	}
	require.Greater(t, len(drawn), 1, "who hands in no random numbers gets some all the same")
}

func TestReadersWhoAreRefusedComeBackApart(t *testing.T) {
	t.Parallel()
	full := startNode(t, "full", embeddedRedis(t), newMemorySource(randomEpoch()), func(c *Config) { c.MaxStreams = 1 })
	full.attach(streamOf(alice))
	crowded := startNode(t, "crowded", embeddedRedis(t), newMemorySource(randomEpoch()), func(c *Config) { c.MaxStreamsPerUser = 1 })
	crowded.attach(streamOf(alice))
	closed := startNode(t, "closed", embeddedRedis(t), newMemorySource(randomEpoch()))
	closed.stop()
	for _, test := range []struct {
		node *node
		code chat.Code
		half time.Duration
	}{
		{full, chat.CodeOverloaded, 2500 * time.Millisecond},
		{crowded, chat.CodeTooManyStreams, 5 * time.Second},
		{closed, chat.CodeUnavailable, time.Second},
	} {
		told := map[time.Duration]bool{}
		for range 20 {
			_, err := test.node.Attach(t.Context(), streamOf(alice))
			var refusal *chat.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, test.code, refusal.Code)
			require.GreaterOrEqual(t, refusal.RetryAfter, test.half, test.code)
			require.Less(t, refusal.RetryAfter, 3*test.half, test.code)
			told[refusal.RetryAfter] = true
		}
		require.Greater(t, len(told), 1, test.code)
	}
}
