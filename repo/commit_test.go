package repo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func TestMessageReachesEveryMemberOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(4)
		group := w.group("four", users...)
		outcomes, announcement := w.commit(w.toGroup(group, users[1], "hello"), w.toGroup(group, users[2], "there"))
		for i, outcome := range outcomes {
			require.NoError(t, outcome.Err)
			assert.Equal(t, int64(i+1), outcome.Message.Seq)
			assert.Equal(t, 4, outcome.Recipients)
		}
		require.Len(t, announcement.Deliveries, 8)
		for i, d := range announcement.Deliveries {
			assert.Equal(t, chat.Delivery{User: users[i/2], Seq: int64(i%2 + 1), Event: i % 2}, d)
		}
		for _, user := range users {
			assert.Len(t, w.inbox(user), 2)
		}
		history, err := w.History(t.Context(), group, users[0], chat.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		assert.Equal(t, []chat.Message{outcomes[0].Message, outcomes[1].Message}, history.Items)
	})
}

func TestBadMessageFailsAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(4)
		ab, group := w.private(users[0], users[1]), w.group("two", users[0], users[1])
		replyTo, far := int64(1), int64(9)
		reply := w.toPrivate(ab, users[1], "fine")
		reply.ReplyTo = &replyTo
		badReply := w.toPrivate(ab, users[1], "reply to nothing")
		badReply.ReplyTo = &far
		badMention := w.toGroup(group, users[0], "hello")
		badMention.Mentions = []chat.ID{users[3]}
		longKey := keyed(w.toPrivate(ab, users[0], "long key"), strings.Repeat("k", 300))
		outcomes, announcement := w.commit(
			w.toPrivate(ab, users[0], "one"),
			w.toPrivate(w.ids.Next(), users[0], "nowhere"),
			w.toPrivate(ab, users[2], "not mine"),
			w.toGroup(ab, users[0], "not a group"),
			badReply, badMention, longKey,
			w.toPrivate(ab, users[0], "\xff no text"),
			reply,
			w.toGroup(group, users[1], "two"),
		)
		want := []chat.Code{"", chat.CodeNotFound, chat.CodeNotFound, chat.CodeNotFound, chat.CodeValidation, chat.CodeValidation, chat.CodeValidation, chat.CodeValidation, "", ""}
		for i, outcome := range outcomes {
			assert.Equal(t, want[i], chat.CodeOf(outcome.Err), "message %d: %v", i, outcome.Err)
		}
		assert.Equal(t, int64(2), outcomes[8].Message.Seq, "a refused message takes no seq")
		assert.Len(t, announcement.Bodies, 3)
		assert.Len(t, w.inbox(users[0]), 3)
		assert.Empty(t, w.inbox(users[2]))
	})
}

func TestReplayGivesTheStoredMessageAndWritesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		out := keyed(w.toPrivate(ab, users[0], "once"), "key-1")
		out.Mentions = []chat.ID{users[1]}
		first := w.send(out)
		assert.Equal(t, "key-1", first.IdempotencyKey)

		out.At = w.now()
		outcomes, announcement := w.commit(out, out)
		for _, outcome := range outcomes {
			require.NoError(t, outcome.Err)
			assert.True(t, outcome.Replayed)
			assert.Zero(t, outcome.Recipients)
			assert.Equal(t, first, outcome.Message)
		}
		assert.True(t, announcement.Empty())
		assert.Len(t, w.inbox(users[1]), 1)
		// Keys are one's own.
		assert.Equal(t, int64(2), w.send(keyed(w.toPrivate(ab, users[1], "mine"), "key-1")).Seq)
	})
}

func TestSameKeyForAnotherMessageIsAConflict(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		ab, ac := w.private(users[0], users[1]), w.private(users[0], users[2])
		w.send(keyed(w.toPrivate(ab, users[0], "once"), "key-1"))
		outcomes, _ := w.commit(
			keyed(w.toPrivate(ab, users[0], "twice"), "key-1"),
			keyed(w.toPrivate(ac, users[0], "once"), "key-1"),
			keyed(w.toPrivate(ac, users[0], "new"), "key-2"),
			keyed(w.toPrivate(ac, users[0], "newer"), "key-2"),
		)
		requireCode(t, chat.CodeIdempotencyConflict, outcomes[0].Err)
		requireCode(t, chat.CodeIdempotencyConflict, outcomes[1].Err)
		require.NoError(t, outcomes[2].Err)
		requireCode(t, chat.CodeIdempotencyConflict, outcomes[3].Err)
	})
}

func TestTwinsInOneBatchAreOneMessage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		// More than fit into one look-up, every second a twin.
		var messages []chat.Outgoing
		for i := range 500 {
			messages = append(messages, keyed(w.toPrivate(ab, users[0], fmt.Sprint("text ", i/2)), fmt.Sprint("key ", i/2)))
		}
		outcomes, announcement := w.commit(messages...)
		for i, outcome := range outcomes {
			require.NoError(t, outcome.Err)
			assert.Equal(t, i%2 == 1, outcome.Replayed)
			assert.Equal(t, int64(i/2+1), outcome.Message.Seq)
		}
		assert.Len(t, announcement.Deliveries, 500)
		again, announcement := w.commit(messages...)
		assert.True(t, announcement.Empty())
		for i := range again {
			assert.Equal(t, outcomes[i].Message, again[i].Message)
		}
	})
}

