package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// The files of deploy/ and the proxies' own settings, on the real proxies: what docs/proxies.md says is shown here.

// probed is what a client finds out from GET /v1/diag/stream.
type probed struct {
	header http.Header
	first  time.Duration // until the first tick
	all    time.Duration // from the first to the last
}

const (
	probeTicks    = 4
	probeInterval = 250 * time.Millisecond
)

// streams tells whether the ticks came in time, which is what clients go by.
func (p probed) streams() bool { return p.all >= (probeTicks-2)*probeInterval }

// probeThrough probes as a browser would, which takes compressed answers.
func probeThrough(t *testing.T, url string) probed {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/diag/stream", http.NoBody)
	require.NoError(t, err)
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	frames, p := client.NewFrameReader(response.Body), probed{header: response.Header}
	for n := 1; n <= probeTicks; n++ {
		frame, err := frames.Next()
		require.NoError(t, err)
		var tick client.TickData
		require.NoError(t, json.Unmarshal(frame.Data, &tick))
		require.Equal(t, n, tick.N)
		if n == 1 {
			p.first = time.Since(began)
		}
	}
	p.all = time.Since(began) - p.first
	return p
}

// eachProxy runs a test behind each proxy with its file of deploy/, in front of a deployment that they share.
func eachProxy(t *testing.T, given settings, test func(t *testing.T, d *deployment, b *proxy)) {
	t.Helper()
	d := fresh(t, cluster, given)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, d, startProxy(t, kind, func(port string) string { return d.ours(t, kind, port) }))
		})
	}
}

// TestProxiesPassStreamsOn: first bytes at once, heartbeats, messages, errors as they are, who the client is.
func TestProxiesPassStreamsOn(t *testing.T) {
	t.Parallel()
	eachProxy(t, settings{"HEARTBEAT": "1s", "TRUSTED_PROXIES": "127.0.0.1"}, func(t *testing.T, d *deployment, b *proxy) {
		probe := probeThrough(t, b.url)
		assert.True(t, probe.streams(), "%+v", probe)
		assert.Less(t, probe.first, 3*time.Second)
		assert.Empty(t, probe.header.Get("Content-Encoding"))

		alice, bob := d.friends(t)
		alice, bob = alice.through(b), bob.through(b)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		beats := 0
		trace := client.StreamTrace{Heartbeat: func(client.HeartbeatData) {
			if beats++; beats == 2 {
				alice.say(bob, "Through "+b.name)
			}
		}}
		for event, err := range bob.Stream(ctx, client.StreamOptions{Cursor: client.Now, Trace: trace}) {
			require.NoError(t, err)
			if event.Type == client.EventMessageCreated {
				break
			}
		}
		assert.GreaterOrEqual(t, beats, 2)

		missing := bob.ask(http.MethodGet, "/v1/users/"+nobody, "")
		assert.Equal(t, http.StatusNotFound, missing.status)
		assert.Equal(t, client.ProblemCodeNotFound, missing.problem().Code, "%s", missing.body)
		refused := ask(t, bob.http, raw{url: b.url + "/v1/inbox/stream"})
		assert.Equal(t, http.StatusUnauthorized, refused.status)
		assert.Equal(t, client.ProblemCodeUnauthenticated, refused.problem().Code)
		inband := ask(t, bob.http, raw{url: b.url + "/v1/inbox/stream?errors=inband"})
		assert.Equal(t, http.StatusOK, inband.status)
		assert.Contains(t, string(inband.body), "event: error\n")

		tellsWhoTheClientIs(t, bob, b)
	})
}

// TestProxiesLetTheLongestPollWait: 55 seconds of silence.
func TestProxiesLetTheLongestPollWait(t *testing.T) {
	t.Parallel()
	eachProxy(t, nil, func(t *testing.T, d *deployment, b *proxy) {
		p := d.person(t, 0, "alice")
		began := time.Now()
		got := ask(t, p.http, raw{url: b.url + "/v1/inbox/poll?cursor=now&wait=55", token: p.Tokens().Access})
		assert.Equal(t, http.StatusOK, got.status, "%s", got.body)
		assert.GreaterOrEqual(t, time.Since(began), 54*time.Second)
	})
}

// tellsWhoTheClientIs checks that a proxy says where a request comes from, whatever the client claims.
func tellsWhoTheClientIs(t *testing.T, p *person, b *proxy) {
	t.Helper()
	login, err := try(t.Context(), from(t, "127.0.0.77"), raw{
		method: http.MethodPost, url: b.url + "/v1/auth/login", body: `{"username":"` + p.name + `","password":"` + password + `"}`,
		headers: map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, login.status, "%s", login.body)
	assert.NotContains(t, login.header.Get("Set-Cookie"), "Secure", "what a client claims of TLS is not passed on either")
	sessions, err := p.Sessions(t.Context())
	require.NoError(t, err)
	var addresses []string
	for _, session := range sessions.Items {
		addresses = append(addresses, session.Address)
	}
	assert.Contains(t, addresses, "127.0.0.77")
	assert.NotContains(t, addresses, "203.0.113.9", "what a client claims is not believed")
}

// TestProxiesSayThatNoNodeIsThere: in the form of all errors, so that clients wait and try again.
func TestProxiesSayThatNoNodeIsThere(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, nil)
	var running sync.WaitGroup
	proxies := make([]*proxy, len(kinds))
	for i, kind := range kinds {
		proxies[i] = startProxy(t, kind, func(port string) string { return d.ours(t, kind, port) })
	}
	for _, n := range d.nodes {
		running.Go(func() { _, _ = n.terminate() })
	}
	running.Wait()
	for _, b := range proxies {
		got := ask(t, http.DefaultClient, raw{url: b.url + "/v1/limits", host: "chat.example.com"})
		assert.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, got.status, b.name)
		assert.Equal(t, "application/problem+json", got.header.Get("Content-Type"), b.name)
		assert.Equal(t, client.ProblemCodeUnavailable, got.problem().Code, "%s: %s", b.name, got.body)
		assert.Equal(t, "2", got.header.Get("Retry-After"), b.name)
		assert.Equal(t, got.status, got.problem().Status, b.name)
		assert.GreaterOrEqual(t, len(got.problem().RequestID), 16, b.name)
		assert.Equal(t, got.header.Get("X-Request-ID"), got.problem().RequestID, b.name)
	}
}

