package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// passLine reads lines up to one that begins with the prefix.
func passLine(in *bufio.Reader, prefix string) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("no line %q came: %w", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return nil
		}
	}
}

// TestOneHTTP2ConnectionCarriesAllStreams: a proxy that speaks HTTP/2 to a node needs one connection, however many its people are.
func TestOneHTTP2ConnectionCarriesAllStreams(t *testing.T) {
	t.Parallel()
	const streams = 1100
	d := fresh(t, embedded, settings{"H2C": "on", "MAX_STREAMS_PER_USER": "2000"})
	alice, bob := d.friends(t)
	var connections atomic.Int64
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	h := &http.Client{Transport: transport}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	// follow reads a stream up to its first event.
	follow := func(answered, opened func()) error {
		defer opened()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url(0, "/v1/inbox/stream?cursor=now&presence=none"), http.NoBody)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+bob.Tokens().Access)
		response, err := h.Do(request)
		answered()
		if err != nil {
			return err
		}
		defer response.Body.Close()
		in := bufio.NewReader(response.Body)
		if err := errors.Join(passLine(in, "event: hello"), passLine(in, "data: ")); err != nil {
			return err
		}
		opened()
		return passLine(in, "data: ")
	}
	var opened, done sync.WaitGroup
	opened.Add(streams)
	first := make(chan struct{}) // closed when there is a connection, which the others share
	answered := sync.OnceFunc(func() { close(first) })
	for i := range streams {
		done.Go(func() {
			if i > 0 {
				<-first
			}
			assert.NoError(t, follow(answered, sync.OnceFunc(opened.Done)))
		})
	}
	opened.Wait()
	alice.say(bob, "Hello, all of you.")
	done.Wait()
	assert.EqualValues(t, 1, connections.Load())
}

// TestOtherOriginsAreAllowedAsSet: what a browser asks before a page elsewhere may send, on a real node.
func TestOtherOriginsAreAllowedAsSet(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"CORS_ORIGINS": "https://app.example.com, http://localhost:3000"})
	alice := d.person(t, 0, "alice")
	// Not with the client that checks: the specification has no preflights.
	preflight := ask(t, http.DefaultClient, raw{
		method: http.MethodOptions, url: d.url(0, "/v1/users/"+alice.id+"/messages"),
		headers: map[string]string{"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"},
	})
	assert.Equal(t, http.StatusNoContent, preflight.status)
	assert.Equal(t, "http://localhost:3000", preflight.header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, preflight.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	assert.Empty(t, preflight.header.Get("Access-Control-Allow-Credentials"))
	for origin, allowed := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example": ""} {
		got := ask(t, alice.http, raw{url: d.url(0, "/v1/me"), token: alice.Tokens().Access, headers: map[string]string{"Origin": origin}})
		assert.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, allowed, got.header.Get("Access-Control-Allow-Origin"))
	}
}

// TestProbeEndsBeforeTheNodeDoes: it never makes a node that stops wait.
func TestProbeEndsBeforeTheNodeDoes(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"SHUTDOWN_GRACE": "8s"})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url(0, "/v1/diag/stream?ticks=20&interval_ms=1000"), http.NoBody)
	require.NoError(t, err)
	response, err := d.http(t).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	frames := client.NewFrameReader(response.Body)
	_, err = frames.Next()
	require.NoError(t, err)
	began := time.Now()
	code, err := d.node(0).terminate()
	require.NoError(t, err)
	assert.Zero(t, code)
	assert.Less(t, time.Since(began), 7*time.Second)
}
