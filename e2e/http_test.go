package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

const nobody = "7zzzzzzzzzzzy" // looks like an id and names nothing

func TestBadInput(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		token := alice.Tokens().Access
		group := alice.group(bob)
		register := func(fields string) string { return `{"username":"fine-name","password":"long enough"` + fields + `}` }
		send := "/v1/users/" + bob.id + "/messages"
		for name, test := range map[string]struct {
			method, path, body string
			headers            map[string]string
			anonymous          bool
			status             int
			code               client.ProblemCode
			fields             []string // of errors, in any order
		}{
			"no token":           {method: "GET", path: "/v1/me", anonymous: true, status: 401, code: "unauthenticated"},
			"a bad token":        {method: "GET", path: "/v1/me", anonymous: true, headers: map[string]string{"Authorization": "Bearer x.y.z"}, status: 401, code: "unauthenticated"},
			"another scheme":     {method: "GET", path: "/v1/me", anonymous: true, headers: map[string]string{"Authorization": "Basic YTpi"}, status: 401, code: "unauthenticated"},
			"a wrong password":   {method: "POST", path: "/v1/auth/login", body: `{"username":"` + alice.name + `","password":"wrong"}`, anonymous: true, status: 401, code: "invalid_credentials"},
			"an unknown user":    {method: "POST", path: "/v1/auth/login", body: `{"username":"nobody-at-all","password":"wrong"}`, anonymous: true, status: 401, code: "invalid_credentials"},
			"no such address":    {method: "GET", path: "/v1/nothing", status: 404, code: "not_found"},
			"no such user":       {method: "GET", path: "/v1/users/" + nobody, status: 404, code: "not_found"},
			"never an id":        {method: "GET", path: "/v1/users/1", status: 404, code: "not_found"},
			"an id with quotes":  {method: "GET", path: "/v1/users/%27%20OR%201%3D1", status: 404, code: "not_found"},
			"no such group":      {method: "POST", path: "/v1/groups/" + nobody + "/messages", body: `{"body":"x"}`, status: 404, code: "not_found"},
			"not yours to know":  {method: "GET", path: "/v1/conversations/" + nobody, status: 404, code: "not_found"},
			"to nobody":          {method: "POST", path: "/v1/users/" + nobody + "/messages", body: `{"body":"x"}`, status: 404, code: "not_found"},
			"no such method":     {method: "PUT", path: "/v1/me", body: `{}`, status: 405, code: "method_not_allowed"},
			"nor this one":       {method: "DELETE", path: "/v1/inbox/stream", status: 405, code: "method_not_allowed"},
			"not JSON":           {method: "POST", path: send, body: `{"body":`, status: 400, code: "malformed_json"},
			"two values":         {method: "POST", path: send, body: `{"body":"x"}{}`, status: 400, code: "malformed_json"},
			"a form":             {method: "POST", path: send, body: `body=x`, headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type"},
			"no media type":      {method: "POST", path: send, body: `{"body":"x"}`, headers: map[string]string{"Content-Type": ""}, status: 415, code: "unsupported_media_type"},
			"too large":          {method: "POST", path: send, body: `{"body":"` + strings.Repeat("x", 70_000) + `"}`, status: 413, code: "payload_too_large"},
			"not an object":      {method: "POST", path: send, body: `["x"]`, status: 422, code: "validation_failed"},
			"no body":            {method: "POST", path: send, body: `{}`, status: 422, code: "validation_failed", fields: []string{"body"}},
			"an empty body":      {method: "POST", path: send, body: `{"body":""}`, status: 422, code: "validation_failed", fields: []string{"body"}},
			"a blank body":       {method: "POST", path: send, body: `{"body":" \n"}`, status: 422, code: "validation_failed", fields: []string{"body"}},
			"a long body":        {method: "POST", path: send, body: `{"body":"` + strings.Repeat("x", 8001) + `"}`, status: 422, code: "validation_failed", fields: []string{"body"}},
			"a number":           {method: "POST", path: send, body: `{"body":7}`, status: 422, code: "validation_failed", fields: []string{"body"}},
			"an unknown kind":    {method: "POST", path: send, body: `{"body":"x","kind":"video"}`, status: 422, code: "validation_failed", fields: []string{"kind"}},
			"a typo":             {method: "POST", path: send, body: `{"body":"x","replyto":1}`, status: 422, code: "validation_failed", fields: []string{"replyto"}},
			"a reply to nothing": {method: "POST", path: send, body: `{"body":"x","reply_to":999}`, status: 422, code: "validation_failed", fields: []string{"reply_to"}},
			"a stranger noticed": {method: "POST", path: send, body: `{"body":"x","mentions":["` + nobody + `"]}`, status: 422, code: "validation_failed", fields: []string{"mentions"}},
			"a mention of none":  {method: "POST", path: send, body: `{"body":"x","mentions":["?"]}`, status: 422, code: "validation_failed", fields: []string{"mentions.0"}},
			"to oneself":         {method: "POST", path: "/v1/users/" + alice.id + "/messages", body: `{"body":"x"}`, status: 422, code: "validation_failed", fields: []string{"user_id"}},
			"a key with spaces":  {method: "POST", path: send, body: `{"body":"x"}`, headers: map[string]string{"Idempotency-Key": "a b"}, status: 422, code: "validation_failed", fields: []string{"Idempotency-Key"}},
			"a long key":         {method: "POST", path: send, body: `{"body":"x"}`, headers: map[string]string{"Idempotency-Key": strings.Repeat("k", 129)}, status: 422, code: "validation_failed", fields: []string{"Idempotency-Key"}},
			"several faults":     {method: "POST", path: "/v1/auth/register", body: `{"username":"x","password":"short","color":"red"}`, anonymous: true, status: 422, code: "validation_failed", fields: []string{"username", "password", "color"}},
			"a username":         {method: "POST", path: "/v1/auth/register", body: `{"username":"a b c","password":"long enough"}`, anonymous: true, status: 422, code: "validation_failed", fields: []string{"username"}},
			"a long name":        {method: "POST", path: "/v1/auth/register", body: register(`,"display_name":"` + strings.Repeat("é", 65) + `"`), anonymous: true, status: 422, code: "validation_failed", fields: []string{"display_name"}},
			"a blank name":       {method: "POST", path: "/v1/auth/register", body: register(`,"display_name":"  "`), anonymous: true, status: 422, code: "validation_failed", fields: []string{"display_name"}},
			"a NUL":              {method: "POST", path: "/v1/auth/register", body: register(`,"display_name":"a\u0000b"`), anonymous: true, status: 422, code: "validation_failed", fields: []string{"display_name"}},
			"taken":              {method: "POST", path: "/v1/auth/register", body: `{"username":"` + strings.ToUpper(alice.name) + `","password":"long enough"}`, anonymous: true, status: 409, code: "username_taken"},
			"a script as URL":    {method: "PATCH", path: "/v1/me", body: `{"avatar_url":"javascript:alert(1)"}`, status: 422, code: "validation_failed", fields: []string{"avatar_url"}},
			"an acceptance":      {method: "PATCH", path: "/v1/me", body: `{"accept_messages_from":"enemies"}`, status: 422, code: "validation_failed", fields: []string{"accept_messages_from"}},
			"no acceptance":      {method: "PATCH", path: "/v1/me", body: `{"accept_friend_requests_from":"friends"}`, status: 422, code: "validation_failed", fields: []string{"accept_friend_requests_from"}},
			"a long status":      {method: "PATCH", path: "/v1/me", body: `{"status_text":"` + strings.Repeat("é", 141) + `"}`, status: 422, code: "validation_failed", fields: []string{"status_text"}},
			"a short password":   {method: "PUT", path: "/v1/me/password", body: `{"current_password":"` + password + `","new_password":"short"}`, status: 422, code: "validation_failed", fields: []string{"new_password"}},
			"a guess":            {method: "PUT", path: "/v1/me/password", body: `{"current_password":"wrong","new_password":"long enough"}`, status: 403, code: "wrong_password"},
			"to delete by guess": {method: "DELETE", path: "/v1/me", body: `{"password":"wrong"}`, status: 403, code: "wrong_password"},
			"to delete by none":  {method: "DELETE", path: "/v1/me", status: 400, code: "malformed_json"},
			"friends with none":  {method: "POST", path: "/v1/friend-requests", body: `{"user_id":"` + nobody + `"}`, status: 404, code: "not_found"},
			"friends already":    {method: "POST", path: "/v1/friend-requests", body: `{"user_id":"` + bob.id + `"}`, status: 409, code: "already_friends"},
			"a friend of mine":   {method: "POST", path: "/v1/friend-requests", body: `{"user_id":"` + alice.id + `"}`, status: 422, code: "validation_failed", fields: []string{"user_id"}},
			"a policy":           {method: "POST", path: "/v1/groups", body: `{"name":"x","visibility":"public","join_policy":"maybe"}`, status: 422, code: "validation_failed", fields: []string{"join_policy"}},
			"a nameless group":   {method: "POST", path: "/v1/groups", body: `{"name":"  ","visibility":"public","join_policy":"open"}`, status: 422, code: "validation_failed", fields: []string{"name"}},
			"a role":             {method: "PUT", path: "/v1/groups/" + group + "/members/" + bob.id, body: `{"role":"king"}`, status: 422, code: "validation_failed", fields: []string{"role"}},
			"a limit":            {method: "GET", path: "/v1/friends?limit=0", status: 422, code: "validation_failed", fields: []string{"limit"}},
			"a large limit":      {method: "GET", path: "/v1/friends?limit=201", status: 422, code: "validation_failed", fields: []string{"limit"}},
			"a limit in words":   {method: "GET", path: "/v1/friends?limit=many", status: 422, code: "validation_failed", fields: []string{"limit"}},
			"no next":            {method: "GET", path: "/v1/friends?after=nonsense", status: 422, code: "validation_failed", fields: []string{"after"}},
			"no search text":     {method: "GET", path: "/v1/users", status: 422, code: "validation_failed", fields: []string{"q"}},
			"a direction":        {method: "GET", path: "/v1/friend-requests?direction=up", status: 422, code: "validation_failed", fields: []string{"direction"}},
			"two bounds":         {method: "GET", path: "/v1/conversations/" + group + "/messages?before_seq=1&after_seq=1", status: 422, code: "validation_failed", fields: []string{"after_seq"}},
			"a long wait":        {method: "GET", path: "/v1/inbox/poll?wait=56", status: 422, code: "validation_failed", fields: []string{"wait"}},
			"no wait":            {method: "GET", path: "/v1/inbox/poll?wait=soon", status: 422, code: "validation_failed", fields: []string{"wait"}},
			"many events":        {method: "GET", path: "/v1/inbox/poll?wait=0&limit=501", status: 422, code: "validation_failed", fields: []string{"limit"}},
			"read what is not":   {method: "PUT", path: "/v1/conversations/" + group + "/read", body: `{"seq":5}`, status: 422, code: "validation_failed", fields: []string{"seq"}},
			"no cursor":          {method: "POST", path: "/v1/inbox/ack", body: `{"cursor":"?"}`, status: 422},
			"no refresh token":   {method: "POST", path: "/v1/auth/refresh", body: `{"refresh_token":"?"}`, anonymous: true, status: 401},
			"not UTF-8":          {method: "POST", path: send, body: "{\"body\":\"\xff\"}", status: 422, code: "validation_failed"},
		} {
			t.Run(name, func(t *testing.T) {
				r := raw{method: test.method, url: d.url(0, test.path), body: test.body, headers: test.headers, wrong: true}
				if !test.anonymous {
					r.token = token
				}
				got := ask(t, alice.http, r)
				problem := got.problem()
				assert.Equal(t, test.status, got.status, "%s", got.body)
				if test.code != "" {
					assert.Equal(t, test.code, problem.Code, "%s", got.body)
				}
				assert.NotEmpty(t, problem.Detail)
				var fields []string
				for _, fault := range problem.Errors {
					fields = append(fields, fault.Field)
					assert.NotEmpty(t, fault.Message)
				}
				if test.fields != nil {
					slices.Sort(fields)
					slices.Sort(test.fields)
					assert.Equal(t, test.fields, fields, "%s", got.body)
				}
				switch test.status {
				case http.StatusUnauthorized:
					assert.Contains(t, got.header.Get("WWW-Authenticate"), "Bearer")
				case http.StatusMethodNotAllowed:
					assert.NotEmpty(t, got.header.Get("Allow"))
				}
				for _, internal := range []string{"sql", "redis", "goroutine", "echo", "kin-openapi", ".go"} {
					assert.NotContains(t, strings.ToLower(problem.Detail), internal)
				}
			})
		}
		assert.Empty(t, messages(bob.everything(500), ""), "nothing of it left a trace")
	})
}

