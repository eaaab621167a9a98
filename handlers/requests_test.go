package handlers

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

const sendPath = "/v1/users/023pbqc03ztkt/messages"

func TestUnknownRoutesAreProblems(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)

	w := do(t, h, http.MethodGet, "/v1/nothing", "")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, chat.CodeNotFound, problemIn(t, w).Code)

	w = do(t, h, http.MethodPost, "/v1/me", "")
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, codeMethodNotAllowed, problemIn(t, w).Code)
	require.ElementsMatch(t, []string{"OPTIONS", "GET", "HEAD", "PATCH", "DELETE"}, strings.Split(w.Header().Get("Allow"), ", "))

	w = do(t, h, http.MethodGet, "/v1/auth/login", "")
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "OPTIONS, POST", w.Header().Get("Allow"), "HEAD goes where GET goes only")
}

// TestFaultyRequestsAreRefused goes through what the specification does not
// let pass: status, code and the fields that are named.
func TestFaultyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2000)
	for name, test := range map[string]struct {
		method, target, body string
		options              []option
		status               int
		code                 chat.Code
		fields               []string
	}{
		"no token comes before a bad body":  {method: "POST", target: sendPath, body: `{`, options: []option{with("Authorization", "")}, status: 401, code: chat.CodeUnauthenticated},
		"basic":                             {method: "GET", target: "/v1/me", options: []option{with("Authorization", "Basic YTpi")}, status: 401, code: chat.CodeUnauthenticated},
		"another's token":                   {method: "GET", target: "/v1/me", options: []option{with("Authorization", "Bearer nobodys")}, status: 401, code: chat.CodeUnauthenticated},
		"an inbox token for more":           {method: "GET", target: "/v1/me", options: []option{with("Authorization", "Bearer "+inboxToken)}, status: 401, code: chat.CodeUnauthenticated},
		"an inbox token in a URL for more":  {method: "GET", target: "/v1/me?access_token=" + inboxToken, options: []option{with("Authorization", "")}, status: 401, code: chat.CodeUnauthenticated},
		"the cookie for more":               {method: "GET", target: "/v1/me", options: []option{with("Authorization", ""), with("Cookie", inboxCookie+"="+inboxToken)}, status: 401, code: chat.CodeUnauthenticated},
		"an access token in a URL":          {method: "GET", target: "/v1/inbox/poll?wait=0&access_token=" + accessToken, options: []option{with("Authorization", "")}, status: 401, code: chat.CodeUnauthenticated},
		"an access token in a URL, too":     {method: "GET", target: "/v1/me?access_token=" + accessToken, status: 401, code: chat.CodeUnauthenticated},
		"the cookie for an ack":             {method: "POST", target: "/v1/inbox/ack", body: `{"cursor":"begin"}`, options: []option{with("Authorization", ""), with("Cookie", inboxCookie+"="+inboxToken)}, status: 401, code: chat.CodeUnauthenticated},
		"a bad URL token and a good cookie": {method: "GET", target: "/v1/inbox/poll?wait=0&access_token=bad", options: []option{with("Authorization", ""), with("Cookie", inboxCookie+"="+inboxToken)}, status: 401, code: chat.CodeUnauthenticated},

		"an id that is none":       {method: "GET", target: "/v1/users/me-or-not", status: 404, code: chat.CodeNotFound},
		"an id with an encoded /":  {method: "GET", target: "/v1/users/023pbqc03ztk%2f", status: 404, code: chat.CodeNotFound},
		"an id with bad percent":   {method: "GET", target: "/v1/users/023pbqc03zt%00", status: 404, code: chat.CodeNotFound},
		"no body":                  {method: "POST", target: sendPath, status: 400, code: codeMalformedJSON},
		"half a body":              {method: "POST", target: sendPath, body: `{"body":"a"`, status: 400, code: codeMalformedJSON},
		"two bodies":               {method: "POST", target: sendPath, body: `{"body":"a"}{}`, status: 400, code: codeMalformedJSON},
		"raw NUL":                  {method: "POST", target: sendPath, body: "{\"body\":\"a\x00\"}", status: 400, code: codeMalformedJSON},
		"too large":                {method: "POST", target: sendPath, body: `{"body":"` + long + `"}`, status: 413, code: codePayloadTooLarge},
		"too large without length": {method: "POST", target: sendPath, body: `{"body":"` + long + `"}`, options: []option{func(r *http.Request) { r.ContentLength = -1 }}, status: 413, code: codePayloadTooLarge},
		"a form":                   {method: "POST", target: sendPath, body: `body=a`, options: []option{with("Content-Type", "application/x-www-form-urlencoded")}, status: 415, code: codeUnsupportedMediaType},
		"no media type":            {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{with("Content-Type", "")}, status: 415, code: codeUnsupportedMediaType},
		"latin-1":                  {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{with("Content-Type", "application/json; charset=iso-8859-1")}, status: 415, code: codeUnsupportedMediaType},

		"an unknown field":         {method: "POST", target: sendPath, body: `{"body":"a","bdy":"b"}`, status: 422, code: chat.CodeValidation, fields: []string{"bdy: is not known"}},
		"a field in another case":  {method: "POST", target: sendPath, body: `{"Body":"a"}`, status: 422, code: chat.CodeValidation, fields: []string{"Body: is not known"}},
		"a strange unknown field":  {method: "POST", target: sendPath, body: `{"body":"a","x\"y":1}`, status: 422, code: chat.CodeValidation, fields: []string{`x"y: is not known`}},
		"an empty message":         {method: "POST", target: sendPath, body: `{"body":""}`, status: 422, code: chat.CodeValidation, fields: []string{"body: must not be empty"}},
		"null":                     {method: "POST", target: sendPath, body: `{"body":null}`, status: 422, code: chat.CodeValidation, fields: []string{"body: must not be null"}},
		"a number":                 {method: "POST", target: sendPath, body: `{"body":1}`, status: 422, code: chat.CodeValidation, fields: []string{"body: must be a text"}},
		"a list":                   {method: "POST", target: sendPath, body: `[]`, status: 422, code: chat.CodeValidation, fields: []string{"body: must be an object"}},
		"another kind":             {method: "POST", target: sendPath, body: `{"body":"a","kind":"image"}`, status: 422, code: chat.CodeValidation, fields: []string{"kind: must be one of: text, custom"}},
		"a fraction":               {method: "POST", target: sendPath, body: `{"body":"a","reply_to":1.5}`, status: 422, code: chat.CodeValidation, fields: []string{"reply_to: must be a whole number"}},
		"a huge number":            {method: "POST", target: sendPath, body: `{"body":"a","reply_to":99999999999999999999}`, status: 422, code: chat.CodeValidation, fields: []string{"reply_to: *"}},
		"no id in a list":          {method: "POST", target: sendPath, body: `{"body":"a","mentions":["023pbqc03ztkt","x"]}`, status: 422, code: chat.CodeValidation, fields: []string{"mentions.1: must be an id"}},
		"an id that is impossible": {method: "POST", target: "/v1/friend-requests", body: `{"user_id":"zzzzzzzzzzzzz"}`, status: 422, code: chat.CodeValidation, fields: []string{"user_id: must be an id"}},
		"an escaped NUL":           {method: "POST", target: sendPath, body: `{"body":"a\u0000b"}`, status: 422, code: chat.CodeValidation, fields: []string{"body: must be valid UTF-8 without NUL"}},
		"bytes that are no text":   {method: "POST", target: sendPath, body: "{\"body\":\"a\xff\"}", status: 422, code: chat.CodeValidation, fields: []string{"body: must be valid UTF-8 without NUL"}},
		"half a surrogate pair":    {method: "POST", target: sendPath, body: `{"body":"a\ud83d"}`, status: 422, code: chat.CodeValidation, fields: []string{"body: must be valid UTF-8 without NUL"}},
		"an empty key":             {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{with("Idempotency-Key", "")}, status: 422, code: chat.CodeValidation, fields: []string{"Idempotency-Key: *"}},
		"a key with a space":       {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{with("Idempotency-Key", "a b")}, status: 422, code: chat.CodeValidation, fields: []string{"Idempotency-Key: must be printable ASCII without spaces"}},
		"a long key":               {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{with("Idempotency-Key", strings.Repeat("k", 129))}, status: 422, code: chat.CodeValidation, fields: []string{"Idempotency-Key: must have at most 128 characters"}},
		"two keys": {method: "POST", target: sendPath, body: `{"body":"a"}`, options: []option{func(r *http.Request) {
			r.Header.Add("Idempotency-Key", "a")
			r.Header.Add("Idempotency-Key", "b")
		}}, status: 422, code: chat.CodeValidation, fields: []string{"Idempotency-Key: *"}},
		"two limits":             {method: "GET", target: "/v1/friends?limit=1&limit=2", status: 422, code: chat.CodeValidation, fields: []string{"limit: cannot be read; it may be given once"}},
		"two cursors":            {method: "GET", target: "/v1/inbox/poll?cursor=begin&cursor=now", status: 422, code: chat.CodeValidation, fields: []string{"cursor: *"}},
		"a date for a time":      {method: "PUT", target: "/v1/groups/023pbqc03ztkt/members/023pbqc03ztkt/mute", body: `{"until":"2027-01-01"}`, status: 422, code: chat.CodeValidation, fields: []string{"until: must be a time as in 2026-11-26T12:00:00Z (RFC 3339)"}},
		"a text for a yes or no": {method: "PATCH", target: "/v1/conversations/023pbqc03ztkt", body: `{"pinned":"x"}`, status: 422, code: chat.CodeValidation, fields: []string{"pinned: must be true or false"}},
		"missing fields":         {method: "POST", target: "/v1/groups", body: `{}`, status: 422, code: chat.CodeValidation, fields: []string{"join_policy: is required", "name: is required", "visibility: is required"}},
		"no query":               {method: "GET", target: "/v1/users", status: 422, code: chat.CodeValidation, fields: []string{"q: is required"}},
		"an empty query":         {method: "GET", target: "/v1/users?q=", status: 422, code: chat.CodeValidation, fields: []string{"q: must not be empty"}},
		"a query that is none":   {method: "GET", target: "/v1/users?q=%zz", status: 422, code: chat.CodeValidation, fields: []string{"query: *"}},
		"NUL in a query":         {method: "GET", target: "/v1/users?q=%00", status: 422, code: chat.CodeValidation, fields: []string{"q: must be valid UTF-8 without NUL"}},
		"no UTF-8 in a query":    {method: "GET", target: "/v1/users?q=%ff", status: 422, code: chat.CodeValidation, fields: []string{"q: must be valid UTF-8 without NUL"}},
		"a limit that is none":   {method: "GET", target: "/v1/friends?limit=many", status: 422, code: chat.CodeValidation, fields: []string{"limit: must be a whole number"}},
		"a limit of nothing":     {method: "GET", target: "/v1/friends?limit=0", status: 422, code: chat.CodeValidation, fields: []string{"limit: must be at least 1"}},
		"an unknown direction":   {method: "GET", target: "/v1/friend-requests?direction=up", status: 422, code: chat.CodeValidation, fields: []string{"direction: must be one of: incoming, outgoing"}},
		"a wait too long":        {method: "GET", target: "/v1/inbox/poll?wait=56", status: 422, code: chat.CodeValidation, fields: []string{"wait: must be at most 55"}},
		"a poll for too much":    {method: "GET", target: "/v1/inbox/poll?limit=501", status: 422, code: chat.CodeValidation, fields: []string{"limit: must be at most 500"}},
		"garbage for a cursor":   {method: "GET", target: "/v1/inbox/poll?cursor=%21%21", status: 422, code: chat.CodeInvalidCursor, fields: []string{"cursor: is no cursor of this inbox"}},
		"another's cursor":       {method: "GET", target: "/v1/inbox/stream?lastEventId=" + chat.Cursor{Epoch: epoch, Seq: 1}.String(bob), status: 422, code: chat.CodeInvalidCursor, fields: []string{"lastEventId: is no cursor of this inbox"}},
		"a bad Last-Event-ID":    {method: "GET", target: "/v1/inbox/stream", options: []option{with("Last-Event-ID", "\xff")}, status: 422, code: chat.CodeInvalidCursor, fields: []string{"Last-Event-ID: is no cursor of this inbox"}},
		"an ack from the future": {method: "POST", target: "/v1/inbox/ack", body: `{"cursor":"` + cursorAt(51) + `"}`, status: 422, code: chat.CodeInvalidCursor, fields: []string{"cursor: is not in this inbox any more"}},
		"an ack of the past":     {method: "POST", target: "/v1/inbox/ack", body: `{"cursor":"` + chat.Cursor{Epoch: "e0", Seq: 1}.String(ada) + `"}`, status: 422, code: chat.CodeInvalidCursor, fields: []string{"cursor: is not in this inbox any more"}},
		"an ack of begin":        {method: "POST", target: "/v1/inbox/ack", body: `{"cursor":"begin"}`, status: 422, code: chat.CodeInvalidCursor},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := setup(t)
			options := append([]option{signedIn}, test.options...)
			w := do(t, h, test.method, test.target, test.body, options...)
			require.Equal(t, test.status, w.Code, w.Body.String())
			p := problemIn(t, w)
			require.Equal(t, test.code, p.Code)
			checkFields(t, test.fields, p.Errors)
			if w.Code == http.StatusUnauthorized {
				require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
			}
			require.Empty(t, b.service.calls, "nothing faulty reaches the domain")
			require.Empty(t, b.inboxes.saved)
		})
	}
}

