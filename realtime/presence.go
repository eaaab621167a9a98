package realtime

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// presence tells friends who comes and goes.
//
// What a user's readers on one node say rides in that node's registration of
// the user; over all nodes the most counts. A node that changes what it says
// reads what the others say, after it has written, so that of two that change
// at once at least one sees both. Each of these registrations is also in one
// sorted set, by when somebody must look again: when it ends, or at once when
// the node has nothing more to say. Whoever takes one out of the set looks, so
// that a node which was killed is noticed by the others, and a user who left is
// told of once.
type presence struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: there is something to tell, or to look at
	look   atomic.Bool   // somebody is due to be looked at now

	mu      sync.Mutex
	changes map[chat.ID]change // guarded by mu
}

// change is what friends are to be told of a user.
type change struct {
	at    chat.Time
	state chat.PresenceState // "" = whatever it is when it is told
	seen  chat.Time          // when a user who is offline was seen; 0 = nobody knows
}

const (
	// presenceTick is how often a node looks for users whose time is over.
	presenceTick = time.Second
	aloneTicks   = 10 // when there is no other node
	// maxLooked is how many of them it takes at once.
	maxLooked = 200
	// maxChanges bounds what waits to be told; what comes beyond is dropped.
	maxChanges = 20_000
	// maxTold is how many changes one query of the database is about.
	maxTold = 100
)

func (p *presence) init(h *Hub) {
	p.hub = h
	p.signal = make(chan struct{}, 1)
	p.forget()
}

// forget drops what is to be told: it is about another past.
func (p *presence) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes = map[chat.ID]change{}
}

// changed notes what friends are to be told.
func (p *presence) changed(user chat.ID, c change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.changes[user]; !known && len(p.changes) >= maxChanges {
		p.hub.metrics.ephemeralDropped.WithLabelValues(droppedQueueFull).Inc()
		return
	}
	p.changes[user] = c
	raise(p.signal)
}

// lookNow has those looked at whose time is over.
func (p *presence) lookNow() {
	p.look.Store(true)
	raise(p.signal)
}

// run looks and tells until ctx ends.
func (p *presence) run(ctx context.Context) {
	ticker := time.NewTicker(presenceTick)
	defer ticker.Stop()
	for ticks := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// A node that is alone knows by itself who has left.
			if ticks++; p.hub.peered.Load() || ticks%aloneTicks == 1 {
				p.look.Store(true)
			}
		case <-p.signal:
		}
		if p.look.Swap(false) && p.hub.link.connected() {
			if err := p.lookAtDue(ctx); err != nil {
				p.hub.redisFailed(ctx, "looking who is gone", err)
			}
		}
		p.tell(ctx)
	}
}

// lookAtDue looks at users on nodes whose time is over.
func (p *presence) lookAtDue(ctx context.Context) error {
	h := p.hub
	e := h.currentEra()
	for {
		now := h.cfg.Wall().UnixMilli()
		due, err := h.rangeDue(ctx, e, now)
		if err != nil || len(due) == 0 {
			return err
		}
		mine, err := h.claim(ctx, e, due)
		if err != nil {
			return err
		}
		again, err := p.judge(ctx, e, mine)
		if err != nil {
			return err
		}
		// Those that are due still are looked at with the next tick: of what
		// Redis does not answer, and while it takes no writes, there is no end.
		if len(due) < maxLooked || len(mine) == 0 || again > 0 {
			return nil
		}
	}
}

// rangeDue returns what is due, and since when.
func (h *Hub) rangeDue(ctx context.Context, e *era, now int64) ([]redis.Z, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.RedisTimeout)
	defer cancel()
	return h.rdb.ZRangeByScoreWithScores(ctx, e.connectedKey(), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(now, 10), Count: maxLooked,
	}).Result()
}

