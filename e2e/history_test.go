package e2e_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

func TestHistoryPaging(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		var conversation string
		for i := range 25 {
			conversation = alice.at(i).say(bob, fmt.Sprint(i+1)).ConversationID
		}
		page := func(query client.HistoryQuery) (seqs []int64, before, after bool) {
			t.Helper()
			part, err := bob.at(1).Messages(t.Context(), conversation, query)
			require.NoError(t, err)
			for _, message := range part.Items {
				seqs = append(seqs, message.Seq)
				assert.Equal(t, fmt.Sprint(message.Seq), message.Body)
			}
			return seqs, part.HasMoreBefore, part.HasMoreAfter
		}
		run := func(from, to int64) (all []int64) {
			for seq := from; seq <= to; seq++ {
				all = append(all, seq)
			}
			return all
		}
		at := func(seq int64) *int64 { return &seq }
		for name, test := range map[string]struct {
			query         client.HistoryQuery
			want          []int64
			before, after bool
		}{
			"newest":                {client.HistoryQuery{Limit: 10}, run(16, 25), true, false},
			"all":                   {client.HistoryQuery{Limit: 200}, run(1, 25), false, false},
			"exactly all":           {client.HistoryQuery{Limit: 25}, run(1, 25), false, false},
			"before":                {client.HistoryQuery{BeforeSeq: at(16), Limit: 10}, run(6, 15), true, true},
			"before, the rest":      {client.HistoryQuery{BeforeSeq: at(6), Limit: 10}, run(1, 5), false, true},
			"before the first":      {client.HistoryQuery{BeforeSeq: at(1), Limit: 10}, nil, false, true},
			"before what may come":  {client.HistoryQuery{BeforeSeq: at(1000), Limit: 3}, run(23, 25), true, false},
			"after the beginning":   {client.HistoryQuery{AfterSeq: at(0), Limit: 10}, run(1, 10), false, true},
			"after":                 {client.HistoryQuery{AfterSeq: at(20), Limit: 10}, run(21, 25), true, false},
			"after the last":        {client.HistoryQuery{AfterSeq: at(25), Limit: 10}, nil, true, false},
			"around":                {client.HistoryQuery{AroundSeq: at(12), Limit: 5}, run(10, 14), true, true},
			"around the first":      {client.HistoryQuery{AroundSeq: at(1), Limit: 1}, run(1, 1), false, true},
			"around, only one":      {client.HistoryQuery{AroundSeq: at(12), Limit: 1}, run(12, 12), true, true},
			"default is not all":    {client.HistoryQuery{}, run(1, 25), false, false},
			"after, the last is in": {client.HistoryQuery{AfterSeq: at(24), Limit: 1}, run(25, 25), true, false},
		} {
			seqs, before, after := page(test.query)
			assert.Equal(t, test.want, seqs, name)
			assert.Equal(t, test.before, before, "%s: more before", name)
			assert.Equal(t, test.after, after, "%s: more after", name)
		}
		seqs, _, _ := page(client.HistoryQuery{AroundSeq: at(25), Limit: 5})
		assert.Contains(t, seqs, int64(25))
		assert.IsIncreasing(t, seqs)
	})
}

func TestRepliesAndMentions(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		group := alice.group(bob, carol)
		first := alice.tell(group, "Who brings the boards?")
		reply, err := bob.SendToGroup(t.Context(), group, client.SendMessageRequest{
			Body: "@carol does", ReplyTo: &first.Seq, Mentions: []string{carol.id, carol.id}, Kind: new(client.MessageKindText),
		})
		require.NoError(t, err)
		got := carol.stream(client.Begin).hasMessages(group, 2)[1]
		assert.Equal(t, first.Seq, *got.ReplyTo)
		assert.Equal(t, []string{carol.id}, got.Mentions, "naming somebody twice is naming them once")
		assert.Equal(t, reply.CreatedAt, got.CreatedAt)
		assert.Equal(t, bob.id, got.SenderID)
	})
}

