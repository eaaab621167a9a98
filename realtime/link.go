package realtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// link is this node's subscription: the loop that receives, and the probe that
// finds out whether what is announced still arrives. The library's channel is
// not used, because it drops messages in silence when its reader is late.
type link struct {
	hub *Hub

	up     atomic.Bool // subscribed, as far as we were told
	wasUp  atomic.Bool // at least once
	proven atomic.Bool // and a probe has come back since, none is overdue
	// heard is when (as hub time) the last probe that came back was sent: all
	// that was announced to this node until then has reached it.
	heard atomic.Int64
	// avoided is until when (as hub time) a command that failed keeps others
	// from asking Redis: they would wait for the same time-out.
	avoided atomic.Int64

	mu      sync.Mutex
	pubsub  *redis.PubSub // the present subscription, nil while there is none; guarded by mu
	reason  string        // why renew closed it; guarded by mu
	nonce   uint64        // of the probe that is under way, 0 = none; guarded by mu
	sent    time.Duration // when it was sent; guarded by mu
	counter uint64        // guarded by mu

	probeNow chan struct{} // of capacity 1
}

// avoidance is how long Redis is left alone after it did not answer.
const avoidance = 500 * time.Millisecond

// subscribeTimeout bounds how long the confirmation of a subscription may take.
const subscribeTimeout = 2 * time.Second

func (l *link) init(h *Hub) {
	l.hub = h
	l.probeNow = make(chan struct{}, 1)
}

// connected tells whether Redis is worth asking.
func (l *link) connected() bool {
	return l.up.Load() && int64(l.hub.now()) >= l.avoided.Load()
}

// avoid notes that Redis did not answer.
func (l *link) avoid() {
	l.avoided.Store(int64(l.hub.now() + avoidance))
}

// healthy tells whether announcements arrive, as far as anybody can know.
func (l *link) healthy() bool { return l.up.Load() && l.proven.Load() }

// hears tells whether all that was announced to this node has reached it, but
// for what was announced within the lease. A node that was paused, or whose
// Redis hangs, knows by that alone that it may have missed something.
func (l *link) hears(now time.Duration) bool {
	return l.healthy() && now-time.Duration(l.heard.Load()) <= l.lease()
}

// leaseSlack is how much later than usual a probe may come back before what the
// node remembers must be compared with the database.
const leaseSlack = time.Second

func (l *link) lease() time.Duration { return l.hub.cfg.ProbeInterval + leaseSlack }

func (l *link) ready() error {
	switch {
	case !l.up.Load():
		return errors.New("realtime: not subscribed to Redis")
	case !l.proven.Load():
		return errors.New("realtime: no probe came back through Redis")
	default:
		return nil
	}
}

// redisFailed logs that Redis did not answer and keeps others from waiting for
// it; a caller that left is no failure.
func (h *Hub) redisFailed(ctx context.Context, what string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	h.link.avoid()
	h.lookForMasters(ctx)
	h.logger.WarnContext(ctx, "redis failed", "while", what, "error", err)
}