// claim takes members out of the set and returns those that nobody else took.
func (h *Hub) claim(ctx context.Context, e *era, due []redis.Z) ([]redis.Z, error) {
	pipe := h.rdb.Pipeline()
	taken := make([]*redis.IntCmd, len(due))
	for i, z := range due {
		taken[i] = pipe.ZRem(ctx, e.connectedKey(), z.Member)
	}
	if err := h.exec(ctx, pipe); err != nil {
		return nil, err
	}
	var mine []redis.Z
	for i, z := range due {
		if taken[i].Val() == 1 {
			mine = append(mine, z)
		}
	}
	return mine, nil
}

// judge tells what has become of users on nodes whose time is over; again is how
// many are to be looked at once more, because Redis did not answer.
func (p *presence) judge(ctx context.Context, e *era, looked []redis.Z) (again int, err error) {
	h := p.hub
	pipe := h.rdb.Pipeline()
	names, nodes := make([]string, len(looked)), make([]string, len(looked))
	values := make([]*redis.StringSliceCmd, len(looked))
	for i, z := range looked {
		member, _ := z.Member.(string)
		names[i], nodes[i], _ = strings.Cut(member, ":")
		values[i] = pipe.HVals(ctx, e.nodesKey(names[i]))
	}
	err = h.exec(ctx, pipe)
	now := h.cfg.Wall().UnixMilli()
	pipe = h.rdb.Pipeline()
	for i, z := range looked {
		user, malformed := chat.ParseID(names[i])
		if malformed != nil {
			continue
		}
		if values[i].Err() != nil {
			pipe.ZAdd(ctx, e.connectedKey(), z) // somebody looks again
			again++
			continue
		}
		is, own := connectedAt(values[i].Val(), now), registrationOf(values[i].Val(), nodes[i])
		c := change{at: chat.Time(now), state: is.state()}
		switch {
		case own.activity != inactive && own.expires > now: // it was renewed
			pipe.ZAdd(ctx, e.connectedKey(), redis.Z{Score: float64(own.expires), Member: z.Member})
			continue
		case own.activity == inactive: // the node has said so, and what follows but the end
			if is != inactive {
				continue
			}
			c.seen = chat.Time(min(int64(z.Score), now))
		default: // nobody vouches any more
			vouched := h.cfg.Registration
			if own.node == heldNode {
				vouched = h.cfg.PresenceGrace
				pipe.HDel(ctx, e.nodesKey(names[i]), heldNode)
			}
			if is >= own.activity {
				continue
			}
			if is == inactive {
				c.seen = chat.Time(own.expires - vouched.Milliseconds())
			}
		}
		p.changed(user, c)
	}
	if pipe.Len() > 0 {
		err = errors.Join(err, h.exec(ctx, pipe))
	}
	return again, err
}

// connectedAt is what the registrations of a user say together.
func connectedAt(values []string, now int64) activity {
	most := inactive
	for _, value := range values {
		if r, ok := parseRegistration(value); ok && r.expires > now {
			most = max(most, r.activity)
		}
	}
	return most
}

// registrationOf returns what one node says, nothing when it says nothing.
func registrationOf(values []string, node string) registration {
	for _, value := range values {
		if r, ok := parseRegistration(value); ok && r.node == node {
			return r
		}
	}
	return registration{}
}

// activityElsewhere is what other nodes say of a user.
func (h *Hub) activityElsewhere(values []string) activity {
	now, most := h.cfg.Wall().UnixMilli(), inactive
	for _, value := range values {
		if r, ok := parseRegistration(value); ok && r.node != h.cfg.Node && r.expires > now {
			most = max(most, r.activity)
		}
	}
	return most
}

// tell tells friends what has changed, and notes when users were seen. What the
// database does not answer waits.
func (p *presence) tell(ctx context.Context) {
	for {
		users, changes := p.takeChanges()
		if len(users) == 0 {
			return
		}
		if err := p.tellFriends(ctx, users, changes); err != nil {
			if ctx.Err() == nil {
				p.hub.logger.WarnContext(ctx, "telling who came and went failed, it waits", "error", err, "users", len(users))
			}
			p.putBack(changes)
			return
		}
	}
}

