package realtime

import (
	"context"
	"errors"
	"time"

	"longwire/chat"
)

// Start says where a session begins.
type Start uint8

// The starts.
const (
	AtCursor Start = iota // after Request.Cursor
	AtSaved               // after what the user's session acknowledged last
	AtBegin               // with the oldest event that is kept
	AtNow                 // after everything that is there
)

// Request asks for a session.
type Request struct {
	User    chat.ID
	Session chat.ID // of the user: its saved position is used, and its end ends this one
	Kind    Kind
	Start   Start
	Cursor  chat.Cursor // for AtCursor
	Limit   int         // of events in a batch; 0 or more than MaxBatchEvents = MaxBatchEvents
	// OnWake, when not nil, is called instead of waking Next: there may be
	// something, so call Try or TryWindow. It is called once until the next
	// try, from any goroutine, perhaps before Attach returns or from within a
	// try, so it must neither block, nor call back, nor take a lock that is
	// held while trying. With it an idle session costs no goroutine.
	OnWake func()
	// Activity is what this session says of its user; "" = it does not count.
	Activity chat.Activity
	// Current asks for a look at the database even where what is announced
	// surely arrives: whatever committed before Attach is then there for the
	// first try, on any node.
	Current bool
}

// fresh is how old a comparison with the database may be for an attach to do
// without its own, while what is announced surely arrives.
const fresh = 2 * time.Second

// Attach puts a reader on a user's inbox. The first try gives what comes after
// the start, or a reset when the inbox cannot continue from there; with OnWake
// the caller makes it without being woken. Codes: CodeTooManyStreams when the
// user has too many, CodeOverloaded when the node has, CodeUnavailable while the
// node is not running or the database does not answer, and what
// [Source.SessionByID] gives for AtSaved. The session must be closed.
func (h *Hub) Attach(ctx context.Context, req Request) (*Session, error) {
	s := &Session{id: req.Session, kind: req.Kind, activity: activityOf(req.Activity), limit: req.Limit, onWake: req.OnWake}
	if s.limit <= 0 || s.limit > MaxBatchEvents {
		s.limit = MaxBatchEvents
	}
	if s.onWake == nil {
		s.wakeup = make(chan struct{}, 1)
	}
	if err := h.join(s, req.User); err != nil {
		return nil, err
	}
	if err := h.place(ctx, s, req); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// join puts a session among the readers of its inbox, so that from here on it
// is woken by whatever is announced.
func (h *Hub) join(s *Session, user chat.ID) error {
	if h.sessions.Add(1) > int64(h.cfg.MaxStreams) {
		h.sessions.Add(-1)
		return &chat.Error{
			Code: chat.CodeOverloaded, Detail: "This node has as many readers as it can serve. Try again; another one may answer.",
			RetryAfter: h.jitter(5 * time.Second),
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	// Looked at under the lock: who stops or drains the hub looks for sessions
	// under it after changing the state, and so finds this one.
	if h.state.Load() != stateRunning {
		h.sessions.Add(-1)
		return &chat.Error{
			Code: chat.CodeUnavailable, Detail: "This node takes no new readers right now. Connect again; another one answers.",
			RetryAfter: h.jitter(2 * time.Second),
		}
	}
	b := h.inboxes[user]
	if b == nil {
		b = newInbox(h, h.era, user)
		h.inboxes[user] = b
	}
	s.inbox = b
	if err := b.join(s); err != nil {
		h.sessions.Add(-1)
		return err
	}
	h.metrics.open(s.kind).Inc()
	return nil
}

func (h *Hub) detach(s *Session) {
	s.inbox.leave(s)
	h.sessions.Add(-1)
	h.metrics.open(s.kind).Dec()
	if s.kind == Stream {
		h.registry.renew(s.inbox.user)
	}
}

func (h *Hub) tooMany(kind Kind) error {
	detail := "You have too many open streams. Close one, or share one between tabs."
	if kind == Poll {
		detail = "You have too many polls waiting. Wait for one of them, or share one between tabs."
	}
	return &chat.Error{Code: chat.CodeTooManyStreams, Detail: detail, RetryAfter: h.jitter(10 * time.Second)}
}

// place registers the session's inbox, then looks at the database, in this
// order: whoever commits after that look finds this node in the registry.
func (h *Hub) place(ctx context.Context, s *Session, req Request) error {
	b := s.inbox
	if s.kind == Stream || !b.isRegistered() {
		others, err := h.registry.register(ctx, b.user)
		if err != nil && ctx.Err() != nil {
			return chat.Unavailable(err)
		}
		// Without Redis the bound holds for this node alone, and the head
		// check delivers what other nodes cannot announce to us.
		if s.kind == Stream && others+b.openStreams() > h.cfg.MaxStreamsPerUser {
			return h.tooMany(Stream)
		}
	} else if differs, _ := b.untold(h.now()); differs {
		h.registry.renew(b.user)
	}
	if req.Current || req.Start == AtBegin || req.Start == AtNow || !b.live(h.now()-fresh) {
		before := b.mark()
		head, err := h.heads.load(ctx, b.user)
		if err != nil {
			return err
		}
		b.verify(head, before)
		if req.Start == AtBegin {
			s.seq.Store(head.Pruned)
		} else {
			s.seq.Store(head.Seq)
		}
	}
	switch req.Start {
	case AtSaved:
		seq, err := h.positions.saved(ctx, b, req.Session)
		if err != nil {
			return err
		}
		s.seq.Store(seq)
	case AtCursor:
		if req.Cursor.Epoch != b.era.epoch {
			s.reset = &Reset{Reason: ResetEpoch, Seq: b.mark().last}
			s.seq.Store(s.reset.Seq)
			return nil
		}
		s.seq.Store(req.Cursor.Seq)
	case AtBegin, AtNow: // placed above
	}
	return nil
}

// Drain makes the node ready to stop: it is not ready any more, takes no new
// sessions, ends polls at once and streams spread over the given time, so that
// their clients do not come back in one moment. It returns when all sessions
// are closed, or when ctx ends.
func (h *Hub) Drain(ctx context.Context, over time.Duration) error {
	if !h.state.CompareAndSwap(stateRunning, stateDraining) {
		return errors.New("realtime: not running")
	}
	var streams []*Session
	for _, b := range h.all(nil) {
		for _, s := range b.sessions() {
			if s.kind == Poll {
				s.end(EndShutdown)
			} else {
				streams = append(streams, s)
			}
		}
	}
	const steps = 100
	ticker := time.NewTicker(max(over/steps, 10*time.Millisecond))
	defer ticker.Stop()
	began, total := h.now(), len(streams)
	for {
		// What should have ended by now, of a straight line from now to over.
		share := 1.0
		if over > 0 {
			share = min(1, float64(h.now()-began)/float64(over))
		}
		for total-len(streams) < int(share*float64(total)) {
			if !streams[0].closed.Load() {
				streams[0].end(EndShutdown)
			}
			streams = streams[1:]
		}
		if h.sessions.Load() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
