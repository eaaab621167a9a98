package repo_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"longwire/chat"
)

// model is what the store should hold, kept in the simplest way.
type model struct {
	w        *world
	users    []chat.ID
	groups   []chat.ID
	private  chat.ID // of users 0 and 1
	members  map[chat.ID][]chat.ID
	messages map[chat.ID][]chat.Message
	inboxes  map[chat.ID][]chat.Body
	read     map[[2]chat.ID]int64 // user, conversation
	blocked  bool                 // user 0 blocks user 1
	keys     map[string]chat.Message
}

func newModel(w *world, round int) *model {
	w.t.Helper()
	m := &model{
		w: w, members: make(map[chat.ID][]chat.ID), messages: make(map[chat.ID][]chat.Message), inboxes: make(map[chat.ID][]chat.Body),
		read: make(map[[2]chat.ID]int64), keys: make(map[string]chat.Message),
	}
	for i := range 4 {
		m.users = append(m.users, w.user(fmt.Sprintf("r%du%d", round, i)))
	}
	m.private = w.private(m.users[0], m.users[1])
	m.members[m.private] = slices.Clone(m.users[:2])
	for i := range 2 {
		group := w.group(fmt.Sprint("group ", i), m.users[:2+i]...)
		m.groups = append(m.groups, group)
		m.members[group] = slices.Clone(m.users[:2+i])
	}
	return m
}

func (m *model) conversations() []chat.ID {
	return append(slices.Clone(m.groups), m.private)
}

// heard notes what an announcement put into inboxes.
func (m *model) heard(a chat.Announcement) {
	for _, d := range a.Deliveries {
		m.inboxes[d.User] = append(m.inboxes[d.User], a.Bodies[d.Event])
	}
}

// send sends a batch of random messages.
func (m *model) send(t *rapid.T) {
	var batch []chat.Outgoing
	for range rapid.IntRange(1, 5).Draw(t, "messages") {
		conversation := rapid.SampledFrom(m.conversations()).Draw(t, "conversation")
		out := m.w.toPrivate(conversation, rapid.SampledFrom(m.users).Draw(t, "sender"), rapid.StringN(1, 20, -1).Draw(t, "body"))
		if conversation != m.private {
			out.Target = chat.KindGroup
		}
		if rapid.Bool().Draw(t, "keyed") {
			out = keyed(out, rapid.StringMatching(`[ab]`).Draw(t, "key"))
		}
		batch = append(batch, out)
	}
	outcomes, announcement := m.w.commit(batch...)
	m.heard(announcement)
	for i, out := range batch {
		m.check(t, out, outcomes[i])
	}
}

// check compares one outcome with what it should be.
func (m *model) check(t *rapid.T, out chat.Outgoing, outcome chat.Outcome) {
	key := out.SenderID.String() + out.IdempotencyKey
	if known, ok := m.keys[key]; ok && out.IdempotencyKey != "" {
		if known.ConversationID == out.ConversationID && known.Body == out.Body {
			require.True(t, outcome.Replayed)
			require.Equal(t, known, outcome.Message)
		} else {
			require.Equal(t, chat.CodeIdempotencyConflict, chat.CodeOf(outcome.Err))
		}
		return
	}
	members := m.members[out.ConversationID]
	if !slices.Contains(members, out.SenderID) || out.ConversationID == m.private && m.blocked {
		require.Error(t, outcome.Err)
		return
	}
	require.NoError(t, outcome.Err)
	require.Equal(t, len(members), outcome.Recipients)
	require.Equal(t, int64(len(m.messages[out.ConversationID])+1), outcome.Message.Seq)
	m.messages[out.ConversationID] = append(m.messages[out.ConversationID], outcome.Message)
	if out.IdempotencyKey != "" {
		m.keys[key] = outcome.Message
	}
}

// markRead moves a read mark anywhere.
func (m *model) markRead(t *rapid.T) {
	conversation := rapid.SampledFrom(m.conversations()).Draw(t, "conversation")
	user := rapid.SampledFrom(m.users).Draw(t, "user")
	seq := int64(rapid.IntRange(0, len(m.messages[conversation])).Draw(t, "seq"))
	m.heard(m.w.write(func(tx chat.Tx) error {
		unread, err := tx.SetReadSeq(conversation, user, seq)
		require.Equal(t, m.unread(conversation, user, seq), unread)
		if err != nil {
			return err
		}
		return tx.Append(chat.ConversationRead, chat.ConversationReadData{ConversationID: conversation, UserID: user, ReadSeq: seq, UnreadCount: &unread}, user)
	}))
	m.read[[2]chat.ID{user, conversation}] = seq
}