// checkFields compares "field: message" lists; a message of * is any.
func checkFields(t *testing.T, want []string, got []chat.FieldError) {
	t.Helper()
	if want == nil {
		return
	}
	require.Len(t, got, len(want), "%v", got)
	for i, fault := range got {
		field, message, _ := strings.Cut(want[i], ": ")
		require.Equal(t, field, fault.Field)
		if message != "*" {
			require.Equal(t, message, fault.Message)
		}
	}
}

func TestCleanTextPasses(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodPost, sendPath, `{"body":"\\u0000 \ud83d\ude00 é \u00e9","reply_to":null}`, signedIn, with("Idempotency-Key", "k~1"))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, chat.Draft{Body: `\u0000 😀 é é`, IdempotencyKey: "k~1"}, b.service.draft)
	require.Empty(t, w.Header().Get("Idempotency-Replayed"))

	b.service.replayed = true
	w = do(t, h, http.MethodPost, sendPath, `{"body":"a"}`, signedIn, with("Idempotency-Key", "k~1"))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
}

func TestAnAvatarIsRemovedByNullAndKeptWhenAbsent(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodPatch, "/v1/me", `{"avatar_url":null}`, signedIn).Code)
	require.NotNil(t, b.service.patch.AvatarURL)
	require.Empty(t, *b.service.patch.AvatarURL)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodPatch, "/v1/me", `{"display_name":"A"}`, signedIn).Code)
	require.Nil(t, b.service.patch.AvatarURL)
}

