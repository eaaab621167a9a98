package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

type pollAnswer struct {
	Events []struct {
		Cursor string `json:"cursor"`
	} `json:"events"`
	Cursor  string `json:"cursor"`
	HasMore bool   `json:"has_more"`
	Reset   *struct {
		Reason string `json:"reason"`
		Cursor string `json:"cursor"`
	} `json:"reset"`
}

func pollIn(t *testing.T, w *httptest.ResponseRecorder) pollAnswer {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var answer pollAnswer
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	require.NotNil(t, answer.Events, "an empty list, not null")
	return answer
}

func TestPollAnswersAtOnceWhenThereIsSomething(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := setup(t)
		batch := eventBatch(t, 42, 43)
		batch.More = true
		b.inboxes.reader = newReaderDouble(41, batch)
		began := time.Now()
		got := pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll?limit=2&cursor="+cursorAt(41), "", signedIn))
		require.Zero(t, time.Since(began))
		require.Len(t, got.Events, 2)
		require.Equal(t, cursorAt(43), got.Events[1].Cursor)
		require.Equal(t, cursorAt(43), got.Cursor)
		require.True(t, got.HasMore)
		require.Nil(t, got.Reset)
		require.Equal(t, 2, b.inboxes.request.Limit)
		require.Equal(t, realtime.Poll, b.inboxes.request.Kind)
		require.Equal(t, []int64{41}, b.inboxes.saved)
	})
}

func TestPollWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query string
		wait  time.Duration
	}{
		"default": {"", 25 * time.Second}, "none": {"?wait=0", 0}, "asked": {"?wait=55", 55 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, b := setup(t)
				b.inboxes.reader = newReaderDouble(41)
				began := time.Now()
				got := pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll"+test.query, "", signedIn))
				require.Equal(t, test.wait, time.Since(began))
				require.Empty(t, got.Events)
				require.Equal(t, cursorAt(41), got.Cursor, "a good cursor all the same")
			})
		})
	}
}

func TestPollWakesForAnEventAndForTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := setup(t)
		b.inboxes.reader = newReaderDouble(41)
		batch := eventBatch(t, 42)
		go func() {
			time.Sleep(3 * time.Second)
			b.inboxes.reader.batches <- batch
			time.Sleep(3 * time.Second)
			b.inboxes.reader.batches <- endBatch()
		}()
		began := time.Now()
		require.Len(t, pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn)).Events, 1)
		require.Equal(t, 3*time.Second, time.Since(began))
		got := pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn))
		require.Empty(t, got.Events)
		require.Equal(t, cursorAt(42), got.Cursor)
		require.Equal(t, 6*time.Second, time.Since(began))
	})
}

func TestPollTellsAResetAndKeepsTheSavedPosition(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.inboxes.reader = newReaderDouble(7, realtime.Batch{Reset: &realtime.Reset{Reason: realtime.ResetUnknownFuture, Seq: 50}})
	got := pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll?cursor="+cursorAt(99), "", signedIn))
	require.Equal(t, "unknown_future", got.Reset.Reason)
	require.Equal(t, cursorAt(50), got.Reset.Cursor)
	require.Equal(t, cursorAt(50), got.Cursor)
	require.Empty(t, b.inboxes.saved, "a position from a lost future is not acknowledged")
}

func TestPollOfAnEndedSessionIsRefused(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.inboxes.reader = newReaderDouble(7, realtime.Batch{End: realtime.EndRevoked})
	w := do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, chat.CodeSessionEnded, problemIn(t, w).Code)
}

func TestPollOverABrokenDatabaseIsNoEmptyInbox(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.inboxes.reader.failing = chat.Unavailable(errors.New("gone"))
	w := do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, chat.CodeUnavailable, problemIn(t, w).Code)
}

func TestPollIsFreedWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := setup(t)
		b.inboxes.reader = newReaderDouble(41)
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, leave)
		began := time.Now()
		w := do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn, func(r *http.Request) { *r = *r.WithContext(ctx) })
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "should it have been the server that stopped")
		require.True(t, b.inboxes.reader.isClosed())
		require.Contains(t, b.log.String(), "status=499")
	})
}

func TestAckSavesThePosition(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodPost, "/v1/inbox/ack", `{"cursor":"`+cursorAt(50)+`"}`, signedIn)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, []int64{50}, b.inboxes.saved)
}
