package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"longwire/chat"
)

// Kind tells what holds a session.
type Kind uint8

// The kinds of session. Polls do not count as streams of their user.
const (
	Stream Kind = iota
	Poll
)

// ResetReason says why an inbox cannot continue from where its reader was.
type ResetReason string

// The reasons of a reset; part of the API.
const (
	ResetTooOld        ResetReason = "too_old"        // events after the position have been pruned
	ResetUnknownFuture ResetReason = "unknown_future" // the position is past the end of the inbox
	ResetEpoch         ResetReason = "epoch"          // the cursor is from another past of the data
)

// Reset tells a reader to fetch its state anew and to go on after Seq.
type Reset struct {
	Reason ResetReason
	Seq    int64
}

// EndReason says why a session has ended; part of the API, as the reason of a
// stream's last event.
type EndReason string

// The reasons that this package gives.
const (
	EndShutdown EndReason = "shutdown" // the node stops, or starts over on other data
	EndRevoked  EndReason = "revoked"  // the user's session has ended
)

// Batch is what a session has for its reader: events, or a reset, or the end;
// nothing when the reader is caught up.
type Batch struct {
	// Events follow each other without a hole, from the session's position on.
	// They are shared with other readers: do not change them.
	Events []chat.InboxEvent
	More   bool // more than Events is known to be there
	// Ephemeral are the bodies of events that are kept nowhere. They come only
	// when there is nothing else.
	Ephemeral []chat.Body
	Reset     *Reset    // not nil: no Events; the session goes on after Reset.Seq
	End       EndReason // not "": no Events, and there will be none
}

// Empty tells whether there is nothing for the reader.
func (b Batch) Empty() bool {
	return len(b.Events) == 0 && len(b.Ephemeral) == 0 && b.Reset == nil && b.End == ""
}

// MaxBatchEvents and maxBatchBytes bound a batch; one event always fits.
const (
	MaxBatchEvents = 500
	maxBatchBytes  = 256 << 10
)

// Session is one reader's position in an inbox, see [Hub.Attach]. Next, Try and
// TryWindow belong to one goroutine at a time; the other methods are safe at
// any time. Close must be called.
type Session struct {
	inbox    *inbox
	id       chat.ID // of the user's session
	kind     Kind
	activity activity      // what it says of its user; guarded by the inbox's mu
	limit    int           // of events in a batch
	wakeup   chan struct{} // of capacity 1: there may be something; nil when onWake is set
	onWake   func()
	reset    *Reset // comes before anything else; owned by the reader

	seq    atomic.Int64 // of the last event given out
	dirty  atomic.Bool  // onWake was called since the last try
	ending atomic.Pointer[EndReason]
	closed atomic.Bool
	passed uint64 // the stamp of the last ephemeral event given out; guarded by the inbox's mu
}

// Seq is the position: the seq of the last event given out.
func (s *Session) Seq() int64 { return s.seq.Load() }

// CursorPrefix is what all cursors of this reader begin with, see [chat.AppendCursor].
func (s *Session) CursorPrefix() string { return s.inbox.prefix }

// Cursor is the position as the client sees it.
func (s *Session) Cursor() string {
	return string(chat.AppendCursor(nil, s.inbox.prefix, s.Seq()))
}

// Close takes the session off the hub. It may be called more than once.
func (s *Session) Close() {
	if s.closed.CompareAndSwap(false, true) {
		s.inbox.hub.detach(s)
	}
}

// Next waits until there is something and returns it. The error is the
// context's: while the database does not answer, Next goes on waiting. It is
// for sessions without OnWake.
func (s *Session) Next(ctx context.Context) (Batch, error) {
	for {
		batch, err := s.Try(ctx)
		if err == nil && !batch.Empty() {
			return batch, nil
		}
		// After a failed read the head check wakes us for another try.
		select {
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		case <-s.wakeup:
		}
	}
}

// Try returns what there is, reading it where the recent events in memory do
// not reach, without waiting for more. The error is CodeUnavailable when the
// database does not answer; the position has not moved, and the session is
// woken when it is worth another try.
func (s *Session) Try(ctx context.Context) (Batch, error) {
	s.dirty.Store(false)
	asOf := s.inbox.now()
	for range maxReads {
		batch, known := s.fromWindow(asOf)
		if known {
			return batch, nil
		}
		batch, err := s.read(ctx, asOf)
		if err != nil {
			if !errors.Is(ctx.Err(), context.Canceled) { // who has run out of time comes back
				s.inbox.stall()
			}
			return Batch{}, err
		}
		if !batch.Empty() {
			return batch, nil
		}
	}
	// Others move the log faster than we can tell where we are in it.
	s.wake()
	return Batch{}, nil
}

