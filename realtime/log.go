package realtime

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"longwire/chat"
)

// backing is where a log is read when memory does not have it.
type backing interface {
	// cached returns a run after+1, after+2, … from Redis; nothing when the run
	// does not begin there or Redis does not answer.
	cached(ctx context.Context, after int64, limit int) []chat.InboxEvent
	// stored returns such a run from the database, and where the log stands.
	stored(ctx context.Context, after int64, limit int) (chat.InboxPage, error)
	// standing returns where the log stands in the database.
	standing(ctx context.Context) (chat.InboxHead, error)
	// hears tells whether what is announced to this node surely reaches it.
	hears(now time.Duration) bool
	// now is a clock that never goes back.
	now() time.Duration
	// healed is told that a hole was filled.
	healed()
	// forgot is told that the database said what is to be forgotten, and
	// perhaps nobody else did.
	forgot()
}

// log is a contiguous sequence that readers follow: a window of recent events
// in memory, shared by all readers; a cache and a database behind it; and the
// wake-up of the readers when it grows. It holds nothing that is not in the
// database, and believes nothing but seq == last+1.
type log struct {
	from   backing
	memory *memory

	mu sync.Mutex
	// window is what is known at the end of the log: its last event has seq
	// last. An element never changes once it is in, so that readers use parts
	// of it without the lock. Guarded by mu.
	window []chat.InboxEvent
	bytes  int   // of the window; guarded by mu
	last   int64 // up to here the log is known; unanchored before the first look at the database; guarded by mu
	head   int64 // the highest seq that is said to exist; a hint; guarded by mu
	aged   int64 // what is in the window up to here leaves at the next ageing; guarded by mu
	// verified is when the database was last asked for the head. It says
	// something only when that was not before distrusted, the last time that
	// announcements may have been lost. Both guarded by mu.
	verified, distrusted time.Duration
	// registered is until when other nodes surely find this node in the
	// registry; guarded by mu.
	registered time.Duration
	// forgotten is the seq before which copies of events are not to be believed;
	// the window has none of these but what the database said after that.
	// Guarded by mu.
	forgotten int64

	stalled bool       // a read failed: readers wait for the next check; guarded by mu
	gone    bool       // nobody will read the window any more; guarded by mu
	filling *fill      // not nil while a reader reads for all; guarded by mu
	readers []*Session // replaced, never changed in place; guarded by mu
}

// unanchored is the last of a log that was never compared with the database.
const unanchored = int64(-1)

// Bounds of one log's window. They are small: it serves readers that are
// caught up or nearly so; the others read the cache.
const (
	maxWindowEvents = 256
	maxWindowBytes  = 256 << 10
	// minWindowEvents is what is left of a window when the node's windows
	// together take more than they may.
	minWindowEvents = 8
	// eventOverhead is what an event takes beside its body, about.
	eventOverhead = 48
)

// memory counts what all windows of a node take.
type memory struct {
	used  atomic.Int64
	limit int64
}

// fill is one reader reading for all.
type fill struct {
	done chan struct{} // closed when the rest is set
	err  error
	left bool // the reader's context ended: err is about that reader alone
}

// deliver takes one event that was announced, in whatever order, and wakes the
// readers when it tells them something.
func (l *log) deliver(seq int64, body chat.Body) {
	l.mu.Lock()
	if seq <= l.last || l.last == unanchored && seq <= l.head {
		l.mu.Unlock()
		return
	}
	// What is announced late may have been forgotten meanwhile.
	if l.last != unanchored && seq == l.last+1 && seq >= l.forgotten {
		l.appendEvent(chat.InboxEvent{Seq: seq, Body: body})
	}
	// After a hole this is a hint only: readers fetch what is missing.
	l.head = max(l.head, seq)
	readers := l.readers
	l.mu.Unlock()
	wakeAll(readers)
}

func wakeAll(readers []*Session) {
	for _, r := range readers {
		r.wake()
	}
}

