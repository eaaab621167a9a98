package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	appOrigin = "https://app.example.com"
	headers   = "Authorization,Content-Type,Idempotency-Key,Last-Event-ID"
	exposed   = "Retry-After,RateLimit-Limit,RateLimit-Remaining,RateLimit-Reset,X-Request-Id,Idempotency-Replayed"
)

func preflight(t *testing.T, h http.Handler, path, origin string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, http.MethodOptions, path, "", with("Origin", origin),
		with("Access-Control-Request-Method", "POST"), with("Access-Control-Request-Headers", "authorization,content-type,idempotency-key"))
}

// corsHeaders returns what an answer says to pages of other origins.
func corsHeaders(w *httptest.ResponseRecorder) map[string]string {
	found := map[string]string{}
	for name := range w.Header() {
		if short, is := strings.CutPrefix(name, "Access-Control-"); is {
			found[short] = w.Header().Get(name)
		}
	}
	return found
}

func TestNobodyElsesPageMayUseTheAPIUnlessToldSo(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	w := preflight(t, h, sendPath, appOrigin)
	assert.Empty(t, corsHeaders(w))
	w = do(t, h, http.MethodGet, "/v1/me", "", signedIn, with("Origin", appOrigin))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, corsHeaders(w))
}

func TestPagesOfTheOriginsThatAreSetMayUseTheAPI(t *testing.T) {
	t.Parallel()
	h, _ := setup(t, func(b *bundle) { b.config.CORSOrigins = []string{"http://localhost:3000", appOrigin} })
	for origin, allowed := range map[string]bool{
		appOrigin: true, "http://localhost:3000": true,
		"https://app.example.com.evil.example": false, "https://evil.example": false, "http://app.example.com": false,
		"https://app.example.com:8443": false, "https://appXexample.com": false, "null": false, "https://APP.example.com": false,
	} {
		w := preflight(t, h, sendPath, origin)
		require.Equal(t, http.StatusNoContent, w.Code, origin)
		assert.Contains(t, w.Header().Values("Vary"), "Origin", origin)
		answer := do(t, h, http.MethodGet, "/v1/me", "", signedIn, with("Origin", origin))
		require.Equal(t, http.StatusOK, answer.Code, origin)
		assert.Contains(t, answer.Header().Values("Vary"), "Origin", origin)
		if !allowed {
			assert.Empty(t, corsHeaders(w), origin)
			assert.Empty(t, corsHeaders(answer), origin)
			continue
		}
		assert.Equal(t, map[string]string{
			"Allow-Origin": origin, "Allow-Headers": headers, "Allow-Methods": "GET,HEAD,POST,PUT,PATCH,DELETE", "Max-Age": "7200",
		}, corsHeaders(w))
		assert.Equal(t, map[string]string{"Allow-Origin": origin, "Expose-Headers": exposed}, corsHeaders(answer))
	}
	refused := do(t, h, http.MethodGet, "/v1/me", "", with("Origin", appOrigin))
	require.Equal(t, http.StatusUnauthorized, refused.Code)
	assert.Equal(t, appOrigin, refused.Header().Get("Access-Control-Allow-Origin"), "a page must be able to read its errors")
	assert.Contains(t, do(t, h, http.MethodGet, "/v1/me", "", signedIn).Header().Values("Vary"), "Origin", "a cache must know even where none was sent")
}

func TestEverybodysPagesMayUseTheAPIWithoutCredentials(t *testing.T) {
	t.Parallel()
	h, _ := setup(t, func(b *bundle) { b.config.CORSOrigins = []string{"*"} })
	w := do(t, h, http.MethodGet, "/v1/me", "", signedIn, with("Origin", "https://anybody.example"))
	assert.Equal(t, map[string]string{"Allow-Origin": "*", "Expose-Headers": exposed}, corsHeaders(w))
}

func TestStreamsAreOpenToTheOriginsToo(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, park func(*bundle)) {
		h, b := setup(t, park, func(b *bundle) { b.config.CORSOrigins = []string{appOrigin} })
		b.inboxes.reader.batches <- endBatch()
		server := httptest.NewServer(h)
		defer server.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/inbox/stream?access_token="+inboxToken, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Origin", appOrigin)
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		assert.Equal(t, appOrigin, answer.Header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "Origin", answer.Header.Get("Vary"))
	})
}

// TestEveryAnswerIsGuardedAgainstPagesElsewhere: whatever is asked for, found or not.
func TestEveryAnswerIsGuardedAgainstPagesElsewhere(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	for _, path := range []string{"/v1/me", "/v1/nothing", "/nothing", "/healthz", "/openapi.json", "/v1/limits"} {
		w := do(t, h, http.MethodGet, path, "")
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			assert.Equal(t, value, w.Header().Get(name), "%s: %s", path, name)
		}
	}
}
