package repo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// busy lets many goroutines on two nodes send and write at once, and returns
// the users and how many events each must have got.
func (w *world) busy(senders, rounds int) ([]chat.ID, map[chat.ID]int) {
	w.t.Helper()
	users := w.users(6)
	groups := []chat.ID{w.group("all", users...), w.group("some", users[:3]...)}
	pairs := [][2]int{{0, 1}, {1, 2}, {3, 4}, {0, 5}}
	var privates []chat.ID
	for _, p := range pairs {
		privates = append(privates, w.private(users[p[0]], users[p[1]]))
	}
	nodes := []*repo.DB{w.DB, w.open()}
	var (
		mu   sync.Mutex
		want = make(map[chat.ID]int)
		all  sync.WaitGroup

		failed error
	)
	count := func(a chat.Announcement, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
		for _, d := range a.Deliveries {
			want[d.User]++
		}
	}
	for s := range senders {
		all.Go(func() {
			node := nodes[s%len(nodes)]
			for round := range rounds {
				if s%4 == 3 { // other events, in the users' order or not
					targets := []chat.ID{users[rand.N(6)], users[rand.N(6)], users[rand.N(6)]}
					count(node.Write(w.t.Context(), w.now(), func(tx chat.Tx) error {
						if err := tx.Append(chat.FriendRemoved, chat.FriendRemovedData{UserID: targets[0]}, targets...); err != nil {
							return err
						}
						return tx.Append(chat.GroupDissolved, chat.GroupDissolvedData{GroupID: groups[0]}, users...)
					}))
					continue
				}
				p := rand.N(len(pairs))
				body := fmt.Sprintf("%d/%d", s, round)
				_, a, err := node.CommitMessages(w.t.Context(), []chat.Outgoing{
					w.toGroup(groups[round%2], users[rand.N(3)], body),
					w.toPrivate(privates[p], users[pairs[p][rand.N(2)]], body),
					w.toGroup(groups[0], users[s%6], body),
				})
				count(a, err)
			}
		})
	}
	all.Wait()
	require.NoError(w.t, failed)
	return users, want
}

func TestInboxIsContiguousUnderConcurrentWritersOnTwoNodes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users, want := w.busy(12, 8)
		for _, user := range users {
			assert.Len(t, w.inbox(user), want[user])
		}
	})
}

func TestOneOrderOfMessagesInAllInboxes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users, _ := w.busy(12, 8)
		for _, user := range users {
			last := make(map[string]int64)
			for _, e := range w.inbox(user) {
				var envelope struct {
					Type string
					Data struct {
						ConversationID string `json:"conversation_id"`
						Seq            int64
					}
				}
				require.NoError(t, json.Unmarshal(append([]byte("{"), e.Body...), &envelope))
				if envelope.Type != string(chat.MessageCreated) {
					continue
				}
				require.Equal(t, last[envelope.Data.ConversationID]+1, envelope.Data.Seq,
					"members from the beginning get every message, in the conversation's order")
				last[envelope.Data.ConversationID]++
			}
		}
	})
}

func TestReaderSeesHeadAndRowsOfOneMoment(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		var all sync.WaitGroup
		all.Go(func() {
			for i := range 60 {
				w.send(w.toPrivate(ab, users[0], fmt.Sprint(i)))
			}
		})
		for seen := int64(0); seen < 60; {
			page, err := w.ReadInbox(t.Context(), users[1], seen, 100)
			require.NoError(t, err)
			seen += int64(len(page.Events))
			require.Equal(t, page.Head.Seq, seen)
		}
		all.Wait()
	})
}

func TestReadInboxBeginsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		for i := range 10 {
			w.send(w.toPrivate(ab, users[0], fmt.Sprint(i)))
		}
		for after := range int64(12) {
			page, err := w.ReadInbox(t.Context(), users[1], after, 4)
			require.NoError(t, err)
			assert.Equal(t, chat.InboxHead{Seq: 10}, page.Head)
			require.Len(t, page.Events, int(max(min(10-after, 4), 0)))
			for i, e := range page.Events {
				assert.Equal(t, after+int64(i)+1, e.Seq)
			}
		}
		page, err := w.ReadInbox(t.Context(), w.ids.Next(), 0, 4)
		require.NoError(t, err)
		assert.Equal(t, chat.InboxPage{}, page)
	})
}

func TestInboxHeadsOfManyUsers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		w.send(w.toPrivate(w.private(users[0], users[1]), users[0], "hello"))
		third := w.user("third")
		asked := []chat.ID{users[0], users[1], third}
		for range 2500 {
			asked = append(asked, w.ids.Next())
		}
		heads, err := w.InboxHeads(t.Context(), asked)
		require.NoError(t, err)
		assert.Equal(t, map[chat.ID]chat.InboxHead{users[0]: {Seq: 1}, users[1]: {Seq: 1}, third: {}}, heads)
		head, err := w.InboxHead(t.Context(), users[1])
		require.NoError(t, err)
		assert.Equal(t, chat.InboxHead{Seq: 1}, head)
	})
}