func TestConcurrentTwinsThroughTwoNodesAreOneMessage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		nodes := []interface {
			CommitMessages(ctx context.Context, messages []chat.Outgoing) ([]chat.Outcome, chat.Announcement, error)
		}{w.DB, w.open()}
		out := keyed(w.toPrivate(ab, users[0], "once"), "the key")
		results := make([]chat.Outcome, 50)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				outcomes, _, err := nodes[i%2].CommitMessages(t.Context(), []chat.Outgoing{out})
				if assert.NoError(t, err) {
					results[i] = outcomes[0]
				}
			})
		}
		all.Wait()
		made := 0
		for _, r := range results {
			require.NoError(t, r.Err)
			assert.Equal(t, results[0].Message, r.Message)
			if !r.Replayed {
				made++
			}
		}
		assert.Equal(t, 1, made)
		assert.Len(t, w.inbox(users[0]), 1)
		assert.Len(t, w.inbox(users[1]), 1)
	})
}

func TestConcurrentUseOfOneKeyInManyConversationsStoresOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(9)
		second := w.open()
		var mu sync.Mutex
		codes := make(map[chat.Code]int)
		var all sync.WaitGroup
		for i, peer := range users[1:] {
			out := keyed(w.toPrivate(w.private(users[0], peer), users[0], "hello"), "one key")
			node := w.DB
			if i%2 == 1 {
				node = second
			}
			all.Go(func() {
				outcomes, _, err := node.CommitMessages(t.Context(), []chat.Outgoing{out})
				if assert.NoError(t, err) {
					mu.Lock()
					defer mu.Unlock()
					codes[chat.CodeOf(outcomes[0].Err)]++
				}
			})
		}
		all.Wait()
		assert.Equal(t, map[chat.Code]int{"": 1, chat.CodeIdempotencyConflict: 7}, codes)
		assert.Len(t, w.inbox(users[0]), 1)
	})
}

func TestBodiesReadBackEqualBodiesAnnounced(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		group := w.group("three", users...)
		announced := make(map[chat.ID][]chat.Body)
		note := func(a chat.Announcement) {
			for _, d := range a.Deliveries {
				announced[d.User] = append(announced[d.User], a.Bodies[d.Event])
			}
		}
		first := int64(1)
		reply := keyed(w.toGroup(group, users[1], "reply <b>&\u2028 \"quoted\" \\ 漢字 🙂"), "a-key")
		reply.ReplyTo, reply.Mentions = &first, []chat.ID{users[0], users[2]}
		_, a := w.commit(w.toGroup(group, users[0], "first"), reply)
		note(a)
		note(w.write(func(tx chat.Tx) error {
			if err := tx.Append(chat.GroupUpdated, chat.Group{ID: group, Name: "<ä> 🙂\n"}, users...); err != nil {
				return err
			}
			return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{UserID: users[1]}, users[2])
		}))
		for i, user := range users {
			var read []chat.Body
			for _, e := range w.inbox(user) {
				read = append(read, e.Body)
				assert.True(t, json.Valid(append([]byte("{"), e.Body...)))
			}
			assert.Equal(t, announced[user], read)
			assert.Equal(t, i == 1, strings.Contains(string(read[1]), "a-key"), "the key is in the sender's own copy only")
		}
		history, err := w.History(t.Context(), group, users[0], chat.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		assert.Empty(t, history.Items[1].IdempotencyKey)
	})
}

func TestTextComesBackAsItWas(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		texts := []string{
			"a", " spaces around ", "trailing  ", "new\nline\r\n", `back\slash 'quote' "double" ` + "`tick`", "%_?;--/* */#",
			"Ünïcödé", "漢字かな", "🙂👨‍👩‍👧‍👦🏳️‍🌈", "e\u0301", "مرحبا", "\u202eright to left", "nul \x00 inside", "\U0010ffff", strings.Repeat("🙂", 20_000),
		}
		messages := make([]chat.Outgoing, 0, len(texts))
		for _, text := range texts {
			messages = append(messages, w.toPrivate(ab, users[0], text))
		}
		w.commit(messages...)
		history, err := w.History(t.Context(), ab, users[1], chat.HistoryQuery{Limit: 100})
		require.NoError(t, err)
		require.Len(t, history.Items, len(texts))
		for i, text := range texts {
			assert.Equal(t, text, history.Items[i].Body)
		}
		assert.Len(t, w.inbox(users[1]), len(texts))
	})
}

