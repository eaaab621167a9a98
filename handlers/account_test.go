package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// exported is what came of an export: as much as there was, and how it ended.
type exported struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// exportFrom asks a real server, whose connections can be cut.
func exportFrom(t *testing.T, h http.Handler, method string) exported {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/v1/me/export", http.NoBody)
	require.NoError(t, err)
	signedIn(request)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return exported{status: response.StatusCode, header: response.Header, body: body, err: err}
}

func TestExportIsOneDocument(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	got := exportFrom(t, h, http.MethodGet)
	require.NoError(t, got.err)
	assert.Equal(t, http.StatusOK, got.status)
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.Contains(t, got.header.Get("Content-Disposition"), "attachment")
	var lists map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(got.body, &lists))
	assert.Len(t, lists, 10)
}

func TestExportThatFailsIsCutOff(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.service.exportFails, b.service.exportLonger = chat.Unavailable(errors.New("the database is gone")), 1000
	got := exportFrom(t, h, http.MethodGet)
	require.Error(t, got.err, "half of the data must not be taken for all of it")
	assert.Contains(t, b.log.String(), "the database is gone")
}

func TestExportThatCannotBeginIsAProblem(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodGet, "/v1/me/export", "", signedIn)
	require.Equal(t, http.StatusOK, w.Code)
	b.service.exportFails = chat.Unavailable(nil)
	w = do(t, h, http.MethodGet, "/v1/me/export", "", signedIn)
	assert.Equal(t, chat.CodeUnavailable, problemIn(t, w).Code, "as long as nothing has left")
	assert.Empty(t, w.Header().Get("Content-Disposition"))
	b.service.err = chat.Unavailable(nil)
	w = do(t, h, http.MethodGet, "/v1/me/export", "", signedIn)
	assert.Equal(t, chat.CodeUnavailable, problemIn(t, w).Code)
}

func TestHeadOfAnExportReadsNothing(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.service.exportFails = errors.New("somebody reads it")
	got := exportFrom(t, h, http.MethodHead)
	require.NoError(t, got.err)
	assert.Equal(t, http.StatusOK, got.status)
	assert.Empty(t, got.body)
}

func TestPasswordsAndExportsHaveBudgetsOfTheirOwn(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.RateLimit = true })
	b.limiter.decision.Allowed = true
	for _, call := range []struct{ method, target, body string }{
		{http.MethodPut, "/v1/me/password", `{"current_password":"a","new_password":"long enough"}`},
		{http.MethodDelete, "/v1/me", `{"password":"a"}`},
		{http.MethodGet, "/v1/me/export", ""},
		{http.MethodDelete, "/v1/sessions", ""},
	} {
		w := do(t, h, call.method, call.target, call.body, signedIn)
		require.Less(t, w.Code, 300, w.Body.String())
		assert.NotEmpty(t, w.Header().Get("RateLimit-Limit"), call.target)
	}
	user := ada.String()
	assert.Equal(t, []string{"password:" + user, "password:" + user, "export:" + user, "write:" + user}, b.limiter.keys)
}

func TestDeletedAccountLosesItsCookie(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	w := do(t, h, http.MethodDelete, "/v1/me", `{"password":"a"}`, signedIn)
	require.Equal(t, http.StatusNoContent, w.Code)
	response := w.Result()
	defer response.Body.Close()
	require.Len(t, response.Cookies(), 1)
	assert.Negative(t, response.Cookies()[0].MaxAge)
}

// What is told of a session is the client's address, not the proxy's.
func TestEachRequestTellsWhereItCameFrom(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	do(t, h, http.MethodGet, "/v1/me", "", signedIn, with("User-Agent", "Phone/1"), with("X-Forwarded-For", "203.0.113.9"),
		func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1234" })
	do(t, h, http.MethodPost, "/v1/auth/login", `{"username":"ada","password":"x"}`, func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" })
	do(t, h, http.MethodGet, "/v1/limits", "")
	do(t, h, http.MethodGet, "/v1/me", "", with("Authorization", "Bearer nobodys"))
	assert.Equal(t, []sighting{
		{someone, chat.ClientOrigin{Address: "203.0.113.9", UserAgent: "Phone/1"}}, {someone, chat.ClientOrigin{Address: "198.51.100.1"}},
	}, b.service.seen, "and nobody is seen who is not signed in")
}
