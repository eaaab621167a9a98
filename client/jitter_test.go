package client_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/client"
)

// waits returns how long a client waits between the tries of a call that never succeeds.
func waits(t *testing.T, tries int, answer transport) []time.Duration {
	t.Helper()
	var waited []time.Duration
	var before time.Time
	c := newClient(t, client.Options{Tries: tries}, func(request *http.Request) (*http.Response, error) {
		if !before.IsZero() {
			waited = append(waited, time.Since(before))
		}
		before = time.Now()
		return answer(request)
	})
	_, err := c.Sync(t.Context())
	require.Error(t, err)
	require.Len(t, waited, tries-1)
	return waited
}

// Clients that failed in one moment do not come back in one: each wait is between a half and the whole of one that doubles up to 5 s.
func TestClientsThatFailedTogetherComeBackApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tries = 8
		drawn := make([]map[time.Duration]bool, tries-1)
		for range 50 {
			for i, wait := range waits(t, tries, func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }) {
				most := min(100*time.Millisecond<<i, 5*time.Second)
				require.GreaterOrEqual(t, wait, most/2)
				require.LessOrEqual(t, wait, most)
				if drawn[i] == nil {
					drawn[i] = map[time.Duration]bool{}
				}
				drawn[i][wait] = true
			}
		}
		for i := range drawn {
			require.Greater(t, len(drawn[i]), 1, "wait %d", i)
		}
	})
}

func TestClientsThatWereToldToWaitComeBackApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		drawn := map[time.Duration]bool{}
		for range 50 {
			wait := waits(t, 2, func(*http.Request) (*http.Response, error) {
				return response(http.StatusServiceUnavailable, map[string]string{"Retry-After": "3"}, nil), nil
			})[0]
			require.GreaterOrEqual(t, wait, 3*time.Second, "never sooner than it was told")
			require.LessOrEqual(t, wait, 3*time.Second+100*time.Millisecond)
			drawn[wait] = true
		}
		require.Greater(t, len(drawn), 1)
	})
}
