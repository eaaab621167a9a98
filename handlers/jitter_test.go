package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/realtime"
)

// draws returns what draws the same number always.
func draws(number float64) func() float64 { return func() float64 { return number } }

// What everybody does at once is spread: each wait reaches from the one end of its range to the other.
func TestJitterCoversItsRange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		random                        float64
		life, beat                    time.Duration // of streams that live for 100 s at most and beat every 10 s at least
		seconds                       int           // of its life, as hello says
		retry, bye, shutdown, refused string
	}{
		{random: 0, life: 80 * time.Second, beat: 8 * time.Second, seconds: 80, retry: "1000", bye: "100", shutdown: "1000", refused: "30000"},
		{random: 0.999, life: 99_980 * time.Millisecond, beat: 9_998 * time.Millisecond, seconds: 100, retry: "2998", bye: "999", shutdown: "4996", refused: "44985"},
	} {
		t.Run(strconv.FormatFloat(test.random, 'g', -1, 64), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				drawn := func(batches ...realtime.Batch) *live {
					l := &live{reader: newReaderDouble(41, batches...), sink: &sinkDouble{began: time.Now()}, ended: make(chan string, 1)}
					l.stream = &stream{
						reader: l.reader, out: l.sink, heartbeat: 10 * time.Second, random: draws(test.random),
						onFirst: func(realtime.Batch) {},
					}
					go func() {
						l.ended <- l.stream.run(t.Context(), identityUntil(time.Time{}), start{at: realtime.AtSaved}, 100*time.Second)
					}()
					return l
				}
				l := drawn()
				require.Equal(t, "lifetime", <-l.ended)
				writes, times := l.sink.writes(), l.sink.times()
				assert.True(t, strings.HasPrefix(writes[0], "retry: "+test.retry+"\nevent: hello\n"), writes[0])
				assert.Contains(t, writes[0], `"lifetime_seconds":`+strconv.Itoa(test.seconds)+"}")
				assert.Equal(t, test.beat, times[1])
				assert.Equal(t, test.life, last(times))
				assert.Contains(t, last(writes), `data: {"reason":"lifetime","retry_ms":`+test.bye+"}")
				for _, reason := range []realtime.EndReason{realtime.EndShutdown, realtime.EndRevoked} {
					l = drawn(realtime.Batch{End: reason})
					require.Equal(t, string(reason), <-l.ended)
					assert.Contains(t, last(l.sink.writes()), `"retry_ms":`+test.shutdown+"}", reason)
				}

				s := &parkedStream{stream: stream{heartbeat: 10 * time.Second, random: draws(test.random)}}
				s.rearm()
				assert.Equal(t, test.beat, time.Until(time.Unix(0, s.due.Load())), "of a parked stream")
			})
			h, _ := setup(t, func(b *bundle) { b.config.Random = draws(test.random) })
			refused := do(t, h, http.MethodGet, "/v1/inbox/stream?errors=inband", "")
			require.Equal(t, http.StatusOK, refused.Code)
			assert.True(t, strings.HasPrefix(refused.Body.String(), "retry: "+test.refused+"\nevent: error\n"), refused.Body.String())
		})
	}
}

// Who hands in no random numbers gets some all the same.
func TestStreamsThatBeganTogetherComeBackApart(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.Random = nil })
	hellos, byes := map[string]int{}, map[string]int{}
	for range 20 {
		b.inboxes.reader = newReaderDouble(41, endBatch())
		text := do(t, h, http.MethodGet, "/v1/inbox/stream", "", signedIn).Body.String()
		hello, rest, found := strings.Cut(text, "\nevent: hello\n")
		require.True(t, found, text)
		hellos[hello]++
		_, bye, found := strings.Cut(rest, "retry: ")
		require.True(t, found, text)
		byes[bye]++
	}
	require.Greater(t, len(hellos), 1, hellos)
	require.Greater(t, len(byes), 1, byes)
}
