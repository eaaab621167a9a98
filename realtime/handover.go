package realtime

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// hand announces one batch. On an error some of it is lost, and counted.
func (a *announcer) hand(ctx context.Context, b batch) error {
	e := a.hub.currentEra()
	targets, err := a.store(ctx, e, b)
	if targets == nil {
		return err
	}
	return errors.Join(err, a.publish(ctx, e, b, targets))
}

// targets holds, for each user of a batch, the other nodes they are connected to.
type targets map[chat.ID]*target

type target struct {
	name     string // the user's id in keys
	inboxKey string
	asked    *redis.StringSliceCmd // nil until asked
	nodes    []string
}

// store is the first round trip: events into warm streams, and who is where.
// Who is where is asked only when there are other nodes, which the same round
// trip tells: it is guessed from the last batch, and made up for when the guess
// was wrong. The result is nil when nobody knows whom to tell.
func (a *announcer) store(ctx context.Context, e *era, b batch) (targets, error) {
	h := a.hub
	users := make(targets, len(b.Deliveries))
	entries := make([]*redis.StringCmd, 0, len(b.Deliveries))
	shown := h.registry.shown.Load()
	pipe := h.rdb.Pipeline()
	presence := pipe.HGetAll(ctx, e.presenceKey())
	for _, d := range b.Deliveries {
		user := users.add(e, d.User)
		if h.cfg.StreamLength > 0 {
			entries = append(entries, pipe.XAdd(ctx, &redis.XAddArgs{
				Stream: user.inboxKey, NoMkStream: true, MaxLen: int64(h.cfg.StreamLength), Approx: true,
				ID: entryID(d.Seq), Values: []any{bodyField, []byte(b.Bodies[d.Event])},
			}))
		}
	}
	var trims []*redis.IntCmd
	if h.cfg.StreamLength > 0 {
		trims = users.trim(ctx, pipe, b)
	}
	if a.peers {
		users.ask(ctx, e, pipe)
	}
	err := h.exec(ctx, pipe)
	lost := 0
	for _, entry := range entries {
		if !stored(entry.Err()) {
			lost++
		}
	}
	for _, trim := range trims {
		if trim.Err() != nil {
			lost++
		}
	}
	a.lose(lostStream, lost)
	if presence.Err() != nil {
		a.lose(lostRegistry, len(b.Deliveries))
		return nil, errors.Join(err, presence.Err())
	}
	if _, there := presence.Val()[h.cfg.Node]; shown && !there {
		// It was emptied, or is another one than before: nobody finds anybody.
		a.lose(lostRegistry, max(len(b.Deliveries), 1))
		h.unregistered()
	}
	asked := a.peers
	a.peers = h.hasPeers(presence.Val())
	if !a.peers {
		return targets{}, err
	}
	if !asked && len(users) > 0 {
		pipe := h.rdb.Pipeline()
		users.ask(ctx, e, pipe)
		err = errors.Join(err, h.exec(ctx, pipe))
	}
	if unknown := users.readNodes(h.cfg.Node, h.cfg.Wall().UnixMilli()); unknown > 0 {
		// A user of a batch has one event in it, nearly always.
		a.lose(lostRegistry, min(unknown, len(b.Deliveries)))
	}
	return users, err
}

// trim takes what is not to be believed any more out of the streams of a batch.
func (t targets) trim(ctx context.Context, pipe redis.Pipeliner, b batch) []*redis.IntCmd {
	trims := make([]*redis.IntCmd, 0, len(b.Forgotten))
	for _, f := range b.Forgotten {
		if user := t[f.User]; user != nil {
			trims = append(trims, pipe.XTrimMinID(ctx, user.inboxKey, entryID(f.Seq)))
		}
	}
	return trims
}

// lose counts deliveries that Redis did not take.
func (a *announcer) lose(reason string, deliveries int) {
	if deliveries > 0 {
		a.lost = true
		a.hub.metrics.lost.WithLabelValues(reason).Add(float64(deliveries))
	}
}

func (t targets) add(e *era, id chat.ID) *target {
	user := t[id]
	if user == nil {
		name := id.String()
		user = &target{name: name, inboxKey: e.inboxKey(name)}
		t[id] = user
	}
	return user
}

func (t targets) ask(ctx context.Context, e *era, pipe redis.Pipeliner) {
	for _, user := range t {
		user.asked = pipe.HVals(ctx, e.nodesKey(user.name))
	}
}

// readNodes reads the answers of ask, but for the node that asks, and returns
// for how many users there was none.
func (t targets) readNodes(own string, now int64) (unknown int) {
	for _, user := range t {
		values, err := user.asked.Result()
		if err != nil {
			unknown++
			continue
		}
		for _, value := range values {
			r, ok := parseRegistration(value)
			if ok && r.node != own && r.node != heldNode && r.expires+clockSkew.Milliseconds() > now {
				user.nodes = append(user.nodes, r.node)
			}
		}
	}
	return unknown
}

