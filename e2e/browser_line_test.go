package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// front stands before a node as a proxy does. It counts, cuts, and answers in place of the node when it is told to.
type front struct {
	*httptest.Server

	mu      sync.Mutex
	seen    map[string]int                                           // requests by path; guarded by mu
	instead func(w http.ResponseWriter, r *http.Request) (done bool) // nil = all goes to the node; guarded by mu
}

func newFront(t *testing.T, d *deployment) *front {
	t.Helper()
	target, err := url.Parse(d.url(0, ""))
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog, proxy.FlushInterval = silent, -1
	f := &front{seen: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.seen[r.URL.Path]++
		instead := f.instead
		f.mu.Unlock()
		if instead == nil || !instead(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// turn has something else answer from now on, nil for the node.
func (f *front) turn(instead func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead = instead
}

// count is how many requests there were for a path.
func (f *front) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[path]
}

// openStreams is how many streams a node says that it has.
func openStreams(t *testing.T, ops string) string {
	t.Helper()
	response, err := http.Get("http://" + ops + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if count, found := strings.CutPrefix(lines.Text(), "longwire_http_streams "); found {
			return count
		}
	}
	require.FailNow(t, "the node does not tell how many streams it has")
	return ""
}

// numbered are so many texts that begin alike.
func numbered(what string, count int) []string {
	texts := make([]string, count)
	for n := range texts {
		texts[n] = fmt.Sprint(what, " ", n)
	}
	return texts
}

// sayAll sends texts, one after the other.
func (p *person) sayAll(to *person, texts []string) {
	p.t.Helper()
	for _, text := range texts {
		p.say(to, text)
	}
}

// together is what was said, part after part.
func together(parts ...[]string) []string {
	var all []string
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

const leads = `import("/app/core.js").then(({ client }) => client.connection.leader)`

// TestSevenTabsShareOneConnection: more tabs than a browser has connections to one server, and every one shows everything once,
// also while the one that reads for all is closed.
func TestSevenTabsShareOneConnection(t *testing.T) {
	t.Parallel()
	ops := "127.0.0.1:" + freePort()
	d := fresh(t, embedded, settings{"OPS_LISTEN": ops})
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	browser := openBrowsers(t, 1)[0]
	tabs := []*window{browser.window(d.url(0, "/"))}
	tabs[0].signIn(bob)
	tabs[0].chat("alice")
	for len(tabs) < 7 {
		tabs = append(tabs, browser.window(js[string](tabs[0], "location.href")))
	}
	for _, w := range tabs {
		w.connected()
		w.sent("begin")
	}
	eventually(t, "there is one stream", func() bool { return openStreams(t, ops) == "1" })

	said := []string{"begin"}
	say := func(what string, count int) {
		alice.sayAll(bob, numbered(what, count))
		said = append(said, numbered(what, count)...)
	}
	say("before", 20)
	for _, w := range tabs {
		w.sent(said...)
	}
	assert.Equal(t, "1", openStreams(t, ops))

	leader := -1
	for n, w := range tabs {
		if js[bool](w, leads) {
			require.Negative(t, leader, "one reads, and no other")
			leader = n
		}
	}
	require.GreaterOrEqual(t, leader, 0)
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		tabs[leader].close()
	}()
	say("meanwhile", 20)
	<-closing
	rest := append(slices.Clip(tabs[:leader]), tabs[leader+1:]...)
	eventually(t, "another tab leads", func() bool {
		leading := 0
		for _, w := range rest {
			if js[bool](w, leads) {
				leading++
			}
		}
		return leading == 1
	})
	say("after", 20)
	for _, w := range rest {
		w.connected()
		w.sent(said...)
	}
	eventually(t, "there is one stream", func() bool { return openStreams(t, ops) == "1" })
}

// TestPageSurvivesRestartAndCrash: the server goes and comes back, in order or not. The page tells, recovers by itself, and
// what was written in between arrives once.
func TestPageSurvivesRestartAndCrash(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	w := openWindow(t, d.url(0, "/")).tolerate()
	w.signIn(bob)
	w.chat("alice")
	said := []string{"begin"}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		n := d.node(0)
		w.write("before " + signal.String())
		if signal == syscall.SIGKILL {
			n.kill()
		} else {
			code, err := n.terminate()
			require.NoError(t, err)
			require.Zero(t, code)
		}
		w.showsNo(id("connection") + `[data-state="live"]`)
		w.write("down " + signal.String())
		w.write("still down " + signal.String())
		said = append(said, "before "+signal.String(), "down "+signal.String(), "still down "+signal.String())
		w.talks(said...)
		w.says(id("connection"), "No connection")
		require.NoError(t, n.start())
		w.connected()
		w.sent(said...)
		alice.say(bob, "after "+signal.String())
		said = append(said, "after "+signal.String())
		w.sent(said...)
		assert.Equal(t, said, bodies(alice.history(conversationWith(t, alice, bob))))
	}
}

// TestEndedSessionGoesToTheSignInForm: another device ends the session, and every tab of it shows the form and why.
func TestEndedSessionGoesToTheSignInForm(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	browser := openBrowsers(t, 1)[0]
	first := browser.window(d.url(0, "/"))
	first.signIn(bob)
	second := browser.window(d.url(0, "/"))
	second.connected()
	first.tolerate()
	second.tolerate()
	require.NoError(t, bob.EndOtherSessions(t.Context()))
	for _, w := range []*window{first, second} {
		w.shows(id("sign-form"))
		w.says(id("toast"), "this session has ended")
		assert.True(t, js[bool](w, `import("/app/core.js").then(({ client }) => client.session === null)`))
	}
	first.signIn(bob) // and begins anew
	first.chat("alice")
	first.sent("begin")
}

// TestAccessTokenIsRenewedUnnoticed: tokens that live for seconds are renewed under a chat that never stops.
func TestAccessTokenIsRenewedUnnoticed(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"ACCESS_TOKEN_LIFETIME": "4s"})
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	f := newFront(t, d)
	w := openWindow(t, f.URL)
	w.signIn(bob)
	w.chat("alice")
	said := []string{"begin"}
	for n := 1; n <= 3; n++ {
		eventually(t, "the token is renewed", func() bool { return f.count("/v1/auth/refresh") >= n })
		w.write(fmt.Sprint("bob ", n))
		said = append(said, fmt.Sprint("bob ", n))
		w.sent(said...)
		alice.say(bob, fmt.Sprint("alice ", n))
		said = append(said, fmt.Sprint("alice ", n))
		w.sent(said...)
	}
	w.connected()
	assert.Empty(t, js[[]string](w, `[...document.querySelectorAll('[data-testid="toast"]')].map((toast) => toast.innerText)`))
}

