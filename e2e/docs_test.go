package e2e_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// opened opens an operation of the reference and returns what finds things in it.
func (p *tab) opened(id string) string {
	p.t.Helper()
	p.do(chromedp.Click("#"+id+" .opblock-summary-control"), chromedp.WaitVisible("#"+id+" .execute"))
	return "#" + id + " "
}

// execute has the reference send the operation, and returns the status and the body that it then shows.
func (p *tab) execute(operation string) (status, body string) {
	p.t.Helper()
	row := operation + ".live-responses-table tbody .response-col_"
	p.do(chromedp.Click(operation+".execute"), chromedp.WaitVisible(row+"status"))
	return get(p, chromedp.Text(row+"status")), get(p, chromedp.Text(row+"description"))
}

// TestReferenceTriesTheAPI signs in through the page at /docs and asks who that is, in a real browser, wide and narrow.
func TestReferenceTriesTheAPI(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice := d.person(t, 0, "alice")
	for name, width := range map[string]int{"wide": 1280, "narrow": 390} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browse(t, width, 1200)
			p.expect("401 (Unauthorized)")
			p.do(chromedp.Navigate(d.url(0, "/docs")), chromedp.WaitVisible("#operations-people-getMe"))
			me := p.opened("operations-people-getMe")
			status, _ := p.execute(me)
			assert.Contains(t, status, "401", "nobody has signed in")

			login := p.opened("operations-auth-login")
			p.do(chromedp.Focus(login + "textarea"))
			entered := fmt.Sprintf(`{"username":%q,"password":%q}`, alice.name, password)
			assert.True(t, eval[bool](p, fmt.Sprintf(`document.execCommand("selectAll") && document.execCommand("insertText", false, %q)`, entered)))
			status, body := p.execute(login)
			assert.Contains(t, status, "200")
			assert.Contains(t, body, alice.id)

			p.do(chromedp.Click(me+".btn-clear"), chromedp.WaitNotPresent(me+".live-responses-table"))
			status, body = p.execute(me)
			assert.Contains(t, status, "200", "the token of the login goes with it")
			assert.Contains(t, body, `"username": "`+alice.name+`"`)

			probe := p.opened("operations-service-probeStream")
			status, body = p.execute(probe)
			assert.Contains(t, status, "200")
			assert.Contains(t, body, `{"n":4,"of":4,`)
			assert.LessOrEqual(t, eval[int](p, "document.documentElement.scrollWidth"), width, "nothing is wider than the window")
			elsewhere := `performance.getEntriesByType("resource").filter(r => !r.name.startsWith(location.origin)).length`
			assert.Zero(t, eval[int](p, elsewhere), "nothing is loaded from anywhere else")
		})
	}
}
