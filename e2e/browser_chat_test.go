package e2e_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTwoPeopleChatInTwoBrowsers goes the way of two people who have never seen the page before, each on a node.
func TestTwoPeopleChatInTwoBrowsers(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		opened := openBrowsers(t, 2)
		ada, bob := opened[0].window(d.url(0, "/")), opened[1].window(d.url(1, "/"))
		adaName, bobName := "ada-"+strings.ToLower(rand.Text()[:8]), "bob-"+strings.ToLower(rand.Text()[:8])
		ada.signUp(adaName)
		bob.signUp(bobName)

		ada.click(id("nav-people"))
		ada.enter(id("people-search"), bobName)
		ada.click(id("person") + `[data-username="` + bobName + `"] ` + id("add-friend"))
		bob.click(id("request") + `[data-name="` + adaName + `"] ` + id("accept"))
		ada.says(id("chat-title"), bobName) // it opens by itself
		bob.says(id("chat-title"), adaName)

		ada.write("Hello, Bob.")
		bob.sent("Hello, Bob.")
		bob.enter(id("composer"), "Hello")
		ada.says(id("typing"), "writing")
		bob.keys(", Ada.\n")
		ada.sent("Hello, Bob.", "Hello, Ada.")
		ada.showsNo(id("typing"))
		ada.shows(ada.message("Hello, Bob.") + ` [data-state="read"]`)
		bob.shows(bob.message("Hello, Ada.") + ` [data-state="read"]`)

		seen := bob.message("Hello, Bob.")
		bob.click(seen + " " + id("message-menu"))
		bob.click(seen + " " + id("menu-reply"))
		bob.until("the field has the focus", `document.activeElement.dataset.testid === "composer"`)
		bob.keys("That is me.\n")
		ada.sent("Hello, Bob.", "Hello, Ada.", "That is me.")
		ada.says(ada.message("That is me.")+" "+id("quote"), "Hello, Bob.")

		answer := bob.message("That is me.")
		bob.click(answer + " " + id("message-menu"))
		bob.click(answer + " " + id("menu-edit"))
		bob.until("the text is in the field", `document.activeElement.dataset.testid === "composer" && document.activeElement.value === "That is me."`)
		bob.keys(kb.End + " Really.\n")
		ada.sent("Hello, Bob.", "Hello, Ada.", "That is me. Really.")
		ada.says(answer, "edited")

		ada.click(answer + " " + id("message-menu"))
		ada.click(answer + " " + id("react-👍"))
		bob.shows(answer + " " + id("reaction") + `[data-emoji="👍"][aria-pressed="false"]`)
		ada.shows(answer + " " + id("reaction") + `[data-emoji="👍"][aria-pressed="true"]`)

		bob.click(answer + " " + id("message-menu"))
		bob.click(answer + " " + id("menu-recall"))
		bob.click(id("question-yes"))
		for _, w := range []*window{ada, bob} {
			w.sent("Hello, Bob.", "Hello, Ada.")
			w.says(answer, "This message was recalled.")
		}
		ada.write("Gone.")
		bob.sent("Hello, Bob.", "Hello, Ada.", "Gone.")
	})
}

// hostile are texts that would do something if they were ever taken for anything but text.
var hostile = []string{
	`<img src=x onerror=alert(1)>`, `</script><script>alert(2)</script>`, `javascript:alert(3)`, `<a href="javascript:alert(4)">x</a>`,
	`"><svg onload=alert(5)>`, `http://x.example/"onmouseover="alert(6)`, `{{constructor.constructor('alert(7)')()}}`, "${alert(8)}",
}