// lookForMasters has the client of a cluster ask who has which keys now. By itself
// it does so once a minute, and until then it dials a master that is gone.
func (h *Hub) lookForMasters(ctx context.Context) {
	if cluster, ok := h.rdb.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// renew drops the subscription's connection; the receive loop makes a new one.
func (l *link) renew(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven.Store(false)
	l.reason = reason
	if l.pubsub != nil {
		_ = l.pubsub.Close() // receive sees the error
	}
}

// receive keeps a subscription and handles what arrives, until ctx ends.
func (l *link) receive(ctx context.Context) {
	const shortest, longest = 50 * time.Millisecond, 2 * time.Second
	wait := shortest
	for ctx.Err() == nil {
		worked, err := l.subscription(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			wait = shortest
		}
		l.hub.metrics.reconnects.Inc()
		l.hub.lookForMasters(ctx)
		l.hub.logger.WarnContext(ctx, "subscription to Redis interrupted", "error", err, "retry_in", wait)
		pause(ctx, l.hub.jitter(wait))
		wait = min(2*wait, longest)
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// subscription subscribes once and handles what arrives until that fails. It
// tells whether the subscription was confirmed.
func (l *link) subscription(ctx context.Context) (worked bool, err error) {
	h := l.hub
	e := h.currentEra()
	pubsub := h.rdb.Subscribe(ctx)
	l.mu.Lock()
	l.pubsub, l.reason = pubsub, ""
	l.mu.Unlock()
	// Receiving does not end with a context, only with its connection.
	stop := context.AfterFunc(ctx, func() { _ = pubsub.Close() })
	defer func() {
		stop()
		_ = pubsub.Close() // a second time is harmless
		l.up.Store(false)
		l.proven.Store(false)
		l.mu.Lock()
		l.pubsub = nil
		if l.reason != "" {
			err = fmt.Errorf("renewed: %s: %w", l.reason, err)
		}
		l.mu.Unlock()
	}()

	if err := l.confirm(ctx, pubsub, e.nodeChannel(h.cfg.Node), e.everyChannel()); err != nil {
		return false, err
	}
	if h.currentEra() != e {
		return true, errors.New("the epoch changed")
	}
	l.connect()
	for {
		message, err := pubsub.Receive(ctx)
		if err != nil {
			return true, fmt.Errorf("receive: %w", err)
		}
		switch message := message.(type) {
		case *redis.Message:
			if h.currentEra() == e {
				l.handle(ctx, message.Payload)
			}
		case *redis.Subscription:
			// The library subscribed anew: it had another connection, and
			// what was published in between is lost.
			l.connect()
		}
	}
}

func (l *link) confirm(ctx context.Context, pubsub *redis.PubSub, channels ...string) error {
	if err := pubsub.Subscribe(ctx, channels...); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for range channels {
		message, err := pubsub.ReceiveTimeout(ctx, subscribeTimeout)
		if err != nil {
			return fmt.Errorf("confirm the subscription: %w", err)
		}
		if _, ok := message.(*redis.Subscription); !ok {
			return fmt.Errorf("confirm the subscription: got %T", message)
		}
	}
	return nil
}

// connect begins anew after an interruption: nobody knows what was missed.
func (l *link) connect() {
	h := l.hub
	l.proven.Store(false)
	l.mu.Lock()
	l.nonce = 0 // a probe from before the interruption never comes
	l.mu.Unlock()
	h.unregistered() // it may be another Redis, or one that has lost what it had
	l.up.Store(true)
	l.wasUp.Store(true)
	select {
	case l.probeNow <- struct{}{}:
	default:
	}
}

// handle takes one frame. It must not wait for anything: while it does, Redis
// holds back what arrives, and disconnects us when that is too much.
func (l *link) handle(ctx context.Context, payload string) {
	f, err := decodeFrame(payload)
	if err != nil {
		l.hub.logger.WarnContext(ctx, "frame ignored", "error", err, "bytes", len(payload))
		return
	}
	switch f.kind {
	case frameEvents:
		l.hub.deliver(f.bodies, f.deliveries)
	case frameEnded:
		for _, ref := range f.ended {
			l.hub.endSession(ref)
		}
	case frameForgotten:
		l.hub.forget(f.forgotten)
	case frameProbe:
		l.probeReturned(f.nonce)
	case frameEphemeral:
		for _, event := range f.ephemerals {
			l.hub.pass(event)
		}
		for _, s := range f.activities {
			l.hub.setActivity(s.ref, s.activity)
		}
	case frameLost:
		l.hub.distrustAll()
	}
}

// probe sends probes and renews the subscription when one does not come back,
// until ctx ends.
func (l *link) probe(ctx context.Context) {
	ticker := time.NewTicker(l.hub.cfg.ProbeInterval)
	defer ticker.Stop()
	for {
		if l.up.Load() {
			l.sendOrJudge()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.probeNow:
		}
	}
}

// sendOrJudge sends a probe, unless one is under way: then it looks whether
// that one is overdue.
func (l *link) sendOrJudge() {
	h := l.hub
	l.mu.Lock()
	if l.nonce != 0 {
		overdue := h.now()-l.sent > h.cfg.ProbeTimeout
		if overdue {
			l.nonce = 0
		}
		l.mu.Unlock()
		if overdue {
			h.metrics.probesLost.Inc()
			l.renew("a probe did not come back")
		}
		return
	}
	l.counter++
	l.nonce, l.sent = l.counter, h.now()
	nonce := l.nonce
	l.mu.Unlock()
	h.announcer.probe(nonce)
}

func (l *link) probeReturned(nonce uint64) {
	l.mu.Lock()
	if nonce != l.nonce {
		l.mu.Unlock()
		return
	}
	l.nonce = 0
	sent, good := l.sent, l.pubsub != nil && l.reason == ""
	l.mu.Unlock()
	h := l.hub
	h.metrics.probeSeconds.Observe((h.now() - sent).Seconds())
	if !good {
		return
	}
	if sent-time.Duration(l.heard.Load()) > l.lease() {
		// Meanwhile others may have given up telling us something.
		h.distrustAll()
	}
	l.heard.Store(int64(sent))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pubsub != nil && l.reason == "" {
		l.proven.Store(true)
	}
}
