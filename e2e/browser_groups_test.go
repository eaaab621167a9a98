package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// TestAdminsSeeWhoWantsToJoin: on the list and on the chat, whatever they look at; and the keyboard goes from one to the next.
func TestAdminsSeeWhoWantsToJoin(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	people := d.people(t, "alice", "bob", "carol", "dave")
	alice, bob, carol, dave := people[0], people[1], people[2], people[3]
	group := alice.makes(client.VisibilityPublic, client.JoinPolicyApproval)
	w := openWindow(t, d.url(0, "/"))
	w.signIn(alice)
	w.click(id("nav-chats"))
	_, err := bob.AskToJoin(t.Context(), group.ID, "It is me.")
	require.NoError(t, err)
	w.says(id("conversation")+" "+id("waiting"), "1 wants to join")
	w.says(id("nav-groups-badge"), "1 wants to join")
	w.says(id("announcer"), "bob wants to join "+group.Name)
	for _, p := range []*person{carol, dave} {
		_, err := p.AskToJoin(t.Context(), group.ID, "")
		require.NoError(t, err)
	}
	w.chat(group.Name)
	w.says(id("chat-waiting"), "3 want to join")
	w.click(id("chat-waiting"))
	entry := func(p *person) string { return id("join-request") + `[data-name="` + p.name + `"]` }
	w.says(entry(bob), "@"+bob.name)
	w.says(entry(bob), "It is me.")

	w.click(entry(bob) + " " + id("let-in"))
	w.showsNo(entry(bob))
	w.until("the next has the focus", `document.activeElement.dataset.testid === "let-in"`)
	w.keys(" ")
	w.until("one is left", `document.querySelectorAll('[data-testid="join-request"]').length === 1`)
	w.until("the last has the focus", `document.activeElement.dataset.testid === "let-in"`)
	w.click(id("turn-away"))
	w.showsNo(id("join-request"))
	w.until("what is there has the focus", `document.activeElement !== document.body`)
	w.showsNo(id("waiting"))
	w.showsNo(id("nav-groups-badge"))
	w.click(id("info-close"))
	w.until("the title has the focus", `document.activeElement.matches(".chat-title")`)
}

// TestWhoLosesAGroupIsTold: why it is gone, and what they were writing in it is not lost.
func TestWhoLosesAGroupIsTold(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	alice, bob := d.friends(t)
	named := func(name string, policy client.JoinPolicy, members ...client.ID) client.Group {
		group, err := alice.CreateGroup(t.Context(), client.CreateGroupRequest{Name: name + " of " + alice.name, Visibility: client.VisibilityPublic, JoinPolicy: policy, Members: members})
		require.NoError(t, err)
		return group
	}
	chess, drafts, poker := named("Chess", client.JoinPolicyOpen, bob.id), named("Drafts", client.JoinPolicyOpen, bob.id), named("Poker", client.JoinPolicyOpen, bob.id)
	closed := named("Closed", client.JoinPolicyApproval)
	_, err := bob.AskToJoin(t.Context(), closed.ID, "")
	require.NoError(t, err)
	w := openWindow(t, d.url(0, "/")).tolerate() // it may read and type where it is not any more
	w.signIn(bob)
	w.chat(chess.Name)
	w.enter(id("composer"), "Half a word")

	require.NoError(t, alice.RemoveMember(t.Context(), chess.ID, bob.id))
	w.says(id("toast"), "You were removed from "+chess.Name+".")
	w.until("the note covers nothing of the list", `document.querySelector(".toast").getBoundingClientRect().left > document.querySelector(".pane").getBoundingClientRect().right`)
	w.click(id("toast-action"))
	w.holds(id("question-field"), "Half a word")
	w.click(id("question-yes"))
	w.showsNo(id("toast"))
	_, err = alice.BanUser(t.Context(), drafts.ID, bob.id, "Spam")
	require.NoError(t, err)
	w.says(id("toast"), "You were banned from "+drafts.Name+".")
	require.NoError(t, alice.DissolveGroup(t.Context(), poker.ID))
	w.says(".toasts", poker.Name+" was dissolved.")
	require.NoError(t, alice.DeclineJoinRequest(t.Context(), closed.ID, bob.id))
	w.says(".toasts", "Your request to join "+closed.Name+" was declined.")
	w.showsNo(id("conversation"))
}

// TestMembersOfALargeGroupAreFound: the page holds the first part of the members only, until somebody looks for one.
func TestMembersOfALargeGroupAreFound(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	people := d.people(t, "alice", "bob", "carol", "dave", "erin")
	alice, erin := people[0], people[4]
	group := alice.makes(client.VisibilityPublic, client.JoinPolicyOpen)
	for _, p := range people[1:] {
		_, err := p.JoinGroup(t.Context(), group.ID)
		require.NoError(t, err)
	}
	f := newFront(t, d)
	f.turn(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/members") { // parts of two are as good as parts of a hundred
			query := r.URL.Query()
			query.Set("limit", "2")
			r.URL.RawQuery = query.Encode()
		}
		return false
	})
	w := openWindow(t, f.URL)
	w.signIn(alice)
	w.chat(group.Name)
	eventually(t, "the first part is here", func() bool { return f.count("/v1/groups/"+group.ID+"/members") == 1 })
	w.enter(id("composer"), "Where is @eri")
	w.says(id("mention-option"), "@"+erin.name)
	w.keys("\n\n")
	w.sent("Where is @" + erin.name)
	assert.Equal(t, []client.ID{erin.id}, erin.history(group.ID)[len(erin.history(group.ID))-1].Mentions)
}
