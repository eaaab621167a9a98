package repo_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
	"longwire/repo/fulltext"
)

// index brings the search index up to date with what a node knows of.
func index(t *testing.T, db *repo.DB) {
	t.Helper()
	for {
		done, more, err := db.IndexMessages(t.Context())
		require.NoError(t, err)
		if done == 0 && !more {
			return
		}
	}
}

// walk compares all conversations with the index.
func walk(t *testing.T, db *repo.DB) {
	t.Helper()
	for {
		round, err := db.WalkUnindexed(t.Context())
		require.NoError(t, err)
		if round {
			return
		}
	}
}

// search returns all that a user finds, in parts of some size.
func (w *world) search(user chat.ID, wanted chat.MessageSearch, size int) []chat.FoundMessage {
	w.t.Helper()
	var items []chat.FoundMessage
	page := chat.Page{Limit: size}
	for {
		part, err := w.SearchMessages(w.t.Context(), user, wanted, page)
		require.NoError(w.t, err)
		require.NotNil(w.t, part.Items, "an empty list is [] in JSON")
		require.LessOrEqual(w.t, len(part.Items), size)
		items = append(items, part.Items...)
		if part.Next == nil {
			return items
		}
		page.After = *part.Next
	}
}

// finds returns the bodies of what a user finds.
func (w *world) finds(user chat.ID, query string) []string {
	w.t.Helper()
	bodies := []string{}
	for _, found := range w.search(user, chat.MessageSearch{Query: query}, 3) {
		bodies = append(bodies, found.Message.Body)
	}
	return bodies
}

// change gives a message another body, or recalls it, as a use case would.
func (w *world) change(m chat.Message, body string, recalled bool) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error {
		before, err := tx.MessageOf(chat.MessageRef{ConversationID: m.ConversationID, Seq: m.Seq})
		if err != nil {
			return err
		}
		if recalled {
			_, _, err = tx.RecallMessage(before, m.SenderID)
			return err
		}
		after := before
		after.Body = body
		_, err = tx.EditMessage(before, after)
		return err
	})
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRowContext(w.t.Context(), query).Scan(&n))
	return n
}

func TestMessagesOfManyScriptsAreFound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		private := w.private(anna, ben)
		for _, body := range []string{
			"Who brings the boards?", "Grüße aus München", "Die Straße ist lang", "你好世界，再见", "明日は東京へ行きます", "大韓民国 대한민국 만세",
			"Party 🎉 tonight", `He said "OR" and -minus`, "100% of_all", "it's a trap; DROP TABLE user", "a", "…",
		} {
			w.send(w.toPrivate(private, ben, body))
		}
		check := func() {
			t.Helper()
			for query, want := range map[string][]string{
				"BOARDS":            {"Who brings the boards?"},
				"board who":         {"Who brings the boards?"},
				"grusse munchen":    {"Grüße aus München"},
				"grüße MÜNCHEN":     {"Grüße aus München"},
				"strasse":           {"Die Straße ist lang"},
				"世界":                {"你好世界，再见"},
				"再":                 {"你好世界，再见"},
				"東京へ":               {"明日は東京へ行きます"},
				"한민":                {"大韓民国 대한민국 만세"},
				"🎉":                 {"Party 🎉 tonight"},
				`"or"`:              {`He said "OR" and -minus`},
				"-minus":            {`He said "OR" and -minus`},
				"+said +(minus)":    {`He said "OR" and -minus`},
				"said -minus":       {`He said "OR" and -minus`}, // no operator
				"100%":              {"100% of_all"},
				"all_":              {"100% of_all"},
				"'; DROP TABLE":     {"it's a trap; DROP TABLE user"},
				"drop* tab*":        {"it's a trap; DROP TABLE user"},
				"said NEAR minus":   {},
				"said OR nothing":   {},
				"terms:said":        {},
				"message_terms : a": {},
				"nothing":           {},
				"boards party":      {}, // no message has both
			} {
				assert.Equal(t, want, w.finds(anna, query), "%s finds %q", w.kind, query)
			}
		}
		check() // what is not indexed yet is found as well
		index(t, w.DB)
		assert.Equal(t, 11, w.count("SELECT COUNT(*) FROM message_search"))
		check()
		found := w.search(anna, chat.MessageSearch{Query: "münchen"}, 5)
		assert.Equal(t, []chat.Highlight{{Start: 10, End: 17}}, found[0].Highlights)
		assert.Equal(t, private, found[0].ConversationID)
		for _, blank := range []string{"+-*", `"`, "(((", "@%_~<>"} {
			_, err := w.SearchMessages(t.Context(), anna, chat.MessageSearch{Query: blank}, chat.Page{Limit: 5})
			requireCode(t, chat.CodeValidation, err)
			assert.Equal(t, "q", chat.AsError(err).Fields[0].Field)
		}
	})
}

