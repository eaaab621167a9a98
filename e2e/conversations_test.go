package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// listing is what a device shows of one conversation in its lists.
type listing struct {
	listed, archived, pinned, marked bool
	mutedUntil, pinnedAt             string
	cleared, last, read, unread      int64
	lastBody                         string
}

func timeText(at *client.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// mirror is a device that was away: it knows nothing but events, and the rules of docs/protocol.md.
type mirror struct {
	p        *person
	cursor   client.Cursor
	private  map[string]bool
	states   map[string]*listing
	messages map[string][]client.Message
}

func (p *person) mirror(privates ...string) *mirror {
	m := &mirror{p: p, cursor: client.Begin, private: map[string]bool{}, states: map[string]*listing{}, messages: map[string][]client.Message{}}
	for _, id := range privates {
		m.private[id] = true
	}
	return m
}

func (m *mirror) of(id string) *listing {
	if m.states[id] == nil {
		m.states[id] = &listing{}
	}
	return m.states[id]
}

// comeBack reads what happened meanwhile, from the old cursor, up to where the inbox stands.
func (m *mirror) comeBack() {
	m.p.t.Helper()
	snapshot, err := m.p.Sync(m.p.t.Context())
	require.NoError(m.p.t, err)
	for place(m.cursor) < place(snapshot.Cursor) {
		part, err := m.p.Poll(m.p.t.Context(), client.PollOptions{Cursor: m.cursor, Wait: 10 * time.Second, Limit: 500})
		require.NoError(m.p.t, err)
		for _, event := range part.Events {
			m.apply(event)
		}
		m.cursor = part.Cursor
	}
	for id, s := range m.states {
		s.unread, s.lastBody = 0, ""
		for _, message := range m.messages[id] {
			if message.Seq > max(s.read, s.cleared) && message.SenderID != m.p.id && message.Kind != client.MessageKindSystem {
				s.unread++
			}
			if message.Seq > s.cleared {
				s.lastBody = message.Body
			}
		}
		s.listed = !m.private[id] || s.last > s.cleared
	}
}

func (m *mirror) apply(event client.Event) {
	switch data := event.Value().(type) {
	case client.Message:
		s := m.of(data.ConversationID)
		s.last = data.Seq
		until, _ := time.Parse(time.RFC3339Nano, s.mutedUntil)
		if s.archived && !data.CreatedAt.Before(until) {
			s.archived = false
		}
		m.messages[data.ConversationID] = append(m.messages[data.ConversationID], data)
	case client.ConversationReadData:
		if data.UserID == m.p.id {
			m.of(data.ConversationID).read = data.ReadSeq
		}
	case client.ConversationUpdatedData:
		s := m.of(data.ConversationID)
		s.archived, s.pinned, s.marked, s.cleared = data.Archived, data.Pinned, data.MarkedUnread, data.ClearedSeq
		s.mutedUntil, s.pinnedAt = timeText(data.MutedUntil), timeText(data.PinnedAt)
	}
}

// shows returns what the server shows of a person's conversations.
func (p *person) shows(ids ...string) map[string]*listing {
	p.t.Helper()
	all := map[string]*listing{}
	listed := map[string]bool{}
	for _, filter := range []client.Archived{client.ArchivedNo, client.ArchivedYes} {
		list, err := p.FindConversations(p.t.Context(), client.ConversationFilter{Archived: filter}, client.Page{Limit: 100})
		require.NoError(p.t, err)
		for _, c := range list.Items {
			assert.Equal(p.t, filter == client.ArchivedYes, c.Archived)
			assert.False(p.t, listed[c.ID], "in both lists")
			listed[c.ID] = true
		}
	}
	for _, id := range ids {
		c, err := p.Conversation(p.t.Context(), id)
		require.NoError(p.t, err)
		s := &listing{
			listed: listed[id], archived: c.Archived, pinned: c.Pinned, marked: c.MarkedUnread, mutedUntil: timeText(c.MutedUntil),
			pinnedAt: timeText(c.PinnedAt), cleared: c.ClearedSeq, last: c.LastSeq, read: c.ReadSeq, unread: c.UnreadCount,
		}
		if c.LastMessage != nil {
			s.lastBody = c.LastMessage.Body
		}
		all[id] = s
	}
	return all
}

// One device does each thing while the other is away; from its old cursor alone the other shows the same.
func TestOtherDevicesLearnWhatIsSetForConversations(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, alice, carol)
		away := alice.device(1)
		withBob, withCarol := bob.say(alice, "1").ConversationID, carol.say(alice, "1").ConversationID
		group := alice.group(bob, carol)
		bob.tell(group, "1")
		ids := []string{withBob, withCarol, group}
		mirror := away.mirror(withBob, withCarol)
		change := func(id string, request client.UpdateConversationRequest) client.Conversation {
			t.Helper()
			conversation, err := alice.UpdateConversation(t.Context(), id, request)
			require.NoError(t, err)
			return conversation
		}
		tomorrow := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Millisecond)
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"nothing", func() {}},
			{"pin", func() {
				assert.True(t, change(withBob, client.UpdateConversationRequest{Pinned: new(true)}).Pinned)
				change(group, client.UpdateConversationRequest{Pinned: new(true)})
			}},
			{"mute", func() {
				change(withCarol, client.UpdateConversationRequest{Muted: new(true)})
				assert.True(t, tomorrow.Equal(*change(group, client.UpdateConversationRequest{MutedUntil: &tomorrow}).MutedUntil))
			}},
			{"archive", func() {
				for _, id := range ids {
					assert.False(t, change(id, client.UpdateConversationRequest{Archived: new(true)}).Pinned)
				}
			}},
			{"a message brings back what is not muted", func() {
				bob.say(alice, "2")
				carol.say(alice, "2")
				bob.tell(group, "2")
				assert.False(t, alice.shows(withBob)[withBob].archived)
				assert.True(t, alice.shows(withCarol)[withCarol].archived)
				assert.True(t, alice.shows(group)[group].archived)
			}},
			{"unmute, and a message", func() {
				change(group, client.UpdateConversationRequest{Muted: new(false)})
				assert.True(t, alice.shows(group)[group].archived, "what came while it was muted does not count later")
				carol.tell(group, "3")
			}},
			{"unarchive", func() { change(withCarol, client.UpdateConversationRequest{Archived: new(false)}) }},
			{"read, and mark unread", func() {
				_, err := alice.MarkRead(t.Context(), withBob, 2)
				require.NoError(t, err)
				change(withBob, client.UpdateConversationRequest{MarkedUnread: new(true)})
				change(group, client.UpdateConversationRequest{MarkedUnread: new(true), Pinned: new(true)})
			}},
			{"read what is marked", func() {
				_, err := alice.MarkRead(t.Context(), withBob, 2)
				require.NoError(t, err)
			}},
			{"clear", func() {
				require.NoError(t, alice.ClearConversation(t.Context(), withBob))
				require.NoError(t, alice.ClearConversation(t.Context(), group))
				assert.Empty(t, alice.history(withBob))
				assert.NotEmpty(t, bob.history(withBob))
			}},
			{"a message after that", func() {
				bob.say(alice, "after")
				alice.tell(group, "after")
			}},
		} {
			step.do()
			mirror.comeBack()
			assert.Equal(t, alice.at(1).shows(ids...), mirror.states, step.name)
		}
		for _, event := range bob.everything(500) {
			assert.NotEqual(t, client.EventConversationUpdated, event.Type, "it is nobody else's business")
		}
	})
}

