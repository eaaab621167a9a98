package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// connections stands for a server that plays one script for each connection.
type connections struct {
	t       *testing.T
	scripts []script
	from    []string    // Last-Event-ID of each
	at      []time.Time // when each began
}

// script is one connection: an answer that is no stream, or what a stream says.
type script struct {
	fails  error // instead of an answer
	answer *http.Response
	says   []string
	ends   bool // after what it says; otherwise it stays open until the client leaves
}

func (c *connections) serve(request *http.Request) (*http.Response, error) {
	c.from = append(c.from, request.Header.Get("Last-Event-ID"))
	c.at = append(c.at, time.Now())
	if len(c.scripts) < len(c.from) {
		c.t.Errorf("connection %d was not expected", len(c.from))
		return problem(http.StatusNotFound, client.ProblemCodeNotFound), nil
	}
	play := c.scripts[len(c.from)-1]
	if play.answer != nil || play.fails != nil {
		return play.answer, play.fails
	}
	from, to := io.Pipe()
	context.AfterFunc(request.Context(), func() { _ = from.CloseWithError(request.Context().Err()) })
	go func() {
		for _, part := range play.says {
			_, _ = io.WriteString(to, part)
		}
		if play.ends {
			_ = to.Close()
			return
		}
		<-request.Context().Done()
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: from}, nil
}

func says(parts ...string) script {
	return script{says: parts}
}

func saysAndEnds(parts ...string) script {
	return script{says: parts, ends: true}
}

func hello(cursor string) string {
	return fmt.Sprintf("retry: 700\n\nevent: hello\nid: %[1]s\ndata: {\"cursor\":%[1]q,\"heartbeat_seconds\":10}\n\n", cursor)
}

func inboxEvent(cursor string) string {
	return fmt.Sprintf("id: %[1]s\ndata: {\"cursor\":%[1]q,\"type\":\"session.revoked\",\"at\":\"2026-09-01T10:12:00.000Z\",\"data\":{\"session_id\":\"x\"}}\n\n", cursor)
}

// reading is what came out of a stream.
type reading struct {
	cursors []string
	resets  []string
	last    error
}

// read reads a stream until it has so many events and resets, or ends.
func read(ctx context.Context, c *client.Client, options client.StreamOptions, n int) (got reading) {
	for event, err := range c.Stream(ctx, options) {
		var reset *client.ResetError
		switch {
		case errors.As(err, &reset):
			got.resets = append(got.resets, reset.Cursor)
		case err != nil:
			got.last = err
		default:
			got.cursors = append(got.cursors, event.Cursor)
		}
		if len(got.cursors)+len(got.resets) == n {
			break
		}
	}
	return got
}

func TestStreamGoesOnBehindTheLastEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &connections{t: t, scripts: []script{
			saysAndEnds(hello("c0"), inboxEvent("c1"), inboxEvent("c2"), "id: c3\ndata: {\"cursor\":\"c3\""), // cut off
			saysAndEnds(hello("c2"), inboxEvent("c3"), "event: heartbeat\nid: c3\ndata: {\"cursor\":\"c3\"}\n\n"),
			{fails: errors.New("no route")},
			{answer: response(http.StatusServiceUnavailable, map[string]string{"Retry-After": "9"}, nil)},       //nolint:bodyclose // there is no connection behind it
			{answer: response(http.StatusBadGateway, map[string]string{"Content-Type": "text/html"}, "<html>")}, //nolint:bodyclose // there is no connection behind it
			saysAndEnds(hello("c3"), "event: news\ndata: what we do not know\n\n", inboxEvent("c4"),
				"event: bye\ndata: {\"reason\":\"lifetime\",\"retry_ms\":4321}\n\n"),
			says(hello("c4"), "data: {\"type\":\"typing\",\"at\":\"2026-09-01T10:12:00.000Z\",\"data\":{}}\n\n", inboxEvent("c5")),
		}}
		var byes []client.ByeData
		var waits []time.Duration
		trace := client.StreamTrace{
			Bye:          func(bye client.ByeData) { byes = append(byes, bye) },
			Disconnected: func(_ error, wait time.Duration) { waits = append(waits, wait) },
		}
		got := read(t.Context(), newClient(t, client.Options{}, server.serve), client.StreamOptions{Cursor: client.Now, Trace: trace}, 6)
		assert.Equal(t, []string{"c1", "c2", "c3", "c4", "", "c5"}, got.cursors)
		assert.Equal(t, []string{"now", "c2", "c3", "c3", "c3", "c3", "c4"}, server.from)
		assert.Equal(t, []client.ByeData{{Reason: client.ByeReasonLifetime, RetryMs: 4321}}, byes)
		require.Len(t, waits, 6)
		assert.LessOrEqual(t, waits[0], 701*time.Millisecond, "what retry says is where waiting begins")
		assert.Greater(t, waits[3], 9*time.Second, "Retry-After counts")
		assert.Equal(t, 4321*time.Millisecond, waits[5], "what bye says counts")
		assert.Equal(t, waits[5], server.at[6].Sub(server.at[5]))
		synctest.Wait()
	})
}

func TestStreamNoticesSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &connections{t: t, scripts: []script{
			says(),
			says(hello("c0"), inboxEvent("c1")),
			says(hello("c1"), inboxEvent("c2")),
		}}
		var causes []string
		trace := client.StreamTrace{Disconnected: func(cause error, _ time.Duration) { causes = append(causes, cause.Error()) }}
		got := read(t.Context(), newClient(t, client.Options{}, server.serve), client.StreamOptions{Trace: trace}, 2)
		assert.Equal(t, []string{"c1", "c2"}, got.cursors)
		assert.Len(t, causes, 2)
		assert.Contains(t, causes[0], "silent")
		assert.InDelta(t, 15, server.at[2].Sub(server.at[1]).Seconds(), 1, "one and a half heartbeats, and the wait")
		synctest.Wait()
	})
}

func TestASlowLoopIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &connections{t: t, scripts: []script{says(hello("c0"), inboxEvent("c1"), inboxEvent("c2"))}}
		n := 0
		for _, err := range newClient(t, client.Options{}, server.serve).Stream(t.Context(), client.StreamOptions{}) {
			require.NoError(t, err)
			if n++; n == 2 {
				break
			}
			time.Sleep(time.Hour) // of the bubble's clock
		}
		assert.Len(t, server.from, 1)
		synctest.Wait()
	})
}

func TestResetIsToldAndTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &connections{t: t, scripts: []script{
			saysAndEnds(hello("c9"), "event: reset\nid: d1\ndata: {\"reason\":\"epoch\",\"cursor\":\"d1\"}\n\n"),
			says(hello("d1"), inboxEvent("d2")),
		}}
		got := read(t.Context(), newClient(t, client.Options{}, server.serve), client.StreamOptions{Cursor: "c9"}, 2)
		assert.Equal(t, reading{cursors: []string{"d2"}, resets: []string{"d1"}}, got)
		assert.Equal(t, []string{"c9", "d1"}, server.from)
		synctest.Wait()
	})
}

func TestRepeatedEventsAreNotGiven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &connections{t: t, scripts: []script{
			saysAndEnds(hello("c0"), inboxEvent("c1"), inboxEvent("c1"), inboxEvent("c2")),
			says(hello("c2"), inboxEvent("c1"), inboxEvent("c2"), inboxEvent("c3")),
		}}
		repeated := 0
		trace := client.StreamTrace{Repeated: func(client.Event) { repeated++ }}
		got := read(t.Context(), newClient(t, client.Options{}, server.serve), client.StreamOptions{Trace: trace}, 3)
		assert.Equal(t, []string{"c1", "c2", "c3"}, got.cursors)
		assert.Equal(t, 3, repeated)
		synctest.Wait()
	})
}

func TestStreamEndsWhenTryingAgainIsNoUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		code   client.ProblemCode
	}{
		"session ended": {401, client.ProblemCodeSessionEnded},
		"no token":      {401, client.ProblemCodeUnauthenticated},
		"no cursor":     {422, client.ProblemCodeInvalidCursor},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &connections{t: t, scripts: []script{{answer: problem(test.status, test.code)}}} //nolint:bodyclose // there is no connection behind it
				got := read(t.Context(), newClient(t, client.Options{}, server.serve), client.StreamOptions{}, 1)
				assert.True(t, client.IsCode(got.last, test.code), "%v", got.last)
			})
		})
	}
}

func TestStreamRenewsItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := &tokenServer{access: "another"}
		streams := &connections{t: t, scripts: []script{says(hello("c0"), inboxEvent("c1"))}}
		c := newClient(t, client.Options{Tokens: client.Tokens{Access: "old", Refresh: "r1"}}, func(request *http.Request) (*http.Response, error) {
			if answer, err := tokens.serve(request); err != nil || answer.StatusCode != http.StatusOK || request.URL.Path != "/v1/inbox/stream" {
				return answer, err
			}
			return streams.serve(request)
		})
		got := read(t.Context(), c, client.StreamOptions{}, 1)
		assert.Equal(t, []string{"c1"}, got.cursors)
		assert.EqualValues(t, 1, tokens.refreshes.Load())
		synctest.Wait()
	})
}

func TestStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := &connections{t: t, scripts: []script{says(hello("c0"), inboxEvent("c1"))}}
		time.AfterFunc(time.Second, cancel)
		got := read(ctx, newClient(t, client.Options{}, server.serve), client.StreamOptions{}, 2)
		assert.Equal(t, []string{"c1"}, got.cursors)
		require.ErrorIs(t, got.last, context.Canceled)
		synctest.Wait()
	})
}