func TestOnlyOnesOwnConversationsAreSearched(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, carol := w.user("anna"), w.user("ben"), w.user("carol")
		private, group := w.private(anna, ben), w.group("g", ben, carol, anna)
		w.send(w.toPrivate(private, ben, "secret of two"))
		w.send(w.toGroup(group, carol, "secret of three"))
		for range 2 {
			assert.Equal(t, []string{"secret of three", "secret of two"}, w.finds(anna, "secret"))
			assert.Equal(t, []string{"secret of three"}, w.finds(carol, "secret"))
			for _, foreign := range []chat.ID{private, 12345} {
				_, err := w.SearchMessages(t.Context(), carol, chat.MessageSearch{Query: "secret", Conversation: &foreign}, chat.Page{Limit: 5})
				requireCode(t, chat.CodeNotFound, err)
			}
			index(t, w.DB)
		}
		only := w.search(anna, chat.MessageSearch{Query: "secret", Conversation: &private}, 5)
		require.Len(t, only, 1)
		assert.Equal(t, private, only[0].ConversationID)
		assert.Empty(t, w.search(anna, chat.MessageSearch{Query: "secret", Sender: &anna}, 5))
		assert.Len(t, w.search(anna, chat.MessageSearch{Query: "secret", Sender: &carol}, 5), 1)

		w.write(func(tx chat.Tx) error {
			_, err := tx.SetBlock(ben, anna, true)
			return err
		})
		assert.Equal(t, []string{"secret of three", "secret of two"}, w.finds(anna, "secret"), "a block takes nothing away")
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, anna) })
		assert.Equal(t, []string{"secret of two"}, w.finds(anna, "secret"), "the group was left")
		_, err := w.SearchMessages(t.Context(), anna, chat.MessageSearch{Query: "secret", Conversation: &group}, chat.Page{Limit: 5})
		requireCode(t, chat.CodeNotFound, err)
	})
}

func TestChangedTextIsSearchedFromTheCommitOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		private := w.private(anna, ben)
		edited, recalled := w.send(w.toPrivate(private, ben, "old words")), w.send(w.toPrivate(private, ben, "old secrets"))
		index(t, w.DB)
		require.Equal(t, []string{"old secrets", "old words"}, w.finds(anna, "old"))
		w.change(edited, "new words", false)
		w.change(recalled, "", true)
		for range 2 {
			assert.Empty(t, w.finds(anna, "old"))
			assert.Empty(t, w.finds(anna, "secrets"))
			assert.Equal(t, []string{"new words"}, w.finds(anna, "new"))
			assert.Equal(t, []string{"new words"}, w.finds(anna, "words"))
			index(t, w.DB)
		}
		assert.Zero(t, w.count("SELECT COUNT(*) FROM search_pending"))
		assert.Equal(t, 1, w.count("SELECT COUNT(*) FROM message_search"), "the words of a recalled message are not kept")

		// A message that is changed before it is indexed.
		late := w.send(w.toPrivate(private, ben, "first thoughts"))
		w.change(late, "second thoughts", false)
		index(t, w.DB)
		assert.Empty(t, w.finds(anna, "first"))
		assert.Equal(t, []string{"second thoughts"}, w.finds(anna, "thoughts"))
		assert.Equal(t, 2, w.count("SELECT COUNT(*) FROM message_search"))

		// Who has deleted a message does not find it; others do.
		w.write(func(tx chat.Tx) error {
			_, err := tx.HideMessage(chat.MessageRef{ConversationID: private, Seq: late.Seq}, anna)
			return err
		})
		assert.Empty(t, w.finds(anna, "thoughts"))
		assert.Equal(t, []string{"second thoughts"}, w.finds(ben, "thoughts"))
	})
}

