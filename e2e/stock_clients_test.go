package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/launchdarkly/eventsource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// stockReader is somebody else's client of Server-Sent Events that reads an inbox.
type stockReader struct {
	name string

	mu     sync.Mutex
	bodies []string // of the messages, in the order in which they came; guarded by mu
	hellos int      // how many streams it had; guarded by mu
}

// take notes an event; one without a name, which some call message, is the inbox's.
func (r *stockReader) take(event, data string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch event {
	case "hello":
		r.hellos++
	case "", "message":
		var said struct {
			Type string
			Data struct{ Body string }
		}
		if err := json.Unmarshal([]byte(data), &said); err != nil {
			said.Type, said.Data.Body = string(client.EventMessageCreated), "no JSON: "+data
		}
		if said.Type == string(client.EventMessageCreated) {
			r.bodies = append(r.bodies, said.Data.Body)
		}
	}
}

func (r *stockReader) state() (bodies []string, hellos int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies, r.hellos
}

// inboxOf is what a stock client is told: where the stream is, what to send, where to begin.
type inboxOf struct {
	stream, token, inboxToken string
	cursor                    client.Cursor
	browser                   *chromium // for those who read in one
}

func (at inboxOf) request(ctx context.Context, query string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.stream+query, http.NoBody)
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+at.token)
	}
	return request, err
}

// stockClients starts each client; it reads until the test ends.
var stockClients = map[string]func(t *testing.T, r *stockReader, at inboxOf){
	"curl": readByCurl, "launchdarkly": readByLaunchDarkly, "npm": readByNPM, "chromium": readByChromium,
}

// readByCurl is the loop that a script would have: curl does not reconnect by itself.
func readByCurl(t *testing.T, r *stockReader, at inboxOf) {
	t.Helper()
	curl := program(t, "curl=curl")
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() {
		last := at.cursor
		for ctx.Err() == nil {
			command := exec.CommandContext(ctx, curl, "-sSN", "-f", "-H", "Authorization: Bearer "+at.token, "-H", "Last-Event-ID: "+last, at.stream+"?presence=none")
			out, err := command.StdoutPipe()
			if err != nil || command.Start() != nil {
				assert.Fail(t, "curl does not start")
				return
			}
			frames := client.NewFrameReader(out)
			for {
				frame, err := frames.Next()
				if err != nil {
					break
				}
				last = frame.ID
				r.take(frame.Event, string(frame.Data))
			}
			_ = command.Wait() // why it ended does not matter: it is started again
			select {
			case <-time.NewTimer(300 * time.Millisecond).C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); reading.Wait() })
}

// readByLaunchDarkly reconnects by itself, after errors too when its handler lets it.
func readByLaunchDarkly(t *testing.T, r *stockReader, at inboxOf) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := at.request(ctx, "?presence=none&cursor="+at.cursor)
	require.NoError(t, err)
	transport := &http.Transport{}
	stream, err := eventsource.SubscribeWithRequestAndOptions(request,
		eventsource.StreamOptionHTTPClient(&http.Client{Transport: transport}), eventsource.StreamOptionInitialRetry(300*time.Millisecond),
		eventsource.StreamOptionErrorHandler(func(error) eventsource.StreamErrorHandlerResult { return eventsource.StreamErrorHandlerResult{} }),
	)
	require.NoError(t, err)
	var reading sync.WaitGroup
	reading.Go(func() {
		for event := range stream.Events {
			r.take(event.Event(), event.Data())
		}
	})
	t.Cleanup(func() {
		stream.Close()
		cancel()
		reading.Wait()
		transport.CloseIdleConnections()
	})
}

// readByNPM runs npm's eventsource, installed as its lock file says into a folder that goes with the test.
func readByNPM(t *testing.T, r *stockReader, at inboxOf) {
	t.Helper()
	node, npm, dir := program(t, "nodejs=node"), program(t, "npm=npm"), t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/eventsource")))
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	output, err := install.CombinedOutput()
	require.NoError(t, err, "%s", output)
	lines := &lineTaker{take: func(line string) {
		event, data, _ := strings.Cut(line, " ")
		r.take(event, data)
	}}
	command := exec.CommandContext(t.Context(), node, filepath.Join(dir, "read.js"), at.stream, at.token, at.cursor)
	said := &log{}
	command.Stdout, command.Stderr = lines, said
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		assert.Empty(t, said.String(), "what node complains of")
	})
}

// lineTaker is a writer that hands on whole lines.
type lineTaker struct {
	take func(line string)
	rest []byte
}

func (w *lineTaker) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte{'\n'})
		if !found {
			return len(p), nil
		}
		w.take(string(line))
		w.rest = rest
	}
}

