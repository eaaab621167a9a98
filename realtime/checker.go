package realtime

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"longwire/chat"
)

// checker compares inboxes with the database, so that an announcement that was
// lost is noticed although nothing comes after it.
type checker struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: do it now

	buffer   []*inbox // reused; owned by run
	lastAged time.Duration
	// answered is when (as hub time) the database was last asked something
	// that it answered.
	answered atomic.Int64
	failed   bool // the last time that it was asked for the epoch; owned by run
}

// askedAtLeast is how often the database is asked for the epoch, at least: that
// it answers is half of being ready.
const askedAtLeast = 5 * time.Second

// silence is how long the database may be silent until the node is not ready.
const silence = askedAtLeast + 3*time.Second

// ready tells whether the database answers.
func (c *checker) ready() error {
	if c.hub.now()-time.Duration(c.answered.Load()) > silence {
		return errors.New("realtime: the database does not answer")
	}
	return nil
}

// quickCheck is how often inboxes are compared while announcements do not
// arrive: then this is how events are delivered.
const quickCheck = time.Second

// ageing is how long an event stays in memory for readers, at least; at most twice that.
const ageing = 30 * time.Second

func (c *checker) init(h *Hub) {
	c.hub = h
	c.signal = make(chan struct{}, 1)
}

// now asks for a check of whatever is not verified.
func (c *checker) now() { raise(c.signal) }

// run checks until ctx ends. A round looks at those only that were not compared
// for a while, which spreads them over the rounds by itself.
func (c *checker) run(ctx context.Context) {
	tick := min(quickCheck, max(c.hub.cfg.HeadCheck/5, 10*time.Millisecond))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var epochAt time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.signal:
		}
		now := c.hub.now()
		if now-epochAt >= min(c.hub.cfg.HeadCheck, askedAtLeast) || c.failed && now-epochAt >= quickCheck {
			epochAt = now
			c.checkEpoch(ctx)
		}
		due := now - c.hub.cfg.HeadCheck
		if !c.hub.link.healthy() {
			due = now - min(c.hub.cfg.HeadCheck, quickCheck)
		}
		c.buffer = c.hub.all(c.buffer[:0])
		c.check(ctx, c.buffer, due)
		c.hub.sweep(c.buffer, now-c.lastAged >= ageing)
		if now-c.lastAged >= ageing {
			c.lastAged = now
		}
		clear(c.buffer)
	}
}

func (c *checker) checkEpoch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.hub.cfg.SourceTimeout)
	defer cancel()
	asked := c.hub.now()
	epoch, err := c.hub.source.Epoch(ctx)
	if err != nil {
		if c.failed { // for the second time: no need to wait for the silence
			c.answered.Store(math.MinInt64 / 2)
		}
		c.failed = true
		c.hub.logger.WarnContext(ctx, "read of the epoch failed", "error", err)
		return
	}
	c.answered.Store(int64(asked))
	c.failed = false
	if epoch != c.hub.Epoch() {
		c.hub.logger.WarnContext(ctx, "the data has another past, beginning anew", "epoch", epoch)
		c.hub.startEra(epoch)
	}
}

// check compares those inboxes that were not compared since the given time.
func (c *checker) check(ctx context.Context, inboxes []*inbox, since time.Duration) {
	users := make([]chat.ID, 0, min(len(inboxes), maxHeads))
	batch := make([]*inbox, 0, cap(users))
	for i, b := range inboxes {
		if !b.verifiedSince(since + 1) {
			users, batch = append(users, b.user), append(batch, b)
		}
		if len(users) == maxHeads || i == len(inboxes)-1 && len(users) > 0 {
			if !c.compare(ctx, users, batch) {
				return // the next round tries again
			}
			users, batch = users[:0], batch[:0]
		}
	}
}

// compare asks the database about up to maxHeads inboxes and wakes the readers
// of those that are behind.
func (c *checker) compare(ctx context.Context, users []chat.ID, batch []*inbox) bool {
	asked := c.hub.now()
	marks := make([]mark, len(batch))
	for i, b := range batch {
		marks[i] = b.mark()
	}
	heads, err := c.hub.heads.ask(ctx, users)
	if err != nil {
		if ctx.Err() == nil {
			c.hub.logger.WarnContext(ctx, "comparison of inboxes with the database failed", "error", err, "inboxes", len(users))
		}
		return false
	}
	c.answered.Store(int64(asked))
	behind := 0
	for i, b := range batch {
		if b.verify(heads[b.user], marks[i]) {
			behind++
			c.hub.metrics.headsBehind.Inc()
			// Most likely the registry has lost the user, or this node.
			c.hub.registry.forget()
			c.hub.registry.renew(b.user)
		}
	}
	if behind > 0 {
		c.hub.logger.InfoContext(ctx, "inboxes were behind the database, announcements were lost", "inboxes", behind)
	}
	return true
}