// appendEvent adds the event that follows the last one; mu is held.
func (l *log) appendEvent(event chat.InboxEvent) {
	if l.gone {
		l.last = event.Seq
		return
	}
	size := len(event.Body) + eventOverhead
	l.window = append(l.window, event)
	l.last = event.Seq
	l.bytes += size
	used := l.memory.used.Add(int64(size))
	most, mostBytes := maxWindowEvents, maxWindowBytes
	if used > l.memory.limit {
		most, mostBytes = minWindowEvents, maxWindowBytes/16
	}
	drop := max(len(l.window)-most, 0)
	for over := l.bytes - mostBytes; over > 0 && drop < len(l.window)-1; {
		over -= len(l.window[drop].Body) + eventOverhead
		drop++
	}
	l.trim(drop)
}

// trim takes the oldest n events out of the window; mu is held. When little is
// left of a large window, the rest moves, so that the old events can be freed.
func (l *log) trim(n int) {
	if n == 0 {
		return
	}
	freed := 0
	for i := range n {
		freed += len(l.window[i].Body) + eventOverhead
	}
	l.bytes -= freed
	l.memory.used.Add(-int64(freed))
	l.window = l.window[n:]
	if len(l.window) == 0 {
		l.window = nil
	} else if n > len(l.window) {
		l.window = slices.Clone(l.window)
	}
}

// age lets go of events that were there at the last ageing already: a caught-up
// log costs no memory.
func (l *log) age() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(l.indexAfter(l.aged))
	l.aged = l.last
}

// discard empties the window for good: who still delivers or reads may come
// after that, and must not be counted.
func (l *log) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	l.trim(len(l.window))
}

// indexAfter is where in the window the events after seq begin; mu is held.
func (l *log) indexAfter(seq int64) int {
	first := l.last - int64(len(l.window)) // the window holds first+1 … last
	return int(min(max(seq-first, 0), int64(len(l.window))))
}

// found is what the window knows about a position.
type found uint8

const (
	foundEvents found = iota
	foundEnd          // nothing is known to come after the position
	notFound          // there is something, and it must be read
	doubtful          // it has what comes next, and must be compared with the database first
)

// take returns events after pos from the window, and whether more are known to
// come after these. They are given out only when nothing of them can have been
// forgotten without our knowing: the log is trusted, or it was compared with the
// database at or after asOf.
func (l *log) take(pos int64, limit int, asOf time.Duration) (events []chat.InboxEvent, more bool, what found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case pos == l.last && l.head <= l.last:
		return nil, false, foundEnd
	case pos >= l.last || pos < l.last-int64(len(l.window)):
		return nil, false, notFound
	case l.verified < asOf && !l.trusted():
		return nil, false, doubtful
	}
	events = bounded(l.window[l.indexAfter(pos):], limit)
	return events, events[len(events)-1].Seq < l.head, foundEvents
}

// trusted tells whether whatever is forgotten anywhere surely reaches this log,
// and has since it was last compared with the database; mu is held.
func (l *log) trusted() bool {
	now := l.from.now()
	return l.last != unanchored && l.verified >= l.distrusted && l.registered > now && l.from.hears(now)
}

func (l *log) mayTrust() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trusted()
}

// compare compares the log with the database now.
func (l *log) compare(ctx context.Context) error {
	before := l.mark()
	head, err := l.from.standing(ctx)
	if err != nil {
		return err
	}
	l.verify(head, before)
	return nil
}

// doubts tells whether a reader at pos waits for that comparison only.
func (l *log) doubts(pos int64, asOf time.Duration) bool {
	_, _, what := l.take(pos, 1, asOf)
	return what == doubtful
}

// bounded cuts a run to what one batch may hold.
func bounded(events []chat.InboxEvent, limit int) []chat.InboxEvent {
	size := 0
	for i := range events {
		size += len(events[i].Body) + eventOverhead
		if i == limit || i > 0 && size > maxBatchBytes {
			return events[:i:i]
		}
	}
	return slices.Clip(events)
}