// exec runs a pipeline within the time that a round trip may take. Errors that
// Redis answered a command with are the command's; the result is what says
// that Redis, or a part of a cluster, did not answer.
func (h *Hub) exec(ctx context.Context, pipe redis.Pipeliner) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.RedisTimeout)
	defer cancel()
	commands, err := pipe.Exec(ctx)
	if err == nil || answered(err) && len(commands) == 1 {
		return nil
	}
	for _, command := range commands {
		if err := command.Err(); err != nil && !answered(err) {
			return err
		}
	}
	return nil
}

// answered tells whether an error is an answer of Redis to one command.
func answered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// stored tells whether an event is in its stream, or has no place there: the
// inbox is not warm, or a later event came first, which readers see as a hole.
func stored(err error) bool {
	return err == nil || errors.Is(err, redis.Nil) || isStale(err)
}

// isStale tells whether a stream has an entry of this ID or a later one.
func isStale(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "ERR The ID specified in XADD is equal or smaller")
}

// clockSkew is how far the clocks of nodes may be apart before one takes the
// other for gone and announces nothing to it.
const clockSkew = 2 * time.Minute

// hasPeers tells whether other nodes are running.
func (h *Hub) hasPeers(presence map[string]string) (has bool) {
	defer func() { h.peered.Store(has) }()
	now := h.cfg.Wall().UnixMilli()
	for node, value := range presence {
		expires, err := strconv.ParseInt(value, 10, 64)
		if node != h.cfg.Node && err == nil && expires+clockSkew.Milliseconds() > now {
			return true
		}
	}
	return false
}

// publish is the second round trip: one frame to each node that has a user of
// the batch, and what concerns all nodes.
func (a *announcer) publish(ctx context.Context, e *era, b batch, users targets) error {
	h := a.hub
	pipe := h.rdb.Pipeline()
	var published []*redis.IntCmd
	deliveries := 0
	if len(b.Forgotten) > 0 { // to all: who has whom is something that Redis may have lost
		f := frame{kind: frameForgotten, forgotten: b.Forgotten}
		published = append(published, pipe.Publish(ctx, e.everyChannel(), f.encode()))
	}
	for node, frames := range framesByNode(b, users) {
		for _, f := range frames {
			published = append(published, pipe.Publish(ctx, e.nodeChannel(node), f.encode()))
			deliveries += len(f.deliveries)
		}
	}
	if len(b.EndedSessions) > 0 {
		f := frame{kind: frameEnded, ended: b.EndedSessions}
		published = append(published, pipe.Publish(ctx, e.everyChannel(), f.encode()))
	}
	if a.lost {
		f := frame{kind: frameLost}
		published = append(published, pipe.Publish(ctx, e.everyChannel(), f.encode()))
	}
	if b.nonce != 0 {
		f := frame{kind: frameProbe, nonce: b.nonce}
		published = append(published, pipe.Publish(ctx, e.nodeChannel(h.cfg.Node), f.encode()))
	}
	if len(published) == 0 {
		return nil
	}
	err := h.exec(ctx, pipe)
	for _, command := range published {
		if command.Err() != nil {
			a.lose(lostPublish, max(deliveries, 1))
			return errors.Join(err, command.Err())
		}
	}
	a.lost = false
	return err
}

// framesByNode makes the frames that each node must hear: bodies once for all
// users of a node, and only those that concern it.
func framesByNode(b batch, users targets) map[string][]*frame {
	builders := map[string]*frameBuilder{}
	for _, d := range b.Deliveries {
		user := users[d.User]
		if user == nil {
			continue
		}
		for _, node := range user.nodes {
			builder := builders[node]
			if builder == nil {
				builder = &frameBuilder{}
				builders[node] = builder
			}
			builder.add(d, b.Bodies[d.Event])
		}
	}
	frames := make(map[string][]*frame, len(builders))
	for node, builder := range builders {
		frames[node] = builder.frames
	}
	return frames
}

// frameBuilder collects what one node must hear.
type frameBuilder struct {
	frames []*frame
	size   int         // of the last frame, about
	index  map[int]int // from the batch's bodies to those of the last frame
}

func (f *frameBuilder) add(d chat.Delivery, body chat.Body) {
	if len(f.frames) == 0 || f.size > maxFrameBytes {
		f.frames = append(f.frames, &frame{kind: frameEvents})
		f.size, f.index = 0, map[int]int{}
	}
	last := f.frames[len(f.frames)-1]
	at, there := f.index[d.Event]
	if !there {
		at = len(last.bodies)
		f.index[d.Event] = at
		last.bodies = append(last.bodies, body)
		f.size += len(body)
	}
	f.size += 16
	last.deliveries = append(last.deliveries, chat.Delivery{User: d.User, Seq: d.Seq, Event: at})
}
