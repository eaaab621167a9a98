package repo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// liveMessages does everything that can be done with a message of peer, once.
func liveMessages(t *testing.T, db *DB, do func(fn func(tx chat.Tx) error), ref chat.MessageRef, me, peer chat.ID) {
	t.Helper()
	ctx := t.Context()
	var message chat.Message
	do(func(tx chat.Tx) error {
		var err error
		if message, err = tx.MessageOf(ref); err != nil {
			return err
		}
		edited := message
		edited.Body, edited.Mentions = "y", []chat.ID{me}
		_, err = tx.EditMessage(message, edited)
		require.NoError(t, err)
		for _, emoji := range []string{"a", "b"} {
			message, err = tx.MessageOf(ref)
			require.NoError(t, err)
			_, _, err = tx.SetReaction(message, me, emoji, true)
			require.NoError(t, err)
		}
		_, err = tx.SetPin(ref, me, true)
		require.NoError(t, err)
		_, err = tx.PinsOf(ref.ConversationID)
		require.NoError(t, err)
		_, err = tx.HideMessage(ref, me)
		require.NoError(t, err)
		_, err = tx.ReadStateOf(ref.ConversationID, me)
		require.NoError(t, err)
		message, err = tx.MessageOf(ref)
		require.NoError(t, err)
		return tx.AppendMessage(chat.MessageEdited, message, me, peer)
	})
	for _, page := range []chat.Page{{Limit: 1}, {Limit: 1, After: place{list: listReactors, numbers: []int64{int64(me)}, text: "a"}.String()}} {
		reactors, err := db.Reactors(ctx, ref, page)
		require.NoError(t, err)
		require.Len(t, reactors.Items, 1)
	}
	_, err := db.MessageVersions(ctx, ref)
	require.NoError(t, err)
	_, err = db.Pins(ctx, ref.ConversationID, me)
	require.NoError(t, err)
	for _, user := range []chat.ID{me, peer} {
		_, err = db.Message(ctx, ref.ConversationID, user, ref.Seq)
		require.NoError(t, err)
		_, err = db.ReadInbox(ctx, user, 0, 10)
		require.NoError(t, err)
		_, err = db.Conversations(ctx, user, chat.ConversationFilter{}, chat.Page{Limit: 10})
		require.NoError(t, err)
	}
	do(func(tx chat.Tx) error {
		_, _, err := tx.SetReaction(message, me, "a", false)
		require.NoError(t, err)
		_, err = tx.SetPin(ref, me, false)
		require.NoError(t, err)
		recalled, _, err := tx.RecallMessage(message, peer)
		require.NoError(t, err)
		return tx.AppendMessage(chat.MessageRecalled, recalled, me, peer)
	})
}
