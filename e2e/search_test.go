package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// finds returns the bodies of what somebody finds, in small parts.
func (p *person) finds(search client.Search) []string {
	p.t.Helper()
	bodies := []string{}
	page := client.Page{Limit: 2}
	for {
		part, err := p.SearchMessages(p.t.Context(), search, page)
		require.NoError(p.t, err)
		for _, found := range part.Items {
			bodies = append(bodies, found.Message.Body)
		}
		if part.Next == nil {
			return bodies
		}
		page.After = *part.Next
	}
}

func TestSearchFindsMessagesOnEveryNodeAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, bob, carol)
		private := alice.say(bob, "Wer bringt die Bretter nach München?").ConversationID
		bob.say(carol, "Bretter? I have none.")
		group := carol.group(alice, bob)
		for i := range 5 {
			people[i%3].tell(group, fmt.Sprintf("Bretter %d 世界 🎉", i))
		}
		everything := []string{"Bretter 4 世界 🎉", "Bretter 3 世界 🎉", "Bretter 2 世界 🎉", "Bretter 1 世界 🎉", "Bretter 0 世界 🎉", "Wer bringt die Bretter nach München?"}
		for n := range 2 {
			assert.Equal(t, everything, alice.at(n).finds(client.Search{Query: "bretter"}))
			assert.Equal(t, everything[:5], alice.at(n).finds(client.Search{Query: "界 🎉"}))
			assert.Equal(t, everything[5:], alice.at(n).finds(client.Search{Query: "bretter", Conversation: private}))
			assert.Equal(t, everything[5:], bob.at(n).finds(client.Search{Query: "munchen"}))
			assert.Empty(t, carol.at(n).finds(client.Search{Query: "münchen"}))
			assert.Equal(t, []string{"Bretter 3 世界 🎉", "Bretter 0 世界 🎉"}, carol.at(n).finds(client.Search{Query: "bretter", Sender: alice.id}))
		}
		part, err := bob.SearchMessages(t.Context(), client.Search{Query: "MUNCHEN"}, client.Page{})
		require.NoError(t, err)
		assert.Equal(t, private, part.Items[0].ConversationID)
		assert.Equal(t, []client.Highlight{{Start: 28, End: 35}}, part.Items[0].Highlights)
		assert.Nil(t, part.Items[0].Message.IdempotencyKey, "the key is its sender's")

		require.NoError(t, alice.LeaveGroup(t.Context(), group))
		assert.Equal(t, everything[5:], alice.finds(client.Search{Query: "bretter"}), "what one has left is not searched")
		require.NoError(t, bob.Block(t.Context(), alice.id))
		assert.Equal(t, everything[5:], alice.finds(client.Search{Query: "bretter"}), "a block takes nothing away")
	})
}

func TestSearchSaysWhatIsWrong(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		private := alice.say(bob, "secret").ConversationID
		limits, err := alice.Limits(t.Context())
		require.NoError(t, err)
		longest := limits.MaxSearchQueryLength
		for query, field := range map[string]string{
			"":                                    "q",
			"q=":                                  "q",
			"q=%20":                               "q",
			"q=%2B%2A%22":                         "q",
			"q=" + strings.Repeat("x", longest+1): "q",
			"q=x&limit=0":                         "limit",
			"q=x&limit=1000":                      "limit",
			"q=x&after=nonsense":                  "after",
			"q=x&sender_id=nobody":                "sender_id",
			"q=x&before_time=yesterday":           "before_time",
			"q=x&after_time=2026-01-01":           "after_time",
		} {
			got := ask(t, alice.http, raw{method: http.MethodGet, url: d.url(0, "/v1/search/messages?"+query), token: alice.Tokens().Access, wrong: true})
			require.Equal(t, http.StatusUnprocessableEntity, got.status, query)
			assert.Equal(t, field, got.problem().Errors[0].Field, query)
		}
		assert.Empty(t, alice.finds(client.Search{Query: strings.Repeat("世", longest)}))
		for _, operator := range []string{`"`, `') OR 1=1 --`, `secret" OR "x`, `-secret +x`, `secret*) OR (x`, "terms : x", "{x y} : z", "^x", "x NEAR/3 y", "@4 x", "%", "_"} {
			got := carol.ask(http.MethodGet, "/v1/search/messages?q="+url.QueryEscape(operator+" x"), "")
			require.Equal(t, http.StatusOK, got.status, operator)
			assert.Contains(t, string(got.body), `"items":[]`, operator)
		}
		for _, foreign := range []string{private, carol.id, "nonsense"} {
			got := carol.ask(http.MethodGet, "/v1/search/messages?q=secret&conversation_id="+foreign, "")
			require.Equal(t, http.StatusNotFound, got.status, "what is not yours is as what is not there")
		}
	})
}