func TestDomainErrorsAreAnsweredByTheTable(t *testing.T) {
	t.Parallel()
	for code, said := range problems {
		h, b := setup(t)
		b.service.err = &chat.Error{Code: code, Detail: "Said for people.", RetryAfter: 1200 * time.Millisecond, Err: errors.New("secret cause")}
		w := do(t, h, http.MethodGet, "/v1/users/023pbqc03ztkt", "", signedIn)
		require.Equal(t, said.status, w.Code, code)
		require.Equal(t, code, problemIn(t, w).Code)
		require.NotContains(t, w.Body.String(), "secret")
		require.Contains(t, b.log.String(), "secret cause")
		if said.status == http.StatusServiceUnavailable || said.status == http.StatusTooManyRequests {
			require.Equal(t, "2", w.Header().Get("Retry-After"), "rounded up")
		}
	}
}

func TestForeignErrorsAndPanicsTellNothing(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.service.err = errors.New("dial tcp 10.0.0.7: refused")
	w := do(t, h, http.MethodGet, "/v1/me", "", signedIn)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, chat.CodeInternal, problemIn(t, w).Code)
	require.NotContains(t, w.Body.String(), "10.0.0.7")
	require.Contains(t, b.log.String(), "10.0.0.7")

	h, b = setup(t, func(b *bundle) { b.config.Service = brokenService{double: b.service} })
	w = do(t, h, http.MethodGet, "/v1/me", "", signedIn)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, chat.CodeInternal, problemIn(t, w).Code)
	require.NotContains(t, w.Body.String(), "nil pointer")
	require.Contains(t, b.log.String(), "nil pointer")
	require.Contains(t, b.log.String(), "brokenService", "the stack is in the log")
}

