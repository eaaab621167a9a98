package handlers

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

const messagesPath = "/v1/conversations/023pbqc03ztkt/messages/"

// named is the id in messagesPath.
func named(t *testing.T) chat.ID {
	t.Helper()
	id, err := chat.ParseID("023pbqc03ztkt")
	require.NoError(t, err)
	return id
}

func TestEmojiInPathsAreReadHoweverTheyAreEncoded(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	for path, emoji := range map[string]string{
		"%F0%9F%91%8D": "👍", "%f0%9f%91%8d": "👍", ":+1:": ":+1:", "%3A%2B1%3A": ":+1:", "1%EF%B8%8F%E2%83%A3": "1️⃣",
	} {
		require.Equal(t, http.StatusOK, do(t, h, http.MethodPut, messagesPath+"7/reactions/"+path, "", signedIn).Code, path)
		require.Equal(t, emoji, b.service.emoji, path)
		require.True(t, b.service.on)
		require.Equal(t, http.StatusOK, do(t, h, http.MethodDelete, messagesPath+"7/reactions/"+path, "", signedIn).Code, path)
		require.False(t, b.service.on)
	}
	for _, path := range []string{"%ff", "%00", "%F0%9F%91"} {
		require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodPut, messagesPath+"7/reactions/"+path, "", signedIn).Code, path)
	}
}

func TestWhatNeverWasASeqIsNotFound(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	for _, seq := range []string{"0", "-1", "x", "1.5", "99999999999999999999", "7%20"} {
		w := do(t, h, http.MethodGet, messagesPath+seq, "", signedIn)
		require.Equal(t, http.StatusNotFound, w.Code, seq)
		require.Equal(t, chat.CodeNotFound, problemIn(t, w).Code)
	}
	require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, messagesPath+"7", "", signedIn).Code)
	require.Equal(t, chat.MessageRef{ConversationID: named(t), Seq: 7}, b.service.ref)
}

func TestPayloadsAndForwardsAreHandedOn(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodPost, sendPath, `{"kind":"custom","payload":{ "big": 12345678901234567890.5, "b":[1, null] }}`, signedIn)
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	require.JSONEq(t, `{"big":12345678901234567890.5,"b":[1,null]}`, string(b.service.draft.Payload))
	require.NotContains(t, string(b.service.draft.Payload), " ", "kept without spaces, and with all digits")

	w = do(t, h, http.MethodPost, sendPath, `{"forward":{"conversation_id":"023pbqc03ztkt","seq":3}}`, signedIn)
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	require.Equal(t, &chat.MessageRef{ConversationID: named(t), Seq: 3}, b.service.draft.Forward)

	for _, body := range []string{`{"kind":"custom","payload":[]}`, `{"payload":"x"}`, `{"payload":null}`, `{"forward":{"seq":1}}`, `{"kind":"system","body":"x"}`} {
		require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodPost, sendPath, body, signedIn).Code, body)
	}
}

func TestMentionsOfAnEditAreToldApartFromNone(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodPatch, messagesPath+"7", `{"body":"x"}`, signedIn).Code)
	require.Nil(t, b.service.edit.Mentions)
	require.Nil(t, b.service.edit.Payload)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodPatch, messagesPath+"7", `{"mentions":[]}`, signedIn).Code)
	require.Equal(t, &[]chat.ID{}, b.service.edit.Mentions)
}
