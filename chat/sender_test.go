package chat_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// ledger is a store that knows only CommitMessages, and records with the
// announcer in which order things happened. It stands in for failures that no
// real database gives on demand; what it cannot do is left nil on purpose.
type ledger struct {
	chat.Store

	mu     sync.Mutex
	events []string // guarded by mu: "commit 3", "announce 3"
	seq    int64    // guarded by mu

	enter  chan struct{} // when set: CommitMessages says that it began …
	gate   chan struct{} // … and waits here
	refuse func(messages []chat.Outgoing) error
}

func (l *ledger) CommitMessages(_ context.Context, messages []chat.Outgoing) ([]chat.Outcome, chat.Announcement, error) {
	if l.enter != nil {
		l.enter <- struct{}{}
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if err := l.refuse(messages); err != nil {
			l.events = append(l.events, "failed "+strconv.Itoa(len(messages)))
			return nil, chat.Announcement{}, err
		}
	}
	outcomes := make([]chat.Outcome, len(messages))
	var announcement chat.Announcement
	for i, m := range messages {
		l.seq++
		outcomes[i] = chat.Outcome{Message: chat.Message{ConversationID: m.ConversationID, Seq: l.seq, Body: m.Body}, Recipients: 1}
		announcement.Bodies = append(announcement.Bodies, chat.Body(m.Body))
		announcement.Deliveries = append(announcement.Deliveries, chat.Delivery{User: m.SenderID, Seq: l.seq, Event: i})
	}
	l.events = append(l.events, "commit "+strconv.Itoa(len(messages)))
	return outcomes, announcement, nil
}

func (l *ledger) Announce(a chat.Announcement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, "announce "+strconv.Itoa(len(a.Deliveries)))
}

func (l *ledger) seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.events...)
}

// startSender runs a sender over the ledger inside a synctest bubble; the
// returned function stops it and waits.
func startSender(l *ledger, options chat.SenderOptions) (*chat.Sender, func()) {
	sender := chat.NewSender(l, l, options)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		sender.Run(ctx)
	}()
	return sender, func() {
		cancel()
		<-stopped
	}
}

var oneWriter = chat.SenderOptions{Queue: 8, Batch: 8, Rows: 100, Writers: 1}

func outgoing(body string) chat.Outgoing {
	return chat.Outgoing{ConversationID: 7, SenderID: 1, Body: body}
}

func TestCommitThenAnnounceThenAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		sender, stop := startSender(l, oneWriter)
		defer stop()
		outcome, err := sender.Send(t.Context(), outgoing("hello"))
		require.NoError(t, err)
		assert.Equal(t, int64(1), outcome.Message.Seq)
		// No waiting: both must have happened before the answer.
		assert.Equal(t, []string{"commit 1", "announce 1"}, l.seen())
	})
}

func TestFailingCommitAnnouncesNothing(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errors.New("disk full"), chat.Unavailable(errors.New("gone away"))} {
		synctest.Test(t, func(t *testing.T) {
			l := &ledger{refuse: func([]chat.Outgoing) error { return failure }}
			sender, stop := startSender(l, oneWriter)
			defer stop()
			_, err := sender.Send(t.Context(), outgoing("hello"))
			require.ErrorIs(t, err, failure)
			assert.Equal(t, []string{"failed 1"}, l.seen())
		})
	}
}

func TestMessagesThatArriveDuringACommitBecomeOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		sender, stop := startSender(l, oneWriter)
		defer stop()
		var senders sync.WaitGroup
		send := func() {
			senders.Go(func() {
				_, err := sender.Send(t.Context(), outgoing("x"))
				assert.NoError(t, err)
			})
		}
		send()
		<-l.enter
		for range 5 {
			send()
		}
		synctest.Wait()
		l.gate <- struct{}{}
		<-l.enter
		l.gate <- struct{}{}
		senders.Wait()
		assert.Equal(t, []string{"commit 1", "announce 1", "commit 5", "announce 5"}, l.seen())
	})
}

func TestOneBadMessageFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		l.refuse = func(messages []chat.Outgoing) error {
			for _, m := range messages {
				if m.Body == "bad" {
					return errors.New("cannot be stored")
				}
			}
			return nil
		}
		sender, stop := startSender(l, oneWriter)
		defer stop()
		var good, bad atomic.Int32
		var senders sync.WaitGroup
		send := func(body string) {
			senders.Go(func() {
				if _, err := sender.Send(t.Context(), outgoing(body)); err != nil {
					bad.Add(1)
				} else {
					good.Add(1)
				}
			})
		}
		send("first")
		<-l.enter
		for _, body := range []string{"a", "bad", "b"} {
			send(body)
		}
		synctest.Wait()
		l.gate <- struct{}{}
		for range 4 { // the batch of three, then each of them alone
			<-l.enter
			l.gate <- struct{}{}
		}
		senders.Wait()
		assert.Equal(t, int32(3), good.Load())
		assert.Equal(t, int32(1), bad.Load())
	})
}

