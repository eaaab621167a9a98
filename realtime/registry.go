package realtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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

	shown  atomic.Bool  // Redis had this node's presence, and must have it still
	lostAt atomic.Int64 // when (as hub time) all may have been lost: registrations from before are worth nothing
}

// enrolment is one writing of one user that somebody waits for.
type enrolment struct {
	done   chan struct{} // closed when the rest is set
	others int           // streams of the user on other nodes
	err    error
}

const (
	// maxEnrolments bounds one pipeline.
	maxEnrolments = 500
)

// renewal is how often a registration is renewed.
func (r *registry) renewal() time.Duration { return r.hub.cfg.Registration / 3 }

// nodesLife is how long Redis keeps registrations.
func (r *registry) nodesLife() time.Duration {
	return max(r.hub.cfg.Registration, r.hub.cfg.PresenceGrace) + 2*clockSkew
}

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
	r.shown.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absent = true
}

// run writes what is due until ctx ends; then this node has nobody any more.
func (r *registry) run(ctx context.Context) {
	ticker := time.NewTicker(r.renewal())
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
	decided := r.hub.now()
	due := r.takeDue()
	e := r.hub.currentEra()
	err := r.showPresence(ctx, e)
	for users := range slices.Chunk(slices.Collect(maps.Keys(due)), maxEnrolments) {
		if err == nil {
			err = r.write(ctx, e, decided, users, due)
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
	if r.present-now > h.cfg.Registration-r.renewal()/2 {
		return nil
	}
	pipe := h.rdb.Pipeline()
	expires := h.cfg.Wall().Add(h.cfg.Registration).UnixMilli()
	set := pipe.HSet(ctx, e.presenceKey(), h.cfg.Node, strconv.FormatInt(expires, 10))
	pipe.Expire(ctx, e.presenceKey(), r.nodesLife())
	all := pipe.HGetAll(ctx, e.presenceKey())
	if err := errors.Join(h.exec(ctx, pipe), set.Err()); err != nil {
		return err
	}
	r.present = now + h.cfg.Registration
	r.shown.Store(true)
	h.hasPeers(all.Val())
	// Nodes that stopped without a word are swept out by the others.
	for node, value := range all.Val() {
		expires, err := strconv.ParseInt(value, 10, 64)
		if err != nil || h.cfg.Wall().Sub(time.UnixMilli(expires)) > sweptAfter {
			h.rdb.HDel(ctx, e.presenceKey(), node)
		}
	}
	return nil
}

// enrolling is one user in a pipeline of registrations.
type enrolling struct {
	inbox *inbox // nil: the user has left
	set   *redis.IntCmd
	warm  *redis.StringCmd      // nil where nothing is warmed
	nodes *redis.StringSliceCmd // nil where nobody asks

	is, was activity // what Redis is told, and was
}

// write is one pipeline of registrations.
func (r *registry) write(ctx context.Context, e *era, decided time.Duration, users []chat.ID, due map[chat.ID]*enrolment) error {
	h := r.hub
	began := h.now()
	expires := h.cfg.Wall().Add(h.cfg.Registration).UnixMilli()
	pipe := h.rdb.Pipeline()
	all := make([]enrolling, len(users))
	var connected []redis.Z
	for i, user := range users {
		name := user.String()
		b := h.lookup(user)
		if b == nil || b.era != e {
			all[i].set = pipe.HDel(ctx, e.nodesKey(name), h.cfg.Node)
			continue
		}
		is, was, seen := b.telling(began)
		u := enrolling{inbox: b, is: is, was: was}
		mine := registration{expires: expires, streams: b.openStreams(), activity: is, node: h.cfg.Node}
		u.set = pipe.HSet(ctx, e.nodesKey(name), h.cfg.Node, mine.String())
		pipe.Expire(ctx, e.nodesKey(name), r.nodesLife())
		if h.cfg.StreamLength > 0 {
			u.warm = pipe.XAdd(ctx, &redis.XAddArgs{Stream: e.inboxKey(name), ID: warmID, Values: []any{warmField, "1"}})
			if forgotten := b.forgottenSeq(); forgotten > 0 {
				// Nobody believes it; here it goes, should it have come back with Redis.
				pipe.XTrimMinID(ctx, e.inboxKey(name), entryID(forgotten))
			}
			pipe.Expire(ctx, e.inboxKey(name), h.cfg.CacheLife)
		}
		if due[user] != nil || is != was {
			u.nodes = pipe.HVals(ctx, e.nodesKey(name))
		}
		switch {
		case is != inactive:
			connected = append(connected, redis.Z{Score: float64(expires), Member: connectedMember(name, h.cfg.Node)})
		case was != inactive: // whoever looks first finds out whether another node has them
			left := h.cfg.Wall().Add(seen - h.now()).UnixMilli()
			connected = append(connected, redis.Z{Score: float64(left), Member: connectedMember(name, h.cfg.Node)})
		}
		all[i] = u
	}
	var set *redis.IntCmd
	if len(connected) > 0 {
		set = pipe.ZAdd(ctx, e.connectedKey(), connected...)
	}
	err := h.exec(ctx, pipe)
	if err == nil && set != nil {
		err = set.Err()
	}
	left := h.rdb.Pipeline()
	for i := range all {
		if all[i].set.Err() != nil {
			err = errors.Join(err, all[i].set.Err())
			break
		}
		if all[i].inbox != nil {
			all[i].inbox.noteRegistered(decided, began, began+h.cfg.Registration)
			r.written(ctx, all[i], due[users[i]], err == nil)
			r.sweepOut(ctx, left, all[i])
		}
	}
	if left.Len() > 0 && err == nil {
		err = h.exec(ctx, left)
	}
	return err
}

// written notes what Redis has now. Whole is that it has all of the pipeline.
func (r *registry) written(ctx context.Context, u enrolling, waiter *enrolment, whole bool) {
	h := r.hub
	if u.warm != nil && u.warm.Err() != nil && !isStale(u.warm.Err()) {
		h.logger.WarnContext(ctx, "warming a stream failed", "error", u.warm.Err())
	}
	if u.nodes == nil {
		return
	}
	if waiter != nil {
		waiter.others = h.streamsElsewhere(u.nodes.Val())
	}
	if u.is == u.was || !whole || u.nodes.Err() != nil {
		return // what was not told is told again
	}
	u.inbox.noteTold(u.is)
	elsewhere := h.activityElsewhere(u.nodes.Val())
	before, after := max(elsewhere, u.was), max(elsewhere, u.is)
	if u.is == inactive {
		h.presence.lookNow() // who is offline is told of by whoever looks
	}
	if after != before && after != inactive {
		h.presence.changed(u.inbox.user, change{at: chat.TimeOf(h.cfg.Wall()), state: after.state()})
	}
}

// sweptAfter is how long after it has ended a registration goes that nobody took
// back: its node was killed, or clocks are further apart than they may be.
const sweptAfter = 5 * clockSkew

// sweepOut takes what nodes have left behind out of a user's registrations.
func (r *registry) sweepOut(ctx context.Context, pipe redis.Pipeliner, u enrolling) {
	if u.nodes == nil {
		return
	}
	oldest := r.hub.cfg.Wall().Add(-sweptAfter).UnixMilli()
	for _, value := range u.nodes.Val() {
		if left, ok := parseRegistration(value); ok && left.node != r.hub.cfg.Node && left.expires < oldest {
			pipe.HDel(ctx, u.inbox.era.nodesKey(u.inbox.name), left.node)
		}
	}
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
// are not counted together with those that just ended here. Its users are held
// as connected for as long as they may need to come back to another node.
func (r *registry) signOff(ctx context.Context) {
	h := r.hub
	e := h.currentEra()
	r.shown.Store(false)
	if !h.link.wasUp.Load() {
		return
	}
	var seen []chat.LastSeen
	for part := range slices.Chunk(h.all(nil), maxEnrolments) {
		pipe := h.rdb.Pipeline()
		var held []redis.Z
		for _, b := range part {
			pipe.HDel(ctx, e.nodesKey(b.name), h.cfg.Node)
			hold := b.leaving(h.now())
			if hold.activity == inactive {
				continue
			}
			until := h.cfg.Wall().Add(hold.until - h.now())
			stands := registration{expires: until.UnixMilli(), activity: hold.activity, node: heldNode}
			pipe.HSet(ctx, e.nodesKey(b.name), heldNode, stands.String())
			pipe.Expire(ctx, e.nodesKey(b.name), r.nodesLife())
			pipe.ZRem(ctx, e.connectedKey(), connectedMember(b.name, h.cfg.Node))
			held = append(held, redis.Z{Score: float64(until.UnixMilli()), Member: connectedMember(b.name, heldNode)})
			seen = append(seen, chat.LastSeen{User: b.user, At: chat.TimeOf(until.Add(-h.cfg.PresenceGrace))})
		}
		if len(held) > 0 {
			pipe.ZAdd(ctx, e.connectedKey(), held...)
		}
		if err := h.exec(ctx, pipe); err != nil {
			h.redisFailed(ctx, "signing off", err)
			return
		}
	}
	pipe := h.rdb.Pipeline()
	pipe.HDel(ctx, e.presenceKey(), h.cfg.Node)
	nodes := pipe.HGetAll(ctx, e.presenceKey())
	if err := h.exec(ctx, pipe); err != nil {
		h.redisFailed(ctx, "signing off", err)
		return
	}
	if h.hasPeers(nodes.Val()) {
		return // they see who does not come back
	}
	for part := range slices.Chunk(seen, maxEnrolments) {
		if err := h.source.SaveLastSeen(ctx, part); err != nil {
			h.logger.WarnContext(ctx, "noting when users were seen failed", "error", err)
			return
		}
	}
}
