package realtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"longwire/chat"
)

// announcer hands announcements to Redis: all that came in while it was busy
// as one batch, in two round trips. The first writes the events to the streams
// of warm inboxes and asks which nodes their users are connected to; the second
// publishes one frame to each of these nodes. What it cannot hand over it
// drops: the database has it, and the other nodes' head checks find it.
type announcer struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: there is something to take

	mu     sync.Mutex
	queue  []chat.Announcement // guarded by mu
	weight int64               // of the queue, in bytes, about; guarded by mu
	nonce  uint64              // of a probe to send, 0 = none; guarded by mu
	full   bool                // the last one did not fit; guarded by mu
	// settling are closed, or get an error, when what was enqueued before them
	// has been handed over or lost; guarded by mu.
	settling []chan error

	// Owned by run.

	peers bool // another node was there at the last batch
	lost  bool // other nodes must be told that announcements were lost
}

const (
	// maxBatchDeliveries bounds one pipeline, and so how long it takes.
	maxBatchDeliveries = 4096
	// bodyField holds an event's body in its stream entry, warmField nothing.
	bodyField = "b"
	warmField = "w"
)

// Why announcements were lost; the values of a metric.
const (
	lostQueueFull = "queue_full"
	lostStream    = "stream"   // an event did not get into a warm stream
	lostRegistry  = "registry" // nobody knows which nodes should hear it
	lostPublish   = "publish"
)

func (a *announcer) init(h *Hub) {
	a.hub = h
	a.signal = make(chan struct{}, 1)
}

// enqueue takes an announcement for Redis, or drops it when too much waits.
func (a *announcer) enqueue(x chat.Announcement) {
	weight := weightOf(x)
	a.mu.Lock()
	if len(x.Forgotten) > 0 {
		a.forget(x.Forgotten)
	}
	// What is to be forgotten and which sessions have ended is rare and small,
	// and must not be dropped.
	full := a.weight > 0 && a.weight+weight > a.hub.cfg.QueueMemory && len(x.Forgotten) == 0 && len(x.EndedSessions) == 0
	began := full && !a.full
	a.full = full
	if full {
		a.mu.Unlock()
		if began {
			a.hub.logger.Warn("too many announcements wait for Redis, more are dropped")
		}
		a.hub.metrics.lost.WithLabelValues(lostQueueFull).Add(float64(len(x.Deliveries)))
		return
	}
	a.queue = append(a.queue, x)
	a.weight += weight
	a.mu.Unlock()
	raise(a.signal)
}

// behind tells whether announcements wait for longer than a moment.
func (a *announcer) behind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.weight > a.hub.cfg.QueueMemory/16
}

// forget takes out of the queue what nobody is to believe any more; mu is held.
// The event that follows it in each inbox tells that it is there.
func (a *announcer) forget(forgotten []chat.Forgotten) {
	if len(a.queue) == 0 {
		return
	}
	before := make(map[chat.ID]int64, len(forgotten))
	for _, f := range forgotten {
		before[f.User] = f.Seq
	}
	for i := range a.queue {
		x := &a.queue[i]
		a.weight -= weightOf(*x)
		// A copy: the arrays are their announcers'.
		x.Deliveries = slices.DeleteFunc(slices.Clone(x.Deliveries), func(d chat.Delivery) bool { return d.Seq < before[d.User] })
		a.weight += weightOf(*x)
	}
}

func weightOf(x chat.Announcement) int64 {
	weight := int64(64*len(x.Deliveries) + 32*len(x.EndedSessions) + 32*len(x.Forgotten))
	for _, body := range x.Bodies {
		weight += int64(len(body))
	}
	return weight
}

// probe sends a probe the way of every announcement.
func (a *announcer) probe(nonce uint64) {
	a.mu.Lock()
	a.nonce = nonce
	a.mu.Unlock()
	raise(a.signal)
}

// batch is several announcements as one.
type batch struct {
	chat.Announcement

	nonce    uint64       // of a probe; 0 = none
	settling []chan error // who waits for this batch and all before
}

// settle tells who waits what became of the batch.
func (b *batch) settle(err error) {
	for _, waiting := range b.settling {
		waiting <- err // of capacity 1
	}
}

// take removes what waits, up to the bound of a batch.
func (a *announcer) take() (b batch, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b.nonce, a.nonce = a.nonce, 0
	n := 0
	for n < len(a.queue) && (n == 0 || len(b.Deliveries)+len(a.queue[n].Deliveries) <= maxBatchDeliveries) {
		x := a.queue[n]
		n++
		a.weight -= weightOf(x)
		if n == 1 {
			// Clipped, so that appending leaves the caller's arrays alone.
			b.Bodies = slices.Clip(x.Bodies)
			b.Deliveries = slices.Clip(x.Deliveries)
			b.EndedSessions = slices.Clip(x.EndedSessions)
			b.Forgotten = slices.Clip(x.Forgotten)
			continue
		}
		shift := len(b.Bodies)
		b.Bodies = append(b.Bodies, x.Bodies...)
		for _, d := range x.Deliveries {
			d.Event += shift
			b.Deliveries = append(b.Deliveries, d)
		}
		b.EndedSessions = append(b.EndedSessions, x.EndedSessions...)
		b.Forgotten = append(b.Forgotten, x.Forgotten...)
	}
	clear(a.queue[:n]) // what was handed over is not kept by what waits behind it
	if n == len(a.queue) {
		a.queue = nil
		b.settling, a.settling = a.settling, nil
	} else {
		a.queue = a.queue[n:]
	}
	return b, len(a.queue) > 0
}

// run hands batches over until ctx ends, then what is left, if that goes quickly.
func (a *announcer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*a.hub.cfg.RedisTimeout)
			defer cancel()
			a.drain(last)
			return
		case <-a.signal:
			if !a.drain(ctx) {
				// What comes meanwhile waits in the queue, as far as it fits.
				pause(ctx, a.hub.jitter(avoidance))
				raise(a.signal)
			}
		}
	}
}

// drain hands over batch after batch until nothing waits; false = Redis failed.
func (a *announcer) drain(ctx context.Context) bool {
	for {
		b, more := a.take()
		if b.Empty() && b.nonce == 0 && !a.lost {
			b.settle(nil)
			return true
		}
		began := time.Now()
		err := a.hand(ctx, b)
		b.settle(err)
		if err != nil {
			a.lost = true
			a.hub.redisFailed(ctx, "announcing", err)
			return false
		}
		a.hub.metrics.batches.Inc()
		a.hub.metrics.batchSeconds.Observe(time.Since(began).Seconds())
		if !more {
			return true
		}
	}
}