// beyond tells whether anything is known to come after seq.
func (l *log) beyond(seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head > seq
}

// mustFill tells whether a reader at pos waits for what is missing at the end
// of the window, which is read once for all, rather than for something older.
func (l *log) mustFill(pos int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return pos >= l.last && l.head > l.last
}

// fill reads what is missing after the window, once for all readers that ask
// while it is read.
func (l *log) fill(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.head <= l.last {
			l.mu.Unlock()
			return nil
		}
		if other := l.filling; other != nil {
			l.mu.Unlock()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-other.done:
			}
			if other.left {
				continue // we read ourselves
			}
			return other.err
		}
		mine := &fill{done: make(chan struct{})}
		l.filling = mine
		after := l.last
		missing := min(l.head-after, maxWindowEvents)
		l.mu.Unlock()

		read, err := l.readFrom(ctx, after, int(missing))

		l.mu.Lock()
		if err == nil && read.hole {
			// Not even the database continues here. Each reader finds that out
			// for its own position and is reset.
			l.moveTo(read.head.Seq)
		}
		if len(read.events) > 0 {
			l.from.healed()
		}
		mine.err, mine.left, l.filling = err, ctx.Err() != nil, nil
		l.mu.Unlock()
		close(mine.done)
		return err
	}
}

// run is what a read found.
type run struct {
	events []chat.InboxEvent // after+1, after+2, …
	head   chat.InboxHead    // where the log stands; known when events is empty
	hole   bool              // the database itself does not continue
}

// firstRead is how many events are read first: they may be large. When they are
// not, the next reads are larger.
const firstRead = 16

// readFrom reads the events after a position, about as many as a batch holds. It
// reads in steps, so that events that do not fit are not read in vain.
func (l *log) readFrom(ctx context.Context, after int64, limit int) (run, error) {
	forgotten := l.forgottenSeq()
	all, err := l.readStep(ctx, after, min(firstRead, limit))
	if err != nil {
		return run{}, err
	}
	size := sizeOf(all.events)
	for asked := firstRead; len(all.events) == asked && asked < limit && size < maxBatchBytes; {
		step := min(3*asked, limit-asked)
		more, failed := l.readStep(ctx, after+int64(asked), step)
		if failed != nil || len(more.events) == 0 {
			break // what there is can be given out
		}
		all.events = append(slices.Clip(all.events), more.events...)
		size += sizeOf(more.events)
		asked += step
	}
	if len(all.events) > firstRead && l.forgottenSeq() != forgotten {
		// Perhaps of the first ones, since they were read: all must be read anew.
		return run{head: chat.InboxHead{Seq: after}}, nil
	}
	return all, nil
}

func sizeOf(events []chat.InboxEvent) (size int) {
	for i := range events {
		size += len(events[i].Body) + eventOverhead
	}
	return size
}

// forgottenSeq is before which seq copies of events are not to be believed.
func (l *log) forgottenSeq() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forgotten
}

// readStep reads up to limit events: from the cache, else from the database. What
// reaches past the window's end goes into it, so that others need not read it.
func (l *log) readStep(ctx context.Context, after int64, limit int) (run, error) {
	if l.mayTrust() {
		if events := l.from.cached(ctx, after, limit); len(events) > 0 && l.extend(events, 0) {
			return run{events: events}, nil
		}
	}
	var r run
	// Twice, because the database may tell events and head from two moments:
	// what looks like a hole then is none at the second look.
	for range 2 {
		before := l.mark()
		page, err := l.from.stored(ctx, after, limit)
		if err != nil {
			return run{}, err
		}
		r = run{events: contiguous(page.Events, after), head: page.Head}
		if len(r.events) > 0 {
			r.head.Seq = max(r.head.Seq, r.events[len(r.events)-1].Seq)
		}
		if !l.extend(r.events, r.head.Forgotten) {
			return run{head: r.head}, nil // something was forgotten while we read: it must be read anew
		}
		l.verify(r.head, before)
		if len(r.events) > 0 || r.head.Seq <= after || r.head.Pruned > after {
			return r, nil
		}
	}
	r.hole = true
	return r, nil
}

