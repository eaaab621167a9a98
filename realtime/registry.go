package realtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// registry keeps what Redis knows of this node's users: that the node has them,
// how many streams they have open here, and their warm streams. One goroutine
// writes all of it, from what is true when it writes, so that what Redis has
// last is what was true last.
type registry struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: something is due

	mu  sync.Mutex
	due map[chat.ID]*enrolment // a nil value: nobody waits for it; guarded by mu

	present time.Duration // until when this node's presence is known; owned by run
	absent  bool          // forget was called; guarded by mu
}

// enrolment is one writing of one user that somebody waits for.
type enrolment struct {
	done   chan struct{} // closed when the rest is set
	others int           // streams of the user on other nodes
	err    error
}

const (
	// registered is how long a registration is good, renewal how often it is
	// renewed; nodesLife is how long Redis keeps it.
	registered = 60 * time.Second
	renewal    = 20 * time.Second
	nodesLife  = registered + 2*clockSkew
	// maxEnrolments bounds one pipeline.
	maxEnrolments = 500
)

func (r *registry) init(h *Hub) {
	r.hub = h
	r.signal = make(chan struct{}, 1)
	r.due = map[chat.ID]*enrolment{}
}

// register brings a user's registration up to date and returns how many streams
// the user has on other nodes. An error means that Redis did not answer.
func (r *registry) register(ctx context.Context, user chat.ID) (others int, err error) {
	if !r.hub.link.connected() {
		r.renew(user)
		return 0, errNotConnected
	}
	r.mu.Lock()
	e := r.due[user]
	if e == nil {
		e = &enrolment{done: make(chan struct{})}
		r.due[user] = e
	}
	r.mu.Unlock()
	raise(r.signal)
	timer := time.NewTimer(2 * r.hub.cfg.RedisTimeout)
	defer timer.Stop()
	select {
	case <-e.done:
		return e.others, e.err
	case <-timer.C:
		return 0, errNotConnected
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

var errNotConnected = errors.New("realtime: redis does not answer")

// renew brings users' registrations up to date soon: also after they have left.
func (r *registry) renew(users ...chat.ID) {
	r.mu.Lock()
	for _, user := range users {
		if r.due[user] == nil {
			r.due[user] = nil
		}
	}
	r.mu.Unlock()
	raise(r.signal)
}

func (r *registry) renewAll(inboxes []*inbox) {
	users := make([]chat.ID, len(inboxes))
	for i, b := range inboxes {
		users[i] = b.user
	}
	r.renew(users...)
}

// forget makes the node's presence unknown: it is written anew with whatever
// is written next.
func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absent = true
}

// run writes what is due until ctx ends; then this node has nobody any more.
func (r *registry) run(ctx context.Context) {
	ticker := time.NewTicker(renewal)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*r.hub.cfg.RedisTimeout)
			defer cancel()
			r.signOff(last)
			return
		case <-ticker.C:
			r.renewAll(r.hub.all(nil))
		case <-r.signal:
		}
		if !r.writeDue(ctx) {
			pause(ctx, r.hub.jitter(avoidance))
			raise(r.signal)
		}
	}
}

func (r *registry) takeDue() map[chat.ID]*enrolment {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.due
	r.due = map[chat.ID]*enrolment{}
	if r.absent {
		r.absent, r.present = false, 0
	}
	return due
}

// writeDue writes all that is due. What could not be written is due again;
// false means that this is so.
func (r *registry) writeDue(ctx context.Context) bool {
	due := r.takeDue()
	e := r.hub.currentEra()
	err := r.showPresence(ctx, e)
	for users := range slices.Chunk(slices.Collect(maps.Keys(due)), maxEnrolments) {
		if err == nil {
			err = r.write(ctx, e, users, due)
		}
		for _, user := range users {
			waiter := due[user]
			if waiter != nil {
				if err != nil {
					waiter.err = err
				}
				close(waiter.done)
			}
			if err != nil && r.hub.lookup(user) != nil {
				r.renew(user)
			}
		}
	}
	if err != nil {
		r.hub.redisFailed(ctx, "registering users", err)
	}
	return err == nil
}

