package handlers

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/openapi"
)

func TestEveryBudgetIsTold(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	operations, err := operationsOf(spec)
	require.NoError(t, err)
	used := map[*budget]bool{loginUsernameBudget: true}
	for _, op := range operations {
		if op.budget != nil {
			used[op.budget] = true
		}
	}
	assert.Len(t, budgets, len(used))
	names := map[string]chat.RateLimit{}
	for _, told := range RateLimits() {
		names[told.Name] = told
		assert.Positive(t, told.Requests)
		assert.Positive(t, told.PeriodSeconds)
		assert.Positive(t, told.Burst)
	}
	for b := range used {
		assert.Contains(t, names, b.name)
	}
	assert.Equal(t, "address", names["register"].Per)
	assert.Equal(t, "username", names["login_username"].Per)
	assert.Equal(t, "user", names["send"].Per)
}

func TestConversationsAreChangedAsAsked(t *testing.T) {
	t.Parallel()
	const path = "/v1/conversations/023pbqc03ztkt"
	until, unmuted, forever := chat.Time(32_503_680_000_000), chat.Time(0), chat.MutedForever
	yes, no := true, false
	for body, want := range map[string]chat.ConversationPatch{
		`{}`: {},
		`{"pinned":true,"archived":false,"marked_unread":true}`: {Pinned: &yes, Archived: &no, MarkedUnread: &yes},
		`{"muted_until":"3000-01-01T00:00:00Z"}`:                {MutedUntil: &until},
		`{"muted_until":null}`:                                  {MutedUntil: &unmuted},
		`{"muted":false}`:                                       {MutedUntil: &unmuted},
		`{"muted":true}`:                                        {MutedUntil: &forever},
	} {
		h, b := setup(t)
		require.Equal(t, http.StatusOK, do(t, h, http.MethodPatch, path, body, signedIn).Code, body)
		assert.Equal(t, want, b.service.change, body)
	}
	h, b := setup(t)
	for _, body := range []string{
		`{"muted":true,"muted_until":"3000-01-01T00:00:00Z"}`, `{"muted":true,"muted_until":null}`, `{"muted_until":"tomorrow"}`,
		`{"pinned":null}`, `{"pinned":1}`, `{"name":"x"}`,
	} {
		w := do(t, h, http.MethodPatch, path, body, signedIn)
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, body)
		require.Equal(t, chat.CodeValidation, problemIn(t, w).Code, body)
	}
	require.Empty(t, b.service.calls)
}

func TestConversationsAreFilteredAsAsked(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	for query, want := range map[string]chat.ConversationFilter{
		"": {}, "?archived=any": {Archived: chat.ArchivedAny}, "?archived=true&unread=true": {Archived: chat.ArchivedYes, Unread: true},
		"?pinned=true&unread=false": {Pinned: true},
	} {
		require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, "/v1/conversations"+query, "", signedIn).Code, query)
		assert.Equal(t, want, b.service.filter, query)
	}
	for _, query := range []string{"?archived=yes", "?pinned=1x", "?unread=maybe"} {
		require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodGet, "/v1/conversations"+query, "", signedIn).Code, query)
	}
}

func TestWhatIsNoSeqInAPathIsNotFound(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	for _, seq := range []string{"0", "-1", "x", "1.5", "01", "+1", "9223372036854775808", "023pbqc03ztkt"} {
		w := do(t, h, http.MethodGet, "/v1/conversations/023pbqc03ztkt/messages/"+seq+"/receipts", "", signedIn)
		require.Equal(t, http.StatusNotFound, w.Code, seq)
		require.Equal(t, chat.CodeNotFound, problemIn(t, w).Code, seq)
	}
	require.Empty(t, b.service.calls)
	require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, "/v1/conversations/023pbqc03ztkt/messages/9223372036854775807/receipts", "", signedIn).Code)
}