// toggleMember adds a user to a group or removes one, and tells everybody.
func (m *model) toggleMember(t *rapid.T) {
	group := rapid.SampledFrom(m.groups).Draw(t, "group")
	user := rapid.SampledFrom(m.users).Draw(t, "user")
	at := slices.Index(m.members[group], user)
	m.heard(m.w.write(func(tx chat.Tx) error {
		if _, err := tx.LockGroup(group); err != nil {
			return err
		}
		if at >= 0 {
			if err := tx.DeleteMember(group, user); err != nil {
				return err
			}
		} else if err := tx.InsertMembers(group, chat.RoleMember, user); err != nil {
			return err
		}
		return tx.Append(chat.MemberUpdated, chat.MemberUpdatedData{GroupID: group, UserID: user}, m.users...)
	}))
	if at >= 0 {
		m.members[group] = slices.Delete(m.members[group], at, at+1)
	} else {
		m.members[group] = append(m.members[group], user)
	}
}

func (m *model) toggleBlock(*rapid.T) {
	m.blocked = !m.blocked
	m.w.write(func(tx chat.Tx) error {
		_, err := tx.SetBlock(m.users[0], m.users[1], m.blocked)
		return err
	})
}

func (m *model) unread(conversation, user chat.ID, after int64) (n int64) {
	for _, message := range m.messages[conversation][after:] {
		if message.SenderID != user {
			n++
		}
	}
	return n
}

// agrees compares everything that can be read with the model.
func (m *model) agrees(t *rapid.T) {
	for _, user := range m.users {
		events := m.w.inbox(user)
		require.Len(t, events, len(m.inboxes[user]))
		for i, e := range events {
			require.Equal(t, string(m.inboxes[user][i]), string(e.Body))
		}
		list, err := m.w.Conversations(m.w.t.Context(), user, chat.ConversationFilter{}, chat.Page{Limit: 50})
		require.NoError(t, err)
		listed := make(map[chat.ID]chat.Conversation)
		for _, c := range list.Items {
			listed[c.ID] = c
		}
		for _, id := range m.conversations() {
			m.agreesOn(t, user, id, listed)
		}
	}
}

// seen is a message as history shows it: nobody here acknowledges anything, so
// what is delivered has been read.
func (m *model) seen(message chat.Message, user chat.ID) chat.Message {
	seen := message.SeenBy(user)
	if message.ConversationID == m.private && message.SenderID == user {
		seen.Delivery = chat.DeliverySent
		for _, peer := range m.users[:2] {
			if peer != user && message.Seq <= m.read[[2]chat.ID{peer, m.private}] {
				seen.Delivery = chat.DeliveryRead
			}
		}
	}
	return seen
}

func (m *model) agreesOn(t *rapid.T, user, id chat.ID, listed map[chat.ID]chat.Conversation) {
	messages := m.messages[id]
	history, err := m.w.History(m.w.t.Context(), id, user, chat.HistoryQuery{Limit: 1000})
	if !slices.Contains(m.members[id], user) {
		require.Equal(t, chat.CodeNotFound, chat.CodeOf(err))
		require.NotContains(t, listed, id)
		return
	}
	require.NoError(t, err)
	require.Len(t, history.Items, len(messages))
	for i, message := range messages {
		require.Equal(t, m.seen(message, user), history.Items[i])
	}
	if id == m.private && len(messages) == 0 {
		require.NotContains(t, listed, id)
		return
	}
	read := m.read[[2]chat.ID{user, id}]
	require.Equal(t, int64(len(messages)), listed[id].LastSeq)
	require.Equal(t, read, listed[id].ReadSeq)
	require.Equal(t, m.unread(id, user, read), listed[id].UnreadCount)
	if len(messages) > 0 {
		require.Equal(t, m.seen(messages[len(messages)-1], user), *listed[id].LastMessage)
	}
}

func TestInboxUnreadAndHistoryAgreeWithAModel(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := newModel(w, round)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			step := rapid.SampledFrom([]func(*rapid.T){m.send, m.send, m.send, m.markRead, m.toggleMember, m.toggleBlock}).Draw(rt, "step")
			step(rt)
		}
		m.agrees(rt)
	})
}