func TestConversationsAreFiltered(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, alice, carol)
		withBob, withCarol := bob.say(alice, "1").ConversationID, carol.say(alice, "1").ConversationID
		var groups []string
		for range 3 {
			groups = append(groups, alice.group(bob))
			<-time.NewTimer(2 * time.Millisecond).C // the clock of activity has milliseconds
		}
		set := func(id string, request client.UpdateConversationRequest) {
			t.Helper()
			_, err := alice.UpdateConversation(t.Context(), id, request)
			require.NoError(t, err)
			<-time.NewTimer(2 * time.Millisecond).C // and that of pinning too
		}
		set(groups[0], client.UpdateConversationRequest{Pinned: new(true)})
		set(withBob, client.UpdateConversationRequest{Pinned: new(true)})
		set(groups[1], client.UpdateConversationRequest{Archived: new(true)})
		set(withCarol, client.UpdateConversationRequest{Archived: new(true)})
		set(groups[2], client.UpdateConversationRequest{MarkedUnread: new(true)})
		find := func(filter client.ConversationFilter) (ids []string) {
			t.Helper()
			list, err := alice.at(1).FindConversations(t.Context(), filter, client.Page{})
			require.NoError(t, err)
			for _, c := range list.Items {
				ids = append(ids, c.ID)
			}
			return ids
		}
		assert.Equal(t, []string{groups[2], groups[0], withBob}, find(client.ConversationFilter{}))
		assert.Equal(t, []string{groups[1], withCarol}, find(client.ConversationFilter{Archived: client.ArchivedYes}))
		assert.Equal(t, []string{groups[2], groups[1], groups[0], withCarol, withBob}, find(client.ConversationFilter{Archived: client.ArchivedAny}))
		assert.Equal(t, []string{withBob, groups[0]}, find(client.ConversationFilter{Pinned: true}))
		assert.Equal(t, []string{groups[2], withBob}, find(client.ConversationFilter{Unread: true}))
		snapshot, err := alice.Sync(t.Context())
		require.NoError(t, err)
		assert.Len(t, snapshot.Conversations, 3)
		require.Len(t, snapshot.PinnedConversations, 2)
		assert.Equal(t, withBob, snapshot.PinnedConversations[0].ID)

		_, err = alice.FindConversations(t.Context(), client.ConversationFilter{Pinned: true, Archived: client.ArchivedYes}, client.Page{})
		refused(t, err, http.StatusUnprocessableEntity, client.ProblemCodeValidationFailed)
		_, err = carol.UpdateConversation(t.Context(), groups[0], client.UpdateConversationRequest{Pinned: new(true)})
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		refused(t, carol.ClearConversation(t.Context(), withBob), http.StatusNotFound, client.ProblemCodeNotFound)
	})
}

