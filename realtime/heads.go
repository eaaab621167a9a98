package realtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"longwire/chat"
)

// maxHeads is how many inboxes one query asks about.
const maxHeads = 1000

// headLoader asks the database where inboxes stand, for everybody who waited
// while it asked the last time: when thousands of clients come back at once,
// that is a few queries.
type headLoader struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: there are calls

	mu    sync.Mutex
	calls map[chat.ID]*headCall // nil once nobody answers; guarded by mu
}

type headCall struct {
	done chan struct{} // closed when the rest is set
	head chat.InboxHead
	err  error
}

func (l *headLoader) init(h *Hub) {
	l.hub = h
	l.signal = make(chan struct{}, 1)
	l.calls = map[chat.ID]*headCall{}
}

// load returns where an inbox stands, as of a moment after the call.
func (l *headLoader) load(ctx context.Context, user chat.ID) (chat.InboxHead, error) {
	ctx, cancel := context.WithTimeout(ctx, l.hub.cfg.SourceTimeout)
	defer cancel()
	l.mu.Lock()
	if l.calls == nil {
		l.mu.Unlock()
		return chat.InboxHead{}, chat.Unavailable(errStopped)
	}
	call := l.calls[user]
	if call == nil {
		call = &headCall{done: make(chan struct{})}
		l.calls[user] = call
	}
	l.mu.Unlock()
	raise(l.signal)
	select {
	case <-call.done:
		return call.head, call.err
	case <-ctx.Done():
		return chat.InboxHead{}, chat.Unavailable(ctx.Err())
	}
}

var errStopped = errors.New("realtime: stopped")

// raise notes in a channel of capacity 1 that there is something to do.
func raise(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// run answers calls until ctx ends.
func (l *headLoader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			for _, call := range l.takeCalls(nil) {
				call.err = chat.Unavailable(errStopped)
				close(call.done)
			}
			return
		case <-l.signal:
		}
		calls := l.takeCalls(map[chat.ID]*headCall{})
		for users := range slices.Chunk(slices.Collect(maps.Keys(calls)), maxHeads) {
			heads, err := l.ask(ctx, users)
			for _, user := range users {
				call := calls[user]
				call.head, call.err = heads[user], err
				close(call.done)
			}
		}
	}
}

// takeCalls returns the calls that wait and puts others in their place.
func (l *headLoader) takeCalls(next map[chat.ID]*headCall) map[chat.ID]*headCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := l.calls
	l.calls = next
	return calls
}

func (l *headLoader) ask(ctx context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error) {
	ctx, cancel := context.WithTimeout(ctx, l.hub.cfg.SourceTimeout)
	defer cancel()
	heads, err := l.hub.source.InboxHeads(ctx, users)
	if err != nil {
		return nil, chat.Unavailable(err)
	}
	return heads, nil
}