func (p *presence) takeChanges() ([]chat.ID, map[chat.ID]change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	users, changes := make([]chat.ID, 0, min(len(p.changes), maxTold)), map[chat.ID]change{}
	for user, c := range p.changes {
		if len(users) == maxTold {
			break
		}
		users, changes[user] = append(users, user), c
		delete(p.changes, user)
	}
	slices.Sort(users)
	return users, changes
}

// putBack keeps changes for another try, unless there are newer ones.
func (p *presence) putBack(changes map[chat.ID]change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user, c := range changes {
		if _, newer := p.changes[user]; !newer {
			p.changes[user] = c
		}
	}
}

func (p *presence) tellFriends(ctx context.Context, users []chat.ID, changes map[chat.ID]change) error {
	h := p.hub
	ctx, cancel := context.WithTimeout(ctx, h.cfg.SourceTimeout)
	defer cancel()
	var seen []chat.LastSeen
	var unsure []chat.ID
	for _, user := range users {
		c := changes[user]
		if c.seen != 0 {
			seen = append(seen, chat.LastSeen{User: user, At: c.seen})
		}
		if c.state == "" {
			unsure = append(unsure, user)
		}
	}
	if err := h.source.SaveLastSeen(ctx, seen); err != nil {
		return err
	}
	audiences, err := h.source.PresenceAudiences(ctx, users, chat.MaxPresenceFriends)
	if err != nil {
		return err
	}
	states := h.Presences(ctx, unsure)
	for _, user := range users {
		c, audience := changes[user], audiences[user]
		if len(audience.Friends) == 0 {
			continue
		}
		told := chat.Presence{UserID: user, State: c.state}
		switch {
		case c.state != "" && audience.Visibility != chat.PresenceToFriends:
			continue
		case audience.Visibility != chat.PresenceToFriends:
			told.State = chat.PresenceOffline // from now on
		case c.state == "":
			told.State = states[user]
		case c.seen != 0:
			told.LastSeenAt = &c.seen
		}
		if told.State == "" {
			continue // nobody can tell
		}
		body, err := chat.EncodeBody(chat.PresenceChanged, c.at, told)
		if err != nil {
			return err
		}
		h.Tell(chat.Ephemeral{Topic: chat.EphemeralTopic{User: user}, At: c.at, Body: body, Users: audience.Friends})
	}
	return nil
}

// ShowPresence implements [chat.Connections].
func (h *Hub) ShowPresence(user chat.ID) {
	h.presence.changed(user, change{at: chat.TimeOf(h.cfg.Wall())})
}

// SetActivity implements [chat.Connections].
func (h *Hub) SetActivity(ref chat.SessionRef, to chat.Activity) {
	h.setActivity(ref, activityOf(to))
	h.herald.enqueueActivity(ref, activityOf(to))
}

// setActivity changes what the readers of a session on this node say.
func (h *Hub) setActivity(ref chat.SessionRef, to activity) {
	if b := h.lookup(ref.User); b != nil {
		b.setActivity(ref.Session, to)
		h.registry.renew(ref.User)
	}
}

// Presences implements [chat.Connections].
func (h *Hub) Presences(ctx context.Context, users []chat.ID) map[chat.ID]chat.PresenceState {
	states := make(map[chat.ID]chat.PresenceState, len(users))
	if len(users) == 0 || !h.link.connected() {
		return states
	}
	e := h.currentEra()
	pipe := h.rdb.Pipeline()
	values := make([]*redis.StringSliceCmd, len(users))
	for i, user := range users {
		values[i] = pipe.HVals(ctx, e.nodesKey(user.String()))
	}
	if err := h.exec(ctx, pipe); err != nil {
		h.redisFailed(ctx, "asking who is connected", err)
	}
	now := h.cfg.Wall().UnixMilli()
	for i, user := range users {
		if values[i].Err() != nil {
			continue
		}
		most := connectedAt(values[i].Val(), now)
		if b := h.lookup(user); b != nil { // what is true here, Redis may not have been told yet
			most = max(most, b.activityNow())
		}
		states[user] = most.state()
	}
	return states
}

func (b *inbox) activityNow() activity {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.activityAt(b.now())
}