func TestAsManyConversationsArePinnedAsTheLimitSays(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice := d.person(t, 0, "alice")
		limits, err := alice.Limits(t.Context())
		require.NoError(t, err)
		for i := range limits.MaxPinnedConversations + 1 {
			_, err := alice.at(i).UpdateConversation(t.Context(), alice.group(), client.UpdateConversationRequest{Pinned: new(true)})
			if i < limits.MaxPinnedConversations {
				require.NoError(t, err)
				continue
			}
			refused(t, err, http.StatusConflict, client.ProblemCodeConflict)
		}
		snapshot, err := alice.Sync(t.Context())
		require.NoError(t, err)
		assert.Len(t, snapshot.PinnedConversations, limits.MaxPinnedConversations)
		assert.Len(t, snapshot.Conversations, limits.MaxSyncConversations)
	})
}

// What one has cleared is in no list, no search, no count and no pin of one's own, and by no number to be had; others keep it.
func TestWhatIsClearedIsNowhereToBeFound(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		group := alice.group(bob)
		mention := client.SendMessageRequest{Body: "Who brings the zeppelin?", Mentions: []string{bob.id}}
		inGroup, err := alice.SendToGroup(t.Context(), group, mention)
		require.NoError(t, err)
		private, err := alice.SendToUser(t.Context(), bob.id, mention)
		require.NoError(t, err)
		found := func(p *person) (ids []string) {
			t.Helper()
			part, err := p.SearchMessages(t.Context(), client.Search{Query: "zeppelin"}, client.Page{})
			require.NoError(t, err)
			for _, hit := range part.Items {
				ids = append(ids, hit.ConversationID)
			}
			return ids
		}
		assert.ElementsMatch(t, []string{group, private.ConversationID}, found(bob))
		for _, message := range []client.Message{inGroup, private} {
			_, err := alice.PinMessage(t.Context(), message.ConversationID, message.Seq)
			require.NoError(t, err)
			before, err := bob.Conversation(t.Context(), message.ConversationID)
			require.NoError(t, err)
			assert.EqualValues(t, 1, before.MentionsUnread)
			require.NoError(t, bob.ClearConversation(t.Context(), message.ConversationID))

			_, err = bob.at(1).Message(t.Context(), message.ConversationID, message.Seq)
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			_, err = bob.AddReaction(t.Context(), message.ConversationID, message.Seq, "👍")
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			pins, err := bob.Pins(t.Context(), message.ConversationID)
			require.NoError(t, err)
			assert.Empty(t, pins.Items)
			after, err := bob.at(1).Conversation(t.Context(), message.ConversationID)
			require.NoError(t, err)
			assert.Zero(t, after.UnreadCount)
			assert.Zero(t, after.MentionsUnread)
			assert.Nil(t, after.LastMessage)

			// An edit changes whom a hidden message mentions; it is not unread for that.
			_, err = alice.EditMessage(t.Context(), message.ConversationID, message.Seq, client.EditMessageRequest{Mentions: &[]string{}})
			require.NoError(t, err)
			state, err := bob.MarkRead(t.Context(), message.ConversationID, 0)
			require.NoError(t, err)
			assert.Zero(t, state.UnreadCount)
			assert.Zero(t, state.MentionsUnread)
			_, err = alice.Message(t.Context(), message.ConversationID, message.Seq)
			require.NoError(t, err)
		}
		assert.Empty(t, found(bob))
		assert.ElementsMatch(t, []string{group, private.ConversationID}, found(alice))
		var counts []int64
		for _, event := range bob.everything(500) {
			if data, ok := event.Value().(client.ConversationUpdatedData); ok {
				counts = append(counts, data.UnreadCount, data.MentionsUnread)
			}
		}
		assert.Equal(t, []int64{0, 0, 0, 0}, counts)
	})
}

