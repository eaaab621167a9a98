package realtime

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// Ephemeral events pass by: an inbox with readers keeps the last few for some
// seconds, so that they outlive the moment between two polls. They are given to
// a reader only when it has all that its inbox has, so that they never stand in
// the way of an event; and there is nothing to keep while nothing passes.

const (
	// ephemeralLife is how long an ephemeral event is worth giving.
	ephemeralLife = 10 * time.Second
	// overtaking is by how much an event may come after a later one of its
	// topic. What is further apart was told by clocks that differ.
	overtaking = time.Second
	// maxPassing is how many of them an inbox keeps; the oldest goes first.
	maxPassing = 64
	// maxPassingOfNode bounds them over all inboxes; then each keeps a few.
	maxPassingOfNode = 200_000
	minPassing       = 4
	// maxPassingGiven bounds for how many sessions that left an inbox
	// remembers what they had.
	maxPassingGiven = 32
)

// Why ephemeral events were dropped; the values of a metric.
const (
	droppedQueueFull = "queue_full"
	droppedBusy      = "busy"  // inbox events are waiting
	droppedRedis     = "redis" // it does not answer
	droppedReader    = "reader"
)

// passing is what passes by an inbox. It is guarded by the inbox's mu.
type passing struct {
	events []passed // the oldest first; one of each topic
	// given is how far sessions had it when they left: polls come back.
	given map[chat.ID]uint64
}

// passed is one ephemeral event.
type passed struct {
	topic chat.EphemeralTopic
	at    chat.Time
	since time.Duration
	stamp uint64 // grows with every event
	body  chat.Body
}

// Tell implements [chat.Connections]: readers on this node are told at once,
// others through Redis.
func (h *Hub) Tell(event chat.Ephemeral) {
	h.pass(event)
	h.herald.enqueue(event)
}

// pass gives an ephemeral event to the inboxes that are on this node.
func (h *Hub) pass(event chat.Ephemeral) {
	for _, user := range event.Users {
		if b := h.lookup(user); b != nil {
			h.metrics.ephemeralDelivered.Inc()
			b.pass(event)
		}
	}
}

func (b *inbox) pass(event chat.Ephemeral) {
	b.mu.Lock()
	if b.gone {
		b.mu.Unlock()
		return
	}
	p := b.passing.Load()
	if p == nil {
		p = &passing{}
		b.passing.Store(p)
	}
	before := len(p.events)
	if i := slices.IndexFunc(p.events, func(e passed) bool { return e.topic == event.Topic }); i >= 0 {
		if ahead := p.events[i].at.Std().Sub(event.At.Std()); ahead > 0 && ahead < overtaking {
			b.mu.Unlock()
			return // it was overtaken
		}
		p.events = slices.Delete(p.events, i, i+1)
	}
	most := maxPassing
	if b.hub.passed.Load() >= maxPassingOfNode {
		most = minPassing
	}
	if over := len(p.events) + 1 - most; over > 0 {
		p.events = slices.Delete(p.events, 0, over)
		b.hub.metrics.ephemeralDropped.WithLabelValues(droppedReader).Add(float64(over))
	}
	p.events = append(p.events, passed{
		topic: event.Topic, at: event.At, since: b.now(), stamp: b.hub.stamps.Add(1), body: event.Body,
	})
	b.hub.passed.Add(int64(len(p.events) - before))
	readers := b.readers
	b.mu.Unlock()
	wakeAll(readers)
}

// passingBy returns what has passed by since the session was last given some.
func (s *Session) passingBy() []chat.Body {
	b := s.inbox
	if b.passing.Load() == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.passing.Load()
	if p == nil {
		return nil
	}
	var bodies []chat.Body
	oldest := b.now() - ephemeralLife
	for i := range p.events {
		e := &p.events[i]
		if e.stamp <= s.passed || e.since < oldest {
			continue
		}
		if len(bodies) == s.limit {
			break
		}
		bodies = append(bodies, e.body)
		s.passed = e.stamp
	}
	return bodies
}

// arrive has a session go on with what passes by where it left; mu is held.
func (b *inbox) arrive(s *Session) {
	if p := b.passing.Load(); p != nil {
		s.passed = p.given[s.id]
	}
}

// depart remembers what a session was given; mu is held.
func (b *inbox) depart(s *Session) {
	p := b.passing.Load()
	if p == nil || s.passed == 0 {
		return
	}
	if p.given == nil || len(p.given) >= maxPassingGiven {
		p.given = make(map[chat.ID]uint64, 1)
	}
	p.given[s.id] = max(p.given[s.id], s.passed)
}

// letPass lets go of what is too old.
func (b *inbox) letPass(now time.Duration) {
	if b.passing.Load() == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.passing.Load()
	if p == nil {
		return
	}
	before := len(p.events)
	p.events = slices.DeleteFunc(p.events, func(e passed) bool { return e.since < now-ephemeralLife })
	b.hub.passed.Add(int64(len(p.events) - before))
	if len(p.events) == 0 {
		b.passing.Store(nil)
	}
}

// herald hands ephemeral events to the nodes that have their users. It has a
// queue and round trips of its own, so that an inbox event never waits for it,
// and it gives way: while announcements wait, it drops what it has.
type herald struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: there is something to take

	mu         sync.Mutex
	queue      []chat.Ephemeral             // guarded by mu
	index      map[chat.EphemeralTopic]int  // where in the queue; guarded by mu
	weight     int                          // users in the queue; guarded by mu
	activities map[chat.SessionRef]activity // guarded by mu

	peers bool // another node was there at the last batch; owned by run
}