// TestPageRecoversFromRefusals: what a server or a proxy may answer when one comes back, a few times each.
func TestPageRecoversFromRefusals(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	f := newFront(t, d)
	w := openWindow(t, f.URL).tolerate()
	w.signIn(bob)
	w.chat("alice")
	said := []string{"begin"}
	for _, status := range []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable} {
		left := 2
		refused := make(chan struct{})
		f.turn(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/inbox/stream" && r.URL.Path != "/v1/inbox/poll" {
				return false
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if left == 0 {
				return false
			}
			if left--; left == 0 {
				close(refused)
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(status)
			return true
		})
		f.CloseClientConnections()
		w.showsNo(id("connection") + `[data-state="live"]`)
		alice.say(bob, fmt.Sprint("alice at ", status))
		<-refused
		w.connected()
		w.write(fmt.Sprint("bob at ", status))
		said = append(said, fmt.Sprint("alice at ", status), fmt.Sprint("bob at ", status))
		w.sent(said...)
	}
	assert.Equal(t, said, bodies(alice.history(conversationWith(t, alice, bob))))
}

// TestLaptopSleeps: for longer than a stream lives nothing gets through, and nobody says so.
func TestLaptopSleeps(t *testing.T) {
	t.Parallel()
	ops := "127.0.0.1:" + freePort()
	d := fresh(t, embedded, settings{"STREAM_LIFETIME": "4s", "OPS_LISTEN": ops})
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	cable, err := newRelay(strings.TrimPrefix(d.url(0, ""), "http://"))
	require.NoError(t, err)
	t.Cleanup(cable.close)
	w := openWindow(t, "http://"+cable.address()).tolerate()
	w.signIn(bob)
	w.chat("alice")
	w.sent("begin")

	cable.turn(relayHoles)
	w.network(false)
	w.write("offline 0")
	w.write("offline 1")
	w.talks("begin", "offline 0", "offline 1")
	w.until("they wait", `document.querySelectorAll('[data-testid="message"]:not([data-seq]) [data-testid="state"]:is([data-state="waiting"], [data-state="sending"])').length === 2`)
	alice.sayAll(bob, numbered("asleep", 30))
	eventually(t, "the stream's life is over", func() bool { return openStreams(t, ops) == "0" })

	cable.turn(relayPasses)
	w.network(true)
	w.connected()
	w.sent(together([]string{"begin"}, numbered("asleep", 30), numbered("offline", 2))...)
	alice.say(bob, "awake")
	w.sent(together([]string{"begin"}, numbered("asleep", 30), numbered("offline", 2), []string{"awake"})...)
	assert.Len(t, alice.history(conversationWith(t, alice, bob)), 34)
}