func TestDeliveryIsDerivedFromAcknowledgedCursors(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		first := alice.say(bob, "first")
		reply := bob.say(alice, "reply")
		second := alice.say(bob, "second")
		conversation := first.ConversationID
		now := func() (steps []client.DeliveryState) {
			t.Helper()
			for _, message := range alice.history(conversation) {
				if message.SenderID == alice.id {
					steps = append(steps, *message.Delivery)
				} else {
					assert.Nil(t, message.Delivery, "%d is not alice's", reply.Seq)
				}
			}
			return steps
		}
		become := func(want ...client.DeliveryState) {
			t.Helper()
			eventually(t, fmt.Sprint(want), func() bool { return slices.Equal(want, now()) })
			got, err := alice.at(1).Conversation(t.Context(), conversation)
			require.NoError(t, err)
			assert.Equal(t, want[len(want)-1], *got.LastMessage.Delivery)
			known := max(*got.PeerDeliveredSeq, *got.PeerReadSeq)
			for i, seq := range []int64{first.Seq, second.Seq} {
				assert.Equal(t, want[i] != client.DeliveryStateSent, seq <= known)
			}
		}
		const sent, delivered, read = client.DeliveryStateSent, client.DeliveryStateDelivered, client.DeliveryStateRead
		bob.device(1) // logging in is not getting anything
		become(sent, sent)
		var cursors []client.Cursor
		part, err := bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: client.Begin, Wait: 10 * time.Second, Limit: 500})
		require.NoError(t, err)
		for _, event := range part.Events {
			if message, ok := event.Value().(client.Message); ok && message.SenderID == alice.id {
				cursors = append(cursors, event.Cursor)
			}
		}
		require.Len(t, cursors, 2)
		assert.Equal(t, []client.DeliveryState{sent, sent}, now(), "having asked is not having got")
		require.NoError(t, bob.Ack(t.Context(), cursors[0]))
		become(delivered, sent)
		_, err = bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: cursors[1]})
		require.NoError(t, err)
		become(delivered, delivered)
		_, err = bob.MarkRead(t.Context(), conversation, first.Seq)
		require.NoError(t, err)
		become(read, delivered)
		for _, event := range alice.everything(500) {
			if message, ok := event.Value().(client.Message); ok {
				assert.Nil(t, message.Delivery, "an event never changes, so it cannot tell")
			}
		}
	})
}

func TestReceiptsSayWhoHasReadAGroupsMessage(t *testing.T) {
	onFresh(t, settings{"MAX_RECEIPT_MEMBERS": "3"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol", "dave", "erin")
		alice, bob, carol, dave, erin := people[0], people[1], people[2], people[3], people[4]
		group := alice.group(bob, carol, dave)
		message := alice.tell(group, "Who brings the boards?")
		states := func() map[string]client.DeliveryState {
			t.Helper()
			receipts, err := alice.at(1).Receipts(t.Context(), group, message.Seq)
			require.NoError(t, err)
			assert.Equal(t, 3, receipts.RecipientCount)
			all := map[string]client.DeliveryState{}
			for _, receipt := range receipts.Items {
				all[receipt.User.ID] = receipt.State
			}
			return all
		}
		assert.Equal(t, map[string]client.DeliveryState{bob.id: "sent", carol.id: "sent", dave.id: "sent"}, states())
		_, err := bob.MarkRead(t.Context(), group, message.Seq)
		require.NoError(t, err)
		got := carol.everything(500)
		require.NoError(t, carol.Ack(t.Context(), got[len(got)-1].Cursor))
		eventually(t, "carol has got it", func() bool { return states()[carol.id] == client.DeliveryStateDelivered })
		assert.Equal(t, map[string]client.DeliveryState{bob.id: "read", carol.id: "delivered", dave.id: "sent"}, states())

		_, err = alice.PutMember(t.Context(), group, erin.id, client.RoleMember)
		require.NoError(t, err)
		assert.Len(t, states(), 3, "who came later did not get it")
		message = alice.tell(group, "Nobody?")
		_, err = erin.MarkRead(t.Context(), group, message.Seq)
		require.NoError(t, err)
		receipts, err := alice.Receipts(t.Context(), group, message.Seq)
		require.NoError(t, err)
		assert.Equal(t, client.Receipts{ConversationID: group, Seq: message.Seq, RecipientCount: 4, ReadCount: 1}, receipts, "there are too many to name them")

		_, err = bob.Receipts(t.Context(), group, message.Seq)
		refused(t, err, http.StatusForbidden, client.ProblemCodeForbidden)
		_, err = alice.Receipts(t.Context(), group, message.Seq+1)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
		stranger := d.person(t, 0, "stranger")
		_, err = stranger.Receipts(t.Context(), group, message.Seq)
		refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
	})
}
