package repo_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// acknowledge saves how far a device of a user has come.
func (w *world) acknowledge(user chat.ID, seq int64) {
	w.t.Helper()
	require.NoError(w.t, w.SavePositions(w.t.Context(), []chat.SavedPosition{{User: user, Session: user, Seq: seq}}))
}

// read moves a read mark.
func (w *world) read(conversation, user chat.ID, seq int64) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error { _, err := tx.SetReadSeq(conversation, user, seq); return err })
}

// steps returns how far one's own messages have come, "" for another's.
func (w *world) steps(conversation, user chat.ID) (steps []chat.DeliveryState) {
	w.t.Helper()
	history, err := w.History(w.t.Context(), conversation, user, chat.HistoryQuery{Limit: 1000})
	require.NoError(w.t, err)
	for _, m := range history.Items {
		steps = append(steps, m.Delivery)
	}
	c, err := w.ConversationFor(w.t.Context(), conversation, user)
	require.NoError(w.t, err)
	require.Equal(w.t, history.Items[len(history.Items)-1], *c.LastMessage)
	return steps
}

func TestDeliveredIsWhatADeviceHasAcknowledged(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		const sent, delivered, read = chat.DeliverySent, chat.DeliveryDelivered, chat.DeliveryRead
		users := w.users(3)
		me, peer := users[1], users[0]
		ab, other := w.private(me, peer), w.private(users[2], peer)
		delivery := func() int64 {
			c, err := w.ConversationFor(t.Context(), ab, me)
			require.NoError(t, err)
			return *c.PeerDeliveredSeq
		}
		w.send(w.toPrivate(other, users[2], "x")) // at 1 in the peer's inbox
		w.send(w.toPrivate(ab, me, "1"))          // at 2
		w.send(w.toPrivate(other, users[2], "x")) // at 3
		w.send(w.toPrivate(ab, peer, "2"))        // at 4
		w.send(w.toPrivate(ab, me, "3"))          // at 5
		assert.Equal(t, []chat.DeliveryState{sent, "", sent}, w.steps(ab, me))
		assert.Zero(t, delivery())

		// Signing in says nothing of what has arrived.
		w.write(func(tx chat.Tx) error {
			return tx.InsertSession(chat.Session{ID: w.ids.Next(), UserID: peer, ExpiresAt: 1 << 60})
		})
		w.acknowledge(peer, 1)
		assert.Equal(t, []chat.DeliveryState{sent, "", sent}, w.steps(ab, me))
		assert.Zero(t, delivery(), "another's message has come, none of mine")
		w.acknowledge(peer, 4)
		assert.Equal(t, []chat.DeliveryState{delivered, "", sent}, w.steps(ab, me))
		assert.EqualValues(t, 1, delivery())
		w.acknowledge(peer, 2)
		assert.Equal(t, []chat.DeliveryState{delivered, "", sent}, w.steps(ab, me), "an older device takes nothing back")
		w.read(ab, peer, 1)
		assert.Equal(t, []chat.DeliveryState{read, "", sent}, w.steps(ab, me))
		w.acknowledge(peer, 5)
		assert.Equal(t, []chat.DeliveryState{read, "", delivered}, w.steps(ab, me))
		assert.EqualValues(t, 3, delivery())
		assert.Equal(t, []chat.DeliveryState{"", sent, ""}, w.steps(ab, peer), "the other direction is another matter")

		// Reading is having got it, whatever was acknowledged.
		w.send(w.toPrivate(ab, me, "4"))
		w.read(ab, peer, 4)
		assert.Equal(t, []chat.DeliveryState{read, "", read, read}, w.steps(ab, me))
		assert.EqualValues(t, 4, delivery())
	})
}

// What is told as delivered stands at or before the acknowledged position,
// whatever commits at the same time and in whatever order.
func TestNothingIsDeliveredBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(5)
		peer := users[4]
		var pairs []chat.ID
		for _, user := range users[:4] {
			pairs = append(pairs, w.private(user, peer))
		}
		var sending sync.WaitGroup
		for i, pair := range pairs {
			sending.Go(func() {
				for n := range 25 {
					out := w.toPrivate(pair, users[i], fmt.Sprint(n))
					out.At -= chat.Time(1000 * i) // clocks differ
					_, _, err := w.CommitMessages(t.Context(), []chat.Outgoing{out})
					assert.NoError(t, err)
				}
			})
		}
		sending.Wait()
		events := w.inbox(peer)
		require.Len(t, events, 100)
		for _, position := range []int64{1, 7, 50, 99, 100} {
			w.acknowledge(peer, position)
			arrived := map[string]int{} // by what the inbox itself says
			for _, e := range events[:position] {
				for _, pair := range pairs {
					if id := `"conversation_id":"` + pair.String(); strings.Contains(string(e.Body), id) {
						arrived[pair.String()]++
					}
				}
			}
			for i, pair := range pairs {
				n := 0
				for _, step := range w.steps(pair, users[i]) {
					if step == chat.DeliveryDelivered {
						n++
					}
				}
				assert.Equal(t, arrived[pair.String()], n)
				c, err := w.ConversationFor(t.Context(), pair, users[i])
				require.NoError(t, err)
				assert.EqualValues(t, n, *c.PeerDeliveredSeq)
			}
		}
	})
}

