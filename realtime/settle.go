package realtime

import (
	"context"
	"time"

	"longwire/chat"
)

var _ chat.Settler = (*Hub)(nil)

// Settle implements [chat.Settler]: it returns when what was announced before
// has been handed to Redis for the other nodes. When Redis does not take it,
// it returns when those who do not hear from Redis either do not believe in
// what they remember any more.
func (h *Hub) Settle(ctx context.Context) {
	handed := h.announcer.settled()
	timer := time.NewTimer(h.link.lease())
	defer timer.Stop()
	for {
		select {
		case err := <-handed:
			if err == nil {
				return
			}
			handed = nil // the rest of the lease
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// settled returns what tells when all that is enqueued has been handed over, or
// why not.
func (a *announcer) settled() <-chan error {
	handed := make(chan error, 1)
	a.mu.Lock()
	a.settling = append(a.settling, handed)
	a.mu.Unlock()
	raise(a.signal)
	return handed
}