func TestTokensNeverReachTheLog(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	do(t, h, http.MethodGet, "/v1/inbox/poll?wait=0&access_token="+inboxToken, "")
	do(t, h, http.MethodGet, "/v1/inbox/poll?wait=0&access_token="+accessToken, "")
	do(t, h, http.MethodGet, "/v1/me", "", signedIn)
	do(t, h, http.MethodPost, "/v1/auth/login", `{"username":"ada","password":"hunter2hunter2"}`, with("Cookie", inboxCookie+"="+inboxToken))
	do(t, h, http.MethodGet, "/nowhere?access_token="+inboxToken, "")
	text := b.log.String()
	require.Equal(t, 5, strings.Count(text, "msg=request"), text)
	for _, secret := range []string{inboxToken, accessToken, "hunter2", "Authorization", "access_token"} {
		require.NotContains(t, text, secret)
	}
	require.Contains(t, text, "route=/v1/inbox/poll status=200")
	require.Contains(t, text, "user_id="+ada.String())
	require.Contains(t, text, "route=unmatched status=404")
}

func TestRequestIDsAreTakenWhenSane(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodGet, "/healthz", "", with("X-Request-ID", "abc-123_x.Y"))
	require.Equal(t, "abc-123_x.Y", w.Header().Get("X-Request-ID"))
	require.Contains(t, b.log.String(), "request_id=abc-123_x.Y")
	for _, bad := range []string{"", "a b", "a\nb", strings.Repeat("x", 65), "é"} {
		w = do(t, h, http.MethodGet, "/healthz", "", with("X-Request-ID", bad))
		require.NotEqual(t, bad, w.Header().Get("X-Request-ID"))
		require.NotEmpty(t, w.Header().Get("X-Request-ID"))
	}
}