func TestManyAndLongMessagesFitIntoOneBatch(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(30)
		group := w.group("many", users...)
		var messages []chat.Outgoing
		for range 40 {
			messages = append(messages, w.toGroup(group, users[0], strings.Repeat("'", 50_000)))
		}
		for range 400 {
			messages = append(messages, w.toGroup(group, users[0], "short"))
		}
		_, announcement := w.commit(messages...)
		require.Len(t, announcement.Deliveries, 440*30)
		page, err := w.ReadInbox(t.Context(), users[29], 430, 100)
		require.NoError(t, err)
		assert.Len(t, page.Events, 10)
	})
}

func TestFriendshipBlockAndAcceptanceDecideAtOnceOnEveryNode(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		a, b := w.userWho("anna", chat.AcceptFriends), w.userWho("bert", chat.AcceptFriends)
		ab := w.private(a, b)
		second := w.open()
		// Both nodes send after each change, so that both have remembered the state before.
		expect := func(fromA, fromB chat.Code) {
			t.Helper()
			for _, node := range []*world{w, {DB: second, t: t}} {
				outcomes, _, err := node.CommitMessages(t.Context(), []chat.Outgoing{w.toPrivate(ab, a, "hi"), w.toPrivate(ab, b, "ho")})
				require.NoError(t, err)
				assert.Equal(t, fromA, chat.CodeOf(outcomes[0].Err))
				assert.Equal(t, fromB, chat.CodeOf(outcomes[1].Err))
			}
		}
		no := chat.CodeRecipientNotAccepting
		expect(no, no)
		w.write(func(tx chat.Tx) error { return tx.InsertFriendship(w.ids.Next(), a, b) })
		expect("", "")
		w.write(func(tx chat.Tx) error { _, err := tx.SetBlock(a, b, true); return err })
		expect(chat.CodeForbidden, no)
		w.write(func(tx chat.Tx) error { _, err := tx.SetBlock(a, b, false); return err })
		expect("", "")
		w.write(func(tx chat.Tx) error { _, err := tx.DeleteFriendship(b, a); return err })
		expect(no, no)
		w.write(func(tx chat.Tx) error {
			user, err := tx.UserByID(b)
			if err != nil {
				return err
			}
			user.AcceptMessagesFrom = chat.AcceptEveryone
			return tx.UpdateUser(user)
		})
		expect("", no)
	})
}

func TestNoMessageCommitsAfterItsSenderWasRemoved(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		second := w.open()
		for round := range 10 {
			group := w.group(fmt.Sprint("round ", round), users...)
			w.send(w.toGroup(group, users[1], "the audience is remembered now"))
			var all sync.WaitGroup
			removed := make(chan struct{})
			for i := range 4 {
				node := w.DB
				if i%2 == 1 {
					node = second
				}
				refused := func() bool {
					outcomes, _, err := node.CommitMessages(t.Context(), []chat.Outgoing{w.toGroup(group, users[1], "still here")})
					return !assert.NoError(t, err) || outcomes[0].Err != nil
				}
				all.Go(func() {
					for range 500 { // mostly it ends long before, when the sender is refused
						if refused() {
							return
						}
					}
					<-removed // who removes had no turn so far
					assert.True(t, refused(), "a removed member still sends")
				})
			}
			w.write(func(tx chat.Tx) error {
				if _, err := tx.LockGroup(group); err != nil {
					return err
				}
				if err := tx.DeleteMember(group, users[1]); err != nil {
					return err
				}
				return tx.Append(chat.MemberLeft, chat.MemberLeftData{GroupID: group, UserID: users[1]}, users...)
			})
			close(removed)
			all.Wait()
			require.False(t, t.Failed())
			// In every inbox the removal is the last that is heard of this group.
			for _, user := range users {
				events := w.inbox(user)
				assert.Contains(t, string(events[len(events)-1].Body), string(chat.MemberLeft))
			}
		}
	})
}

func TestDissolvedGroupTakesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		group := w.group("gone", users...)
		w.send(w.toGroup(group, users[0], "hello"))
		w.write(func(tx chat.Tx) error { return tx.DissolveGroup(group) })
		outcomes, _ := w.commit(w.toGroup(group, users[0], "anybody?"))
		requireCode(t, chat.CodeNotFound, outcomes[0].Err)
		_, err := w.GroupByID(t.Context(), group, users[0])
		requireCode(t, chat.CodeNotFound, err)
		_, err = w.History(t.Context(), group, users[0], chat.HistoryQuery{Limit: 1})
		requireCode(t, chat.CodeNotFound, err)
		_, err = w.ConversationFor(t.Context(), group, users[0])
		requireCode(t, chat.CodeNotFound, err)
		_, err = w.Write(t.Context(), w.now(), func(tx chat.Tx) error {
			_, lockErr := tx.LockGroup(group)
			_, _, conversationErr := tx.LockConversation(group)
			return errors.Join(lockErr, conversationErr)
		})
		requireCode(t, chat.CodeNotFound, err)
		mine, err := w.Conversations(t.Context(), users[0], chat.ConversationFilter{}, chat.Page{Limit: 10})
		require.NoError(t, err)
		assert.Empty(t, mine.Items)
	})
}
