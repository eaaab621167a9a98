package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// shown is what a device shows of one conversation: what it makes of events, in order, by setting and never by counting.
type shown struct {
	me       string
	messages map[int64]client.Message
	pins     []client.Pin
	mentions int64
}

func (s *shown) apply(t *testing.T, conversation string, events []client.Event) {
	t.Helper()
	for _, event := range events {
		switch data := event.Value().(type) {
		case client.Message:
			if data.ConversationID == conversation {
				data.IdempotencyKey = nil
				s.messages[data.Seq] = data
			}
		case client.MessageDeletedData:
			message := s.messages[data.Seq]
			s.messages[data.Seq] = client.Message{
				ConversationID: message.ConversationID, Seq: message.Seq, SenderID: message.SenderID, Kind: message.Kind,
				Mentions: []client.ID{}, CreatedAt: message.CreatedAt, Deleted: true,
			}
		case client.ReactionChangedData:
			message := s.messages[data.Seq]
			if message.Deleted {
				continue
			}
			var now []client.Reaction
			for _, count := range data.Reactions {
				mine := slices.ContainsFunc(message.Reactions, func(r client.Reaction) bool { return r.Emoji == count.Emoji && r.Mine })
				if data.UserID == s.me && data.Emoji == count.Emoji {
					mine = data.Reacted
				}
				now = append(now, client.Reaction{Emoji: count.Emoji, Count: count.Count, Mine: mine})
			}
			message.Reactions = now
			s.messages[data.Seq] = message
		case client.PinChangedData:
			s.pins = data.Pins
		case client.ConversationReadData:
			if data.UserID == s.me && data.MentionsUnread != nil {
				s.mentions = *data.MentionsUnread
			}
		}
	}
}

// converges reads the person's inbox from a cursor and requires that a device shows by it what the server tells.
func (p *person) converges(conversation string, from client.Cursor) {
	p.t.Helper()
	device := &shown{me: p.id, messages: map[int64]client.Message{}}
	var events []client.Event
	for options := (client.PollOptions{Cursor: from, Limit: 3}); ; {
		part, err := p.Poll(p.t.Context(), options)
		require.NoError(p.t, err)
		events, options.Cursor = append(events, part.Events...), part.Cursor
		if !part.HasMore && len(part.Events) == 0 {
			break
		}
	}
	device.apply(p.t, conversation, events)
	history := p.history(conversation)
	require.NotEmpty(p.t, history)
	for _, message := range history {
		message.IdempotencyKey = nil
		assert.Equal(p.t, message, device.messages[message.Seq], "message %d as %s sees it", message.Seq, p.name)
	}
	pins, err := p.Pins(p.t.Context(), conversation)
	require.NoError(p.t, err)
	require.Len(p.t, device.pins, len(pins.Items))
	for i, pin := range pins.Items {
		assert.Equal(p.t, client.Pin{Seq: pin.Message.Seq, PinnedBy: pin.PinnedBy, PinnedAt: pin.PinnedAt}, device.pins[i])
	}
	seen, err := p.Conversation(p.t.Context(), conversation)
	require.NoError(p.t, err)
	last := device.messages[seen.LastSeq]
	seen.LastMessage.IdempotencyKey = nil
	assert.Equal(p.t, &last, seen.LastMessage)
}