// TestScriptInNamesAndMessagesNeverRuns: what people write is shown as they wrote it, wherever it is shown.
func TestScriptInNamesAndMessagesNeverRuns(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	name := hostile[0]
	for body, status := range map[string]int{
		`{"display_name":` + quoted(name) + `,"status_text":` + quoted(hostile[1]) + `}`: 200,
		`{"avatar_url":"javascript:alert(9)"}`:                                           422,
		`{"avatar_url":"https://avatars.example/x.svg?\"onload=\"alert(10)"}`:            0, // either way
	} {
		if got := alice.ask("PATCH", "/v1/me", body).status; status != 0 {
			require.Equal(t, status, got, body)
		}
	}
	for _, text := range hostile {
		alice.say(bob, text)
	}
	group := alice.group(bob)
	require.Equal(t, 200, alice.ask("PATCH", "/v1/groups/"+group, `{"name":`+quoted(hostile[1])+`}`).status)
	alice.tell(group, hostile[4])

	w := openWindow(t, d.url(0, "/"))
	w.signIn(bob)
	w.says(id("conversations"), hostile[len(hostile)-1]) // the last words of a conversation
	w.chat(name)
	w.sent(hostile...)
	w.write(hostile[0]) // and one's own, from the outbox
	w.sent(append(slices.Clip(hostile), hostile[0])...)
	alice.say(bob, hostile[1]) // and what comes by the inbox
	w.sent(append(slices.Clip(hostile), hostile[0], hostile[1])...)
	assert.Empty(t, js[[]string](w, `[...document.querySelectorAll("a[href]")].map((a) => a.protocol).filter((p) => !/^https?:$/.test(p))`))
	assert.Zero(t, js[int](w, `document.querySelectorAll(".messages img, .messages svg [onload], .messages script, [onerror], [onload], [onmouseover]").length`))

	w.click(id("chat-menu"))
	w.click(id("menu-info"))
	w.says(id("info"), hostile[1])
	w.click(id("nav-people"))
	w.says(id("person"), name)
	w.chat(hostile[1])
	w.sent(hostile[4])
	w.says(id("messages"), name) // who wrote it
	w.until("nothing has run", `!document.querySelector("dialog[open]")`)
}

// TestHundredMessagesOfTwoSendersInOrder: what both write at the same time stands on the page as it stands in the history.
func TestHundredMessagesOfTwoSendersInOrder(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, cluster)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	w := openWindow(t, d.url(1, "/"))
	w.signIn(bob)
	w.chat("alice")
	w.sent("begin")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 50 {
			alice.say(bob, "alice "+string(rune('A'+n%26))+strings.Repeat("'", n/26))
		}
	}()
	// The page's own way of sending, fifty times, faster than anybody types; its outbox brings them in order.
	js[struct{}](w, `import("/app/core.js").then(({ client }) => { for (let n = 0; n < 50; n++) client.send({ user: `+quoted(alice.id)+` }, { body: "bob " + n }); })`)
	<-done
	w.until("all are on the server", shownBodies+`.length === 101 && !document.querySelector('[data-testid="message"]:not([data-seq])')`)
	history := bodies(alice.history(conversationWith(t, alice, bob)))
	require.Len(t, history, 101)
	w.sent(history...)
	seqs := js[[]int](w, `[...document.querySelectorAll('[data-testid="message"]')].map((m) => Number(m.dataset.seq))`)
	assert.IsIncreasing(t, seqs)
}

// TestPageIsSmall: what the first visit has to fetch. How long it takes is told and not judged, for it depends on the machine.
func TestPageIsSmall(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	w := openWindow(t, d.url(0, "/"))
	w.shows(id("sign-form"))
	const scripts = `performance.getEntriesByType("resource").filter((r) => r.initiatorType === "script" || new URL(r.name).pathname.endsWith(".js"))`
	w.until("it is painted", `performance.getEntriesByType("paint").length === 2`)
	size, count := js[int](w, scripts+".reduce((sum, r) => sum + r.transferSize, 0)"), js[int](w, scripts+".length")
	assert.Positive(t, size)
	assert.Less(t, size, 150_000)
	t.Logf("%d scripts with %d bytes; first paint after %v ms", count, size, js[[]float64](w, `performance.getEntriesByType("paint").map((p) => Math.round(p.startTime))`))
}