// showPresence tells the other nodes that this one is running. It must be known
// before the first user is registered: see announcer.store.
func (r *registry) showPresence(ctx context.Context, e *era) error {
	h := r.hub
	now := h.now()
	if r.present-now > registered-renewal/2 {
		return nil
	}
	pipe := h.rdb.Pipeline()
	expires := h.cfg.Wall().Add(registered).UnixMilli()
	set := pipe.HSet(ctx, e.presenceKey(), h.cfg.Node, strconv.FormatInt(expires, 10))
	pipe.Expire(ctx, e.presenceKey(), nodesLife)
	all := pipe.HGetAll(ctx, e.presenceKey())
	if err := errors.Join(h.exec(ctx, pipe), set.Err()); err != nil {
		return err
	}
	r.present = now + registered
	// Nodes that stopped without a word are swept out by the others.
	for node, value := range all.Val() {
		expires, err := strconv.ParseInt(value, 10, 64)
		if err != nil || h.cfg.Wall().Sub(time.UnixMilli(expires)) > 5*clockSkew {
			h.rdb.HDel(ctx, e.presenceKey(), node)
		}
	}
	return nil
}

// write is one pipeline of registrations.
func (r *registry) write(ctx context.Context, e *era, users []chat.ID, due map[chat.ID]*enrolment) error {
	h := r.hub
	began := h.now()
	expires := h.cfg.Wall().Add(registered).UnixMilli()
	pipe := h.rdb.Pipeline()
	inboxes := make([]*inbox, len(users))
	sets := make([]*redis.IntCmd, len(users))
	warms := make([]*redis.StringCmd, len(users))
	nodes := make([]*redis.StringSliceCmd, len(users))
	for i, user := range users {
		name := user.String()
		b := h.lookup(user)
		if b == nil || b.era != e {
			sets[i] = pipe.HDel(ctx, e.nodesKey(name), h.cfg.Node)
			continue
		}
		inboxes[i] = b
		mine := registration{expires: expires, streams: b.openStreams(), node: h.cfg.Node}
		sets[i] = pipe.HSet(ctx, e.nodesKey(name), h.cfg.Node, mine.String())
		pipe.Expire(ctx, e.nodesKey(name), nodesLife)
		if h.cfg.StreamLength > 0 {
			warms[i] = pipe.XAdd(ctx, &redis.XAddArgs{Stream: e.inboxKey(name), ID: warmID, Values: []any{warmField, "1"}})
			pipe.Expire(ctx, e.inboxKey(name), h.cfg.CacheLife)
		}
		if due[user] != nil {
			nodes[i] = pipe.HVals(ctx, e.nodesKey(name))
		}
	}
	err := h.exec(ctx, pipe)
	for i := range users {
		if sets[i].Err() != nil {
			err = errors.Join(err, sets[i].Err())
			break
		}
		if inboxes[i] == nil {
			continue
		}
		if warms[i] != nil && warms[i].Err() != nil && !isStale(warms[i].Err()) {
			h.logger.WarnContext(ctx, "warming a stream failed", "error", warms[i].Err())
		}
		inboxes[i].noteRegistered(began, began+registered)
		if nodes[i] != nil {
			due[users[i]].others = h.streamsElsewhere(nodes[i].Val())
		}
	}
	return err
}

// streamsElsewhere counts a user's streams on nodes that still renew them.
func (h *Hub) streamsElsewhere(values []string) int {
	now, n := h.cfg.Wall().UnixMilli(), 0
	for _, value := range values {
		if r, ok := parseRegistration(value); ok && r.node != h.cfg.Node && r.expires > now {
			n += r.streams
		}
	}
	return n
}

// signOff takes this node out of the registry, so that streams opened elsewhere
// are not counted together with those that just ended here.
func (r *registry) signOff(ctx context.Context) {
	h := r.hub
	e := h.currentEra()
	if !h.link.wasUp.Load() {
		return
	}
	inboxes := h.all(nil)
	for part := range slices.Chunk(inboxes, maxEnrolments) {
		pipe := h.rdb.Pipeline()
		for _, b := range part {
			pipe.HDel(ctx, e.nodesKey(b.name), h.cfg.Node)
		}
		if err := h.exec(ctx, pipe); err != nil {
			h.redisFailed(ctx, "signing off", err)
			return
		}
	}
	if err := h.rdb.HDel(ctx, e.presenceKey(), h.cfg.Node).Err(); err != nil {
		h.redisFailed(ctx, "signing off", err)
	}
}