// contiguous returns the part of events that follows after without a hole.
func contiguous(events []chat.InboxEvent, after int64) []chat.InboxEvent {
	for i := range events {
		if events[i].Seq != after+1+int64(i) {
			return events[:i:i]
		}
	}
	return events
}

// extend puts what reaches past the window's end into it. The events are as of
// a moment when everything before forgotten had been forgotten; false means that
// more has been since, and that they are not to be given out.
func (l *log) extend(events []chat.InboxEvent, forgotten int64) bool {
	l.mu.Lock()
	if l.forget(forgotten) {
		defer l.from.forgot()
	}
	if len(events) == 0 || forgotten < l.forgotten && events[0].Seq < l.forgotten {
		l.mu.Unlock()
		return len(events) == 0
	}
	grown := false
	for _, event := range events {
		if l.last != unanchored && event.Seq == l.last+1 {
			l.appendEvent(event)
			grown = true
		}
	}
	l.head = max(l.head, l.last)
	readers := l.readers
	l.mu.Unlock()
	if grown {
		wakeAll(readers)
	}
	return true
}

// forget takes all before a seq out of the window, and lets nothing of it in
// but from the database; mu is held. It tells whether that is news.
func (l *log) forget(before int64) bool {
	if before <= l.forgotten {
		return false
	}
	l.forgotten = before
	l.trim(l.indexAfter(before - 1))
	return true
}

// forgetBefore does the same on somebody's word.
func (l *log) forgetBefore(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(seq)
}

// mark is what was known of a log before the database was asked about it.
type mark struct {
	at         time.Duration
	last, head int64
}

func (l *log) mark() mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return mark{at: l.from.now(), last: l.last, head: l.head}
}

// moveTo gives up what is known and goes on after seq; mu is held.
func (l *log) moveTo(seq int64) {
	l.trim(len(l.window))
	l.last, l.aged, l.head = seq, seq, seq
}

// verify compares the log with where the database says it stands. Before was
// taken before the database was asked: only a head below that means that the
// database went back, or that a hint was false; one below what is known by now
// may just be older. The result tells whether the log had missed something.
func (l *log) verify(head chat.InboxHead, before mark) (behind bool) {
	l.mu.Lock()
	wake := l.stalled
	l.stalled = false
	if l.forget(head.Forgotten) {
		defer l.from.forgot()
	}
	l.verified = max(l.verified, before.at)
	switch {
	case l.last == unanchored:
		l.last, l.aged = head.Seq, head.Seq
		l.head = max(l.head, head.Seq)
	case head.Seq < before.last, head.Pruned > l.last:
		// The log cannot be continued: readers find out where they are.
		l.moveTo(head.Seq)
		wake = true
	case head.Seq > l.head:
		behind = l.head <= l.last // else somebody knows of a hole already
		l.head = head.Seq
	case head.Seq < before.head && l.head == before.head:
		l.head = max(l.last, head.Seq)
	}
	wake = wake || l.head > l.last
	readers := l.readers
	l.mu.Unlock()
	if wake {
		wakeAll(readers)
	}
	return behind
}

// distrust forgets that the log was compared with the database: what was
// announced until now may have been lost.
func (l *log) distrust() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.distrusted = l.from.now()
	l.verified = min(l.verified, l.distrusted-1)
}

// verifiedSince tells whether the log was compared with the database at or
// after the given time, nothing may have been lost since, and no reader waits
// for another try.
func (l *log) verifiedSince(at time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last != unanchored && !l.stalled && l.verified >= max(at, l.distrusted)
}

// stall notes that a read failed: the next check wakes the readers.
func (l *log) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = true
}
