package e2e_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// opened opens an operation of the reference and returns what finds things in it.
func (w *window) opened(id string) string {
	w.t.Helper()
	w.do(chromedp.Click("#"+id+" .opblock-summary-control"), chromedp.WaitVisible("#"+id+" .execute"))
	return "#" + id + " "
}

// execute has the reference send the operation, and returns the status and the body that it then shows.
func (w *window) execute(operation string) (status, body string) {
	w.t.Helper()
	text := func(selector string) string { return "document.querySelector(" + quoted(selector) + ").innerText" }
	row := operation + ".live-responses-table tbody .response-col_"
	w.do(chromedp.Click(operation+".execute"), chromedp.WaitVisible(row+"status"))
	return js[string](w, text(row+"status")), js[string](w, text(row+"description"))
}

// TestReferenceTriesTheAPI signs in through the page at /docs and asks who that is, in a real browser, wide and narrow.
func TestReferenceTriesTheAPI(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice := d.person(t, 0, "alice")
	for name, width := range map[string]int{"wide": 1280, "narrow": 390} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWindow(t, d.url(0, "/docs")).expect("401 (Unauthorized)")
			w.do(chromedp.EmulateViewport(int64(width), 1200), chromedp.WaitVisible("#operations-people-getMe"))
			me := w.opened("operations-people-getMe")
			status, _ := w.execute(me)
			assert.Contains(t, status, "401", "nobody has signed in")

			login := w.opened("operations-auth-login")
			w.do(chromedp.Focus(login + "textarea"))
			entered := fmt.Sprintf(`{"username":%q,"password":%q}`, alice.name, password)
			assert.True(t, js[bool](w, fmt.Sprintf(`document.execCommand("selectAll") && document.execCommand("insertText", false, %q)`, entered)))
			status, body := w.execute(login)
			assert.Contains(t, status, "200")
			assert.Contains(t, body, alice.id)

			w.do(chromedp.Click(me+".btn-clear"), chromedp.WaitNotPresent(me+".live-responses-table"))
			status, body = w.execute(me)
			assert.Contains(t, status, "200", "the token of the login goes with it")
			assert.Contains(t, body, `"username": "`+alice.name+`"`)

			probe := w.opened("operations-service-probeStream")
			status, body = w.execute(probe)
			assert.Contains(t, status, "200")
			assert.Contains(t, body, `{"n":4,"of":4,`)
			assert.LessOrEqual(t, js[int](w, "document.documentElement.scrollWidth"), width, "nothing is wider than the window")
			elsewhere := `performance.getEntriesByType("resource").filter(r => !r.name.startsWith(location.origin)).length`
			assert.Zero(t, js[int](w, elsewhere), "nothing is loaded from anywhere else")
		})
	}
}
