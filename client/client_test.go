package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// transport stands for a server, without sockets, so that a test can own the clock.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return t(request)
}

func response(status int, headers map[string]string, body any) *http.Response {
	encoded, _ := json.Marshal(body)
	header := http.Header{"Content-Type": {"application/json"}}
	if status >= 400 {
		header.Set("Content-Type", "application/problem+json")
	}
	for name, value := range headers {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(string(encoded)))}
}

func problem(status int, code client.ProblemCode) *http.Response {
	return response(status, nil, client.Problem{Status: status, Code: code, Detail: "No."})
}

func newClient(t *testing.T, options client.Options, server transport) *client.Client {
	t.Helper()
	options.HTTPClient = &http.Client{Transport: server}
	c, err := client.New("http://chat.test", options)
	require.NoError(t, err)
	return c
}

func TestSendingAgainKeepsTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var keys, bodies []string
		c := newClient(t, client.Options{}, func(request *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(request.Body)
			keys, bodies = append(keys, request.Header.Get("Idempotency-Key")), append(bodies, string(body))
			switch len(keys) {
			case 1:
				return nil, errors.New("connection reset")
			case 2:
				return response(http.StatusServiceUnavailable, map[string]string{"Retry-After": "3"}, nil), nil
			case 3:
				return problem(http.StatusTooManyRequests, client.ProblemCodeRateLimited), nil
			default:
				return response(http.StatusCreated, nil, client.Message{Seq: 7}), nil
			}
		})
		began := time.Now()
		message, err := c.SendToUser(t.Context(), "x", client.SendMessageRequest{Body: "Hi"})
		require.NoError(t, err)
		assert.EqualValues(t, 7, message.Seq)
		require.Len(t, keys, 4)
		assert.NotEmpty(t, keys[0])
		for i := range keys {
			assert.Equal(t, keys[0], keys[i])
			assert.JSONEq(t, `{"body":"Hi"}`, bodies[i])
		}
		assert.GreaterOrEqual(t, time.Since(began), 3*time.Second, "Retry-After is honoured")

		_, err = c.SendToUser(t.Context(), "x", client.SendMessageRequest{Body: "Hi"})
		require.NoError(t, err)
		assert.NotEqual(t, keys[0], keys[4], "another message has another key")
	})
}

func TestTryingAgainIsBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call   func(context.Context, *client.Client) error
		answer func() (*http.Response, error)
		tries  int
	}{
		"network":                         {send, func() (*http.Response, error) { return nil, errors.New("no route") }, 5},
		"not when it could be done twice": {login, func() (*http.Response, error) { return nil, errors.New("no route") }, 1},
		"nor when it is unknown":          {login, func() (*http.Response, error) { return problem(503, client.ProblemCodeUnavailable), nil }, 1},
		"but when nothing was done":       {login, func() (*http.Response, error) { return problem(503, client.ProblemCodeOverloaded), nil }, 5},
		"refusals are final":              {send, func() (*http.Response, error) { return problem(403, client.ProblemCodeForbidden), nil }, 1},
		"faults pass":                     {send, func() (*http.Response, error) { return problem(500, client.ProblemCodeInternal), nil }, 5},
		"who has to wait long is told": {send, func() (*http.Response, error) {
			return response(429, map[string]string{"Retry-After": "3600"}, client.Problem{}), nil
		}, 1},
		"a proxy's page": {send, func() (*http.Response, error) {
			return response(502, map[string]string{"Content-Type": "text/html"}, "<html>"), nil
		}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				c := newClient(t, client.Options{}, func(*http.Request) (*http.Response, error) {
					tries++
					return test.answer()
				})
				require.Error(t, test.call(t.Context(), c))
				assert.Equal(t, test.tries, tries)
			})
		})
	}
}

func send(ctx context.Context, c *client.Client) error {
	_, err := c.SendToGroup(ctx, "x", client.SendMessageRequest{Body: "Hi"})
	return err
}

func login(ctx context.Context, c *client.Client) error {
	_, err := c.Login(ctx, client.LoginRequest{Username: "ada", Password: "x"})
	return err
}

func TestProblemSaysWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	c := newClient(t, client.Options{}, func(*http.Request) (*http.Response, error) {
		return response(422, nil, client.Problem{
			Code: client.ProblemCodeValidationFailed, Detail: "Mend it.", RequestID: "r1",
			Errors: []client.FieldError{{Field: "body", Message: "must not be empty"}},
		}), nil
	})
	err := send(t.Context(), c)
	var got *client.Problem
	require.ErrorAs(t, err, &got)
	assert.Equal(t, 422, got.Status)
	assert.True(t, client.IsCode(err, client.ProblemCodeValidationFailed))
	assert.EqualError(t, err, "422 validation_failed: Mend it. [body: must not be empty] (request r1)")
}

// tokenServer gives out tokens as the specification says: an access token is good once told, a refresh token until the
// next one is used.
type tokenServer struct {
	mu        sync.Mutex
	access    string
	refreshes atomic.Int32
	lose      int // so many answers to a refresh get lost
}

func (s *tokenServer) serve(request *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasSuffix(request.URL.Path, "/refresh") {
		var body client.RefreshRequest
		_ = json.NewDecoder(request.Body).Decode(&body)
		if body.RefreshToken != "r1" {
			return problem(401, client.ProblemCodeSessionEnded), nil
		}
		s.access = "new"
		s.refreshes.Add(1)
		if s.lose--; s.lose >= 0 {
			return nil, errors.New("connection reset")
		}
		return response(200, nil, client.SignIn{AccessToken: "new", RefreshToken: "r2"}), nil
	}
	if request.Header.Get("Authorization") != "Bearer "+s.access {
		return problem(401, client.ProblemCodeUnauthenticated), nil
	}
	return response(200, nil, client.User{Username: "ada"}), nil
}

func TestExpiredTokenIsRenewedOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{access: "another", lose: 2}
		var kept []client.Tokens
		c := newClient(t, client.Options{
			Tokens: client.Tokens{Access: "old", Refresh: "r1"}, OnTokens: func(tokens client.Tokens) { kept = append(kept, tokens) },
		}, server.serve)
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				user, err := c.Me(t.Context())
				if assert.NoError(t, err) {
					assert.Equal(t, "ada", user.Username)
				}
			})
		}
		calls.Wait()
		assert.EqualValues(t, 3, server.refreshes.Load(), "two answers were lost, and the third was for all")
		assert.Equal(t, []client.Tokens{{Access: "new", Refresh: "r2"}}, kept)
	})
}

func TestEndedSessionIsTold(t *testing.T) {
	t.Parallel()
	for _, refresh := range []string{"", "stolen"} {
		server := &tokenServer{access: "another"}
		c := newClient(t, client.Options{Tokens: client.Tokens{Access: "old", Refresh: refresh}}, server.serve)
		_, err := c.Me(t.Context())
		var got *client.Problem
		require.ErrorAs(t, err, &got)
		assert.Equal(t, 401, got.Status)
	}
}

func TestAllGoesThroughAllParts(t *testing.T) {
	t.Parallel()
	c := newClient(t, client.Options{}, func(request *http.Request) (*http.Response, error) {
		switch after := request.URL.Query().Get("after"); after {
		case "":
			return response(200, nil, client.List[client.Friend]{Items: []client.Friend{{Remark: "a"}, {Remark: "b"}}, Next: new("2")}), nil
		case "2":
			return response(200, nil, client.List[client.Friend]{Items: []client.Friend{{Remark: "c"}}, Next: new("3")}), nil
		default:
			return problem(404, client.ProblemCodeNotFound), nil
		}
	})
	var remarks []string
	var last error
	for friend, err := range client.All(t.Context(), c.Friends) {
		last = err
		remarks = append(remarks, friend.Remark)
	}
	assert.Equal(t, []string{"a", "b", "c", ""}, remarks)
	assert.True(t, client.IsCode(last, client.ProblemCodeNotFound))
}

func TestNewRefusesWhatIsNoServer(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "chat.test", "ftp://chat.test", "http://", "http://a.test?x=1", "http://a.test/#x", "http://a b/"} {
		_, err := client.New(address, client.Options{})
		assert.Error(t, err, address)
	}
}

func TestATryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, client.Options{Timeout: time.Second, Tries: 2}, func(request *http.Request) (*http.Response, error) {
			<-request.Context().Done() // a server that never answers
			return nil, request.Context().Err()
		})
		began := time.Now()
		_, err := c.Poll(t.Context(), client.PollOptions{Wait: 10 * time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 22, time.Since(began).Seconds(), 1, "the wait of a poll is no silence")
	})
}
