package chat

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMessagesAreEncodedAsEver holds what is written by hand against
// encoding/json: an event read back from the database must be the one that was
// announced, and a replay must be known by what an older version kept of it.
func FuzzMessagesAreEncodedAsEver(f *testing.F) {
	f.Add(int64(1), int64(7), int64(2), "Hello, Bob.", "key-1", int64(1788257520000), uint8(0))
	f.Add(int64(1), int64(1), int64(2), `<b>"quoted" & \ 你好`+"\n\u2028\x7f\xff", "", int64(0), uint8(1))
	f.Add(int64(1)<<62, int64(1)<<62, int64(3), "", `k"`, int64(-1), uint8(2))
	f.Add(int64(5), int64(9), int64(3), "text", "k", int64(1), uint8(255))
	f.Fuzz(func(t *testing.T, conversation, seq, sender int64, text, key string, at int64, rare uint8) {
		at &= 1<<46 - 1 // years of four digits, as in the database
		m := Message{
			ConversationID: ID(conversation), Seq: seq, SenderID: ID(sender), Kind: KindText, Body: text, Mentions: []ID{}, CreatedAt: Time(at), IdempotencyKey: key,
		}
		addRare(&m, rare)
		want, err := EncodeBody(MessageCreated, m.CreatedAt, m)
		require.NoError(t, err)
		got, err := EncodeMessage(MessageCreated, m.CreatedAt, &m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))

		out := Outgoing{ConversationID: m.ConversationID, Kind: m.Kind, Body: text}
		encoded, err := json.Marshal([]any{out.ConversationID, out.Kind, out.Body, out.ReplyTo, out.Mentions})
		require.NoError(t, err)
		require.Equal(t, condense(encoded), out.print())
	})
}

// addRare gives a message the rare fields whose bits are set.
func addRare(m *Message, rare uint8) {
	number, now := int64(3), Time(1)
	for bit, add := range []func(){
		func() { m.ReplyTo = &number },
		func() { m.Mentions = []ID{7} },
		func() { m.EditedAt = &now },
		func() { m.Recalled, m.RecalledBy = true, 9 },
		func() { m.Payload = []byte(`{"a":1}`) },
		func() { m.ForwardedFrom = &Origin{SenderID: 4, CreatedAt: 5} },
		func() { m.Deleted, m.Delivery = true, DeliveryRead },
		func() { m.Reactions, m.System = []Reaction{{Emoji: "x", Count: 1}}, &SystemEvent{Type: "created"} },
	} {
		if rare>>bit&1 == 1 {
			add()
		}
	}
}