func TestHeadAnswersAsGet(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodHead, "/v1/me", "", signedIn).Code)
	w := do(t, h, http.MethodHead, "/v1/inbox/stream", "", signedIn)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/event-stream; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, http.StatusOK, do(t, h, http.MethodHead, "/v1/inbox/poll", "", signedIn).Code)
	require.Contains(t, b.log.String(), "method=HEAD route=/v1/inbox/stream")
}

func TestSigningInSetsACookieForTheInboxOnly(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	proxied := func(peer string) option {
		return func(r *http.Request) {
			r.RemoteAddr = peer
			r.Header.Set("X-Forwarded-Proto", "https")
		}
	}
	body := `{"username":"ada","password":"hunter2hunter2"}`
	w := do(t, h, http.MethodPost, "/v1/auth/login", body, proxied("10.1.2.3:99"))
	require.Equal(t, "longwire_inbox="+inboxToken+"; Path=/v1/inbox; Max-Age=3600; HttpOnly; Secure; SameSite=Strict", w.Header().Get("Set-Cookie"))
	w = do(t, h, http.MethodPost, "/v1/auth/login", body, proxied("192.0.2.1:99"))
	require.NotContains(t, w.Header().Get("Set-Cookie"), "Secure", "nobody else may say that it was TLS")

	w = do(t, h, http.MethodGet, "/v1/inbox/poll?wait=0", "", with("Cookie", inboxCookie+"="+inboxToken))
	require.Equal(t, http.StatusOK, w.Code)
	w = do(t, h, http.MethodPost, "/v1/auth/logout", "", signedIn)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Contains(t, w.Header().Get("Set-Cookie"), "longwire_inbox=; Path=/v1/inbox; Max-Age=0")
	require.Equal(t, []string{"Login", "Login", "Logout"}, b.service.calls)
}

