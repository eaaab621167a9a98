package handlers

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func TestSearchReachesTheServiceAsItWasAsked(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	w := do(t, h, http.MethodGet, "/v1/search/messages?q=%22a%22%20%2Bb&conversation_id="+bob.String()+"&sender_id="+ada.String()+
		"&before_time=2026-09-01T12:00:00.0005%2B02:00&after_time=2026-09-01T10:00:00Z&limit=7&after=x", "", signedIn)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	at := chat.TimeOf(time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC))
	// What was sent in the first half of a millisecond is before its middle.
	require.Equal(t, chat.MessageSearch{Query: `"a" +b`, Conversation: &bob, Sender: &ada, BeforeTime: new(at + 1), AfterTime: &at}, b.service.search)
	require.Equal(t, chat.Page{Limit: 7, After: "x"}, b.service.page)

	require.Equal(t, http.StatusUnauthorized, do(t, h, http.MethodGet, "/v1/search/messages?q=x", "").Code)
	require.Equal(t, http.StatusNotFound, do(t, h, http.MethodGet, "/v1/search/messages?q=x&conversation_id=x", "", signedIn).Code)
	for _, wrong := range []string{"", "?q=", "?q=x&q=y", "?q=x&sender_id=x", "?q=x&before_time=2026", "?q=%ff"} {
		require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodGet, "/v1/search/messages"+wrong, "", signedIn).Code, wrong)
	}
}
