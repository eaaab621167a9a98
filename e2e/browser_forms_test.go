package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// inForm is the selector of a field in one of the page's forms.
func inForm(form, name string) string { return id(form) + ` [name="` + name + `"]` }

// TestWhatIsTypedOutlivesWhatHappens: whatever comes while somebody fills in a form, and whether it is refused or not, what they have
// typed and chosen is still there, and is what comes of it.
func TestWhatIsTypedOutlivesWhatHappens(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	old := alice.makes(client.VisibilityPrivate, client.JoinPolicyInvite, bob)
	w := openWindow(t, d.url(0, "/")).tolerate()
	w.signIn(alice)
	somethingComes := func() { w.drawn(bob.tell(old.ID, "Meanwhile")) }

	w.click(id("nav-groups"))
	w.click(id("new-group"))
	w.enter(id("group-name"), "Chess of "+alice.name)
	w.enter(id("group-description"), "Wednesdays")
	w.choose(id("group-visibility"), "public")
	w.choose(id("group-policy"), "approval")
	w.click(`[name="members"]`)
	somethingComes()
	w.holds(id("group-name"), "Chess of "+alice.name)
	w.holds(id("group-description"), "Wednesdays")
	w.holds(id("group-policy"), "approval")
	w.click(id("group-create"))
	w.says(id("chat-title"), "Chess of "+alice.name)
	found, err := bob.FindGroups(t.Context(), "Chess of "+alice.name, client.Page{})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	made := found.Items[0]
	assert.Equal(t, client.VisibilityPublic, made.Visibility)
	assert.Equal(t, client.JoinPolicyApproval, made.JoinPolicy)
	assert.Equal(t, "Wednesdays", made.Description)
	assert.Equal(t, 2, made.MemberCount)

	w.click(id("chat-menu"))
	w.click(id("menu-info"))
	w.click(id("group-edit"))
	w.enter(inForm("edit-form", "name"), "   ")
	w.enter(inForm("edit-form", "description"), "Thursdays")
	w.choose(inForm("edit-form", "join_policy"), "open")
	somethingComes()
	w.click(id("edit-save"))
	w.says(id("edit-form"), "The name must not be empty.")
	w.holds(inForm("edit-form", "name"), "   ")
	_, err = alice.UpdateGroup(t.Context(), made.ID, client.UpdateGroupRequest{SendPolicy: new(client.SendPolicyAdmins)}) // by another device
	require.NoError(t, err)
	w.holds(inForm("edit-form", "send_policy"), "admins")
	w.holds(inForm("edit-form", "description"), "Thursdays")
	w.holds(inForm("edit-form", "join_policy"), "open")
	w.enter(inForm("edit-form", "name"), "Go of "+alice.name)
	w.click(id("edit-save"))
	w.showsNo(id("edit-form"))
	w.says(id("chat-title"), "Go of "+alice.name)
	made, err = bob.Group(t.Context(), made.ID)
	require.NoError(t, err)
	assert.Equal(t, "Thursdays", made.Description)
	assert.Equal(t, client.JoinPolicyOpen, made.JoinPolicy)
	assert.Equal(t, client.SendPolicyAdmins, made.SendPolicy)

	w.click(id("nav-settings"))
	w.enter(id("display-name"), "Alice Anew")
	somethingComes()
	_, err = alice.UpdateMe(t.Context(), client.UpdateMeRequest{StatusText: new("Away")})
	require.NoError(t, err)
	w.holds(id("status-text"), "Away")
	w.holds(id("display-name"), "Alice Anew")
	w.click(id("save-profile"))
	w.says(id("toast"), "Saved.")
	me, err := alice.Me(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "Alice Anew", me.DisplayName)
	assert.Equal(t, "Away", me.StatusText)
}