func TestRateLimitsCountWhomTheyShould(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) {
		b.config.RateLimit = true
		b.limiter.decision = realtime.Decision{Allowed: true, Remaining: 7, ResetAfter: 1100 * time.Millisecond}
		b.config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	from := func(peer, forwarded string) option {
		return func(r *http.Request) {
			r.RemoteAddr = peer
			r.Header.Set("X-Forwarded-For", forwarded)
		}
	}
	login := `{"username":"ADA","password":"x"}`
	w := do(t, h, http.MethodPost, "/v1/auth/login", login, from("10.1.1.1:5", "203.0.113.9, 198.51.100.1"))
	require.Equal(t, "20", w.Header().Get("RateLimit-Limit"), "the username's is the tighter one")
	require.Equal(t, "7", w.Header().Get("RateLimit-Remaining"))
	require.Equal(t, "2", w.Header().Get("RateLimit-Reset"))
	do(t, h, http.MethodPost, "/v1/auth/register", `{"username":"ada","password":"x"}`, from("192.0.2.7:5", "203.0.113.9"))
	do(t, h, http.MethodPost, "/v1/auth/refresh", `{"refresh_token":"x"}`, from("[2001:db8:1:2:3::4]:5", ""))
	do(t, h, http.MethodPost, sendPath, `{"body":"a"}`, signedIn)
	do(t, h, http.MethodDelete, "/v1/friends/023pbqc03ztkt", "", signedIn)
	do(t, h, http.MethodGet, "/v1/inbox/poll?wait=0", "", signedIn)
	do(t, h, http.MethodGet, "/v1/me", "", signedIn)
	do(t, h, http.MethodGet, "/v1/search/messages?q=x", "", signedIn)
	require.Equal(t, []string{
		"login:198.51.100.1", "login_username:ada", "register:192.0.2.7", "refresh:2001:db8:1:2::/64",
		"send:" + ada.String(), "write:" + ada.String(), "search:" + ada.String(),
	}, b.limiter.keys)

	b.limiter.decision = realtime.Decision{RetryAfter: 1500 * time.Millisecond, ResetAfter: 10 * time.Second}
	w = do(t, h, http.MethodPost, sendPath, `{"body":"a"}`, signedIn)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, chat.CodeRateLimited, problemIn(t, w).Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Equal(t, []string{"200", "0", "10"}, []string{
		w.Header().Get("RateLimit-Limit"), w.Header().Get("RateLimit-Remaining"), w.Header().Get("RateLimit-Reset"),
	})
}

func TestReadinessGivesNoReasonsAway(t *testing.T) {
	t.Parallel()
	var broken error
	h, b := setup(t, func(b *bundle) { b.config.Ready = func() error { return broken } })
	require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, "/readyz", "").Code)
	broken = errors.New("redis at 10.0.0.9 is gone")
	w := do(t, h, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "10.0.0.9")
	require.Contains(t, b.log.String(), "10.0.0.9")
	require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, "/healthz", "").Code)
}

func TestPagesAreServedBesideTheAPI(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page " + r.URL.Path)) })
	h, b := setup(t, func(b *bundle) { b.config.Pages = page })
	for _, path := range []string{"/", "/docs", "/docs/errors", "/assets/longwire.js"} {
		w := do(t, h, http.MethodGet, path, "")
		require.Equal(t, "page "+path, w.Body.String())
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	}
	require.Equal(t, http.StatusNotFound, do(t, h, http.MethodGet, "/v1/x", "").Code)
	require.Contains(t, b.log.String(), "route=/docs/*")
}

func TestOpsServesMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	do(t, h, http.MethodGet, "/v1/me", "", signedIn)
	do(t, h, "BREW", "/v1/me", "")
	ops := NewOps(b.registry)
	w := do(t, ops, http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `longwire_http_requests_total{method="GET",route="/v1/me",status="200"} 1`)
	require.Contains(t, w.Body.String(), `longwire_http_requests_total{method="other",route="unmatched",status="405"} 1`)
	require.Equal(t, http.StatusOK, do(t, ops, http.MethodGet, "/debug/pprof/", "").Code)
}

func TestNewRefusesWhatItCannotWorkWithout(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.Error(t, err)
	_, err = New(Config{Service: &double{}, Inboxes: &inboxesDouble{}, RateLimit: true})
	assert.Error(t, err)
}