// A acts on one device while B is away, in every way there is; B then shows the same from its old cursor alone.
func TestDevicesThatWereAwayShowTheSameByTheirEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		group := alice.group(bob, carol)
		start := map[*person]client.Cursor{}
		for _, p := range people {
			snapshot, err := p.Sync(t.Context())
			require.NoError(t, err)
			start[p] = snapshot.Cursor
		}
		say := func(p *person, message client.SendMessageRequest) client.Message {
			t.Helper()
			sent, err := p.SendToGroup(t.Context(), group, message)
			require.NoError(t, err)
			return sent
		}
		ctx := t.Context()
		first := say(alice, client.SendMessageRequest{Body: "one"})
		second := say(bob, client.SendMessageRequest{Body: "two", ReplyTo: &first.Seq, Mentions: []client.ID{alice.id}})
		third := say(alice, client.SendMessageRequest{Kind: new(client.MessageKindCustom), Payload: json.RawMessage(`{"poll":["a","b"]}`), Body: "a poll"})
		fourth := say(carol, client.SendMessageRequest{Body: "taken back", Mentions: []client.ID{alice.id, bob.id}})
		for _, step := range []error{
			failure(alice.AddReaction(ctx, group, second.Seq, "👍")),
			failure(bob.AddReaction(ctx, group, second.Seq, "👍")),
			failure(carol.AddReaction(ctx, group, second.Seq, ":party:")),
			failure(bob.RemoveReaction(ctx, group, second.Seq, "👍")),
			failure(alice.AddReaction(ctx, group, third.Seq, "👨‍👩‍👧‍👦")),
			failure(bob.EditMessage(ctx, group, second.Seq, client.EditMessageRequest{Body: new("two!"), Mentions: new([]client.ID{carol.id})})),
			failure(alice.EditMessage(ctx, group, third.Seq, client.EditMessageRequest{Payload: json.RawMessage(`{"poll":[]}`)})),
			failure(alice.PinMessage(ctx, group, first.Seq)),
			failure(alice.PinMessage(ctx, group, fourth.Seq)),
			failure(alice.PinMessage(ctx, group, second.Seq)),
			failure(alice.UnpinMessage(ctx, group, first.Seq)),
			failure(bob.AddReaction(ctx, group, fourth.Seq, "❤️")),
			failure(carol.RecallMessage(ctx, group, fourth.Seq)),
			bob.DeleteMessage(ctx, group, first.Seq),
			failure(alice.EditMessage(ctx, group, first.Seq, client.EditMessageRequest{Body: new("one!")})),
			failure(carol.AddReaction(ctx, group, first.Seq, "👍")),
			failure(bob.MarkRead(ctx, group, second.Seq)),
		} {
			require.NoError(t, step)
		}
		forward := say(alice, client.SendMessageRequest{Forward: &client.MessageRef{ConversationID: group, Seq: second.Seq}})
		assert.Equal(t, "two!", forward.Body)
		for i, p := range people {
			p.at(i).converges(group, start[p])
			p.device(i+1).converges(group, start[p])
			seen, err := p.Conversation(ctx, group)
			require.NoError(t, err)
			assert.Equal(t, map[*person]int64{alice: 0, bob: 0, carol: 1}[p], seen.MentionsUnread, p.name)
		}
	})
}

// failure is the error of a call that returns something too.
func failure[T any](_ T, err error) error { return err }

func TestEditsKeepWhatWasSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		ctx := t.Context()
		message := alice.say(bob, "first")
		id := message.ConversationID
		same, err := alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new("first")})
		require.NoError(t, err)
		assert.Nil(t, same.EditedAt, "nothing has changed")
		for _, body := range []string{"second", "third"} {
			edited, err := alice.at(1).EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: &body})
			require.NoError(t, err)
			assert.Equal(t, body, edited.Body)
			assert.NotNil(t, edited.EditedAt)
		}
		versions, err := bob.MessageVersions(ctx, id, message.Seq)
		require.NoError(t, err)
		var said []string
		for _, version := range versions.Items {
			said = append(said, version.Body)
		}
		assert.Equal(t, []string{"first", "second", "third"}, said)
		assert.Equal(t, message.CreatedAt, versions.Items[0].At)

		_, err = bob.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new("mine")})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new(" ")})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Payload: json.RawMessage(`{}`)})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = alice.EditMessage(ctx, id, message.Seq+1, client.EditMessageRequest{Body: new("x")})
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = alice.RecallMessage(ctx, id, message.Seq)
		require.NoError(t, err)
		_, err = alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new("x")})
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		versions, err = bob.MessageVersions(ctx, id, message.Seq)
		require.NoError(t, err)
		assert.Empty(t, versions.Items, "it has never said anything")
	})
}

func TestWhoMayRecallAndPinInGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "member", "other", "stranger")
		owner, admin, member, other, stranger := people[0], people[1], people[2], people[3], people[4]
		group, ctx := owner.group(admin, member, other), t.Context()
		_, err := owner.PutMember(ctx, group, admin.id, client.RoleAdmin)
		require.NoError(t, err)
		message := member.tell(group, "x")
		_, err = other.RecallMessage(ctx, group, message.Seq)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = stranger.RecallMessage(ctx, group, message.Seq)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		_, err = member.PinMessage(ctx, group, message.Seq)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		pins, err := admin.PinMessage(ctx, group, message.Seq)
		require.NoError(t, err)
		assert.Len(t, pins.Pins, 1)
		recalled, err := admin.RecallMessage(ctx, group, message.Seq)
		require.NoError(t, err)
		assert.Equal(t, &admin.id, recalled.RecalledBy)
		for range 2 {
			again, err := member.RecallMessage(ctx, group, message.Seq)
			require.NoError(t, err)
			assert.Equal(t, &admin.id, again.RecalledBy, "recalling twice is harmless")
		}
		list, err := other.Pins(ctx, group)
		require.NoError(t, err)
		assert.Empty(t, list.Items)
		_, err = owner.PinMessage(ctx, group, message.Seq)
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		_, err = owner.AddReaction(ctx, group, message.Seq, "👍")
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
	})
}

func TestRecallWindowBindsSendersAndNotAdmins(t *testing.T) {
	onFresh(t, settings{"RECALL_WINDOW": "0s"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "member")
		owner, member := people[0], people[1]
		befriend(t, owner, member)
		limits, err := owner.Limits(t.Context())
		require.NoError(t, err)
		assert.Zero(t, limits.RecallWindowSeconds)
		message := owner.tell(owner.group(member), "x")
		private := owner.say(member, "y")
		theirs := member.tell(message.ConversationID, "z")
		_, err = member.RecallMessage(t.Context(), message.ConversationID, theirs.Seq)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = owner.RecallMessage(t.Context(), private.ConversationID, private.Seq)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		for _, seq := range []int64{message.Seq, theirs.Seq} {
			_, err = owner.RecallMessage(t.Context(), message.ConversationID, seq)
			require.NoError(t, err)
		}
	})
}

func TestBlocksAndLostMembershipStopEditsReactionsAndPins(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob")
		alice, bob := people[0], people[1]
		befriend(t, alice, bob)
		group, ctx := alice.group(bob), t.Context()
		private, inGroup := bob.say(alice, "x"), bob.tell(group, "y")
		try := func(message client.Message, status int, code client.ProblemCode) {
			t.Helper()
			id := message.ConversationID
			for name, err := range map[string]error{
				"edit":    failure(bob.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new("z")})),
				"react":   failure(bob.AddReaction(ctx, id, message.Seq, "👍")),
				"unreact": failure(bob.RemoveReaction(ctx, id, message.Seq, "👍")),
				"pin":     failure(bob.PinMessage(ctx, id, message.Seq)),
				"unpin":   failure(bob.UnpinMessage(ctx, id, message.Seq)),
			} {
				require.Error(t, err, name)
				refused(t, err, status, code)
			}
		}
		require.NoError(t, alice.Block(ctx, bob.id))
		try(private, http.StatusForbidden, client.ProblemCodeRecipientNotAccepting)
		_, err := bob.RecallMessage(ctx, private.ConversationID, private.Seq)
		require.NoError(t, err, "what one said may be taken back all the same")
		require.NoError(t, alice.RemoveMember(ctx, group, bob.id))
		try(inGroup, http.StatusNotFound, client.ProblemCodeNotFound)
		for name, err := range map[string]error{
			"recall":   failure(bob.RecallMessage(ctx, group, inGroup.Seq)),
			"delete":   bob.DeleteMessage(ctx, group, inGroup.Seq),
			"get":      failure(bob.Message(ctx, group, inGroup.Seq)),
			"versions": failure(bob.MessageVersions(ctx, group, inGroup.Seq)),
			"reactors": failure(bob.Reactions(ctx, group, inGroup.Seq, client.Page{})),
			"pins":     failure(bob.Pins(ctx, group)),
		} {
			require.Error(t, err, name)
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		}
	})
}

