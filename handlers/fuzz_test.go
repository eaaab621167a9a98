package handlers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/openapi"
)

func FuzzParseBearer(f *testing.F) {
	f.Add("Bearer abc.def-_~+/==")
	f.Add("bearer  x")
	f.Add("Basic YTpi")
	f.Add("Bearer a b")
	f.Add("Bearer =")
	f.Fuzz(func(t *testing.T, header string) {
		token, ok := parseBearer([]string{header})
		if !ok {
			require.Empty(t, token)
			return
		}
		require.NotEmpty(t, token)
		require.LessOrEqual(t, len(token), maxTokenLength)
		require.NotContains(t, token, " ")
		require.True(t, strings.HasSuffix(strings.TrimRight(header, " "), token))
		again, ok := parseBearer([]string{"Bearer " + token})
		require.True(t, ok)
		require.Equal(t, token, again)
	})
}

// FuzzBodies sends anything as a message. Whatever it is, the answer is one that
// is documented, and what reaches the domain is text and was said.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"body":"Hello","mentions":["023pbqc03ztkt"],"reply_to":3}`))
	f.Add([]byte(`{"body":"\ud800"}`))
	f.Add([]byte(`{"body":"a","x":[[[[[[[[[[{"y":"\u0000"}]]]]]]]]]]}`))
	f.Add([]byte(`{"reply_to":1e999,"body":{}}`))
	f.Add([]byte("{\"body\":\"\xc3\x28\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, b := setup(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, sendPath, strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		signedIn(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusCreated {
			require.True(t, json.Valid(body))
			require.NotContains(t, b.service.draft.Body, "\x00")
			require.NotEmpty(t, b.service.draft.Body)
			return
		}
		require.Contains(t, []int{400, 413, 422}, w.Code, "%q %s", body, w.Body.String())
		var p problem
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	})
}

// FuzzPlainText compares the glance at a body with the specification: what it
// lets pass is a message that the specification lets pass, with the same text.
func FuzzPlainText(f *testing.F) {
	f.Add([]byte(`{"body":"Hello"}`))
	f.Add([]byte(" {\n\t\"body\" : \"a\\n\\\"b\\\\\" } "))
	f.Add([]byte(`{"body":"\u0041"}`))
	f.Add([]byte(`{"body":"a\\u0041"}`))
	f.Add([]byte(`{"body":"a","body":"b"}`))
	f.Add([]byte(`{"body":"a"}}`))
	f.Add([]byte("{\"body\":\"\xff\"}"))
	f.Add([]byte("{\"body\":\"\x00\"}"))
	f.Add([]byte(`{"body":"\x"}`))
	spec, err := openapi.Load()
	require.NoError(f, err)
	schema := spec.Doc.Components.Schemas["SendMessageRequest"].Value
	f.Fuzz(func(t *testing.T, body []byte) {
		text, ok := plainText(body)
		if !ok || len(body) > int(*schema.Properties["body"].Value.MaxLength) {
			return
		}
		require.NotEmpty(t, text)
		require.True(t, json.Valid(body), "%q", body)
		require.Empty(t, textFaults(body), "%q", body)
		var value any
		require.NoError(t, json.Unmarshal(body, &value))
		require.Equal(t, map[string]any{"body": text}, value)
		require.NoError(t, schema.VisitJSON(value))
	})
}

// FuzzPositions asks a poll for anything as a position.
func FuzzPositions(f *testing.F) {
	f.Add("begin")
	f.Add(cursorAt(7))
	f.Add(chat.Cursor{Epoch: epoch, Seq: 7}.String(bob))
	f.Add("1.e1..7")
	f.Add("\x00\xff&wait=1")
	f.Fuzz(func(t *testing.T, position string) {
		h, b := setup(t)
		w := do(t, h, http.MethodGet, "/v1/inbox/poll?wait=0&cursor="+url.QueryEscape(position), "", signedIn)
		switch w.Code {
		case http.StatusOK:
			for _, seq := range b.inboxes.saved {
				require.Equal(t, b.inboxes.request.Cursor.Seq, seq)
				require.Equal(t, position, b.inboxes.request.Cursor.String(ada))
			}
		case http.StatusUnprocessableEntity:
			require.Empty(t, b.inboxes.saved)
		default:
			t.Fatalf("%d for %q", w.Code, position)
		}
	})
}