func TestDeliveredSeqIsFoundAmongTheLastMessages(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		var all []chat.Outgoing
		for i := range 250 {
			all = append(all, w.toPrivate(ab, users[0], fmt.Sprint(i)))
		}
		w.commit(all...)
		delivered := func() int64 {
			list, err := w.Conversations(t.Context(), users[0], chat.ConversationFilter{}, chat.Page{Limit: 5})
			require.NoError(t, err)
			return *list.Items[0].PeerDeliveredSeq
		}
		w.acknowledge(users[1], 51)
		assert.EqualValues(t, 51, delivered())
		w.send(w.toPrivate(ab, users[0], "one more"))
		assert.Zero(t, delivered(), "too far back to be looked for: it counts as not delivered")
		w.read(ab, users[1], 20)
		assert.EqualValues(t, 20, delivered())
		w.acknowledge(users[1], 251)
		assert.EqualValues(t, 251, delivered())
	})
}

func TestReceiptsOfAGroupAreListedUpToASizeAndCountedAbove(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(8)
		me := users[0]
		group, noise := w.group("talk", users[:6]...), w.group("noise", users[:6]...)
		w.send(w.toGroup(noise, me, "x"))                // at 1 in every inbox
		message := w.send(w.toGroup(group, me, "hello")) // at 2
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(group, chat.RoleMember, users[6]) })
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(group, users[5]) })
		var more []chat.Outgoing
		for range 300 {
			more = append(more, w.toGroup(noise, me, "x"))
		}
		w.commit(more...)
		w.read(group, users[1], 1)
		w.acknowledge(users[2], 302) // everything
		w.acknowledge(users[3], 1)
		// Number 4 has everything but the last three hundred: nothing of the
		// group is near behind that, and so it counts as not delivered.
		w.acknowledge(users[4], 2)
		states := func() map[chat.ID]chat.DeliveryState {
			receipts, err := w.Receipts(t.Context(), group, message.Seq, me, 4)
			require.NoError(t, err)
			assert.Equal(t, 4, receipts.RecipientCount, "neither who came later nor who left")
			assert.Equal(t, group, receipts.ConversationID)
			states, read, delivered := map[chat.ID]chat.DeliveryState{}, 0, 0
			for _, item := range receipts.Items {
				states[item.User.ID] = item.State
				if item.State == chat.DeliveryRead {
					read++
				}
				if item.State != chat.DeliverySent {
					delivered++
				}
			}
			assert.Equal(t, read, receipts.ReadCount)
			assert.Equal(t, delivered, *receipts.DeliveredCount)
			return states
		}
		want := map[chat.ID]chat.DeliveryState{
			users[1]: chat.DeliveryRead, users[2]: chat.DeliveryDelivered, users[3]: chat.DeliverySent, users[4]: chat.DeliverySent,
		}
		assert.Equal(t, want, states())
		w.acknowledge(users[4], 150) // the end is near enough
		want[users[4]] = chat.DeliveryDelivered
		assert.Equal(t, want, states())
		w.send(w.toGroup(group, me, "again")) // a later one stands right behind what number 2 has
		assert.Equal(t, want, states())

		receipts, err := w.Receipts(t.Context(), group, message.Seq, me, 3)
		require.NoError(t, err)
		assert.Equal(t, chat.Receipts{ConversationID: group, Seq: message.Seq, RecipientCount: 4, ReadCount: 1}, receipts)

		_, err = w.Receipts(t.Context(), group, message.Seq, users[1], 100)
		requireCode(t, chat.CodeForbidden, err)
		for _, seq := range []int64{0, 3, 1 << 40} {
			_, err = w.Receipts(t.Context(), group, seq, me, 100)
			requireCode(t, chat.CodeNotFound, err)
		}
		_, err = w.Receipts(t.Context(), group, message.Seq, users[7], 100)
		requireCode(t, chat.CodeNotFound, err)
		w.set(group, me, func(s *chat.StoredState) { s.ClearedSeq = 1 })
		_, err = w.Receipts(t.Context(), group, message.Seq, me, 100)
		requireCode(t, chat.CodeNotFound, err)
	})
}

func TestReceiptsOfAPrivateMessageAreItsPeers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		message := w.send(w.toPrivate(ab, users[1], "hi"))
		for _, step := range []chat.DeliveryState{chat.DeliverySent, chat.DeliveryDelivered, chat.DeliveryRead} {
			switch step {
			case chat.DeliverySent:
			case chat.DeliveryDelivered:
				w.acknowledge(users[0], 1)
			case chat.DeliveryRead:
				w.read(ab, users[0], 1)
			}
			receipts, err := w.Receipts(t.Context(), ab, message.Seq, users[1], 0)
			require.NoError(t, err)
			require.Len(t, receipts.Items, 1)
			assert.Equal(t, users[0], receipts.Items[0].User.ID)
			assert.Equal(t, step, receipts.Items[0].State)
		}
	})
}
