package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

func TestCursorMovesBetweenTransportsAndNodes(t *testing.T) {
	onFresh(t, nil, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		number := 0
		say := func(n int) {
			for range n {
				number++
				alice.say(bob, fmt.Sprint(number))
			}
		}
		var all []client.Event
		cursor := client.Begin

		say(3)
		stream := bob.at(0).stream(cursor)
		stream.hasMessages("", 3)
		say(2)
		stream.hasMessages("", 5)
		stream.stop()
		all, cursor = append(all, stream.all()...), stream.position()

		say(3)
		for range 2 { // by long-poll on the other node, in small parts
			part, err := bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: cursor, Wait: 5 * time.Second, Limit: 2})
			require.NoError(t, err)
			all, cursor = append(all, part.Events...), part.Cursor
		}
		say(1)
		part, err := bob.at(0).Poll(t.Context(), client.PollOptions{Cursor: cursor}) // by a plain GET
		require.NoError(t, err)
		all, cursor = append(all, part.Events...), part.Cursor

		nothing, err := bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: cursor})
		require.NoError(t, err)
		assert.Empty(t, nothing.Events)
		assert.Equal(t, cursor, nothing.Cursor, "an empty answer's cursor is as good as the one that asked")

		d.node(0).kill()
		require.NoError(t, d.node(0).start())
		stream = bob.at(0).stream(cursor)
		say(2)
		stream.until("all messages", func() bool { return len(messages(stream.events, "")) == 2 })
		all = append(all, stream.all()...)

		var want []string
		for i := range number {
			want = append(want, fmt.Sprint(i+1))
		}
		assert.Equal(t, want, bodies(messages(all, "")))
		assert.Equal(t, bob.everything(500), all, "every transport tells the same")
	})
}

func TestSendingNeverDoubles(t *testing.T) {
	onFresh(t, nil, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		group := alice.group(bob, carol)
		inboxes := []*inbox{alice.stream(client.Begin), bob.poll(), carol.stream(client.Begin)}

		key := "key-" + bob.id
		send := func(n int, body string) answer {
			return ask(t, alice.http, raw{
				method: http.MethodPost, url: d.url(n, "/v1/groups/"+group+"/messages"), body: body,
				token: alice.Tokens().Access, headers: map[string]string{"Idempotency-Key": key},
			})
		}
		const twins = 50
		answers := make([]answer, twins)
		var sending sync.WaitGroup
		for i := range twins {
			sending.Go(func() { answers[i] = send(i, `{"body":"once"}`) })
		}
		sending.Wait()

		made := 0
		for _, got := range answers {
			switch got.status {
			case http.StatusCreated:
				made++
				assert.Empty(t, got.header.Get("Idempotency-Replayed"))
			case http.StatusOK:
				assert.Equal(t, "true", got.header.Get("Idempotency-Replayed"))
			default:
				assert.Fail(t, "a twin was refused", "%d %s", got.status, got.body)
			}
			assert.Equal(t, string(answers[0].body), string(got.body))
		}
		assert.Equal(t, 1, made)

		conflict := send(1, `{"body":"something else"}`)
		assert.Equal(t, http.StatusConflict, conflict.status)
		assert.Equal(t, client.ProblemCodeIdempotencyConflict, conflict.problem().Code)
		elsewhere := ask(t, alice.http, raw{
			method: http.MethodPost, url: d.url(0, "/v1/groups/"+alice.group(bob)+"/messages"), body: `{"body":"once"}`,
			token: alice.Tokens().Access, headers: map[string]string{"Idempotency-Key": key},
		})
		assert.Equal(t, http.StatusConflict, elsewhere.status, "the same words to somebody else are another message")

		for n := range d.nodes {
			d.nodes[n].kill()
			require.NoError(t, d.nodes[n].start())
		}
		again := send(1, `{"body":"once"}`)
		assert.Equal(t, http.StatusOK, again.status)
		assert.Equal(t, string(answers[0].body), string(again.body))

		_, err := bob.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "mine"}, client.WithIdempotencyKey(key))
		require.NoError(t, err, "a key is its user's own")
		for _, i := range inboxes {
			assert.Equal(t, []string{"once", "mine"}, bodies(i.hasMessages(group, 2)), i.who)
		}
		for i, message := range messages(inboxes[0].all(), group) {
			assert.Equal(t, i == 0, message.IdempotencyKey != nil, "a sender sees the own keys")
		}
		for i, message := range messages(inboxes[1].all(), group) {
			assert.Equal(t, i == 1, message.IdempotencyKey != nil, "and nobody else's")
		}
	})
}

