package chat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func TestIDsAreOpaqueTextAndComeBack(t *testing.T) {
	t.Parallel()
	for _, id := range []chat.ID{1, 1 << 22, math.MaxInt64} {
		text := id.String()
		assert.Len(t, text, 13)
		back, err := chat.ParseID(text)
		require.NoError(t, err)
		assert.Equal(t, id, back)
		encoded, err := json.Marshal(map[string]chat.ID{"id": id})
		require.NoError(t, err)
		assert.JSONEq(t, `{"id":"`+text+`"}`, string(encoded))
	}
	for _, text := range []string{"", "1", "0000000000000", "zzzzzzzzzzzzz", "ABCDEFGHJKMNP", "000000000000\n", "../../../../.."} {
		_, err := chat.ParseID(text)
		assert.Equal(t, chat.CodeNotFound, chat.CodeOf(err), "%q", text)
	}
}

func TestIDsGrowAlsoWhenTheClockDoesNot(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	ids := chat.NewIDs(func() time.Time { now = now.Add(-time.Millisecond); return now })
	var last chat.ID
	for range 1000 {
		next := ids.Next()
		require.Greater(t, next, last)
		last = next
	}
}

func TestTimesAreRFC3339InUTCWithMilliseconds(t *testing.T) {
	t.Parallel()
	at := chat.TimeOf(time.Date(2026, 11, 23, 18, 4, 5, 67_899_000, time.FixedZone("east", 2*3600)))
	encoded, err := json.Marshal(at)
	require.NoError(t, err)
	assert.Equal(t, `"2026-11-23T16:04:05.067Z"`, string(encoded))
	var back chat.Time
	require.NoError(t, json.Unmarshal(encoded, &back))
	assert.Equal(t, at, back)
}

func TestForeignErrorsAreInternalAndSayNothing(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.1.2.3:3306: secret")
	known := chat.AsError(fmt.Errorf("read: %w", cause))
	assert.Equal(t, chat.CodeInternal, known.Code)
	assert.NotContains(t, known.Detail, "10.1.2.3")
	require.ErrorIs(t, known, cause)
	assert.Nil(t, chat.AsError(nil))
	assert.Equal(t, chat.CodeNotFound, chat.CodeOf(fmt.Errorf("wrapped: %w", chat.NotFound("gone"))))
}

func TestEnvelopeIsTheBodyBehindItsCursor(t *testing.T) {
	t.Parallel()
	at := chat.Time(1_795_449_600_123)
	body, err := chat.EncodeBody(chat.MessageCreated, at, map[string]string{"body": "line\nbreak \u2028"})
	require.NoError(t, err)
	envelope := chat.AppendEnvelope(nil, "1.e.u.5", body)
	assert.JSONEq(t, `{"cursor":"1.e.u.5","type":"message.created","at":"2026-11-23T16:00:00.123Z","data":{"body":"line\nbreak \u2028"}}`, string(envelope))
	assert.NotContains(t, string(envelope), "\n", "a line break would end an SSE field")
}

func TestIdempotencyKeyIsForItsSenderOnly(t *testing.T) {
	t.Parallel()
	m := chat.Message{SenderID: 1, IdempotencyKey: "k", Mentions: []chat.ID{}}
	assert.Equal(t, "k", m.SeenBy(1).IdempotencyKey)
	assert.Empty(t, m.SeenBy(2).IdempotencyKey)
}

func TestAudienceDecidesWhoMaySend(t *testing.T) {
	t.Parallel()
	friends := chat.Relation{Friends: true, PeerAccepts: chat.AcceptFriends}
	strangers := chat.Relation{PeerAccepts: chat.AcceptFriends}
	reply := int64(4)
	for name, c := range map[string]struct {
		audience chat.Audience
		out      chat.Outgoing
		want     chat.Code
	}{
		"friend":                {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{friends, strangers}}, chat.Outgoing{Target: chat.KindPrivate, SenderID: 1}, ""},
		"stranger":              {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{friends, strangers}}, chat.Outgoing{Target: chat.KindPrivate, SenderID: 2}, chat.CodeRecipientNotAccepting},
		"open to everyone":      {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{{PeerAccepts: chat.AcceptEveryone}, friends}}, chat.Outgoing{Target: chat.KindPrivate, SenderID: 1}, ""},
		"blocked though friend": {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{{Friends: true, BlockedBy: true}, friends}}, chat.Outgoing{Target: chat.KindPrivate, SenderID: 1}, chat.CodeRecipientNotAccepting},
		"blocks the other":      {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{{Friends: true, Blocks: true}, friends}}, chat.Outgoing{Target: chat.KindPrivate, SenderID: 1}, chat.CodeForbidden},
		"member":                {chat.Audience{Kind: chat.KindGroup, Members: []chat.ID{1, 5, 9}}, chat.Outgoing{Target: chat.KindGroup, SenderID: 5, Mentions: []chat.ID{9}, ReplyTo: &reply}, ""},
		"no member":             {chat.Audience{Kind: chat.KindGroup, Members: []chat.ID{1, 5, 9}}, chat.Outgoing{Target: chat.KindGroup, SenderID: 6}, chat.CodeNotFound},
		"mentions a stranger":   {chat.Audience{Kind: chat.KindGroup, Members: []chat.ID{1, 5, 9}}, chat.Outgoing{Target: chat.KindGroup, SenderID: 5, Mentions: []chat.ID{2}}, chat.CodeValidation},
		"taken for a group":     {chat.Audience{Kind: chat.KindPrivate, Members: []chat.ID{1, 2}, Relations: [2]chat.Relation{friends, friends}}, chat.Outgoing{Target: chat.KindGroup, SenderID: 1}, chat.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, chat.CodeOf(c.audience.Check(c.out, 4)))
		})
	}
	group := chat.Audience{Kind: chat.KindGroup, Members: []chat.ID{1}}
	assert.Equal(t, chat.CodeValidation, chat.CodeOf(group.Check(chat.Outgoing{Target: chat.KindGroup, SenderID: 1, ReplyTo: &reply}, 3)), "a reply to what is not there yet")
}

func TestSendersCopyIsTheOthersWithTheKey(t *testing.T) {
	t.Parallel()
	reply := int64(7)
	for _, m := range []chat.Message{
		{ConversationID: 1, Seq: 2, SenderID: 3, Kind: chat.KindText, Body: "plain", Mentions: []chat.ID{}, CreatedAt: 4, IdempotencyKey: "k-1"},
		{Body: `"},"data":{"x":1}}` + "\n<&>\u2028", Mentions: []chat.ID{5, 6}, ReplyTo: &reply, Recalled: true, IdempotencyKey: `<"\&'>}`},
	} {
		others, err := chat.EncodeBody(chat.MessageCreated, m.CreatedAt, m.ForOthers())
		require.NoError(t, err)
		wanted, err := chat.EncodeBody(chat.MessageCreated, m.CreatedAt, m)
		require.NoError(t, err)
		before := string(others)
		own, err := others.WithKey(m.IdempotencyKey)
		require.NoError(t, err)
		assert.Equal(t, string(wanted), string(own))
		assert.Equal(t, before, string(others), "the others' is left alone")
		data, err := json.Marshal(m)
		require.NoError(t, err)
		assert.Equal(t, string(data), string(own.Data()))
	}
}
