package chat_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// flooded is a sender whose writer is held up, so that what is sent stays in the queue.
type flooded struct {
	t      *testing.T
	ledger ledger
	*chat.Sender

	taken, refused atomic.Int64
	stored         atomic.Int64
	sending        sync.WaitGroup
	stop           func()
}

// flood starts a sender and gives its writer one message to be stuck with.
func flood(t *testing.T, options chat.SenderOptions) *flooded {
	t.Helper()
	f := &flooded{t: t, ledger: ledger{enter: make(chan struct{}), gate: make(chan struct{})}}
	f.Sender, f.stop = startSender(&f.ledger, options)
	f.send(chat.Outgoing{ConversationID: 999_999, SenderID: 999_999})
	<-f.ledger.enter
	return f
}

// send sends a message and tells whether it was taken into the queue.
func (f *flooded) send(message chat.Outgoing) bool {
	f.t.Helper()
	refused := make(chan bool, 1)
	f.sending.Go(func() {
		_, err := f.Send(f.t.Context(), message)
		switch chat.CodeOf(err) {
		case "":
			f.stored.Add(1)
		case chat.CodeOverloaded:
			assert.Positive(f.t, chat.AsError(err).RetryAfter)
			refused <- true
		default:
			assert.NoError(f.t, err)
		}
	})
	synctest.Wait()
	select {
	case <-refused:
		f.refused.Add(1)
		return false
	default:
		f.taken.Add(1)
		return true
	}
}

// end lets the writer go on and checks that what was taken was stored.
func (f *flooded) end() {
	f.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.stop()
	}()
	for f.ledger.gate <- struct{}{}; ; f.ledger.gate <- struct{}{} {
		select {
		case <-f.ledger.enter:
			continue
		case <-done:
		}
		break
	}
	f.sending.Wait()
	assert.Equal(f.t, f.taken.Load(), f.stored.Load())
}

func TestAFloodOfOneSenderStaysTheirOwnProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, chat.SenderOptions{Queue: 100, Batch: 8, Rows: 1000, Writers: 1})
		n := 0
		for f.send(chat.Outgoing{ConversationID: chat.ID(n + 1), SenderID: 1}) {
			n++
		}
		assert.LessOrEqual(t, n, 51, "one sender has more than half of the queue")
		assert.GreaterOrEqual(t, n, 50, "an empty queue is for whoever needs it")
		for who := range chat.ID(30) {
			assert.True(t, f.send(chat.Outgoing{ConversationID: 1000 + who, SenderID: 100 + who}), "%d has no place", who)
		}
		assert.False(t, f.send(chat.Outgoing{ConversationID: 5, SenderID: 1}), "and the flood gets none of those that are left")
		f.end()
	})
}

func TestAFloodOfOneConversationStaysItsOwnProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, chat.SenderOptions{Queue: 100, Batch: 8, Rows: 1000, Writers: 1})
		for who := range chat.ID(200) {
			f.send(chat.Outgoing{ConversationID: 1, SenderID: 1 + who})
		}
		assert.LessOrEqual(t, f.taken.Load(), int64(52), "one conversation has more than half of the queue")
		// Another one floods too: there are places all the same.
		for who := range chat.ID(200) {
			f.send(chat.Outgoing{ConversationID: 2, SenderID: 1 + who})
		}
		for who := range chat.ID(20) {
			assert.True(t, f.send(chat.Outgoing{ConversationID: 1000 + who, SenderID: 1 + who}), "%d has no place", who)
		}
		f.end()
	})
}

func TestALargeGroupMayHaveOnlySoMuchWorkWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		big := &bigGroups{ledger: ledger{enter: make(chan struct{}), gate: make(chan struct{})}}
		sender := chat.NewSender(big, big, chat.SenderOptions{Queue: 1000, Batch: 16, Rows: 100, Writers: 1})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			sender.Run(ctx)
		}()
		var sending sync.WaitGroup
		var refused atomic.Int64
		send := func(conversation chat.ID) {
			sending.Go(func() {
				_, err := sender.Send(t.Context(), chat.Outgoing{ConversationID: conversation, SenderID: conversation, Target: chat.KindGroup})
				if err != nil {
					assert.Equal(t, chat.CodeOverloaded, chat.CodeOf(err))
					refused.Add(1)
				}
			})
			synctest.Wait()
		}
		send(1) // teaches that a message costs 500 rows, which is five transactions' worth
		<-big.enter
		big.gate <- struct{}{}
		synctest.Wait()
		send(2) // holds the writer up
		<-big.enter
		for range 10 {
			send(1)
		}
		require.Equal(t, int64(7), refused.Load(), "sixteen transactions' worth may wait")
		before := refused.Load()
		for other := range chat.ID(50) {
			send(100 + other)
		}
		assert.Equal(t, before, refused.Load(), "others are not refused for that")
		cancel()
		for big.gate <- struct{}{}; ; big.gate <- struct{}{} {
			select {
			case <-big.enter:
				continue
			case <-stopped:
			}
			break
		}
		sending.Wait()
	})
}

// What a group costs is known when its first message is stored; until then a
// flood to it must not become one transaction that never commits.
func TestGroupsNobodyKnowsAreTakenForCostly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, chat.SenderOptions{Queue: 1000, Batch: 256, Rows: 4000, Writers: 1})
		for who := range chat.ID(64) {
			require.True(t, f.send(chat.Outgoing{ConversationID: 1, SenderID: 1 + who, Target: chat.KindGroup}))
		}
		f.end()
		assert.Equal(t, []string{"commit 1", "announce 1", "commit 16", "announce 16", "commit 47", "announce 47", "commit 1", "announce 1"}[:4], f.ledger.seen()[:4])
	})
}

func TestSharesAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flood(t, chat.SenderOptions{Queue: 40, Batch: 8, Rows: 1000, Writers: 1})
		var counts []string
		for range 3 {
			n := 0
			for f.send(chat.Outgoing{ConversationID: 1, SenderID: 1}) {
				n++
			}
			counts = append(counts, strconv.Itoa(n))
			for range n/8 + 2 { // the writer takes all of it, and the last batch holds it up again
				f.ledger.gate <- struct{}{}
				synctest.Wait()
				select {
				case <-f.ledger.enter:
				default:
					f.send(chat.Outgoing{ConversationID: 999_999, SenderID: 999_999})
					<-f.ledger.enter
				}
			}
		}
		assert.Equal(t, []string{"21", "21", "21"}, counts)
		f.end()
	})
}
