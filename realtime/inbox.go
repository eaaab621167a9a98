package realtime

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"longwire/chat"
)

// inbox is a user's log on this node, while the user has readers here and for
// a while after.
type inbox struct {
	log

	hub    *Hub
	era    *era
	user   chat.ID
	name   string // the user's id in keys
	prefix string // of cursors

	// There is one for each user with a reader: its size counts.

	streams uint32   // guarded by mu
	polls   uint16   // guarded by mu
	told    activity // what Redis was told of the readers; guarded by mu
	held    *hold    // nil = nobody is held; guarded by mu
	// passing is what passes by, nil while nothing does; set under mu.
	passing atomic.Pointer[passing]
	// left is when the last reader left; it means nothing while there are
	// readers. Guarded by mu.
	left time.Duration
}

func newInbox(h *Hub, e *era, user chat.ID) *inbox {
	b := &inbox{hub: h, era: e, user: user, name: user.String(), prefix: chat.CursorPrefix(e.epoch, user)}
	b.from, b.memory = b, &h.memory
	b.last, b.verified = unanchored, -1
	return b
}

// now implements backing.
func (b *inbox) now() time.Duration { return b.hub.now() }

// standing implements backing.
func (b *inbox) standing(ctx context.Context) (chat.InboxHead, error) {
	return b.hub.heads.load(ctx, b.user)
}

// hears implements backing.
func (b *inbox) hears(now time.Duration) bool { return b.hub.link.hears(now) }

// healed implements backing.
func (b *inbox) healed() { b.hub.metrics.holesHealed.Inc() }

// forgot implements backing: the user's stream is cut with the next registration.
func (b *inbox) forgot() {
	if b.hub.cfg.StreamLength > 0 {
		b.hub.registry.renew(b.user)
	}
}

// cached implements backing: it reads the user's stream.
func (b *inbox) cached(ctx context.Context, after int64, limit int) []chat.InboxEvent {
	if b.hub.cfg.StreamLength < 0 || !b.hub.link.connected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.hub.cfg.RedisTimeout)
	defer cancel()
	entries, err := b.hub.rdb.XRangeN(ctx, b.era.inboxKey(b.name), entryID(after+1), "+", int64(limit)).Result()
	if err != nil {
		b.hub.redisFailed(ctx, "read of a stream", err)
		return nil
	}
	events := make([]chat.InboxEvent, 0, len(entries))
	for _, entry := range entries {
		body, ok := entry.Values[bodyField].(string)
		if !ok {
			break
		}
		events = append(events, chat.InboxEvent{Seq: entrySeq(entry.ID), Body: chat.Body(body)})
	}
	events = contiguous(events, after)
	if len(events) > 0 {
		b.hub.metrics.fallbackStream.Inc()
	}
	return events
}

// stored implements backing: it reads the database.
func (b *inbox) stored(ctx context.Context, after int64, limit int) (chat.InboxPage, error) {
	ctx, cancel := context.WithTimeout(ctx, b.hub.cfg.SourceTimeout)
	defer cancel()
	select {
	case b.hub.reading <- struct{}{}:
		defer func() { <-b.hub.reading }()
	case <-ctx.Done():
		return chat.InboxPage{}, chat.Unavailable(ctx.Err())
	}
	b.hub.metrics.fallbackDatabase.Inc()
	page, err := b.hub.source.ReadInbox(ctx, b.user, after, limit)
	if err != nil {
		return chat.InboxPage{}, chat.Unavailable(err)
	}
	return page, nil
}

// join adds a session, unless the user has too many here already.
func (b *inbox) join(s *Session) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.kind == Stream && int(b.streams) >= b.hub.cfg.MaxStreamsPerUser:
		return b.hub.tooMany(s.kind)
	case s.kind == Poll && int(b.polls) >= min(b.hub.cfg.MaxPollsPerUser, math.MaxUint16):
		return b.hub.tooMany(s.kind)
	case s.kind == Stream:
		b.streams++
	default:
		b.polls++
	}
	b.arrive(s)
	b.release(s)
	b.readers = append(slices.Clone(b.readers), s)
	return nil
}

// leave takes a session off again.
func (b *inbox) leave(s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.readers, s)
	if i < 0 {
		return
	}
	b.depart(s)
	b.holdFor(s)
	b.readers = slices.Delete(slices.Clone(b.readers), i, i+1)
	if s.kind == Stream {
		b.streams--
	} else {
		b.polls--
	}
	if len(b.readers) == 0 {
		b.readers = nil
		b.left = b.now()
	}
}

// sessions returns the readers there are; they may leave at any time.
func (b *inbox) sessions() []*Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readers
}

// idleSince tells whether there has been no reader since the given time.
func (b *inbox) idleSince(at time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers) == 0 && b.left <= at
}

// openStreams is how many streams the user has on this node.
func (b *inbox) openStreams() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.streams)
}

// noteRegistered notes that other nodes find this node from the given time on,
// and until when. After a time in which they may not have found it, the log
// must be compared with the database once more. What was decided to be written
// before all registrations were lost may be lost with them.
func (b *inbox) noteRegistered(decided, from, until time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if decided < time.Duration(b.hub.registry.lostAt.Load()) {
		return
	}
	if b.registered < from {
		b.distrusted = b.now()
	}
	b.registered = max(b.registered, until)
}

// unregister notes that other nodes may not find this node any more.
func (b *inbox) unregister() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.registered = 0
}

// discard empties the inbox for good, also of what passes by.
func (b *inbox) discard() {
	b.log.discard()
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.passing.Swap(nil); p != nil {
		b.hub.passed.Add(int64(-len(p.events)))
	}
}

// live tells whether what is announced anywhere surely reaches this log, and
// has since it was last compared with the database, which was not before the
// given time.
func (b *inbox) live(since time.Duration) bool {
	return b.hub.link.healthy() && b.isRegistered() && b.verifiedSince(since)
}

func (b *inbox) isRegistered() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.registered > b.hub.now()
}