// TestSearchAgreesWithReadingEverything compares what is found with what a
// reader of everything finds, whatever is indexed, changed, filtered, and however
// long the parts are.
func TestSearchAgreesWithReadingEverything(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		seed := uint64(time.Now().UnixNano())
		t.Log("seed", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		words := []string{"alpha", "alphabet", "beta", "Gamma", "über", "世界", "你好世界", "🎉", "x1"}
		pick := func() string {
			var body []string
			for range 1 + random.IntN(4) {
				body = append(body, words[random.IntN(len(words))])
			}
			return strings.Join(body, " ")
		}
		anna, ben, carol := w.user("anna"), w.user("ben"), w.user("carol")
		private, group, foreign := w.private(anna, ben), w.group("g", anna, ben, carol), w.private(ben, carol)
		var all []chat.Message
		send := func(n int) {
			var batch []chat.Outgoing
			for range n {
				switch random.IntN(8) {
				case 0:
					batch = append(batch, w.toPrivate(foreign, ben, pick()))
				case 1:
					batch = append(batch, w.toPrivate(private, ben, pick()))
				default: // more than two segments
					batch = append(batch, w.toGroup(group, []chat.ID{anna, ben, carol}[random.IntN(3)], pick()))
				}
				batch[len(batch)-1].At += chat.Time(random.IntN(50)) // clocks differ
			}
			outcomes, _ := w.commit(batch...)
			for _, o := range outcomes {
				require.NoError(t, o.Err)
				if o.Message.ConversationID != foreign {
					all = append(all, o.Message)
				}
			}
		}
		for range 9 {
			send(300)
			index(t, w.DB)
		}
		send(100) // not indexed
		for range 60 {
			i := random.IntN(len(all))
			if all[i].Recalled {
				continue
			}
			all[i].Body, all[i].Recalled = pick(), random.IntN(3) == 0
			w.change(all[i], all[i].Body, all[i].Recalled)
			if random.IntN(20) == 0 {
				index(t, w.DB)
			}
		}
		for range 25 {
			wanted := chat.MessageSearch{Query: pick()}
			if random.IntN(3) == 0 {
				wanted.Conversation = []*chat.ID{&private, &group}[random.IntN(2)]
			}
			if random.IntN(3) == 0 {
				wanted.Sender = &ben
			}
			if random.IntN(3) == 0 {
				wanted.BeforeTime = &all[random.IntN(len(all))].CreatedAt
			}
			if random.IntN(3) == 0 {
				wanted.AfterTime = &all[random.IntN(len(all))].CreatedAt
			}
			var got []string
			for _, found := range w.search(anna, wanted, 1+random.IntN(199)) {
				got = append(got, fmt.Sprint(found.ConversationID, found.Message.Seq, found.Message.Body, found.Highlights))
			}
			require.Equal(t, readEverything(all, wanted), got, "%+v", wanted)
		}
	})
}

// readEverything finds by reading.
func readEverything(all []chat.Message, wanted chat.MessageSearch) []string {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b chat.Message) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.ConversationID, b.ConversationID), cmp.Compare(b.Seq, a.Seq))
	})
	var found []string
	query := fulltext.ParseQuery(wanted.Query)
	for _, m := range sorted {
		spans, ok := query.Find(m.Body)
		if !ok || m.Recalled || wanted.Conversation != nil && m.ConversationID != *wanted.Conversation ||
			wanted.Sender != nil && m.SenderID != *wanted.Sender ||
			wanted.BeforeTime != nil && m.CreatedAt >= *wanted.BeforeTime || wanted.AfterTime != nil && m.CreatedAt < *wanted.AfterTime {
			continue
		}
		highlights := make([]chat.Highlight, len(spans))
		for i, s := range spans {
			highlights[i] = chat.Highlight(s)
		}
		found = append(found, fmt.Sprint(m.ConversationID, m.Seq, m.Body, highlights))
	}
	return found
}