func TestSearchIsLimited(t *testing.T) {
	onFresh(t, settings{"RATE_LIMIT": "on"}, func(t *testing.T, d *deployment) {
		alice := d.person(t, 0, "alice")
		for n := range 200 {
			got := alice.at(n).ask(http.MethodGet, "/v1/search/messages?q=x", "")
			assert.Regexp(t, `^[0-9]+$`, got.header.Get("RateLimit-Remaining"))
			if got.status == http.StatusTooManyRequests {
				assert.Equal(t, client.ProblemCodeRateLimited, got.problem().Code)
				assert.Regexp(t, `^[1-9][0-9]*$`, got.header.Get("Retry-After"))
				return
			}
			require.Equal(t, http.StatusOK, got.status)
		}
		require.Fail(t, "searching is dear, and must be limited")
	})
}

func TestHistoryByTime(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		var sent []client.Message
		for i := range 12 {
			sent = append(sent, alice.at(0).say(bob, fmt.Sprint(i+1)))
		}
		conversation := sent[0].ConversationID
		page := func(query client.HistoryQuery) (seqs []int64) {
			t.Helper()
			query.Limit = 3
			part, err := bob.at(1).Messages(t.Context(), conversation, query)
			require.NoError(t, err)
			for _, message := range part.Items {
				seqs = append(seqs, message.Seq)
			}
			return seqs
		}
		// Several messages may be of the same millisecond: the first of them is meant.
		first := func(at time.Time) int64 {
			for _, message := range sent {
				if !message.CreatedAt.Before(at) {
					return message.Seq
				}
			}
			return int64(len(sent)) + 1
		}
		for _, message := range sent {
			at := message.CreatedAt
			seq := first(at)
			assert.Equal(t, page(client.HistoryQuery{BeforeSeq: &seq}), page(client.HistoryQuery{BeforeTime: &at}))
			assert.Equal(t, page(client.HistoryQuery{AfterSeq: new(seq - 1)}), page(client.HistoryQuery{AfterTime: &at}))
			assert.Equal(t, page(client.HistoryQuery{AroundSeq: &seq}), page(client.HistoryQuery{AroundTime: &at}))
		}
		long, soon := time.Unix(0, 0), time.Now().Add(time.Hour)
		assert.Empty(t, page(client.HistoryQuery{BeforeTime: &long}))
		assert.Equal(t, []int64{1, 2, 3}, page(client.HistoryQuery{AfterTime: &long}))
		assert.Equal(t, []int64{10, 11, 12}, page(client.HistoryQuery{AroundTime: &soon}))
		assert.Empty(t, page(client.HistoryQuery{AfterTime: &soon}))
		for query, field := range map[string]string{
			"before_time=now": "before_time",
			"around_time=2026-09-01T10:00:00Z&after_seq=1":                     "around_time",
			"before_time=2026-09-01T10:00:00Z&after_time=2026-09-01T10:00:00Z": "after_time",
		} {
			got := ask(t, bob.http, raw{method: http.MethodGet, url: d.url(0, "/v1/conversations/"+conversation+"/messages?"+query), token: bob.Tokens().Access, wrong: true})
			require.Equal(t, http.StatusUnprocessableEntity, got.status, query)
			assert.Equal(t, field, got.problem().Errors[0].Field, query)
		}
	})
}

// TestNodeIndexesInTheBackground reads the metrics until they tell that everything is indexed.
func TestNodeIndexesInTheBackground(t *testing.T) {
	t.Parallel()
	ops := "127.0.0.1:" + freePort()
	d := fresh(t, embedded, settings{"OPS_LISTEN": ops})
	alice, bob := d.friends(t)
	for i := range 3 {
		alice.say(bob, fmt.Sprint("message ", i))
	}
	deadline := time.Now().Add(patience)
	for {
		metrics := ask(t, http.DefaultClient, raw{url: "http://" + ops + "/metrics", wrong: true}).body
		// One is counted before the other is forgotten.
		if strings.Contains(string(metrics), "\nlongwire_search_indexed_messages_total 3\n") && strings.Contains(string(metrics), "\nlongwire_search_lag_seconds 0\n") {
			assert.Contains(t, string(metrics), "\nlongwire_search_index_failures_total 0\n")
			break
		}
		require.True(t, time.Now().Before(deadline), "indexing is a matter of a second")
	}
	assert.Equal(t, []string{"message 1"}, bob.finds(client.Search{Query: "message 1"}))
}
