package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// browsers are the places for browsers: each wants a processor for itself, and there may be two only. Who needs two takes
// both at once, which only one may do at a time, or two tests would each hold one and wait for the other.
var browsers = struct {
	taking sync.Mutex
	places chan struct{}
}{places: make(chan struct{}, 2)}

// chromiumPath returns the browser that tests use.
func chromiumPath(t *testing.T) string {
	t.Helper()
	return program(t, "chromium=chromium|chromium-browser|google-chrome")
}

// chromium is a running browser.
type chromium struct {
	t   *testing.T
	ctx context.Context // chromedp keeps the browser in it
}

// openBrowsers starts browsers, each with an empty profile. They end with the test.
func openBrowsers(t *testing.T, count int) []*chromium {
	t.Helper()
	path := chromiumPath(t)
	browsers.taking.Lock()
	for range count {
		browsers.places <- struct{}{}
	}
	browsers.taking.Unlock()
	t.Cleanup(func() {
		for range count {
			<-browsers.places
		}
	})
	all := make([]*chromium, count)
	for n := range all {
		allocator, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
			chromedp.NoDefaultBrowserCheck, chromedp.WindowSize(1280, 800), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-US"))
		ctx, leave := chromedp.NewContext(allocator)
		t.Cleanup(func() {
			leave()
			stop()
		})
		require.NoError(t, chromedp.Do(ctx), "the browser does not start")
		all[n] = &chromium{t: t, ctx: ctx}
	}
	return all
}

// window is a tab of a browser, seen and used as a person does: by the mouse, by keys, and by what is on the page.
type window struct {
	t     *testing.T
	ctx   context.Context // chromedp keeps the tab in it
	close func()          // closes the tab and waits until all it complained of was heard

	pictures string // the folder for them, asked for early: late in a test that fails there is none

	mu         sync.Mutex
	complaints []string // guarded by mu
	tolerant   bool     // the network is made to fail: that the browser tells so is no complaint; guarded by mu
	expected   []string // parts of what is no complaint either; guarded by mu
}

// openWindow opens a browser with one tab that shows an address.
func openWindow(t *testing.T, address string) *window {
	t.Helper()
	return openBrowsers(t, 1)[0].window(address)
}

// window opens one more tab, which shows an address.
func (c *chromium) window(address string) *window {
	t := c.t
	t.Helper()
	ctx, leave := chromedp.NewContext(c.ctx)
	w := &window{t: t, ctx: ctx, pictures: t.ArtifactDir()}
	require.NoError(t, chromedp.Do(ctx), "the tab does not open")
	var listening sync.WaitGroup
	w.close = sync.OnceFunc(func() {
		leave()
		listening.Wait()
	})
	console, dialogs := chromedp.Console(ctx), chromedp.Events(ctx, page.JavascriptDialogOpening)
	listening.Go(func() {
		for message, err := range console {
			if err != nil {
				return // the tab was closed
			}
			w.hear(message)
		}
	})
	listening.Go(func() {
		for dialog, err := range dialogs {
			if err != nil {
				return
			}
			w.complain(fmt.Sprintf("a dialog %q of %s", dialog.Message, dialog.URL))
			_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}) // or everything waits for it
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			w.picture()
		}
		w.close()
		assert.Empty(t, w.complaints, "what the browser complains of")
	})
	w.open(address)
	return w
}

// hear notes what must not be on a console: errors, warnings, what nobody caught, and what the policy has refused.
func (w *window) hear(message chromedp.ConsoleMessage) {
	switch message.Type {
	case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
	default:
		return
	}
	text := fmt.Sprintf("%s (%s) %s", message.String(), message.Source, message.URL)
	w.mu.Lock()
	fine := w.tolerant && message.Source == "network" || slices.ContainsFunc(w.expected, func(part string) bool { return strings.Contains(text, part) })
	w.mu.Unlock()
	if !fine {
		w.complain(text)
	}
}

func (w *window) complain(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complaints = append(w.complaints, text)
}

// tolerate has failures of the network be no complaints from now on.
func (w *window) tolerate() *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tolerant = true
	return w
}