func TestNodesShareTheIndexing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		conversations := []chat.ID{w.private(anna, ben), w.group("one", anna, ben), w.group("two", ben, anna)}
		nodes := []*repo.DB{w.DB, w.open(), w.open()}
		stop := make(chan struct{})
		var all sync.WaitGroup
		for _, node := range nodes {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := node.WalkUnindexed(t.Context()); !assert.NoError(t, err) {
						return
					}
					if _, _, err := node.IndexMessages(t.Context()); !assert.NoError(t, err) {
						return
					}
				}
			})
		}
		var changed []chat.Message
		for i := range 40 {
			batch := make([]chat.Outgoing, 0, 30)
			for j := range 30 {
				out := w.toGroup(conversations[j%3], anna, fmt.Sprint("message ", i, " ", j))
				if j%3 == 0 {
					out.Target = chat.KindPrivate
				}
				batch = append(batch, out)
			}
			outcomes, _ := w.commit(batch...)
			changed = append(changed, outcomes[i%30].Message)
			w.change(changed[len(changed)-1], "changed", false)
		}
		close(stop)
		all.Wait()
		for _, node := range nodes {
			walk(t, node)
			index(t, node)
		}
		assert.Equal(t, 1200, w.count("SELECT COUNT(*) FROM message_search"))
		assert.Equal(t, 1200, w.count("SELECT SUM(indexed_seq) FROM search_progress"))
		assert.Zero(t, w.count("SELECT COUNT(*) FROM search_pending"))
		assert.Len(t, w.search(ben, chat.MessageSearch{Query: "message"}, 100), 1160)
		assert.Len(t, w.search(ben, chat.MessageSearch{Query: "changed"}, 100), 40)
	})
}

func TestAnotherNodeIndexesWhatWasLeftBehind(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		private := w.private(anna, ben)
		batch := make([]chat.Outgoing, 600)
		for i := range batch {
			batch[i] = w.toPrivate(private, ben, fmt.Sprint("word", i))
		}
		w.commit(batch...)
		assert.Positive(t, w.SearchLag(time.Now().Add(time.Hour)))
		done, more, err := w.IndexMessages(t.Context())
		require.NoError(t, err)
		assert.True(t, more)
		assert.Less(t, done, 600)
		assert.Equal(t, []string{"word1"}, slices.DeleteFunc(w.finds(anna, "word1"), func(s string) bool { return s != "word1" }), "indexed")
		assert.Equal(t, []string{"word599"}, w.finds(anna, "word599"), "not indexed yet")

		// The node dies in the middle of it, and in the middle of a transaction.
		ended, end := context.WithCancel(t.Context())
		end()
		_, _, err = w.IndexMessages(ended)
		require.Error(t, err)
		another := w.open()
		walk(t, another)
		index(t, another)
		assert.Equal(t, 600, w.count("SELECT COUNT(*) FROM message_search"))
		assert.Equal(t, []string{"word300"}, w.finds(anna, "word300"))
		index(t, w.DB) // had it not died, it would find nothing to do
		assert.Equal(t, 600, w.count("SELECT COUNT(*) FROM message_search"))
		assert.Zero(t, w.SearchLag(time.Now().Add(time.Hour)))
	})
}

