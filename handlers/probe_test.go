package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// timedWriter is an answer that knows when each of its flushes came.
type timedWriter struct {
	*httptest.ResponseRecorder

	began time.Time

	mu sync.Mutex
	at []time.Duration
}

func (w *timedWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = append(w.at, time.Since(w.began))
	w.ResponseRecorder.Flush()
}

func probe(t *testing.T, h http.Handler, query string) *timedWriter {
	t.Helper()
	w := &timedWriter{ResponseRecorder: httptest.NewRecorder(), began: time.Now()}
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/diag/stream"+query, http.NoBody))
	return w
}

func TestProbeTicksAtItsTimesLikeAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := setup(t)
		schema := strictSpec(t).Components.Schemas["TickData"].Value
		for query, want := range map[string]struct{ ticks, interval int }{
			"": {4, 250}, "?ticks=1": {1, 250}, "?ticks=20&interval_ms=1000": {20, 1000}, "?interval_ms=50": {4, 50},
		} {
			w := probe(t, h, query)
			require.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, "text/event-stream; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Equal(t, "no-store, no-transform, private", w.Header().Get("Cache-Control"))
			assert.Equal(t, "no", w.Header().Get("X-Accel-Buffering"))
			frames := parseFrames(w.Body.String())
			require.Len(t, frames, want.ticks, query)
			require.Len(t, w.at, want.ticks, "each is flushed by itself")
			for i, f := range frames {
				interval := time.Duration(want.interval) * time.Millisecond
				assert.Equal(t, time.Duration(i)*interval, w.at[i], query)
				assert.Equal(t, "tick", f.name)
				assert.False(t, f.hasID)
				value, err := valueOfJSON([]byte(f.data))
				require.NoError(t, err)
				require.NoError(t, schema.VisitJSON(value), f.data)
				sent := w.began.Add(w.at[i]).UTC().Format("2006-01-02T15:04:05.000Z")
				assert.JSONEq(t, fmt.Sprintf(`{"n":%d,"of":%d,"sent_at":"%s","interval_ms":%d}`, i+1, want.ticks, sent, want.interval), f.data)
			}
		}
	})
}

func TestProbeIsRefusedBeyondItsBounds(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	for _, query := range []string{
		"ticks=0", "ticks=21", "ticks=x", "interval_ms=49", "interval_ms=1001", "padding=-1", "padding=65537",
	} {
		w := do(t, h, http.MethodGet, "/v1/diag/stream?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, query)
		require.Equal(t, chat.CodeValidation, problemIn(t, w).Code, query)
	}
}

func TestProbesAreBoundedAndEndWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := setup(t)
		api, isAPI := h.(*API)
		require.True(t, isAPI)
		began := time.Now()
		var running sync.WaitGroup
		for range maxProbes {
			running.Go(func() { assert.Len(t, probe(t, h, "?ticks=20&interval_ms=1000").at, 1) })
		}
		synctest.Wait()
		refused := do(t, h, http.MethodGet, "/v1/diag/stream", "")
		require.Equal(t, http.StatusServiceUnavailable, refused.Code)
		require.Equal(t, chat.CodeOverloaded, problemIn(t, refused).Code)
		require.Equal(t, "5", refused.Header().Get("Retry-After"))
		api.Drain()
		api.Drain()
		running.Wait()
		require.Zero(t, time.Since(began), "nobody waits for the next tick")
		require.Equal(t, http.StatusOK, do(t, h, http.MethodHead, "/v1/diag/stream", "").Code)
	})
}

func TestProbePadsBehindItsFirstTickOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := setup(t)
		plain, padded := probe(t, h, ""), probe(t, h, "?padding=4096")
		require.Equal(t, plain.Body.Len()+4096, padded.Body.Len())
		require.Len(t, parseFrames(padded.Body.String()), 4)
	})
}