// TestOutboxSurvivesAReload: what was written while the server could not be reached is still there after the page was loaded anew,
// and leaves once when it can be.
func TestOutboxSurvivesAReload(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	f := newFront(t, d)
	w := openWindow(t, f.URL).tolerate()
	w.signIn(bob)
	w.chat("alice")
	w.sent("begin")
	f.turn(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			panic(http.ErrAbortHandler) // the page comes, the server behind it does not
		}
		return false
	})
	f.CloseClientConnections()
	w.showsNo(id("connection") + `[data-state="live"]`)
	w.write("kept 0")
	w.write("kept 1")
	w.talks("begin", "kept 0", "kept 1")
	w.open("about:blank")
	w.open(f.URL)
	w.until("both wait in the outbox", `import("/app/core.js").then(({ client }) => client.outbox.length === 2 && client.session !== null)`)
	assert.Len(t, alice.history(conversationWith(t, alice, bob)), 1)
	f.turn(nil)
	w.connected()
	w.chat("alice")
	w.sent("begin", "kept 0", "kept 1")
	assert.Equal(t, []string{"begin", "kept 0", "kept 1"}, bodies(alice.history(conversationWith(t, alice, bob))))
}

// TestHistoryIsFetchedWhenTheNetworkIsBack: that it could not be fetched is told, and mends itself.
func TestHistoryIsFetchedWhenTheNetworkIsBack(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	f := newFront(t, d)
	w := openWindow(t, f.URL).tolerate()
	w.signIn(bob)
	var tries atomic.Int32
	f.turn(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/messages") {
			tries.Add(1)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	w.chat("alice")
	eventually(t, "it tries again and again", func() bool { return tries.Load() >= 4 })
	w.until("it tells", `document.querySelector(".edge [role=alert]")?.innerText.includes("could not be fetched")`)
	f.turn(nil)
	w.sent("begin")
	w.showsNo(".edge [role=alert]")
}

// TestPageStepsDownBehindABufferingProxy: streams are held back to their end, which nobody waits for; long-polls get through.
func TestPageStepsDownBehindABufferingProxy(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	target, err := url.Parse(d.url(0, ""))
	require.NoError(t, err)
	proxy := httptest.NewServer(holdingBack(target))
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	w := openWindow(t, proxy.URL).tolerate()
	w.signIn(bob)
	w.shows(id("connection") + `[data-state="live"][data-transport="long-poll"]`)
	w.says(id("connection"), "Connected by long-poll")
	w.chat("alice")
	said := []string{"begin"}
	for n := range 5 {
		alice.say(bob, fmt.Sprint("alice ", n))
		w.write(fmt.Sprint("bob ", n))
		said = append(said, fmt.Sprint("alice ", n), fmt.Sprint("bob ", n))
		w.sent(said...)
	}
}

// TestPageBeginsAnewWhenItsCursorIsTooOld: what it missed is not kept any more. It shows what is so now, whatever happened.
func TestPageBeginsAnewWhenItsCursorIsTooOld(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"RETENTION": "1s"})
	alice, bob := d.friends(t)
	first := alice.say(bob, "begin")
	second := alice.say(bob, "to be recalled")
	cable, err := newRelay(strings.TrimPrefix(d.url(0, ""), "http://"))
	require.NoError(t, err)
	t.Cleanup(cable.close)
	w := openWindow(t, "http://"+cable.address()).tolerate()
	w.signIn(bob)
	w.chat("alice")
	w.sent("begin", "to be recalled")
	cable.turn(relayRefuses)
	w.showsNo(id("connection") + `[data-state="live"]`)
	w.write("from the outbox")
	cursor := js[string](w, `import("/app/core.js").then(({ client }) => client.cursor)`)

	_, err = alice.EditMessage(t.Context(), first.ConversationID, first.Seq, client.EditMessageRequest{Body: new("edited")})
	require.NoError(t, err)
	_, err = alice.RecallMessage(t.Context(), second.ConversationID, second.Seq)
	require.NoError(t, err)
	alice.sayAll(bob, numbered("missed", 60)) // more than the page fetches at once
	eventually(t, "the cursor is too old", func() bool {
		result, err := bob.Poll(t.Context(), client.PollOptions{Cursor: cursor})
		require.NoError(t, err)
		return result.Reset != nil
	})
	cable.turn(relayPasses)
	w.connected()
	w.click(id("to-newest")) // it shows where one has read to, for there is much
	w.until("it shows what is so now", shownBodies+`.at(-1) === "from the outbox" && !document.querySelector('[data-testid="message"]:not([data-seq])')`)
	newest := together(numbered("missed", 60), []string{"from the outbox"})
	w.until("the newest are there, once, in order, without a hole", `(() => { const shown = `+shownBodies+`; return JSON.stringify(shown.slice(-40)) === JSON.stringify(`+list(newest[len(newest)-40:])+`); })()`)
	js[struct{}](w, `void document.querySelector(".messages-box").scrollTo(0, 0)`)
	w.sent(together([]string{"edited"}, newest)...)
	alice.say(bob, "after")
	w.sent(together([]string{"edited"}, newest, []string{"after"})...)
}
