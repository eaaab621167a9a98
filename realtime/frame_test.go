package realtime

import (
	"testing"

	"longwire/chat"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFramesReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) chat.ID { return chat.ID(rapid.Int64Min(1).Draw(t, "id")) })
		var f frame
		switch f.kind = rapid.SampledFrom([]frameKind{frameEvents, frameEnded, frameProbe, frameLost, frameEphemeral, frameForgotten}).Draw(t, "kind"); f.kind {
		case frameEvents:
			f.bodies = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chat.Body {
				return chat.Body(rapid.SliceOf(rapid.Byte()).Draw(t, "body"))
			}), 1, 10).Draw(t, "bodies")
			f.deliveries = rapid.SliceOf(rapid.Custom(func(t *rapid.T) chat.Delivery {
				return chat.Delivery{
					User: id.Draw(t, "user"), Seq: rapid.Int64Min(1).Draw(t, "seq"),
					Event: rapid.IntRange(0, len(f.bodies)-1).Draw(t, "event"),
				}
			})).Draw(t, "deliveries")
		case frameEnded:
			f.ended = rapid.SliceOf(rapid.Custom(func(t *rapid.T) chat.SessionRef {
				return chat.SessionRef{User: id.Draw(t, "user"), Session: id.Draw(t, "session")}
			})).Draw(t, "ended")
		case frameForgotten:
			f.forgotten = rapid.SliceOf(rapid.Custom(func(t *rapid.T) chat.Forgotten {
				return chat.Forgotten{User: id.Draw(t, "user"), Seq: rapid.Int64Min(1).Draw(t, "seq")}
			})).Draw(t, "forgotten")
		case frameProbe:
			f.nonce = rapid.Uint64().Draw(t, "nonce")
		case frameEphemeral:
			users := rapid.SliceOfN(id, 1, 10)
			f.ephemerals = rapid.SliceOf(rapid.Custom(func(t *rapid.T) chat.Ephemeral {
				return chat.Ephemeral{
					Topic: chat.EphemeralTopic{Conversation: chat.ID(rapid.Int64Min(0).Draw(t, "conversation")), User: id.Draw(t, "user")},
					At:    chat.Time(rapid.Int64Min(0).Draw(t, "at")), Body: chat.Body(rapid.SliceOf(rapid.Byte()).Draw(t, "body")),
					Users: users.Draw(t, "users"),
				}
			})).Draw(t, "ephemerals")
			f.activities = rapid.SliceOf(rapid.Custom(func(t *rapid.T) said {
				return said{
					ref:      chat.SessionRef{User: id.Draw(t, "user"), Session: id.Draw(t, "session")},
					activity: rapid.SampledFrom([]activity{inactive, background, active}).Draw(t, "activity"),
				}
			})).Draw(t, "activities")
		case frameLost:
		}
		got, err := decodeFrame(string(f.encode()))
		require.NoError(t, err)
		require.Equal(t, f.kind, got.kind)
		require.Equal(t, f.nonce, got.nonce)
		require.ElementsMatch(t, f.bodies, got.bodies)
		require.ElementsMatch(t, f.deliveries, got.deliveries)
		require.ElementsMatch(t, f.ended, got.ended)
		require.ElementsMatch(t, f.ephemerals, got.ephemerals)
		require.ElementsMatch(t, f.activities, got.activities)
		require.ElementsMatch(t, f.forgotten, got.forgotten)
	})
}

// Whoever can publish on our Redis can send anything.
func FuzzDecodeFrame(f *testing.F) {
	for _, seed := range []frame{
		{kind: frameLost},
		{kind: frameProbe, nonce: 1 << 63},
		{kind: frameEnded, ended: []chat.SessionRef{{User: 1, Session: 2}}},
		{kind: frameEphemeral},
		{
			kind:       frameEphemeral,
			ephemerals: []chat.Ephemeral{{Topic: chat.EphemeralTopic{User: 1}, At: 2, Body: chat.Body("{}"), Users: []chat.ID{3, 4}}},
			activities: []said{{ref: chat.SessionRef{User: 1, Session: 2}, activity: active}},
		},
		{kind: frameForgotten, forgotten: []chat.Forgotten{{User: 1, Seq: 1<<63 - 1}}},
		{kind: frameEvents, bodies: []chat.Body{chat.Body(`"type":"x"}`), nil}, deliveries: []chat.Delivery{{User: 1, Seq: 2, Event: 1}, {User: 1<<63 - 1, Seq: 1<<63 - 1}}},
	} {
		f.Add(string(seed.encode()))
	}
	f.Add("")
	f.Add("\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := decodeFrame(payload)
		if err != nil {
			require.Zero(t, got)
			return
		}
		for _, d := range got.deliveries {
			require.Positive(t, d.User)
			require.Positive(t, d.Seq)
			require.Less(t, d.Event, len(got.bodies))
		}
		for _, s := range got.activities {
			require.LessOrEqual(t, s.activity, active)
		}
		again, err := decodeFrame(string(got.encode()))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

func TestFramesHoldEachBodyOnceAndOnlyWhatConcernsTheNode(t *testing.T) {
	t.Parallel()
	b := batch{Announcement: chat.Announcement{
		Bodies: []chat.Body{chat.Body("one"), chat.Body("two"), chat.Body("three")},
		Deliveries: []chat.Delivery{
			{User: 1, Seq: 5, Event: 0}, {User: 2, Seq: 6, Event: 0}, {User: 3, Seq: 7, Event: 1}, {User: 1, Seq: 8, Event: 2},
		},
	}}
	frames := framesByNode(b, targets{1: {nodes: []string{"a", "b"}}, 2: {nodes: []string{"a"}}, 3: {}})
	require.Len(t, frames, 2)
	require.Equal(t, []*frame{{
		kind: frameEvents, bodies: []chat.Body{chat.Body("one"), chat.Body("three")},
		deliveries: []chat.Delivery{{User: 1, Seq: 5, Event: 0}, {User: 2, Seq: 6, Event: 0}, {User: 1, Seq: 8, Event: 1}},
	}}, frames["a"])
	require.Len(t, frames["b"][0].deliveries, 2)
}

func TestLongFramesAreSplit(t *testing.T) {
	t.Parallel()
	var b batch
	body := make(chat.Body, maxFrameBytes/3)
	for i := range 10 {
		b.Bodies = append(b.Bodies, body)
		b.Deliveries = append(b.Deliveries, chat.Delivery{User: 1, Seq: int64(i + 1), Event: i})
	}
	frames := framesByNode(b, targets{1: {nodes: []string{"a"}}})["a"]
	require.Len(t, frames, 4)
	seq := int64(0)
	for _, f := range frames {
		got, err := decodeFrame(string(f.encode()))
		require.NoError(t, err)
		for _, d := range got.deliveries {
			seq++
			require.Equal(t, seq, d.Seq)
		}
	}
	require.EqualValues(t, 10, seq)
}