func TestForwardsTellWhatTheReceiverMayKnow(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, bob, carol)
		ctx := t.Context()
		message := alice.say(bob, "for your ears")
		forward := func(p, to *person, source client.Message, options ...client.CreateOption) (client.Message, error) {
			return p.SendToUser(ctx, to.id, client.SendMessageRequest{Forward: &client.MessageRef{ConversationID: source.ConversationID, Seq: source.Seq}}, options...)
		}
		got, err := forward(bob, carol, message, client.WithIdempotencyKey("forward-1"))
		require.NoError(t, err)
		assert.Equal(t, "for your ears", got.Body)
		assert.Equal(t, &client.Origin{SenderID: alice.id, CreatedAt: message.CreatedAt}, got.ForwardedFrom, "not from which conversation")
		within, err := forward(bob, alice, message)
		require.NoError(t, err)
		assert.Equal(t, &client.Origin{SenderID: alice.id, CreatedAt: message.CreatedAt, ConversationID: &message.ConversationID, Seq: &message.Seq}, within.ForwardedFrom)
		onwards, err := forward(carol, bob, got)
		require.NoError(t, err)
		assert.Equal(t, alice.id, onwards.ForwardedFrom.SenderID, "who wrote it first")

		_, err = forward(carol, bob, message)
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = bob.EditMessage(ctx, got.ConversationID, got.Seq, client.EditMessageRequest{Body: new("twisted")})
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = alice.RecallMessage(ctx, message.ConversationID, message.Seq)
		require.NoError(t, err)
		_, err = forward(bob, carol, message)
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		again, err := forward(bob, carol, message, client.WithIdempotencyKey("forward-1"))
		require.NoError(t, err, "what was sent can be asked for again")
		assert.Equal(t, got, again)
		other := alice.say(bob, "another")
		_, err = forward(bob, carol, other, client.WithIdempotencyKey("forward-1"))
		refused(t, err, http.StatusConflict, client.ProblemCodeIdempotencyConflict)
	})
}

func TestCustomMessagesAreBoundedAndReplayedByTheirPayload(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		ctx := t.Context()
		limits, err := alice.Limits(ctx)
		require.NoError(t, err)
		send := func(payload, key string) (client.Message, error) {
			return alice.SendToUser(ctx, bob.id, client.SendMessageRequest{
				Kind: new(client.MessageKindCustom), Payload: json.RawMessage(payload),
			}, client.WithIdempotencyKey(key))
		}
		padded := func(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }
		largest, err := send(padded(limits.MaxPayloadBytes), "a")
		require.NoError(t, err)
		_, err = send(padded(limits.MaxPayloadBytes+1), "b")
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		again, err := send(padded(limits.MaxPayloadBytes), "a")
		require.NoError(t, err)
		assert.Equal(t, largest, again)
		_, err = send(`{"a":1}`, "a")
		refused(t, err, http.StatusConflict, client.ProblemCodeIdempotencyConflict)
		_, err = alice.SendToUser(ctx, bob.id, client.SendMessageRequest{Body: "x", Payload: json.RawMessage(`{}`)})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = alice.SendToUser(ctx, bob.id, client.SendMessageRequest{Kind: new(client.MessageKindCustom), Body: "x"})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = alice.SendToUser(ctx, bob.id, client.SendMessageRequest{})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
	})
}

func TestReactionsAndPinsAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		ctx := t.Context()
		limits, err := alice.Limits(ctx)
		require.NoError(t, err)
		message := alice.say(bob, "x")
		id := message.ConversationID
		for i := range limits.MaxReactions {
			_, err := alice.AddReaction(ctx, id, message.Seq, fmt.Sprintf(":e%d:", i))
			require.NoError(t, err)
		}
		_, err = bob.AddReaction(ctx, id, message.Seq, "👍")
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		now, err := bob.AddReaction(ctx, id, message.Seq, ":e3:")
		require.NoError(t, err)
		assert.Equal(t, client.ReactionCount{Emoji: ":e3:", Count: 2}, now.Reactions[3])
		for _, emoji := range []string{"hello", "a", "5", " ", "👍 👍", ":No:", strings.Repeat("👍", 20)} {
			_, err = bob.AddReaction(ctx, id, message.Seq, emoji)
			refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		}
		for range limits.MaxPins {
			_, err := bob.PinMessage(ctx, id, alice.say(bob, "pin me").Seq)
			require.NoError(t, err)
		}
		_, err = bob.PinMessage(ctx, id, message.Seq)
		refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		pins, err := alice.Pins(ctx, id)
		require.NoError(t, err)
		assert.Len(t, pins.Items, limits.MaxPins)
	})
}
