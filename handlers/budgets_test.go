package handlers

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/openapi/openapitest"
	"longwire/realtime"
)

var rateLimitHeaders = []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}

// TestRateLimitHeadersStandWhereTheSpecificationPromisesThem asks every operation: those that list rate_limited
// say where their budget stands when they succeed and when they refuse, the others are not counted at all.
func TestRateLimitHeadersStandWhereTheSpecificationPromisesThem(t *testing.T) {
	t.Parallel()
	for _, op := range openapitest.Operations(strictSpec(t)) {
		codes, err := openapitest.Codes(op.Operation)
		require.NoError(t, err)
		limited := slices.Contains(codes, string(chat.CodeRateLimited))
		ask := func(t *testing.T, allowed bool) (*httptest.ResponseRecorder, *bundle) {
			t.Helper()
			h, b := setup(t, func(b *bundle) {
				b.config.RateLimit = true
				b.limiter.decision = realtime.Decision{Allowed: allowed, Remaining: 7, ResetAfter: time.Second, RetryAfter: time.Second}
			})
			b.inboxes.reader = newReaderDouble(41, eventBatch(t, 42), endBatch())
			w := httptest.NewRecorder()
			h.ServeHTTP(w, exampleRequest(t, op.Path, op.Method, op.Operation))
			return w, b
		}
		t.Run(op.OperationID, func(t *testing.T) {
			t.Parallel()
			w, b := ask(t, true)
			require.Less(t, w.Code, 300, w.Body.String())
			assert.Equal(t, limited, len(b.limiter.keys) > 0, "counted")
			for _, header := range rateLimitHeaders {
				assert.Equal(t, limited, w.Header().Get(header) != "", header)
			}
			refused, _ := ask(t, false)
			if !limited {
				assert.Equal(t, w.Code, refused.Code, "what is not counted is not refused")
				return
			}
			require.Equal(t, http.StatusTooManyRequests, refused.Code)
			assert.Equal(t, chat.CodeRateLimited, problemIn(t, refused).Code)
			assert.Equal(t, "1", refused.Header().Get("Retry-After"))
			for _, header := range rateLimitHeaders {
				assert.NotEmpty(t, refused.Header().Get(header), header)
			}
		})
	}
}

// TestPollsAndStreamsAreOutsideTheSendingBudget: who reads much can still send, and who sends much can still read.
func TestPollsAndStreamsAreOutsideTheSendingBudget(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.RateLimit = true })
	w := do(t, h, http.MethodPost, sendPath, `{"body":"a"}`, signedIn)
	require.Equal(t, http.StatusTooManyRequests, w.Code, "the budget is spent")
	spent := slices.Clone(b.limiter.keys)
	for _, path := range []string{"/v1/inbox/poll?wait=0", "/v1/inbox/stream", "/v1/sync", "/v1/conversations"} {
		b.inboxes.reader = newReaderDouble(41, endBatch())
		require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, path, "", signedIn).Code, path)
	}
	require.Equal(t, spent, b.limiter.keys)
	for _, op := range openapitest.Operations(strictSpec(t)) {
		budget := budgetOf(op.Method, op.OperationID, accessBearer)
		if budget == sendBudget {
			assert.Contains(t, op.Path, "messages", "%s draws on the sending budget", op.OperationID)
		}
	}
}

// TestOnlyWhatAnOperationTakesIsLookedAt: an operation without a body or without a query is not refused for one.
func TestOnlyWhatAnOperationTakesIsLookedAt(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	long := strings.Repeat("x", int(2*b.config.MaxBodyBytes))
	require.Equal(t, http.StatusNoContent, do(t, h, http.MethodDelete, "/v1/friends/023pbqc03ztkt", long, signedIn).Code)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, "/v1/me?x=%zz", "", signedIn).Code)
}