func TestOneOrderForEverybody(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "a", "b", "c", "d", "e")
		group := people[0].group(people[1:]...)
		befriend(t, people[0], people[1])
		var inboxes []*inbox
		for i, p := range people {
			inboxes = append(inboxes, p.at(i).stream(client.Begin), p.at(i+1).poll())
		}
		const each = 12
		var sending sync.WaitGroup
		for n, p := range people {
			for half := range 2 {
				sending.Go(func() {
					sender := p.at(half)
					for i := range each {
						_, err := sender.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: fmt.Sprintf("%s %d %d", p.name, half, i)})
						assert.NoError(t, err)
					}
				})
			}
			if n < 2 { // and something that concerns only two of them
				sending.Go(func() {
					for i := range each {
						_, err := p.SendToUser(t.Context(), people[1-n].id, client.SendMessageRequest{Body: fmt.Sprint(i)})
						assert.NoError(t, err)
					}
				})
			}
		}
		sending.Wait()

		total := 2 * each * len(people)
		history := people[2].history(group)
		require.Len(t, history, total)
		for _, i := range inboxes {
			for n, message := range i.hasMessages(group, total) {
				require.EqualValues(t, n+2, message.Seq, "%s: the first is the system's", i.who)
				require.Equal(t, history[n].Body, message.Body, i.who)
			}
		}
		// Events that two people share come in the same order to both, whatever conversation they belong to.
		first, second := common(people[0].everything(500)), common(people[1].everything(500))
		assert.Equal(t, first, second)
	})
}

// common condenses the messages of an inbox to what two people can compare.
func common(events []client.Event) (all []string) {
	for _, message := range messages(events, "") {
		all = append(all, fmt.Sprint(message.ConversationID, " ", message.Seq))
	}
	return all
}

func TestCommitThenAnnounce(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		const many = 40
		elsewhere := bob.at(2) // not where the stream is
		checked := make(chan int)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ready := make(chan struct{}, 1)
		go func() {
			n := 0
			defer func() { checked <- n }()
			trace := client.StreamTrace{Connected: func(client.HelloData) { ready <- struct{}{} }}
			for event, err := range bob.at(1).Stream(ctx, client.StreamOptions{Cursor: client.Now, Trace: trace}) {
				if !assert.NoError(t, err) {
					return
				}
				message, ok := event.Value().(client.Message)
				if !ok {
					continue
				}
				// What an event tells of is there already, whoever is asked.
				page, err := elsewhere.Messages(ctx, message.ConversationID, client.HistoryQuery{AroundSeq: &message.Seq, Limit: 1})
				if !assert.NoError(t, err) || !assert.Len(t, page.Items, 1, "the event came before its message") {
					return
				}
				assert.Equal(t, message, page.Items[0])
				if n++; n == many {
					return
				}
			}
		}()
		<-ready
		var sending sync.WaitGroup
		for n := range 4 {
			sending.Go(func() {
				for i := range many / 4 {
					_, err := alice.at(n).SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: fmt.Sprintf("%d %d", n, i)})
					assert.NoError(t, err)
				}
			})
		}
		sending.Wait()
		assert.Equal(t, many, <-checked)
	})
}