const (
	// maxHeraldUsers bounds the queue, and so one batch.
	maxHeraldUsers = 4000
	// heraldPause is how long events gather behind a batch.
	heraldPause = 20 * time.Millisecond
)

func (l *herald) init(h *Hub) {
	l.hub = h
	l.signal = make(chan struct{}, 1)
	l.index = map[chat.EphemeralTopic]int{}
	l.activities = map[chat.SessionRef]activity{}
}

// enqueue takes an event in the place of an earlier one of its topic, or drops
// it when too much waits.
func (l *herald) enqueue(event chat.Ephemeral) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, known := l.index[event.Topic]
	weight := l.weight + len(event.Users)
	if known {
		weight -= len(l.queue[i].Users)
	}
	if weight > maxHeraldUsers {
		l.hub.metrics.ephemeralDropped.WithLabelValues(droppedQueueFull).Inc()
		return
	}
	l.weight = weight
	if known {
		l.queue[i] = event
	} else {
		l.index[event.Topic] = len(l.queue)
		l.queue = append(l.queue, event)
	}
	raise(l.signal)
}

func (l *herald) enqueueActivity(ref chat.SessionRef, to activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.activities[ref]; !known && len(l.activities) >= maxHeraldUsers {
		l.hub.metrics.ephemeralDropped.WithLabelValues(droppedQueueFull).Inc()
		return
	}
	l.activities[ref] = to
	raise(l.signal)
}

func (l *herald) take() ([]chat.Ephemeral, map[chat.SessionRef]activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, activities := l.queue, l.activities
	l.queue, l.weight = nil, 0
	clear(l.index)
	l.activities = map[chat.SessionRef]activity{}
	return events, activities
}

// run hands over what comes in until ctx ends. What is left then is dropped.
func (l *herald) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.signal:
		}
		events, activities := l.take()
		if why, err := l.hand(ctx, events, activities); why != "" {
			l.hub.metrics.ephemeralDropped.WithLabelValues(why).Add(float64(len(events) + len(activities)))
			l.hub.redisFailed(ctx, "telling what passes", err)
		}
		pause(ctx, heraldPause)
	}
}

// hand publishes one batch, one frame for each node, and returns why it could
// not, "" when it could.
func (l *herald) hand(ctx context.Context, events []chat.Ephemeral, activities map[chat.SessionRef]activity) (why string, err error) {
	h := l.hub
	switch {
	case len(events) == 0 && len(activities) == 0:
		return "", nil
	case !h.link.connected():
		return droppedRedis, nil
	case h.announcer.behind():
		return droppedBusy, nil
	}
	e := h.currentEra()
	users, err := l.whereabouts(ctx, e, events, activities)
	if err != nil {
		return droppedRedis, err
	}
	pipe := h.rdb.Pipeline()
	var published []*redis.IntCmd
	for node, f := range ephemeralsByNode(events, activities, users) {
		published = append(published, pipe.Publish(ctx, e.nodeChannel(node), f.encode()))
	}
	if len(published) == 0 {
		return "", nil
	}
	err = h.exec(ctx, pipe)
	for _, command := range published {
		err = errors.Join(err, command.Err())
	}
	if err != nil {
		return droppedRedis, err
	}
	return "", nil
}

// whereabouts asks which other nodes the users are connected to; nothing is
// asked while there are no others.
func (l *herald) whereabouts(ctx context.Context, e *era, events []chat.Ephemeral, activities map[chat.SessionRef]activity) (targets, error) {
	h := l.hub
	users := targets{}
	for _, event := range events {
		for _, user := range event.Users {
			users.add(e, user)
		}
	}
	for ref := range activities {
		users.add(e, ref.User)
	}
	pipe := h.rdb.Pipeline()
	nodes := pipe.HGetAll(ctx, e.presenceKey())
	asked := l.peers
	if asked {
		users.ask(ctx, e, pipe)
	}
	if err := errors.Join(h.exec(ctx, pipe), nodes.Err()); err != nil {
		return nil, err
	}
	if l.peers = h.hasPeers(nodes.Val()); !l.peers {
		return targets{}, nil
	}
	if !asked {
		pipe := h.rdb.Pipeline()
		users.ask(ctx, e, pipe)
		if err := h.exec(ctx, pipe); err != nil {
			return nil, err
		}
	}
	users.readNodes(h.cfg.Node, h.cfg.Wall().UnixMilli())
	return users, nil
}

// ephemeralsByNode makes the frame that each node must hear: each body once,
// and those of its users who are there.
func ephemeralsByNode(events []chat.Ephemeral, activities map[chat.SessionRef]activity, users targets) map[string]*frame {
	frames := map[string]*frame{}
	of := func(node string) *frame {
		f := frames[node]
		if f == nil {
			f = &frame{kind: frameEphemeral}
			frames[node] = f
		}
		return f
	}
	for _, event := range events {
		for _, user := range event.Users {
			if users[user] == nil {
				continue
			}
			for _, node := range users[user].nodes {
				f := of(node)
				if n := len(f.ephemerals); n == 0 || f.ephemerals[n-1].Topic != event.Topic {
					f.ephemerals = append(f.ephemerals, chat.Ephemeral{Topic: event.Topic, At: event.At, Body: event.Body})
				}
				last := &f.ephemerals[len(f.ephemerals)-1]
				last.Users = append(last.Users, user)
			}
		}
	}
	for ref, to := range activities {
		if users[ref.User] == nil {
			continue
		}
		for _, node := range users[ref.User].nodes {
			f := of(node)
			f.activities = append(f.activities, said{ref: ref, activity: to})
		}
	}
	return frames
}