// maxReads bounds how often one try looks again after somebody else moved the log.
const maxReads = 8

// TryWindow is Try without reading: what memory has. The second result is false
// when only Try can tell what there is. It never blocks.
func (s *Session) TryWindow() (Batch, bool) {
	s.dirty.Store(false)
	return s.fromWindow(never)
}

// never is later than any comparison with the database.
const never = time.Duration(math.MaxInt64)

// fromWindow returns what is known without reading, and whether anything is
// known. What the window has may be given out when the log was compared with the
// database at or after asOf, or need not be.
func (s *Session) fromWindow(asOf time.Duration) (Batch, bool) {
	if reason := s.ending.Load(); reason != nil {
		return Batch{End: *reason}, true
	}
	if s.reset != nil {
		reset := s.reset
		s.reset = nil
		return s.resetTo(reset), true
	}
	events, more, found := s.inbox.take(s.Seq(), s.limit, asOf)
	switch found {
	case foundEvents:
		return s.give(events, more), true
	case foundEnd:
		return Batch{Ephemeral: s.passingBy()}, true
	default:
		return Batch{}, false
	}
}

// read gets what the window does not have. An empty batch means: look again.
func (s *Session) read(ctx context.Context, asOf time.Duration) (Batch, error) {
	pos := s.Seq()
	if s.inbox.mustFill(pos) {
		return Batch{}, s.inbox.fill(ctx)
	}
	if s.inbox.doubts(pos, asOf) {
		return Batch{}, s.inbox.compare(ctx)
	}
	run, err := s.inbox.readFrom(ctx, pos, s.limit)
	if err != nil {
		return Batch{}, err
	}
	switch {
	case len(run.events) > 0:
		events := bounded(run.events, s.limit)
		return s.give(events, s.inbox.beyond(events[len(events)-1].Seq)), nil
	case run.head.Pruned > pos, run.hole:
		return s.resetTo(&Reset{Reason: ResetTooOld, Seq: run.head.Seq}), nil
	case run.head.Seq < pos:
		return s.resetTo(&Reset{Reason: ResetUnknownFuture, Seq: run.head.Seq}), nil
	default:
		return Batch{}, nil
	}
}

func (s *Session) resetTo(reset *Reset) Batch {
	s.inbox.hub.metrics.resets.WithLabelValues(string(reset.Reason)).Inc()
	s.seq.Store(reset.Seq)
	return Batch{Reset: reset}
}

// give moves the position over events. The event that ends our own session is
// the last one given: should the word of it have been lost on its way to this
// node, it is heard here.
func (s *Session) give(events []chat.InboxEvent, more bool) Batch {
	for i := range events {
		if bytes.HasPrefix(events[i].Body, revokedPrefix) && revokedSession(events[i].Body) == s.id {
			events, more = events[:i+1], false
			s.inbox.hub.endSession(chat.SessionRef{User: s.inbox.user, Session: s.id})
			break
		}
	}
	s.seq.Store(events[len(events)-1].Seq)
	return Batch{Events: events, More: more}
}

// wake tells the reader that there may be something. It never blocks.
func (s *Session) wake() {
	if s.onWake == nil {
		select {
		case s.wakeup <- struct{}{}:
		default:
		}
		return
	}
	if s.dirty.CompareAndSwap(false, true) {
		s.onWake()
	}
}

// end makes the session's next batch its last. The first reason stays.
func (s *Session) end(reason EndReason) {
	if s.ending.CompareAndSwap(nil, &reason) {
		s.inbox.hub.metrics.sessionsEnded.WithLabelValues(string(reason)).Inc()
		s.wake()
	}
}

var revokedPrefix = []byte(`"type":"` + chat.SessionRevoked + `",`)

// revokedSession returns the session that a body of [chat.SessionRevoked]
// names, 0 when it names none.
func revokedSession(body chat.Body) chat.ID {
	var event struct {
		Data chat.SessionRevokedData `json:"data"`
	}
	if err := json.Unmarshal(append([]byte{'{'}, body...), &event); err != nil {
		return 0
	}
	return event.Data.SessionID
}
