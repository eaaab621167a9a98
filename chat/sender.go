package chat

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Sender is the group commit: messages that arrive while a transaction is
// committing become the next one. A lone message is a batch of one and waits
// for nothing.
//
// It is also where the first invariant can be read: [Sender.commit] announces
// what the store says is durable, and answers only then.
type Sender struct {
	store     Store
	announcer Announcer
	options   SenderOptions
	backlog   backlog

	weights weights
}

// SenderOptions bounds a Sender.
type SenderOptions struct {
	Queue   int // messages that may wait; beyond that the answer is CodeOverloaded
	Batch   int // messages in one transaction at most
	Rows    int // inbox rows in one transaction at most, but for a single message that has more
	Writers int // transactions at the same time
	// Observe is told of each batch; nil = nobody is.
	Observe func(batch Batch)
	// Refused is told why a message was not queued; nil = nobody is.
	Refused func(why Refusal)
	// Log is told why a batch failed; nil = nobody is.
	Log func(ctx context.Context, err error, messages int)
}

// Batch is what one transaction of the Sender was like.
type Batch struct {
	Messages int
	Rows     int
	Waited   time.Duration // of its oldest message, until the transaction began
	Took     time.Duration // the transaction
	Failed   bool
}

// sending is a message whose sender waits.
type sending struct {
	message Outgoing
	weight  int // inbox rows it is likely to cost
	since   time.Time
	done    chan struct{} // closed when outcome is set
	outcome Outcome
}

// commitTimeout bounds one transaction; a stuck database must not hold senders for ever.
const commitTimeout = 15 * time.Second

// NewSender returns a sender; it sends once [Sender.Run] runs.
func NewSender(store Store, announcer Announcer, options SenderOptions) *Sender {
	s := &Sender{store: store, announcer: announcer, options: options, weights: newWeights(options.Rows)}
	s.backlog.open(options.Queue, newShares(options.Rows), options.Refused)
	return s
}

// Send puts a message into the next transaction and returns when that has
// committed. CodeOverloaded: the queue is full, or the sender or the
// conversation has its share of it waiting already, and nothing was done.
// CodeUnavailable: the database did not answer; the message may have been
// stored, and sending again with the same key finds out. When ctx ends first
// the message may still be stored.
func (s *Sender) Send(ctx context.Context, message Outgoing) (Outcome, error) {
	item := &sending{message: message, weight: s.weights.of(&message), since: time.Now(), done: make(chan struct{})}
	if err := s.backlog.add(item); err != nil {
		return Outcome{}, err
	}
	select {
	case <-item.done:
		return item.outcome, item.outcome.Err
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}

// Run commits what is sent until ctx ends; then it takes no more, commits what
// is queued, as long as the database answers, and returns.
func (s *Sender) Run(ctx context.Context) {
	var writers sync.WaitGroup
	for range s.options.Writers {
		// The end of ctx ends the taking, not the commits under way.
		writers.Go(func() { s.write(context.WithoutCancel(ctx)) })
	}
	<-ctx.Done()
	s.backlog.close()
	writers.Wait()
}

// write is one writer: it takes what is there, commits it, and looks again.
func (s *Sender) write(ctx context.Context) {
	var batch []*sending
	for {
		batch = s.backlog.take(batch[:0], s.options.Batch, s.options.Rows)
		if len(batch) == 0 {
			return
		}
		if err := s.commit(ctx, batch); CodeOf(err) == CodeUnavailable {
			// A node that stops does not wait for its database again and again.
			refuse(s.backlog.abandon(), err)
		}
		s.backlog.done(len(batch))
		clear(batch)
	}
}

// commit stores a batch, then announces it, then answers its senders. The error
// is what they were answered.
func (s *Sender) commit(ctx context.Context, batch []*sending) error {
	limited, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	messages := make([]Outgoing, len(batch))
	for i, item := range batch {
		messages[i] = item.message
	}
	began := time.Now()
	outcomes, announcement, err := s.store.CommitMessages(limited, messages)
	s.observe(batch, began, announcement, err)
	if err != nil {
		return s.fail(ctx, batch, err)
	}
	if !announcement.Empty() {
		s.announcer.Announce(announcement)
	}
	for i, item := range batch {
		s.weights.learn(&item.message, outcomes[i].Recipients)
		item.outcome = outcomes[i]
		close(item.done)
	}
	return nil
}

// fail answers a batch that could not be committed. When the database is fine
// and only something in the batch was not, each message gets a transaction of
// its own: the bad one fails alone.
func (s *Sender) fail(ctx context.Context, batch []*sending, err error) error {
	if s.options.Log != nil {
		s.options.Log(ctx, err, len(batch))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = Unavailable(err)
	}
	if len(batch) > 1 && CodeOf(err) != CodeUnavailable {
		return s.oneByOne(ctx, batch)
	}
	refuse(batch, err)
	return err
}

// oneByOne commits each message alone, until the database goes away: the rest
// does not wait for it one after the other.
func (s *Sender) oneByOne(ctx context.Context, batch []*sending) (err error) {
	for i := range batch {
		if err = s.commit(ctx, batch[i:i+1]); CodeOf(err) == CodeUnavailable {
			refuse(batch[i+1:], err)
			break
		}
	}
	return err
}

// refuse answers senders whose messages were not stored, as far as anybody knows.
func refuse(batch []*sending, err error) {
	for _, item := range batch {
		item.outcome = Outcome{Err: err}
		close(item.done)
	}
}

func (s *Sender) observe(batch []*sending, began time.Time, announcement Announcement, err error) {
	if s.options.Observe == nil {
		return
	}
	s.options.Observe(Batch{
		Messages: len(batch), Rows: len(announcement.Deliveries),
		Waited: began.Sub(batch[0].since), Took: time.Since(began), Failed: err != nil,
	})
}
