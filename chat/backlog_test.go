package chat_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// pacing is a sender whose transactions begin and end when the test says so.
type pacing struct {
	t      *testing.T
	ledger *ledger
	sender *chat.Sender
	all    sync.WaitGroup
}

func startPacing(t *testing.T, writers int) *pacing {
	t.Helper()
	p := &pacing{t: t, ledger: &ledger{enter: make(chan struct{}), gate: make(chan struct{})}}
	var stop func()
	p.sender, stop = startSender(p.ledger, chat.SenderOptions{Queue: 100, Batch: 100, Rows: 1000, Writers: writers})
	t.Cleanup(func() {
		p.all.Wait()
		stop()
	})
	return p
}

// send sends so many messages, each from somebody else, and returns when they wait.
func (p *pacing) send(messages int) {
	p.t.Helper()
	for range messages {
		p.all.Go(func() {
			_, err := p.sender.Send(p.t.Context(), outgoing("x"))
			assert.NoError(p.t, err)
		})
	}
	synctest.Wait()
}

// begins waits until a transaction begins and returns how long that took.
func (p *pacing) begins() time.Duration {
	since := time.Now()
	<-p.ledger.enter
	return time.Since(since)
}

// ends ends a transaction, and returns when its senders are answered.
func (p *pacing) ends() {
	p.ledger.gate <- struct{}{}
	synctest.Wait()
}

func (p *pacing) commits() []string {
	var commits []string
	for _, e := range p.ledger.seen() {
		if e[:6] == "commit" {
			commits = append(commits, e)
		}
	}
	return commits
}

func TestWhoWasJustAnsweredGoesWithThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPacing(t, 1)
		p.send(1)
		p.begins()
		p.send(2)
		p.ends() // one is answered, two wait: three are expected
		p.send(1)
		assert.Zero(t, p.begins(), "nobody else is expected")
		p.ends()
		assert.Equal(t, []string{"commit 1", "commit 3"}, p.commits())
	})
}

func TestBatchWaitsTwoMillisecondsAtMostForThoseWhoWereAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPacing(t, 1)
		p.send(1)
		p.begins()
		p.send(2)
		p.ends()
		assert.Equal(t, 2*time.Millisecond, p.begins())
		p.ends()
		assert.Equal(t, []string{"commit 1", "commit 2"}, p.commits())
	})
}

func TestLoneMessageWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPacing(t, 2)
		p.send(1)
		p.begins()
		p.send(2)
		p.ends()
		p.begins()
		p.ends()
		for range 3 { // at once, and long after
			p.send(1)
			assert.LessOrEqual(t, p.begins(), 2*time.Millisecond)
			p.ends()
			<-time.NewTimer(time.Second).C
			p.send(1)
			assert.Zero(t, p.begins())
			p.ends()
		}
	})
}

func TestSecondTransactionBeginsForABatchThatIsWorthItOrWhenTheFirstTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPacing(t, 2)
		p.send(1)
		p.begins()
		p.send(1)
		assert.Equal(t, 5*time.Millisecond, p.begins(), "the first one takes long")
		p.ends()
		p.send(32)
		assert.Zero(t, p.begins(), "it is worth it")
		p.ends()
		p.ends()
		require.ElementsMatch(t, []string{"commit 1", "commit 1", "commit 32"}, p.commits())
	})
}