func TestPruningDeletesWhatIsOldAndSaysSo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(30) // more than are locked at once
		for range 5 {
			w.write(func(tx chat.Tx) error {
				return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{UserID: users[0]}, users...)
			})
		}
		w.write(func(tx chat.Tx) error {
			return tx.Remember(users[0], "old", chat.Remembered{Answer: []byte("{}")})
		})
		border := w.now()
		ab := w.private(users[0], users[1])
		w.send(w.toPrivate(ab, users[0], "young"))

		total := 0
		for {
			n, err := w.PruneInboxes(t.Context(), border, 17)
			require.NoError(t, err)
			total += n
			if n < 17 {
				break
			}
		}
		assert.Equal(t, 150, total)
		for i, user := range users {
			head := chat.InboxHead{Seq: 5, Pruned: 5}
			if i < 2 {
				head.Seq = 6
			}
			page, err := w.ReadInbox(t.Context(), user, 4, 10)
			require.NoError(t, err)
			assert.Equal(t, head, page.Head)
			assert.Empty(t, page.Events, "what was asked for is gone")
			page, err = w.ReadInbox(t.Context(), user, 5, 10)
			require.NoError(t, err)
			assert.Len(t, page.Events, int(head.Seq-5))
		}
		// A second time there is nothing to do, and the inbox goes on.
		n, err := w.PruneInboxes(t.Context(), border, 17)
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.Equal(t, int64(2), w.send(w.toPrivate(ab, users[0], "younger")).Seq)
	})
}

func TestPruningKeepsEventsThatInboxesPointTo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		hour := time.Hour.Milliseconds()
		stored := func() (n int) {
			require.NoError(t, w.Pool().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM `event`").Scan(&n))
			return n
		}
		w.write(func(tx chat.Tx) error { return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}, users...) })
		w.clock.Add(3 * hour)
		w.write(func(tx chat.Tx) error { return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}, users...) })
		w.write(func(tx chat.Tx) error { return tx.Remember(users[0], "young", chat.Remembered{Answer: []byte("{}")}) })

		n, err := w.PruneInboxes(t.Context(), w.now()-chat.Time(hour), 100)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Equal(t, 1, stored())
		page, err := w.ReadInbox(t.Context(), users[0], 1, 10)
		require.NoError(t, err)
		assert.Len(t, page.Events, 1)
		w.write(func(tx chat.Tx) error {
			_, err := tx.Remembered(users[0], "young")
			return err
		})
	})
}

func TestLostEventIsAResetAndNotAHole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		user := w.user("anna")
		for range 3 {
			w.write(func(tx chat.Tx) error { return tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}, user) })
		}
		_, err := w.Pool().ExecContext(t.Context(), "DELETE FROM `event` WHERE id = (SELECT ref_id FROM inbox WHERE user_id = ? AND seq = 2)", user)
		require.NoError(t, err)
		page, err := w.ReadInbox(t.Context(), user, 0, 10)
		require.NoError(t, err)
		assert.Len(t, page.Events, 1)
		page, err = w.ReadInbox(t.Context(), user, 1, 10)
		require.NoError(t, err)
		assert.Empty(t, page.Events)
		assert.Equal(t, chat.InboxHead{Seq: 3, Pruned: 2}, page.Head)
	})
}

func TestPruningWhileOthersSendLosesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 25 {
					w.send(w.toPrivate(ab, users[0], fmt.Sprint(i)))
				}
			})
		}
		for pruned := 0; pruned < 100; {
			n, err := w.PruneInboxes(t.Context(), w.now(), 50)
			require.NoError(t, err)
			pruned += n
		}
		all.Wait()
		heads, err := w.InboxHeads(t.Context(), users)
		require.NoError(t, err)
		for _, user := range users {
			page, err := w.ReadInbox(t.Context(), user, heads[user].Pruned, 200)
			require.NoError(t, err)
			assert.Equal(t, int64(100), page.Head.Seq)
			assert.Len(t, page.Events, int(100-page.Head.Pruned))
		}
	})
}

func TestSavedPositionsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, bert := w.user("anna"), w.user("bert")
		var sessions []chat.ID
		for range 150 {
			sessions = append(sessions, w.session(anna))
		}
		var positions []chat.SavedPosition
		for i, s := range sessions {
			positions = append(positions, chat.SavedPosition{User: anna, Session: s, Seq: int64(i)}, chat.SavedPosition{User: anna, Session: s, Seq: 5})
		}
		positions = append(positions, chat.SavedPosition{User: bert, Session: sessions[7], Seq: 1000}, chat.SavedPosition{User: anna, Session: w.ids.Next(), Seq: 3})
		require.NoError(t, w.SavePositions(t.Context(), positions))
		require.NoError(t, w.SavePositions(t.Context(), []chat.SavedPosition{{User: anna, Session: sessions[100], Seq: 50}}))
		require.NoError(t, w.SavePositions(t.Context(), nil))
		for i, id := range sessions {
			s, err := w.SessionByID(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, int64(max(i, 5)), s.SavedSeq)
		}
	})
}

func TestNewSessionStandsWhereTheInboxDoes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		w.send(w.toPrivate(ab, users[0], "one"))
		w.send(w.toPrivate(ab, users[0], "two"))
		s, err := w.SessionByID(t.Context(), w.session(users[1]))
		require.NoError(t, err)
		assert.Equal(t, int64(2), s.SavedSeq)
	})
}

func TestAppendGivesEachUserOneCopyInOrder(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		a := w.write(func(tx chat.Tx) error {
			if err := tx.Append(chat.GroupDissolved, chat.GroupDissolvedData{}, users[2], users[0], users[2], users[0]); err != nil {
				return err
			}
			if err := tx.Append(chat.FriendRemoved, chat.FriendRemovedData{}); err != nil {
				return err
			}
			return tx.Append(chat.MemberLeft, chat.MemberLeftData{}, users[0], users[1])
		})
		assert.Equal(t, []chat.Delivery{
			{User: users[0], Seq: 1, Event: 0},
			{User: users[0], Seq: 2, Event: 1},
			{User: users[1], Seq: 1, Event: 1},
			{User: users[2], Seq: 1, Event: 0},
		}, a.Deliveries)
		require.Len(t, a.Bodies, 2)
		assert.True(t, bytes.HasPrefix(a.Bodies[1], []byte(`"type":"member.left"`)))
	})
}