// TestProxiesPassOnWhileRedisIsAway: no node is ready then, and each serves all the same.
func TestProxiesPassOnWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	cable, given := farRedis(t)
	given["TRUSTED_PROXIES"] = "127.0.0.1"
	d := fresh(t, cluster, given)
	alice, bob := d.friends(t)
	proxies := make([]*proxy, len(kinds))
	for i, kind := range kinds {
		proxies[i] = startProxy(t, kind, func(port string) string { return d.ours(t, kind, port) })
	}
	cable.turn(relayRefuses)
	for n := range d.nodes {
		eventually(t, "no node is ready", func() bool { return d.node(n).ready(t.Context()) == http.StatusServiceUnavailable })
	}
	for _, b := range proxies {
		// What the proxy knows of the nodes changes with its next looks.
		for range 30 {
			message := alice.through(b).say(bob, "through "+b.name)
			history := bob.through(b).history(message.ConversationID)
			require.Equal(t, "through "+b.name, history[len(history)-1].Body)
			<-tick()
		}
		limits := ask(t, http.DefaultClient, raw{url: b.url + "/v1/limits", host: "chat.example.com"})
		assert.Equal(t, http.StatusOK, limits.status, b.name)
		assert.Contains(t, string(limits.body), "max_message_length", "it comes from a node, whatever the site is called")
		tellsWhoTheClientIs(t, bob, b)
	}
}

// TestStockProxies: what the proxies do by themselves with a stream, and that the probe tells.
func TestStockProxies(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	const clearly = time.Second
	for name, stock := range map[string]struct {
		kind, more string
		streams    bool
	}{
		"nginx buffers and compresses, but not what says no":   {kind: "nginx", streams: true},
		"nginx that is told not to listen to that buffers":     {kind: "nginx", more: "proxy_ignore_headers X-Accel-Buffering;"},
		"haproxy does not buffer":                              {kind: "haproxy", streams: true},
		"haproxy that compresses everything leaves streams be": {kind: "haproxy", more: "\tcompression algo gzip", streams: true},
		"caddy knows a stream, and compresses it with a flush": {kind: "caddy", streams: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startProxy(t, stock.kind, func(port string) string { return d.stock(stock.kind, port, stock.more) })
			probe := probeThrough(t, b.url)
			assert.Equal(t, stock.streams, probe.streams(), "%+v", probe)
			if stock.streams {
				assert.Less(t, probe.first, clearly*3)
			} else {
				assert.GreaterOrEqual(t, probe.first, (probeTicks-1)*probeInterval, "all at once, when it ends")
			}
		})
	}
}

// TestStockIdleLimits: HAProxy as Debian has it cuts what is silent for 50 s, which a poll may be; nginx's 60 s are enough.
func TestStockIdleLimits(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	for kind, status := range map[string]int{"nginx": http.StatusOK, "haproxy": http.StatusGatewayTimeout} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := startProxy(t, kind, func(port string) string { return d.stock(kind, port, "") })
			p := d.person(t, 0, "alice")
			open := func(path string) (*http.Response, error) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, http.NoBody)
				require.NoError(t, err)
				request.Header.Set("Authorization", "Bearer "+p.Tokens().Access)
				return http.DefaultClient.Do(request)
			}
			stream, err := open("/v1/inbox/stream")
			require.NoError(t, err)
			defer stream.Body.Close()
			poll, err := open("/v1/inbox/poll?cursor=now&wait=55")
			require.NoError(t, err)
			defer poll.Body.Close()
			assert.Equal(t, status, poll.StatusCode)
			// The stream was silent for as long, but for its heartbeats.
			lines, sent := bufio.NewReader(stream.Body), false
			for !sent {
				line, err := lines.ReadString('\n')
				require.NoError(t, err, "the stream lives")
				sent = strings.HasPrefix(line, "event: heartbeat")
			}
		})
	}
}

// TestHAProxyCarriesStreamsOverHTTP2: as its file says for many streams.
func TestHAProxyCarriesStreamsOverHTTP2(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, settings{"H2C": "on"})
	b := startProxy(t, "haproxy", func(port string) string {
		return strings.ReplaceAll(d.ours(t, "haproxy", port), " check inter", " proto h2 check inter")
	})
	assert.True(t, probeThrough(t, b.url).streams())
	alice, bob := d.friends(t)
	reader := bob.through(b).stream(client.Begin)
	alice.through(b).say(bob, "Hello over HTTP/2.")
	reader.until("the message came", func() bool { return len(reader.events) > 0 })
}