// expect names parts of what the browser is to complain of, which is no fault then.
func (w *window) expect(parts ...string) *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = append(w.expected, parts...)
	return w
}

// do has the tab do things.
func (w *window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	require.NoError(w.t, chromedp.Do(ctx, actions...))
}

func (w *window) open(address string) {
	w.t.Helper()
	w.do(chromedp.Navigate(address))
}

// js evaluates an expression in the page, waits for it when it is a promise, and returns what it is.
func js[T any](w *window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(w.t, err, expression)
	return value
}

// until waits until an expression is true in the page. That it cannot be evaluated while the page is loaded is no fault.
func (w *window) until(what, expression string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		so, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")", chromedp.EvalAwaitPromise))
		if so && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.FailNow(w.t, "the page never came to this: "+what, "%s: %v\n%s", expression, err, w.text())
		case <-look.C:
		}
	}
}

// text is all that is to be read on the page, for those who have to find out what went wrong.
func (w *window) text() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// picture keeps what is to be seen, for `go test -artifacts`.
func (w *window) picture() {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Log("no picture: ", err)
		return
	}
	file, err := os.CreateTemp(w.pictures, "page-*.png")
	if err != nil {
		w.t.Log("no picture: ", err)
		return
	}
	defer file.Close()
	if _, err := file.Write(picture); err == nil {
		w.t.Log("what is to be seen: ", filepath.Base(file.Name()))
	}
}

// id is the selector of what the page calls so.
func id(name string) string { return `[data-testid="` + name + `"]` }

// quoted is a text as an expression.
func quoted(text string) string {
	expression, _ := json.Marshal(text) // a string has no errors
	return string(expression)
}