// A batch that is taken apart is not a row of time-outs when the database goes away meanwhile.
func TestDatabaseThatGoesAwayWhileABatchIsTakenApartIsAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		l.refuse = func(messages []chat.Outgoing) error {
			switch {
			case messages[0].Body == "first":
				return nil
			case len(messages) > 1:
				return errors.New("something in it cannot be stored")
			default:
				return chat.Unavailable(errors.New("gone away"))
			}
		}
		sender, stop := startSender(l, oneWriter)
		defer stop()
		var unavailable atomic.Int32
		var senders sync.WaitGroup
		send := func(body string) {
			senders.Go(func() {
				if _, err := sender.Send(t.Context(), outgoing(body)); chat.CodeOf(err) == chat.CodeUnavailable {
					unavailable.Add(1)
				}
			})
		}
		send("first")
		<-l.enter
		for _, body := range []string{"a", "b", "c", "d"} {
			send(body)
		}
		synctest.Wait()
		l.gate <- struct{}{}
		for range 2 { // the batch of four, then the first of them alone
			<-l.enter
			l.gate <- struct{}{}
		}
		senders.Wait()
		assert.Equal(t, int32(4), unavailable.Load())
		assert.Equal(t, []string{"commit 1", "announce 1", "failed 4", "failed 1"}, l.seen())
	})
}

func TestFullQueueIsRefusedAtOnceAndNeverGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		sender, stop := startSender(l, chat.SenderOptions{Queue: 2, Batch: 1, Rows: 100, Writers: 1})
		defer stop()
		var senders sync.WaitGroup
		send := func() {
			senders.Go(func() {
				_, err := sender.Send(t.Context(), outgoing("x"))
				assert.NoError(t, err)
			})
		}
		send()
		<-l.enter // the writer holds one, and waits
		send()
		send()
		synctest.Wait() // two are queued
		_, err := sender.Send(t.Context(), outgoing("too many"))
		require.Error(t, err)
		refused := chat.AsError(err)
		assert.Equal(t, chat.CodeOverloaded, refused.Code)
		assert.Positive(t, refused.RetryAfter)
		l.gate <- struct{}{}
		for range 2 {
			<-l.enter
			l.gate <- struct{}{}
		}
		senders.Wait()
	})
}

func TestShutdownCommitsWhatIsQueuedAndTakesNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		sender, stop := startSender(l, oneWriter)
		var stored atomic.Int32
		var senders sync.WaitGroup
		send := func() {
			senders.Go(func() {
				if _, err := sender.Send(t.Context(), outgoing("x")); err == nil {
					stored.Add(1)
				}
			})
		}
		send()
		<-l.enter
		for range 3 {
			send()
		}
		synctest.Wait()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		synctest.Wait()
		_, err := sender.Send(t.Context(), outgoing("late"))
		assert.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
		l.gate <- struct{}{}
		<-l.enter
		l.gate <- struct{}{}
		<-stopped
		senders.Wait()
		assert.Equal(t, int32(4), stored.Load())
	})
}

// A node that stops while its database hangs waits for one transaction, not for each that is queued.
func TestShutdownDoesNotWaitForADatabaseAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		l.refuse = func([]chat.Outgoing) error { return chat.Unavailable(errors.New("gone away")) }
		sender, stop := startSender(l, chat.SenderOptions{Queue: 8, Batch: 1, Rows: 100, Writers: 1})
		var senders sync.WaitGroup
		send := func() {
			senders.Go(func() {
				_, err := sender.Send(t.Context(), outgoing("x"))
				assert.Equal(t, chat.CodeUnavailable, chat.CodeOf(err))
			})
		}
		send()
		<-l.enter
		for range 3 {
			send()
		}
		synctest.Wait()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		synctest.Wait()
		l.gate <- struct{}{}
		senders.Wait()
		<-stopped
		assert.Equal(t, []string{"failed 1"}, l.seen())
	})
}

func TestCostlyConversationsMakeSmallerBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		big := &bigGroups{ledger: ledger{enter: make(chan struct{}), gate: make(chan struct{})}}
		sender := chat.NewSender(big, big, chat.SenderOptions{Queue: 16, Batch: 16, Rows: 1000, Writers: 1})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			sender.Run(ctx)
		}()
		var senders sync.WaitGroup
		send := func() {
			senders.Go(func() {
				_, err := sender.Send(t.Context(), outgoing("x"))
				assert.NoError(t, err)
			})
		}
		send() // teaches that a message here costs 500 rows
		<-big.enter
		big.gate <- struct{}{}
		senders.Wait()
		send()
		<-big.enter
		for range 4 {
			send()
		}
		synctest.Wait()
		big.gate <- struct{}{}
		for range 2 {
			<-big.enter
			big.gate <- struct{}{}
		}
		senders.Wait()
		cancel()
		<-stopped
		assert.Equal(t, []string{"commit 1", "commit 1", "commit 2", "commit 2"}, big.commits())
	})
}

// bigGroups is a ledger in which every message goes into 500 inboxes.
type bigGroups struct{ ledger }

func (b *bigGroups) CommitMessages(ctx context.Context, messages []chat.Outgoing) ([]chat.Outcome, chat.Announcement, error) {
	outcomes, announcement, err := b.ledger.CommitMessages(ctx, messages)
	for i := range outcomes {
		outcomes[i].Recipients = 500
	}
	return outcomes, announcement, err
}

func (b *bigGroups) commits() []string {
	var commits []string
	for _, e := range b.seen() {
		if e[:6] == "commit" {
			commits = append(commits, e)
		}
	}
	return commits
}

func TestSenderWhoGoesAwayIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{enter: make(chan struct{}), gate: make(chan struct{})}
		sender, stop := startSender(l, oneWriter)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { <-l.enter }()
		_, err := sender.Send(ctx, outgoing("x"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		l.gate <- struct{}{}
	})
}