// TestAnswerThatIsRefusedIsKept: what somebody wrote into a question, or made of a message, is still there when the server does not
// take it.
func TestAnswerThatIsRefusedIsKept(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	f := newFront(t, d)
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"status":409,"code":"conflict","title":"Conflict","detail":"Not just now."}`))
		return true
	}
	w := openWindow(t, f.URL).tolerate()
	w.signIn(alice)
	w.chat("bob")
	w.click(id("chat-menu"))
	w.click(id("menu-info"))
	w.click(id("remark"))
	w.enter(id("question-field"), " Bobby ")
	f.turn(refuse)
	w.click(id("question-yes"))
	w.says(id("question"), "Not just now.")
	w.holds(id("question-field"), " Bobby ")
	f.turn(nil)
	w.click(id("question-yes"))
	w.showsNo(id("question"))
	w.says(id("chat-title"), "Bobby")

	f.turn(refuse)
	w.click(id("composer"))
	w.keys(kb.ArrowUp)
	w.holds(id("composer"), "begin")
	w.keys(" anew\n")
	w.says(id("toast"), "Not just now.")
	w.holds(id("composer"), "begin anew")
	f.turn(nil)
	w.keys("\n")
	w.sent("begin anew")
	w.holds(id("composer"), "")
}

// TestAccountIsDeletedByItsPassword: spaces at its ends belong to it. A wrong one is told where it was asked for, and who comes next
// begins at the list.
func TestAccountIsDeletedByItsPassword(t *testing.T) {
	t.Parallel()
	const spaced = " pass word "
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	alice.say(bob, "begin")
	require.NoError(t, bob.ChangePassword(t.Context(), password, spaced))
	w := openWindow(t, d.url(0, "/")).tolerate()
	w.click(id("tab-login"))
	w.enter(id("username"), bob.name)
	w.enter(id("password"), spaced)
	w.click(id("sign-submit"))
	w.connected()
	w.chat("alice")
	w.enter(id("composer"), "A word of Bob's")

	w.click(id("nav-settings"))
	w.click(id("change-password"))
	w.enter(inForm("password-form", "current_password"), strings.TrimSpace(spaced))
	w.enter(inForm("password-form", "new_password"), "another word")
	w.click(id("password-save"))
	w.says(id("password-form"), "This password is wrong.")
	w.until("it is to be written anew", `document.activeElement.name === "current_password"`)
	w.holds(inForm("password-form", "new_password"), "another word")
	w.click(id("dialog-close"))

	w.click(id("delete-account"))
	w.click(id("question-yes"))
	w.until("it asks for the password", `document.querySelector('[data-testid="question-field"]:invalid')`)
	for _, wrong := range []string{"wrong", strings.TrimSpace(spaced)} {
		w.enter(id("question-field"), wrong)
		w.click(id("question-yes"))
		w.says(id("question"), "This password is wrong.")
		w.holds(id("question-field"), wrong)
	}
	assert.Empty(t, js[[]string](w, `[...document.querySelectorAll('[data-testid="toast"]')].map((toast) => toast.innerText)`))
	w.enter(id("question-field"), spaced)
	w.click(id("question-yes"))
	w.shows(id("sign-form"))
	w.says(id("toast"), "Your account is deleted.")
	assert.Equal(t, "#/chats", js[string](w, "location.hash"))
	w.signIn(alice)
	w.says(id("conversations"), "Deleted")
	w.showsNo(".stage .chat")
}

// TestNextUserFindsNothingOfTheLast: neither the place where somebody was when they logged out, nor what they were writing.
func TestNextUserFindsNothingOfTheLast(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	group := alice.group(bob)
	w := openWindow(t, d.url(0, "/"))
	w.signIn(alice)
	w.chat("A group of " + alice.name)
	w.enter(id("composer"), "A word of Alice's")
	w.click(id("nav-settings"))
	w.click(id("logout"))
	w.shows(id("sign-form"))
	assert.Equal(t, "#/chats", js[string](w, "location.hash"))
	w.signIn(bob)
	w.shows(id("conversation") + `[data-id="` + group + `"]`)
	assert.NotContains(t, js[string](w, "document.body.innerText"), "A word of Alice's")
	w.chat("A group of " + alice.name)
	w.holds(id("composer"), "")
}
