package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// farRedis is a cluster's setting that puts a cable between the nodes and Redis.
func farRedis(t *testing.T) (*relay, settings) {
	t.Helper()
	its, err := url.Parse(os.Getenv("TEST_REDIS_URL"))
	require.NoError(t, err)
	cable, err := newRelay(its.Host)
	require.NoError(t, err)
	t.Cleanup(cable.close)
	its.Host = cable.address()
	return cable, settings{"REDIS_URL": its.String()}
}

// /readyz says whether what a node announces comes back to it.
func TestReadinessFollowsTheProbe(t *testing.T) {
	t.Parallel()
	cable, given := farRedis(t)
	d := fresh(t, cluster, given)
	p := d.person(t, 0, "alice")
	for range 2 {
		cable.turn(relayHoles) // connections stay open, and nothing comes back
		for n := range d.nodes {
			eventually(t, "a node that hears nothing says so", func() bool { return d.node(n).ready(t.Context()) == http.StatusServiceUnavailable })
		}
		_, err := p.Me(t.Context())
		require.NoError(t, err, "it answers all the same")
		cable.turn(relayPasses)
		for n := range d.nodes {
			eventually(t, "it is ready again, by itself", func() bool { return d.node(n).ready(t.Context()) == http.StatusOK })
		}
	}
}

// A heartbeat carries a position, and a stream that shows one has given every event up to it and has no other: whoever trusts it
// misses nothing. That is so as well when nothing is announced and nodes have to look.
func TestStreamThatShowsAHeartbeatIsCurrentToItsPosition(t *testing.T) {
	t.Parallel()
	for _, park := range []string{"on", "off"} {
		t.Run("parked "+park, func(t *testing.T) {
			t.Parallel()
			cable, given := farRedis(t)
			given["HEARTBEAT"], given["HEAD_CHECK"], given["PARK_STREAMS"] = "1s", "1s", park
			d := fresh(t, cluster, given)
			alice, bob := d.friends(t)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url(1, "/v1/inbox/stream?cursor=begin"), http.NoBody)
			require.NoError(t, err)
			request.Header.Set("Authorization", "Bearer "+bob.Tokens().Access)
			response, err := bob.http.Do(request)
			require.NoError(t, err)
			defer response.Body.Close()

			var mu sync.Mutex
			last, beats := int64(0), map[int64]int{} // the last event's place; how many heartbeats showed each
			var done sync.WaitGroup
			defer done.Wait()
			defer response.Body.Close()
			done.Go(func() {
				for frames := client.NewFrameReader(response.Body); ; {
					frame, err := frames.Next()
					if err != nil {
						return
					}
					mu.Lock()
					switch frame.Event {
					case "":
						if frame.HasID { // others have no place
							assert.Equal(t, last+1, place(frame.ID))
							last = place(frame.ID)
						}
					case "heartbeat":
						assert.Equal(t, last, place(frame.ID), "a heartbeat shows another position than that of the last event")
						beats[place(frame.ID)]++
					}
					mu.Unlock()
				}
			})
			for n := range 6 {
				if n == 3 {
					cable.turn(relayHoles)
					defer cable.turn(relayPasses)
				}
				alice.at(0).say(bob, fmt.Sprint("message ", n))
				all := bob.everything(500)
				end := place(all[len(all)-1].Cursor)
				eventually(t, "a heartbeat shows where the database stands", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return beats[end] > 0
				})
			}
			mu.Lock()
			defer mu.Unlock()
			t.Logf("heartbeats by position: %v", beats)
		})
	}
}
