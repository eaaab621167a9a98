package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/openapi"
	"longwire/realtime"
)

// passing is a batch of ephemeral events.
func passing(t *testing.T, states ...chat.TypingState) realtime.Batch {
	t.Helper()
	var batch realtime.Batch
	for _, state := range states {
		body, err := chat.EncodeBody(chat.TypingChanged, then, chat.TypingData{ConversationID: bob, UserID: ada, State: state})
		require.NoError(t, err)
		batch.Ephemeral = append(batch.Ephemeral, body)
	}
	return batch
}

const typingSeen = `{"type":"typing","at":"2026-09-01T10:00:00.000Z","data":{"conversation_id":"`

func TestEphemeralEventsOnAStreamHaveNoIDAndMoveNoPosition(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bundle){"with a handler": func(*bundle) {}, "parked": parked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := setup(t, change)
			server := httptest.NewServer(h)
			t.Cleanup(server.Close) // after the connection
			_, reader := open(t, server)
			readUntil(t, reader, "event: hello")
			readUntil(t, reader, "\n")
			b.inboxes.give(eventBatch(t, 42))
			require.Equal(t, "id: "+cursorAt(42)+"\n", readUntil(t, reader, "id: "))
			readUntil(t, reader, "\n")
			b.inboxes.give(passing(t, chat.TypingStarted, chat.TypingStopped))
			for range 2 {
				line, err := reader.ReadString('\n')
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(line, "data: "+typingSeen), line)
				line, err = reader.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, "\n", line)
			}
			require.EqualValues(t, 42, b.inboxes.reader.Seq())
		})
	}
}

func TestEphemeralEventAnswersAWaitingPollAndStandsBehindTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := setup(t)
		b.inboxes.reader = newReaderDouble(41)
		batch, both := passing(t, chat.TypingStarted), passing(t, chat.TypingStarted, chat.TypingStopped)
		both.Events = eventBatch(t, 42).Events
		go func() {
			time.Sleep(3 * time.Second)
			b.inboxes.reader.batches <- batch
			b.inboxes.reader.batches <- both
		}()
		began := time.Now()
		w := do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.True(t, strings.HasPrefix(w.Body.String(), `{"events":[`+typingSeen), w.Body.String())
		got := pollIn(t, w)
		require.Len(t, got.Events, 1)
		require.Empty(t, got.Events[0].Cursor)
		require.Equal(t, cursorAt(41), got.Cursor)

		got = pollIn(t, do(t, h, http.MethodGet, "/v1/inbox/poll", "", signedIn))
		require.Len(t, got.Events, 3)
		require.Equal(t, cursorAt(42), got.Events[0].Cursor)
		require.Empty(t, got.Events[1].Cursor+got.Events[2].Cursor)
		require.Equal(t, cursorAt(42), got.Cursor)
	})
}

func TestStreamsAndWaitingPollsAreActiveUnlessTheySayOtherwise(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]chat.Activity{
		"/v1/inbox/stream":                          chat.ActivityActive,
		"/v1/inbox/stream?presence=background":      chat.ActivityBackground,
		"/v1/inbox/stream?presence=none":            chat.ActivityNone,
		"/v1/inbox/poll":                            chat.ActivityActive,
		"/v1/inbox/poll?presence=background":        chat.ActivityBackground,
		"/v1/inbox/poll?wait=0":                     chat.ActivityNone,
		"/v1/inbox/poll?wait=0&presence=active":     chat.ActivityActive,
		"/v1/inbox/poll?wait=1&presence=background": chat.ActivityBackground,
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			h, b := setup(t)
			b.inboxes.reader = newReaderDouble(41, eventBatch(t, 42), endBatch())
			require.Equal(t, http.StatusOK, do(t, h, http.MethodGet, target, "", signedIn).Code)
			require.Equal(t, want, b.inboxes.request.Activity)
		})
	}
	h, _ := setup(t)
	w := do(t, h, http.MethodGet, "/v1/inbox/stream?presence=busy", "", signedIn)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, "presence", problemIn(t, w).Errors[0].Field)
}

func TestPresenceIsAskedForABoundedNumberOfUsers(t *testing.T) {
	t.Parallel()
	h, _ := setup(t)
	ids := func(n int) string { return strings.TrimSuffix(strings.Repeat(bob.String()+",", n), ",") }
	w := do(t, h, http.MethodGet, "/v1/presence?user_ids="+ids(chat.MaxPresenceUsers), "", signedIn)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	for _, query := range []string{"", "?user_ids=", "?user_ids=x", "?user_ids=" + ids(chat.MaxPresenceUsers+1)} {
		w := do(t, h, http.MethodGet, "/v1/presence"+query, "", signedIn)
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, query)
		require.True(t, strings.HasPrefix(problemIn(t, w).Errors[0].Field, "user_ids"), query)
	}
	spec, err := openapi.Load()
	require.NoError(t, err)
	schema := spec.Doc.Paths.Value("/v1/presence").Get.Parameters.GetByInAndName("query", "user_ids").Schema.Value
	require.EqualValues(t, chat.MaxPresenceUsers, *schema.MaxItems)
}

func TestTypingHasABudgetOfItsOwn(t *testing.T) {
	t.Parallel()
	h, b := setup(t, func(b *bundle) { b.config.RateLimit, b.limiter.decision.Allowed = true, true })
	w := do(t, h, http.MethodPost, "/v1/conversations/"+bob.String()+"/typing", `{"state":"typing"}`, signedIn)
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	require.Equal(t, []string{"typing:" + ada.String()}, b.limiter.keys)
	require.Equal(t, []string{"SetTyping"}, b.service.calls)
}
