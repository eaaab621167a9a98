package handlers

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/client"
)

// pieces gives a text in pieces of a size, as a network may.
type pieces struct {
	from io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.size)]) }

// FuzzFramesComeThroughTheClient writes a stream and reads it with the client: whatever a message holds and wherever the network cuts,
// the same frames come out, with the same bytes and ids.
func FuzzFramesComeThroughTheClient(f *testing.F) {
	f.Add("Hello", int64(1), byte(0))
	f.Add("line\nbreak\r\n\nid: 9\ndata: x\u2028\u0085", int64(1<<40), byte(1))
	f.Add("\xff\x00\\\"", int64(0), byte(7))
	f.Fuzz(func(t *testing.T, text string, seq int64, cut byte) {
		if seq < 0 {
			return
		}
		said := message
		said.Body = text
		body, err := chat.EncodeBody(chat.MessageCreated, then, said)
		require.NoError(t, err)
		problem, err := json.Marshal(map[string]string{"code": text})
		require.NoError(t, err)
		prefix := chat.CursorPrefix(epoch, ada)
		cursor := chat.Cursor{Epoch: epoch, Seq: seq}.String(ada)
		b := append(appendRetry(nil, 1500*time.Millisecond), '\n')
		b = appendHello(b, greeting{cursor: cursor, caller: someone, heartbeat: time.Second, lifetime: time.Minute})
		b = appendEvent(b, prefix, seq, body)
		b = appendHeartbeat(b, prefix, seq)
		b = appendReset(b, prefix, seq, "too_old")
		b = appendError(b, 30*time.Second, problem)
		b = appendBye(b, "lifetime", 550*time.Millisecond)

		frames := client.NewFrameReader(&pieces{strings.NewReader(string(b)), 1 + int(cut)})
		next := func(name string, hasID bool) string {
			t.Helper()
			frame, err := frames.Next()
			require.NoError(t, err)
			require.Equal(t, name, frame.Event)
			require.Equal(t, hasID, frame.HasID)
			require.Equal(t, cursor, frame.ID, "the id stays until there is another")
			require.True(t, json.Valid(frame.Data), "%q", frame.Data)
			return string(frame.Data)
		}
		require.Contains(t, next("hello", true), cursor)
		require.Equal(t, 1500*time.Millisecond, frames.Retry())
		require.Equal(t, string(appendEnvelope(nil, prefix, seq, body)), next("", true))
		require.JSONEq(t, `{"cursor":"`+cursor+`"}`, next("heartbeat", true))
		require.JSONEq(t, `{"cursor":"`+cursor+`","reason":"too_old"}`, next("reset", true))
		require.Equal(t, string(problem), next("error", false))
		require.Equal(t, 30*time.Second, frames.Retry())
		require.JSONEq(t, `{"reason":"lifetime","retry_ms":550}`, next("bye", false))
		_, err = frames.Next()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, cursor, frames.LastID())
	})
}