// list is texts as an expression.
func list(texts []string) string {
	all := make([]string, len(texts))
	for n, text := range texts {
		all[n] = quoted(text)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// shows waits until something is there and to be seen.
func (w *window) shows(selector string) {
	w.t.Helper()
	w.until("it shows "+selector, "document.querySelector("+quoted(selector)+")?.checkVisibility()")
}

// showsNo waits until something is not there any more.
func (w *window) showsNo(selector string) {
	w.t.Helper()
	w.until("it does not show "+selector, "!document.querySelector("+quoted(selector)+")")
}

// says waits until something has a text in it.
func (w *window) says(selector, text string) {
	w.t.Helper()
	w.until(selector+" says "+text, "document.querySelector("+quoted(selector)+")?.innerText.includes("+quoted(text)+")")
}

// spot is where something is that can be clicked: to be seen, at rest, and with nothing before it.
const spot = `(async (selector) => {
	const e = document.querySelector(selector);
	if (!e?.checkVisibility() || e.disabled) return [];
	e.scrollIntoView({ block: "nearest" });
	const box = () => { const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; };
	const before = box();
	await new Promise((resolve) => setTimeout(resolve, 30));
	const now = box();
	const hit = document.elementFromPoint(...now);
	return String(before) === String(now) && (e === hit || e.contains(hit)) ? now : [];
})`

// awaitClick notes whether a click arrives at something.
const awaitClick = `((selector) => {
	window.clicked = false;
	document.querySelector(selector)?.addEventListener("click", () => { window.clicked = true; }, { once: true, capture: true });
})`

// click clicks on something as soon as it can be clicked; once more when it was moved away from under the mouse, as by a list above
// it that has come at that moment.
func (w *window) click(selector string) {
	w.t.Helper()
	eventually(w.t, selector+" can be clicked", func() bool {
		at := js[[]float64](w, spot+"("+quoted(selector)+")")
		if len(at) != 2 {
			return false
		}
		js[struct{}](w, "void "+awaitClick+"("+quoted(selector)+")")
		w.do(chromedp.MouseClickXY(at[0], at[1]))
		return js[bool](w, "window.clicked !== false") // not said by another page that it led to
	})
}

// enter writes into a field in place of what is there.
func (w *window) enter(selector, text string) {
	w.t.Helper()
	w.click(selector)
	w.until("the field has the focus", "document.activeElement?.matches("+quoted(selector)+")")
	w.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`))
	w.keys(text)
}

// choose picks an option of a field that has some, and tells the page as a browser does.
func (w *window) choose(selector, value string) {
	w.t.Helper()
	w.shows(selector)
	js[struct{}](w, `void ((field) => {
		field.value = `+quoted(value)+`;
		for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
	})(document.querySelector(`+quoted(selector)+`))`)
	w.holds(selector, value)
}

// holds waits until a field has a value.
func (w *window) holds(selector, value string) {
	w.t.Helper()
	w.until(selector+" holds "+value, "document.querySelector("+quoted(selector)+")?.value === "+quoted(value))
}

// drawn waits until the page has a message of a conversation and has drawn everything with it.
func (w *window) drawn(m client.Message) {
	w.t.Helper()
	w.until("it has the message", fmt.Sprintf(`import("/app/core.js").then(({ store }) => store.state.conversations.get(%q)?.last_seq >= %d)`, m.ConversationID, m.Seq))
	js[struct{}](w, `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve({}))))`)
}

// keys types a text wherever the focus is; a line feed is the Enter key. Where the page does something else with that than the
// browser, no character comes of it; for chromedp's own Enter one always does.
func (w *window) keys(text string) {
	w.t.Helper()
	for n, part := range strings.Split(text, "\n") {
		if n > 0 {
			w.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
					if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{
						Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13,
					}); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		if part != "" {
			w.do(chromedp.KeyEvent(part))
		}
	}
}

// network tells the browser that there is a network, or that there is none.
func (w *window) network(there bool) {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: !there, DownloadThroughput: -1, UploadThroughput: -1})
		return err
	}))
}

// signUp registers somebody by the page's form.
func (w *window) signUp(name string) {
	w.t.Helper()
	w.click(id("tab-register"))
	w.enter(id("username"), name)
	w.enter(id("password"), password)
	w.click(id("sign-submit"))
	w.connected()
}

// signIn logs somebody in by the page's form.
func (w *window) signIn(p *person) {
	w.t.Helper()
	w.click(id("tab-login"))
	w.enter(id("username"), p.name)
	w.enter(id("password"), password)
	w.click(id("sign-submit"))
	w.connected()
}

// connected waits until the page says that it is connected.
func (w *window) connected() {
	w.t.Helper()
	w.shows(id("connection") + `[data-state="live"]`)
}

// chat opens a conversation from the list.
func (w *window) chat(name string) {
	w.t.Helper()
	w.click(id("nav-chats"))
	w.click(id("conversation") + `[data-name="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"]`)
	w.says(id("chat-title"), name)
	w.shows(id("messages"))
}

// write sends a message as one does, by the field and Enter.
func (w *window) write(text string) {
	w.t.Helper()
	w.enter(id("composer"), text+"\n")
	w.until("the field is empty", `document.querySelector('`+id("composer")+`').value === ""`)
}

// shownBodies is the text of all messages on the page, from top to bottom, those that wait as well.
const shownBodies = `[...document.querySelectorAll('[data-testid="message"]')].map((m) => m.querySelector('[data-testid="body"]')?.textContent).filter((text) => text !== undefined)`

// talks waits until the page shows these messages, each once and in this order, and nothing else.
func (w *window) talks(want ...string) {
	w.t.Helper()
	w.saysInOrder(want, "")
}

// sent is as talks, and all of them are on the server.
func (w *window) sent(want ...string) {
	w.t.Helper()
	w.saysInOrder(want, `&& !document.querySelector('[data-testid="message"]:not([data-seq])')`)
}

func (w *window) saysInOrder(want []string, also string) {
	w.t.Helper()
	w.until("its messages are "+strings.Join(want, ", "), "JSON.stringify("+shownBodies+") === JSON.stringify("+list(want)+")"+also)
}

// message is the selector of the nth message on the page that people wrote and the server has, counted from 1.
func (w *window) message(text string) string {
	w.t.Helper()
	find := `[...document.querySelectorAll('[data-testid="message"][data-seq]')].find((m) => m.querySelector('[data-testid="body"]')?.textContent === ` + quoted(text) + `)?.dataset.seq`
	w.until("the server has "+text, find)
	return id("message") + `[data-seq="` + js[string](w, find) + `"]`
}