func TestUnreadCounts(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		phone, laptop := bob, bob.device(1)
		group := alice.group(bob, carol)
		unread := func(p *person, id string) int64 {
			t.Helper()
			conversation, err := p.Conversation(t.Context(), id)
			require.NoError(t, err)
			listed, err := p.at(1).Conversations(t.Context(), client.Page{})
			require.NoError(t, err)
			for _, other := range listed.Items {
				if other.ID == id {
					assert.Equal(t, conversation.UnreadCount, other.UnreadCount, "the list says the same")
				}
			}
			return conversation.UnreadCount
		}
		private := alice.say(bob, "1").ConversationID
		alice.say(bob, "2")
		bob.say(alice, "3")
		alice.say(bob, "4")
		assert.EqualValues(t, 3, unread(bob, private), "own messages are not counted")
		assert.EqualValues(t, 1, unread(alice, private))

		// What is read on one device is read on the other, which learns it with an absolute count.
		watching := laptop.stream(client.Now)
		peer := alice.stream(client.Now)
		state, err := phone.MarkRead(t.Context(), private, 2)
		require.NoError(t, err)
		assert.Equal(t, client.ReadState{ConversationID: private, ReadSeq: 2, UnreadCount: 1, LastSeq: 4}, state)
		read, ok := watching.first(client.EventConversationRead).Value().(client.ConversationReadData)
		require.True(t, ok)
		assert.Equal(t, client.ConversationReadData{ConversationID: private, UserID: bob.id, ReadSeq: 2, UnreadCount: new(int64(1)), MentionsUnread: new(int64(0)), LastSeq: new(int64(4))}, read)
		seen, ok := peer.first(client.EventConversationRead).Value().(client.ConversationReadData)
		require.True(t, ok)
		assert.Equal(t, client.ConversationReadData{ConversationID: private, UserID: bob.id, ReadSeq: 2}, seen, "the peer sees how far, and no count")
		assert.EqualValues(t, 1, unread(laptop, private))
		conversation, err := alice.Conversation(t.Context(), private)
		require.NoError(t, err)
		assert.EqualValues(t, 2, *conversation.PeerReadSeq)

		state, err = laptop.MarkRead(t.Context(), private, 1)
		require.NoError(t, err)
		assert.EqualValues(t, 2, state.ReadSeq, "it only moves forward")
		state, err = laptop.MarkRead(t.Context(), private, 4)
		require.NoError(t, err)
		assert.Zero(t, state.UnreadCount)
		assert.Zero(t, unread(phone, private))
		bob.say(alice, "5")
		assert.Zero(t, unread(phone, private))
		alice.say(bob, "6")
		assert.EqualValues(t, 1, unread(phone, private), "it does not stick")

		for i := range 3 {
			alice.tell(group, fmt.Sprint(i))
		}
		carol.tell(group, "Me too.")
		assert.EqualValues(t, 4, unread(bob, group))
		assert.EqualValues(t, 3, unread(carol, group))
		assert.EqualValues(t, 1, unread(alice, group))
		_, err = bob.MarkRead(t.Context(), group, 5)
		require.NoError(t, err)
		assert.Zero(t, unread(bob, group))
		for _, event := range carol.everything(500) {
			assert.NotEqual(t, client.EventConversationRead, event.Type, "another's read mark in a group is no news")
		}
	})
}

func TestSyncThenEventsAgree(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		group := alice.group(bob, carol)
		_, err := carol.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id})
		require.NoError(t, err)

		stop := make(chan struct{})
		var busy sync.WaitGroup
		for n, send := range []sender{alice.toUser(0, bob), alice.toGroup(1, group), carol.toGroup(0, group)} {
			busy.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					_, err := send(t.Context(), i)
					assert.NoError(t, err, n)
				}
			})
		}
		for n := range 8 {
			snapshot, err := bob.at(n).Sync(t.Context())
			require.NoError(t, err)
			assert.Equal(t, bob.id, snapshot.Me.ID)
			assert.Equal(t, 1, snapshot.IncomingRequestCount)
			assert.NotZero(t, snapshot.Limits.MaxMessageLength)
			last := map[string]int64{}
			for _, conversation := range snapshot.Conversations {
				last[conversation.ID] = conversation.LastSeq
				if conversation.LastMessage != nil {
					assert.Equal(t, conversation.LastSeq, conversation.LastMessage.Seq)
					unread := conversation.LastSeq - conversation.ReadSeq
					if conversation.Group != nil {
						unread-- // that the group was made, which the system says
					}
					assert.Equal(t, unread, conversation.UnreadCount, "bob has sent nothing")
				}
			}
			// Whatever the snapshot does not show comes behind its cursor: the first event of each conversation is one
			// that the snapshot shows already, or the very next.
			part, err := bob.at(n+1).Poll(t.Context(), client.PollOptions{Cursor: snapshot.Cursor, Wait: 10 * time.Second})
			require.NoError(t, err)
			seen := map[string]bool{}
			for _, message := range messages(part.Events, "") {
				if !seen[message.ConversationID] {
					assert.LessOrEqual(t, message.Seq, last[message.ConversationID]+1, "a message is in neither")
				}
				seen[message.ConversationID] = true
			}
		}
		close(stop)
		busy.Wait()
	})
}

// The list of conversations is by last activity, whatever the page.
func TestConversationsAreListedNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "me", "a", "b")
		me := people[0]
		groups := []string{me.group(people[1]), me.group(people[2]), me.group()}
		befriend(t, me, people[1])
		private := me.say(people[1], "hello").ConversationID
		want := []string{groups[1], private, groups[2], groups[0]}
		for _, id := range []string{groups[0], groups[2]} {
			me.tell(id, "now")
			<-time.NewTimer(2 * time.Millisecond).C // the clock of activity has milliseconds
		}
		me.say(people[1], "now")
		<-time.NewTimer(2 * time.Millisecond).C
		me.tell(groups[1], "now")
		var got []string
		page := client.Page{Limit: 1}
		for {
			part, err := me.Conversations(t.Context(), page)
			require.NoError(t, err)
			for _, conversation := range part.Items {
				got = append(got, conversation.ID)
				assert.Equal(t, conversation.Kind == client.ConversationKindPrivate, conversation.Peer != nil)
				assert.Equal(t, conversation.Kind == client.ConversationKindGroup, conversation.Group != nil)
			}
			if part.Next == nil {
				break
			}
			page.After = *part.Next
		}
		assert.Equal(t, want, got)
	})
}
