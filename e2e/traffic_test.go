package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// traffic is people who send all the time, and what was acknowledged to them.
type traffic struct {
	t    *testing.T
	halt context.CancelFunc
	busy sync.WaitGroup

	mu       sync.Mutex
	acked    map[string][]client.Message // by conversation
	total    int
	failures []error
}

// sender sends the nth message of somebody.
type sender func(ctx context.Context, n int) (client.Message, error)

// toUser returns a sender of private messages through a client that tries nothing twice: what is answered is what counts.
func (p *person) toUser(node int, to *person) sender {
	c := p.impatient(node)
	return func(ctx context.Context, n int) (client.Message, error) {
		return c.SendToUser(ctx, to.id, client.SendMessageRequest{Body: fmt.Sprintf("%s %d", p.name, n)})
	}
}

func (p *person) toGroup(node int, group string) sender {
	c := p.impatient(node)
	return func(ctx context.Context, n int) (client.Message, error) {
		return c.SendToGroup(ctx, group, client.SendMessageRequest{Body: fmt.Sprintf("%s %d", p.name, n)})
	}
}

// startTraffic lets all senders send, each one message every few milliseconds, until the traffic is stopped.
func startTraffic(t *testing.T, senders ...sender) *traffic {
	t.Helper()
	ctx, halt := context.WithCancel(context.Background())
	all := &traffic{t: t, halt: halt, acked: map[string][]client.Message{}}
	for _, send := range senders {
		all.busy.Go(func() {
			pace := time.NewTicker(15 * time.Millisecond)
			defer pace.Stop()
			for n := 1; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				message, err := send(context.WithoutCancel(ctx), n) // an answer that is on its way is waited for
				all.mu.Lock()
				if err == nil {
					all.acked[message.ConversationID] = append(all.acked[message.ConversationID], message)
					all.total++
				} else {
					all.failures = append(all.failures, err)
				}
				all.mu.Unlock()
			}
		})
	}
	t.Cleanup(all.stop)
	return all
}

// more waits until so many more messages were acknowledged.
func (a *traffic) more(n int) {
	a.t.Helper()
	began := a.count()
	eventually(a.t, fmt.Sprintf("%d more messages are sent", n), func() bool { return a.count() >= began+n })
}

func (a *traffic) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// stop ends the sending and returns when nothing is on its way any more.
func (a *traffic) stop() {
	a.halt()
	a.busy.Wait()
}

// failed returns what was refused or went wrong.
func (a *traffic) failed() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.failures)
}

// of returns what was acknowledged in a conversation, by seq.
func (a *traffic) of(conversation string) []client.Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(a.acked[conversation])
	slices.SortFunc(all, func(x, y client.Message) int { return cmp.Compare(x.Seq, y.Seq) })
	return all
}

// reaches waits until a reader has what was acknowledged last in a conversation.
func (a *traffic) reaches(i *inbox, conversation string) {
	a.t.Helper()
	acked := a.of(conversation)
	last := acked[len(acked)-1].Seq
	i.until(fmt.Sprintf("message %d", last), func() bool {
		got := messages(i.events, conversation)
		return len(got) > 0 && got[len(got)-1].Seq >= last
	})
}

// arrived waits until a reader has all that was acknowledged in the conversations it belongs to, and checks that it has
// each message once, in order, and none that the history does not have.
func (a *traffic) arrived(p *person, i *inbox, conversations ...string) {
	a.t.Helper()
	for _, conversation := range conversations {
		acked := a.of(conversation)
		require.NotEmpty(a.t, acked)
		history := p.wholeHistory(conversation)
		var got []client.Message
		i.until(fmt.Sprintf("%d messages", len(history)), func() bool {
			got = everyMessage(i.events, conversation)
			return len(got) >= len(history)
		})
		require.Equal(a.t, bodies(history), bodies(got), i.who)
		for n, message := range got {
			require.EqualValues(a.t, n+1, message.Seq, i.who)
		}
		a.kept(history, acked)
	}
}

// kept checks that every acknowledged message is in the history, under its seq.
func (a *traffic) kept(history, acked []client.Message) {
	a.t.Helper()
	for _, message := range acked {
		if assert.GreaterOrEqual(a.t, int64(len(history)), message.Seq, "an acknowledged message is lost") {
			require.Equal(a.t, message.Body, history[message.Seq-1].Body)
		}
	}
}
