package repo_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// toldOf is what an event says of a conversation.
type toldOf struct {
	Type string
	Data struct {
		chat.Conversation

		ConversationID chat.ID `json:"conversation_id"` // of other events
		Seq            int64   `json:"seq"`
	}
}

// told returns the types of what is in an inbox, and all conversation.added.
func (w *world) told(user chat.ID) (kinds []string, added []chat.Conversation) {
	w.t.Helper()
	for _, e := range w.inbox(user) {
		var event toldOf
		require.NoError(w.t, json.Unmarshal(append([]byte("{"), e.Body...), &event))
		kinds = append(kinds, event.Type)
		if event.Type == string(chat.ConversationAdded) {
			added = append(added, event.Data.Conversation)
		}
	}
	return kinds, added
}

func TestPrivateConversationIsAddedOnceForEachUserBeforeItsFirstMessage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		a, b, c := users[0], users[1], users[2]
		nodes := []*repo.DB{w.DB, w.open()}
		ids := make([]chat.ID, 8)
		var all sync.WaitGroup
		for i := range ids { // two nodes, both sides, at the same time
			all.Go(func() {
				node, from, to := nodes[i%2], a, b
				if i%4 > 1 {
					from, to = b, a
				}
				_, err := node.Write(t.Context(), w.now(), func(tx chat.Tx) (err error) {
					ids[i], err = tx.EnsurePrivateConversation(w.ids.Next(), from, to)
					return err
				})
				if assert.NoError(t, err) {
					_, _, err = node.CommitMessages(t.Context(), []chat.Outgoing{w.toPrivate(ids[i], from, "x"), w.toPrivate(ids[i], from, "y")})
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		for _, user := range []chat.ID{a, b} {
			kinds, added := w.told(user)
			require.Len(t, kinds, 17)
			assert.Equal(t, "conversation.added", kinds[0])
			require.Len(t, added, 1)
			assert.Equal(t, ids[0], added[0].ID)
			assert.Nil(t, added[0].LastMessage)
			assert.Zero(t, added[0].LastSeq)
		}
		_, added := w.told(a)
		assert.Equal(t, b, added[0].Peer.ID, "as this user sees it")
		// A message that is refused makes nothing appear.
		empty := w.empty(a, c)
		refused := w.toPrivate(empty, b, "not mine")
		outcomes, announcement := w.commit(refused)
		require.Error(t, outcomes[0].Err)
		assert.True(t, announcement.Empty())
	})
}

func TestClearedConversationIsAddedAgainForWhoClearedItAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		a, b := users[0], users[1]
		ab := w.private(a, b)
		w.send(w.toPrivate(ab, a, "one"))
		w.read(ab, b, 1)
		w.set(ab, a, func(s *chat.StoredState) { *s = chat.StoredState{ClearedSeq: 1, MutedUntil: chat.MutedForever} })
		w.send(w.toPrivate(ab, b, "two"))
		w.send(w.toPrivate(ab, b, "three"))
		_, added := w.told(a)
		require.Len(t, added, 1)
		seen, err := w.ConversationFor(t.Context(), ab, a)
		require.NoError(t, err)
		assert.Equal(t, seen.ConversationState, added[0].ConversationState)
		assert.Equal(t, int64(1), added[0].ClearedSeq)
		assert.Equal(t, int64(1), added[0].LastSeq)
		assert.Equal(t, seen.PeerReadSeq, added[0].PeerReadSeq)
		assert.Equal(t, seen.Peer, added[0].Peer)
		assert.Zero(t, added[0].UnreadCount)
		_, added = w.told(b)
		assert.Empty(t, added, "who has it in the list knows it")
	})
}
