package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestJavaScriptClientOnRealServers runs longwire.js in Node against real servers, over ways that hold back, cut and lose.
func TestJavaScriptClientOnRealServers(t *testing.T) {
	onFresh(t, settings{"ACCESS_TOKEN_LIFETIME": "20s"}, func(t *testing.T, d *deployment) {
		target, err := url.Parse(d.url(0, ""))
		require.NoError(t, err)
		buffering := httptest.NewServer(holdingBack(target))
		defer buffering.Close()
		cutting := httptest.NewServer(cuttingAfter(target, 3*time.Second))
		defer cutting.Close()
		losing, err := newRelay(target.Host)
		require.NoError(t, err)
		defer losing.close()
		defer every(time.Second, losing.cut)()
		restart := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			d.node(0).kill()
			if err := d.node(0).start(); err != nil { //nolint:contextcheck // the node outlives the request
				t.Error(err)
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		defer restart.Close()
		runNode(t, "../web/tests/server/server.test.mjs", map[string]string{
			"LONGWIRE_URL": target.String(), "LONGWIRE_BUFFERING": buffering.URL, "LONGWIRE_CUTTING": cutting.URL,
			"LONGWIRE_LOSING": "http://" + losing.address(), "LONGWIRE_RESTART": restart.URL,
			"LONGWIRE_FETCH_EXAMPLE": exampleFile(t, "fetch.js"),
		})
	})
}

// silent is where proxies complain about what they are made to do.
var silent = stdlog.New(io.Discard, "", 0)

// runNode runs a file of tests in Node.
func runNode(t *testing.T, file string, env map[string]string) {
	t.Helper()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "these tests need Node.js 20: run `make test`, or install it")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, "--test", "--test-reporter=tap", file)
	command.Env = os.Environ()
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotContains(t, string(output), "\n# pass 0\n", "it ran nothing")
}

// holdingBack is a proxy that reads each answer to its end before it passes it on.
func holdingBack(target *url.URL) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = silent
	proxy.ModifyResponse = func(response *http.Response) error {
		body, err := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body))
		return err
	}
	return proxy
}

// cuttingAfter is a proxy that waits so long for the end of an answer: then it says 504, or breaks off what it has begun.
func cuttingAfter(target *url.URL, limit time.Duration) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = silent
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusGatewayTimeout) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	})
}

// every does something again and again, until what it returns is called.
func every(pause time.Duration, do func()) (stop func()) {
	ticker, done, ended := time.NewTicker(pause), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				do()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
	}
}

// example returns an example of docs/javascript.md.
func example(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/javascript.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "<!-- example: "+name+" -->\n```js\n")
	require.True(t, found, name)
	code, _, found := strings.Cut(rest, "\n```\n")
	require.True(t, found, name)
	return code
}

// exampleFile writes it to a file that Node can import.
func exampleFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.TrimSuffix(name, ".js")+".mjs")
	require.NoError(t, os.WriteFile(path, []byte(example(t, name)), 0o600))
	return path
}

// eventSourcePage signs in, reads by the example, and tells what came, the last word at the end.
const eventSourcePage = `
import { receive } from "./eventsource.js";
const call = async (method, path, body, token) => {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
};
const tell = (text) => fetch("/told", { method: "POST", body: text });
try {
  let signIn = await call("POST", "/v1/auth/register", { username: "es" + Date.now(), password: "correct horse battery" });
  const group = await call("POST", "/v1/groups", { name: "G", visibility: "private", join_policy: "invite" }, signIn.access_token);
  const { cursor } = await call("GET", "/v1/sync", undefined, signIn.access_token);
  const renew = async () => (signIn = await call("POST", "/v1/auth/refresh", { refresh_token: signIn.refresh_token }));
  const got = [];
  const stop = receive(cursor, renew, async (event) => {
    if (event.type !== "message.created") return;
    got.push(event.data.body);
    if (got.length < 40) return;
    stop();
    await tell("got " + got.join(" "));
  });
  for (let i = 0; i < 40; i++) {
    await renew();
    await call("POST", "/v1/groups/" + group.id + "/messages", { body: String(i) }, signIn.access_token);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
} catch (error) {
  await tell("failed " + error);
}
`

// TestEventSourceAloneAsDocumented: the example of the documentation gets everything once in a browser, over a proxy that cuts streams.
func TestEventSourceAloneAsDocumented(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	target, err := url.Parse(d.url(0, ""))
	require.NoError(t, err)
	told := make(chan string, 8)
	mux := http.NewServeMux()
	mux.Handle("/v1/", cuttingAfter(target, 2*time.Second))
	serve := func(path, kind, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		})
	}
	serve("/{$}", "text/html", `<script type="module" src="/page.js"></script>`)
	serve("/page.js", "text/javascript", eventSourcePage)
	serve("/eventsource.js", "text/javascript", example(t, "eventsource.js"))
	mux.HandleFunc("POST /told", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		told <- string(text)
	})
	page := httptest.NewServer(mux)
	defer page.Close()

	browser := chromiumPath(t)
	output := &log{}
	process, err := startProcess(output, map[string]string{"HOME": t.TempDir()}, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", page.URL)
	require.NoError(t, err)
	defer process.kill()
	var want strings.Builder
	for i := range 40 {
		fmt.Fprintf(&want, " %d", i)
	}
	timer := time.NewTimer(2 * patience)
	defer timer.Stop()
	select {
	case got := <-told:
		assert.Equal(t, "got"+want.String(), got)
	case <-timer.C:
		assert.Fail(t, "the page tells nothing", output.tail())
	}
}