// browserReader is what a page does: the browser's own EventSource, made anew where it gives up.
const browserReader = `(() => {
	window.got = [];
	let last = %q;
	const open = () => {
		const source = new EventSource("/v1/inbox/stream?errors=inband&presence=none&access_token=%s&cursor=" + last);
		source.onmessage = (event) => { last = event.lastEventId; got.push(["", event.data]); };
		source.addEventListener("hello", (event) => got.push(["hello", event.data]));
		source.addEventListener("error", (event) => {
			if (!event.data && source.readyState !== EventSource.CLOSED) return;
			source.close();
			setTimeout(open, 200 + Math.random() * 300);
		});
	};
	open();
})()`

// readByChromium reads in a page that is served through the proxy, with a token in the URL as EventSource needs it.
func readByChromium(t *testing.T, r *stockReader, at inboxOf) {
	t.Helper()
	p := at.browser.window(strings.TrimSuffix(at.stream, "/v1/inbox/stream") + "/docs/docs.css") // light, and its policy lets it connect
	p.expect("502", "503", "504", "net::ERR_", "EventSource", "favicon.ico")
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any](fmt.Sprintf(browserReader, at.cursor, at.inboxToken)))
		return err
	}))
	ctx, cancel := context.WithCancel(p.ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			events, err := chromedp.Run(ctx, chromedp.Evaluate[[][2]string]("got.splice(0)"))
			if err != nil {
				return
			}
			for _, event := range events {
				r.take(event[0], event[1])
			}
			select {
			case <-time.NewTimer(100 * time.Millisecond).C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); reading.Wait() })
}

// TestStockClientsReadEverythingInOrderThroughProxies: clients that know nothing of Longwire, through proxies that know nothing of it
// either, while streams live four seconds, the nodes restart twice and Redis is emptied.
func TestStockClientsReadEverythingInOrderThroughProxies(t *testing.T) {
	t.Parallel()
	const messages = 1000
	browser := openBrowsers(t, 1)[0]
	rdb := startRedis(t)
	d := fresh(t, cluster, settings{"REDIS_URL": rdb.url(), "STREAM_LIFETIME": "4s", "HEARTBEAT": "2s", "MAX_STREAMS_PER_USER": "100"})
	alice, bob := d.friends(t)
	snapshot, err := bob.Sync(t.Context())
	require.NoError(t, err)
	inboxToken, err := bob.InboxToken(t.Context())
	require.NoError(t, err)

	var readers []*stockReader
	var proxies []*proxy
	for _, kind := range []string{"nginx", "haproxy"} {
		b := startProxy(t, kind, func(port string) string { return d.ours(t, kind, port) })
		proxies = append(proxies, b)
		for name, start := range stockClients {
			r := &stockReader{name: name + " through " + kind}
			readers = append(readers, r)
			start(t, r, inboxOf{stream: b.url + "/v1/inbox/stream", token: bob.Tokens().Access, inboxToken: inboxToken.Token, cursor: snapshot.Cursor, browser: browser})
		}
	}
	for _, r := range readers {
		eventually(t, r.name+" reads", func() bool { _, hellos := r.state(); return hellos > 0 })
	}

	restart := func(end func(n *node)) {
		var ending sync.WaitGroup
		for _, n := range d.nodes {
			ending.Go(func() { end(n) })
		}
		ending.Wait()
		for _, n := range d.nodes {
			assert.NoError(t, n.start())
		}
	}
	faults := map[int]func(){
		messages / 4:     func() { restart(func(n *node) { _, _ = n.terminate() }) },
		messages / 2:     func() { assert.Equal(t, "+OK", rdb.do("FLUSHALL")) },
		messages * 3 / 4: func() { restart(func(n *node) { n.kill() }) },
	}
	// Not with the client that checks: what a proxy says by itself is not in the specification.
	var senders []*client.Client
	for _, b := range proxies {
		sender, err := client.New(b.url, client.Options{HTTPClient: &http.Client{}, Tokens: client.Tokens{Access: alice.Tokens().Access}, Tries: 1})
		require.NoError(t, err)
		senders = append(senders, sender)
	}
	var striking sync.WaitGroup
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	want := make([]string, messages)
	for i := range messages {
		want[i] = fmt.Sprintf("message %d", i)
		if strike := faults[i]; strike != nil {
			striking.Go(strike)
		}
		// Whatever happens it is sent until it is stored, and the key sees to it that this is once.
		eventually(t, want[i]+" is stored", func() bool {
			_, err := senders[i%2].SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: want[i]}, client.WithIdempotencyKey(fmt.Sprint("stock-", i)))
			return err == nil
		})
		<-pace.C
	}
	striking.Wait()
	for _, r := range readers {
		eventually(t, r.name+" has all", func() bool { bodies, _ := r.state(); return len(bodies) >= messages })
	}
	for _, r := range readers {
		bodies, hellos := r.state()
		assert.Equal(t, want, bodies, r.name)
		assert.GreaterOrEqual(t, hellos, 5, "%s had streams of four seconds", r.name)
	}
}
