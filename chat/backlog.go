package chat

import (
	"sync"
	"time"
)

// backlog is what waits to be committed, and decides when a writer may begin.
//
// A transaction costs about as much as ten messages in it, so it is worth
// having few of them. The next one begins at once when nothing else is being
// committed, with two exceptions. Those who were just answered are likely to
// send again at once, and the first of them should not go alone: for gathering
// at most the transaction waits until as many are there as were before. And a
// second one beside the first begins only for a batch that is worth it, or when
// the first takes long.
type backlog struct {
	limit   int           // messages that may wait
	refused func(Refusal) // told why a message was not queued; nil = nobody is

	mu      sync.Mutex
	begin   sync.Cond   // signalled when a writer may begin or there will be no more; its lock is mu
	waiting []*sending  // the oldest first; guarded by mu
	rows    int         // inbox rows that waiting costs; guarded by mu
	shares  shares      // who has how much of waiting; guarded by mu
	active  int         // transactions under way; guarded by mu
	closed  bool        // no more may be queued; guarded by mu
	alarm   *time.Timer // makes what waits due; guarded by mu
	due     bool        // what waits has waited long enough; guarded by mu

	expected int       // messages that are likely to come until gatherBy; guarded by mu
	gatherBy time.Time // guarded by mu
}

const (
	// gathering is how long those who were just answered are waited for.
	gathering = 2 * time.Millisecond
	// worthGathering is a batch in which a transaction's own cost hardly shows any more.
	worthGathering = 32
	// worthWriter is how many inbox rows are worth a transaction beside another.
	worthWriter = 64
	// patience is how long a message waits behind a transaction that takes long.
	patience = 5 * time.Millisecond
)

func (b *backlog) open(limit int, shares shares, refused func(Refusal)) {
	b.limit, b.shares, b.refused, b.begin.L = limit, shares, refused, &b.mu
	b.alarm = time.AfterFunc(time.Hour, b.ring)
	b.alarm.Stop()
}

// add queues a message; errors say why it was not.
func (b *backlog) add(item *sending) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return &Error{Code: CodeUnavailable, Detail: "This node is shutting down. Try again; another one answers.", RetryAfter: time.Second}
	case len(b.waiting) >= b.limit:
		return b.refuse(RefusedQueue)
	}
	if why := b.shares.claim(item, b.limit-len(b.waiting)); why != "" {
		return b.refuse(why)
	}
	b.waiting = append(b.waiting, item)
	b.rows += item.weight
	b.look(item.since, len(b.waiting) == 1)
	return nil
}

func (b *backlog) refuse(why Refusal) error {
	if b.refused != nil {
		b.refused(why)
	}
	return &Error{Code: CodeOverloaded, Detail: refusals[why], RetryAfter: time.Second}
}

// take waits until a transaction may begin and moves up to most messages with
// up to rows inbox rows into batch; nothing when there will be no more.
func (b *backlog) take(batch []*sending, most, rows int) []*sending {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.mayBegin(time.Now()) {
		if b.closed && len(b.waiting) == 0 {
			return batch
		}
		b.begin.Wait()
	}
	n := 0
	for n < len(b.waiting) && n < most && (n == 0 || rows > 0) {
		rows -= b.waiting[n].weight
		b.rows -= b.waiting[n].weight
		b.shares.release(b.waiting[n])
		n++
	}
	batch = append(batch, b.waiting[:n]...)
	clear(b.waiting[:n])
	if b.waiting = b.waiting[n:]; len(b.waiting) == 0 {
		b.waiting = nil // so that one burst's memory is not kept for ever
	}
	b.active++
	b.due = false
	b.look(time.Now(), true)
	return batch
}

// done says that a transaction is over and that so many senders were answered.
func (b *backlog) done(answered int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.active--
	b.expected, b.gatherBy = min(answered+len(b.waiting), worthGathering), now.Add(gathering)
	b.look(now, true)
}

// close lets what waits be committed and takes no more.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.alarm.Stop()
	b.begin.Broadcast()
}

// abandon returns what waits, if no more may be queued, for its senders to be told.
func (b *backlog) abandon() []*sending {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		return nil
	}
	waiting := b.waiting
	for _, item := range waiting {
		b.rows -= item.weight
		b.shares.release(item)
	}
	b.waiting = nil
	b.begin.Broadcast()
	return waiting
}

// ring is called by the alarm.
func (b *backlog) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = true
	b.begin.Signal()
}

// mayBegin tells whether what waits is worth a transaction now. mu is held.
func (b *backlog) mayBegin(now time.Time) bool {
	switch {
	case len(b.waiting) == 0:
		return false
	case b.due, b.closed, b.rows >= worthWriter:
		return true
	default:
		return b.active == 0 && (len(b.waiting) >= b.expected || !now.Before(b.gatherBy))
	}
}

// look wakes a writer that may begin, or sets the alarm if that is wanted. mu is held.
func (b *backlog) look(now time.Time, set bool) {
	switch {
	case b.mayBegin(now):
		b.begin.Signal()
	case !set:
	case len(b.waiting) == 0:
		b.alarm.Stop()
	case b.active == 0:
		b.alarm.Reset(b.gatherBy.Sub(now))
	default:
		b.alarm.Reset(patience)
	}
}