// TestSearchThroughVeryManyConversationsIsBounded has a part end before it has
// found anything.
func TestSearchThroughVeryManyConversationsIsBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		const many = 2100
		anna := w.user("anna")
		var conversations, messages []string
		for i := range many {
			id, body := 1000+i, "nothing of interest"
			if i == 3 {
				body = "the needle"
			}
			conversations = append(conversations, fmt.Sprintf("(%d,'private',%d,%d,1,%d,1)", id, id, anna, id))
			messages = append(messages, fmt.Sprintf("(%d,1,7,'text','%s',%d,0)", id, body, id))
		}
		for _, statement := range []string{
			"INSERT INTO conversation (id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version) VALUES " + strings.Join(conversations, ","),
			"INSERT INTO chat_history (conversation_id, seq, sender_id, kind, body, created_at, recalled) VALUES " + strings.Join(messages, ","),
		} {
			_, err := w.Pool().ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		walk(t, w.DB)
		index(t, w.DB)
		part, err := w.SearchMessages(t.Context(), anna, chat.MessageSearch{Query: "needle"}, chat.Page{Limit: 5})
		require.NoError(t, err)
		assert.Empty(t, part.Items)
		require.NotNil(t, part.Next, "there is more to be looked through")
		assert.Equal(t, []string{"the needle"}, w.finds(anna, "needle"))
		assert.Len(t, w.search(anna, chat.MessageSearch{Query: "nothing"}, 200), many-1)
		for _, bad := range []string{"x", "!!", "AAAA", strings.Repeat("A", 5000)} {
			_, err := w.SearchMessages(t.Context(), anna, chat.MessageSearch{Query: "x"}, chat.Page{Limit: 5, After: bad})
			requireCode(t, chat.CodeValidation, err)
		}
	})
}

func TestHistoryIsFoundByTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		private, empty := w.private(anna, ben), w.group("empty", anna)
		const many, begin = 1500, chat.Time(1_000_000)
		batch := make([]chat.Outgoing, many)
		for i := range batch {
			batch[i] = w.toPrivate(private, ben, "x")
			batch[i].At = begin + chat.Time(i*10)
		}
		w.commit(batch...)
		read := func(conversation chat.ID, query chat.HistoryQuery) (seqs []int64) {
			t.Helper()
			query.Limit = 4
			history, err := w.History(t.Context(), conversation, anna, query)
			require.NoError(t, err)
			for _, m := range history.Items {
				seqs = append(seqs, m.Seq)
			}
			return seqs
		}
		for _, first := range []int64{1, 2, 3, 31, 32, 33, 700, 1024, 1499, 1500} { // of the time or later
			for _, at := range []chat.Time{begin + chat.Time((first-1)*10), begin + chat.Time((first-1)*10) - 9} {
				before, after := read(private, chat.HistoryQuery{BeforeTime: &at}), read(private, chat.HistoryQuery{AfterTime: &at})
				assert.Equal(t, read(private, chat.HistoryQuery{BeforeSeq: &first}), before)
				assert.Equal(t, read(private, chat.HistoryQuery{AfterSeq: new(first - 1)}), after)
				assert.Equal(t, read(private, chat.HistoryQuery{AroundSeq: &first}), read(private, chat.HistoryQuery{AroundTime: &at}))
			}
		}
		early, late := chat.Time(0), begin*100
		assert.Empty(t, read(private, chat.HistoryQuery{BeforeTime: &early}))
		assert.Equal(t, []int64{1, 2, 3, 4}, read(private, chat.HistoryQuery{AfterTime: &early}))
		assert.Equal(t, []int64{1, 2, 3, 4}, read(private, chat.HistoryQuery{AroundTime: &early}))
		assert.Equal(t, []int64{1497, 1498, 1499, 1500}, read(private, chat.HistoryQuery{BeforeTime: &late}))
		assert.Empty(t, read(private, chat.HistoryQuery{AfterTime: &late}))
		assert.Equal(t, []int64{1497, 1498, 1499, 1500}, read(private, chat.HistoryQuery{AroundTime: &late}))
		assert.Empty(t, read(empty, chat.HistoryQuery{AroundTime: &late}))

		// Clocks that differ by a second: still a place where the time begins.
		_, err := w.Pool().ExecContext(t.Context(), "UPDATE chat_history SET created_at = created_at + (seq * 7919) % 1000 WHERE conversation_id = ?", private)
		require.NoError(t, err)
		for range 50 {
			at := begin + chat.Time(2000+rand.IntN(many*10-4000))
			seq := read(private, chat.HistoryQuery{AfterTime: &at})[0]
			around, err := w.History(t.Context(), private, anna, chat.HistoryQuery{AroundSeq: &seq, Limit: 3})
			require.NoError(t, err)
			assert.GreaterOrEqual(t, around.Items[1].CreatedAt, at)
			assert.Less(t, around.Items[0].CreatedAt, at)
		}
	})
}