func TestRateLimits(t *testing.T) {
	onFresh(t, settings{"RATE_LIMIT": "on"}, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		alice.Client = alice.impatient(0).Client
		first := alice.ask(http.MethodPost, "/v1/users/"+bob.id+"/messages", `{"body":"1"}`)
		require.Equal(t, http.StatusCreated, first.status)
		for _, name := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
			assert.Regexp(t, `^[0-9]+$`, first.header.Get(name), name)
		}

		// Logging in from one address is limited, over all nodes together, and the way out is told.
		var limited answer
		for n := range 200 {
			limited = ask(t, bob.http, raw{
				method: http.MethodPost, url: d.url(n, "/v1/auth/login"), body: fmt.Sprintf(`{"username":"%s","password":"wrong %d"}`, bob.name, n),
			})
			if limited.status == http.StatusTooManyRequests {
				break
			}
			require.Equal(t, http.StatusUnauthorized, limited.status)
		}
		require.Equal(t, http.StatusTooManyRequests, limited.status, "nobody may guess passwords for ever")
		assert.Equal(t, client.ProblemCodeRateLimited, limited.problem().Code)
		assert.Regexp(t, `^[1-9][0-9]*$`, limited.header.Get("Retry-After"))
		assert.Equal(t, "0", limited.header.Get("RateLimit-Remaining"))
		other := ask(t, bob.http, raw{method: http.MethodPost, url: d.url(1, "/v1/auth/login"), body: `{"username":"` + strings.ToUpper(bob.name) + `","password":"wrong"}`})
		assert.Equal(t, http.StatusTooManyRequests, other.status, "on every node, and whatever the spelling")

		_, err := bob.Me(t.Context())
		require.NoError(t, err, "reading is not limited")
		for range 50 {
			_, err := bob.Poll(t.Context(), client.PollOptions{Cursor: client.Begin})
			require.NoError(t, err)
		}
	})
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		p := d.person(t, 0, "alice")
		for _, path := range []string{"/v1/me", "/v1/sync", "/v1/inbox/poll?wait=0", "/v1/nothing"} {
			got := ask(t, p.http, raw{url: d.url(1, path), token: p.Tokens().Access, wrong: true, headers: map[string]string{"X-Request-ID": "mine-1"}})
			assert.Equal(t, "mine-1", got.header.Get("X-Request-ID"))
			assert.Contains(t, got.header.Get("Cache-Control"), "no-store", path)
			assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"), path)
		}
	})
}
