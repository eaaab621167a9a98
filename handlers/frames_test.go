package handlers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

// jsonOf and valueOfJSON turn values into JSON and back.
func jsonOf(value any) ([]byte, error) { return json.Marshal(value) }

func valueOfJSON(text []byte) (any, error) {
	var value any
	err := json.Unmarshal(text, &value)
	return value, err
}

func eventAt(t *testing.T, seq int64) chat.InboxEvent {
	t.Helper()
	body, err := chat.EncodeBody(chat.SessionRevoked, then, chat.SessionRevokedData{SessionID: bob})
	require.NoError(t, err)
	return chat.InboxEvent{Seq: seq, Body: body}
}

func eventBatch(t *testing.T, seqs ...int64) realtime.Batch {
	t.Helper()
	var b realtime.Batch
	for _, seq := range seqs {
		b.Events = append(b.Events, eventAt(t, seq))
	}
	return b
}

func endBatch() realtime.Batch { return realtime.Batch{End: realtime.EndShutdown} }

const eventBody = `"type":"session.revoked","at":"2026-09-01T10:00:00.000Z","data":{"session_id":"023pbqc000000"}}`

func TestFramesAreExactlyTheseBytes(t *testing.T) {
	t.Parallel()
	const prefix = "1.e1.mark."
	hello := greeting{cursor: prefix + "41", caller: someone, heartbeat: 15 * time.Second, lifetime: 539500 * time.Millisecond}
	for name, test := range map[string]struct{ got, want string }{
		"retry":     {string(appendRetry(nil, 1500*time.Millisecond)), "retry: 1500\n"},
		"event":     {string(appendEvent(nil, prefix, 42, eventAt(t, 42).Body)), "id: 1.e1.mark.42\ndata: {\"cursor\":\"1.e1.mark.42\"," + eventBody + "\n\n"},
		"hello":     {string(appendHello(nil, hello)), "event: hello\nid: 1.e1.mark.41\ndata: {\"cursor\":\"1.e1.mark.41\",\"user_id\":\"" + ada.String() + "\",\"session_id\":\"" + laptop.String() + "\",\"heartbeat_seconds\":15,\"lifetime_seconds\":540}\n\n"},
		"heartbeat": {string(appendHeartbeat(nil, prefix, 42)), "event: heartbeat\nid: 1.e1.mark.42\ndata: {\"cursor\":\"1.e1.mark.42\"}\n\n"},
		"reset":     {string(appendReset(nil, prefix, 9, "too_old")), "event: reset\nid: 1.e1.mark.9\ndata: {\"reason\":\"too_old\",\"cursor\":\"1.e1.mark.9\"}\n\n"},
		"tick":      {string(appendTick(nil, 2, 4, 250*time.Millisecond, time.Date(2026, 9, 1, 12, 0, 0, 1e6, time.FixedZone("", 7200)))), "event: tick\ndata: {\"n\":2,\"of\":4,\"sent_at\":\"2026-09-01T10:00:00.001Z\",\"interval_ms\":250}\n\n"},
		"padding":   {string(appendPadding(nil, 7)), ":    \n\n"},
		"bye":       {string(appendBye(nil, "lifetime", 550*time.Millisecond)), "retry: 550\nevent: bye\ndata: {\"reason\":\"lifetime\",\"retry_ms\":550}\n\n"},
		"error":     {string(appendError(nil, 30*time.Second, []byte(`{"code":"x"}`))), "retry: 30000\nevent: error\ndata: {\"code\":\"x\"}\n\n"},
		"empty poll": {
			string(appendPoll(nil, prefix, 41, realtime.Batch{})),
			`{"events":[],"cursor":"1.e1.mark.41","has_more":false}`,
		},
		"poll": {
			string(appendPoll(nil, prefix, 43, realtime.Batch{Events: []chat.InboxEvent{eventAt(t, 42), eventAt(t, 43)}, More: true})),
			`{"events":[{"cursor":"1.e1.mark.42",` + eventBody + `,{"cursor":"1.e1.mark.43",` + eventBody + `],"cursor":"1.e1.mark.43","has_more":true}`,
		},
		"poll with reset": {
			string(appendPoll(nil, prefix, 50, realtime.Batch{Reset: &realtime.Reset{Reason: realtime.ResetEpoch, Seq: 50}})),
			`{"events":[],"cursor":"1.e1.mark.50","has_more":false,"reset":{"reason":"epoch","cursor":"1.e1.mark.50"}}`,
		},
	} {
		assert.Equal(t, test.want, test.got, name)
	}
}

// frame is one event as EventSource's parser would dispatch it.
type frame struct {
	name, id, data string
	hasID          bool
}

// parseFrames is WHATWG HTML 9.2.6 for streams whose lines end in \n.
func parseFrames(text string) []frame {
	var frames []frame
	blocks := strings.Split(text, "\n\n")
	for _, block := range blocks[:len(blocks)-1] {
		var f frame
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				f.name = value
			case "id":
				f.id, f.hasID = value, true
			case "data":
				data = append(data, value)
			}
		}
		if len(data) > 0 {
			f.data = strings.Join(data, "\n")
			frames = append(frames, f)
		}
	}
	return frames
}

// FuzzFramesKeepTheirShape proves that no content of a message can break out of
// its event: one event goes in, the same one event comes out.
func FuzzFramesKeepTheirShape(f *testing.F) {
	f.Add("Hello", int64(1))
	f.Add("line\nbreak\r\n\nid: 9\ndata: x\u2028\u0085", int64(1<<40))
	f.Add("\xff\x00\\\"", int64(0))
	f.Fuzz(func(t *testing.T, text string, seq int64) {
		if seq < 0 {
			return
		}
		said := message
		said.Body = text
		body, err := chat.EncodeBody(chat.MessageCreated, then, said)
		require.NoError(t, err)
		prefix := chat.CursorPrefix(epoch, ada)
		frames := parseFrames(string(appendEvent(nil, prefix, seq, body)))
		require.Len(t, frames, 1)
		want := chat.Cursor{Epoch: epoch, Seq: seq}.String(ada)
		require.Equal(t, want, frames[0].id)
		require.Empty(t, frames[0].name)
		var envelope struct {
			Cursor string       `json:"cursor"`
			Data   chat.Message `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(frames[0].data), &envelope))
		require.Equal(t, want, envelope.Cursor)
		require.Equal(t, string([]rune(text)), envelope.Data.Body, "bad bytes have become U+FFFD, one for one")
		require.Equal(t, frames[0].data, string(appendEnvelope(nil, prefix, seq, body)))
	})
}