func TestInboxIsContiguous(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol", "dave")
		alice, bob, carol, dave := people[0], people[1], people[2], people[3]
		befriend(t, alice, bob)
		live := bob.stream(client.Begin) // fails the test by itself when there is a hole
		polled := bob.at(2).poll()

		var busy sync.WaitGroup
		busy.Go(func() {
			for i := range 15 {
				message, err := alice.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: fmt.Sprint(i)})
				if err == nil {
					_, err = bob.MarkRead(t.Context(), message.ConversationID, message.Seq)
				}
				assert.NoError(t, err)
			}
		})
		busy.Go(func() {
			for range 4 {
				request, err := carol.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id})
				if err == nil {
					_, err = bob.DeclineFriendRequest(t.Context(), request.ID)
				}
				assert.NoError(t, err)
			}
		})
		busy.Go(func() {
			for i := range 4 {
				group, err := dave.CreateGroup(t.Context(), client.CreateGroupRequest{
					Name: fmt.Sprint("Group ", i), Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: []string{bob.id},
				})
				if err != nil {
					assert.Fail(t, "no group", "%v", err)
					return
				}
				for j := range 3 {
					_, sent := dave.at(j).SendToGroup(t.Context(), group.ID, client.SendMessageRequest{Body: fmt.Sprint(j)})
					err = errors.Join(err, sent)
				}
				assert.NoError(t, errors.Join(err, dave.DissolveGroup(t.Context(), group.ID)))
			}
		})
		busy.Wait()

		all := bob.everything(500)
		for i, event := range all {
			require.EqualValues(t, i+1, place(event.Cursor))
		}
		assert.Equal(t, all, bob.everything(1), "how it is cut makes no difference")
		assert.Equal(t, all, bob.at(1).everything(7))
		for _, i := range []*inbox{live, polled} {
			i.until("everything", func() bool { return len(i.events) == len(all) })
			assert.Equal(t, all, i.all(), i.who)
		}
	})
}

// A cursor in hand, everybody reads the same, however often: reading takes nothing away.
func TestReadingConsumesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		for i := range 5 {
			alice.say(bob, fmt.Sprint(i))
		}
		all := bob.everything(500)
		for i, event := range slices.Backward(all) {
			rest, err := bob.at(i).Poll(t.Context(), client.PollOptions{Cursor: event.Cursor})
			require.NoError(t, err)
			assert.Equal(t, all[i+1:], append([]client.Event{}, rest.Events...))
		}
	})
}

func TestRemovedMemberGetsNothingLater(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "victim", "witness")
		owner, victim, witness := people[0], people[1], people[2]
		befriend(t, owner, victim)
		live := victim.at(1).stream(client.Begin)
		for round := range 4 {
			group := owner.group(victim, witness)
			var sending sync.WaitGroup
			stop := make(chan struct{})
			started := make(chan struct{}, 100)
			for n := range 4 {
				sending.Go(func() {
					sender := []*person{owner, witness}[n/2].at(n)
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						_, err := sender.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: fmt.Sprintf("%d %d", n, i)})
						assert.NoError(t, err)
						select {
						case started <- struct{}{}:
						default:
						}
					}
				})
			}
			sending.Go(func() { // the victim speaks as long as it may
				for {
					if _, err := victim.SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "victim"}); err != nil {
						refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
						return
					}
				}
			})
			for range 8 {
				<-started
			}
			require.NoError(t, owner.at(round).RemoveMember(t.Context(), group, victim.id))
			after := owner.at(round+1).tell(group, "the victim is gone")
			_, err := victim.at(round).SendToGroup(t.Context(), group, client.SendMessageRequest{Body: "I am not"})
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			_, err = victim.at(round+1).Messages(t.Context(), group, client.HistoryQuery{})
			refused(t, err, http.StatusNotFound, client.ProblemCodeNotFound)
			for range 8 {
				<-started
			}
			close(stop)
			sending.Wait()

			end := owner.say(victim, fmt.Sprint("the end of round ", round))
			live.until("the end of the round", func() bool {
				all := messages(live.events, end.ConversationID)
				return len(all) > round
			})
			// The victim has what was said before the removal, then the removal, and nothing more. So does the witness.
			got, removed := upToRemoval(live.all(), group)
			require.True(t, removed)
			want, removed := upToRemoval(witness.everything(500), group)
			require.True(t, removed)
			assert.Equal(t, want, got)
			for _, message := range messages(live.all(), group) {
				assert.Less(t, message.Seq, after.Seq)
			}
			assert.Len(t, messages(live.all(), group), len(got), "something came after the removal")
		}
	})
}

// upToRemoval returns the messages of a group before somebody was removed.
func upToRemoval(events []client.Event, group string) (all []string, removed bool) {
	for _, event := range events {
		switch data := event.Value().(type) {
		case client.Message:
			if data.ConversationID == group && data.Kind != client.MessageKindSystem {
				all = append(all, data.Body)
			}
		case client.MemberLeftData:
			if data.GroupID == group {
				return all, true
			}
		}
	}
	return all, false
}
