package realtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// Hub is the delivery engine of one node. It implements [chat.Announcer]
// and [chat.Connections].
type Hub struct {
	cfg     Config
	rdb     redis.UniversalClient
	source  Source
	logger  *slog.Logger
	metrics *metrics
	started time.Time
	state   atomic.Int32 // one of the states below; only ever goes up
	memory  memory
	reading chan struct{} // of capacity SourceReads: who reads events of the database has a place in it

	mu      sync.RWMutex
	era     *era               // replaced when the data's epoch changes; guarded by mu
	inboxes map[chat.ID]*inbox // of users with readers here, and some without; guarded by mu

	sessions atomic.Int64  // streams and polls
	peered   atomic.Bool   // other nodes were there when somebody looked last
	passed   atomic.Int64  // ephemeral events kept in all inboxes
	stamps   atomic.Uint64 // of ephemeral events

	announcer announcer
	registry  registry
	link      link
	heads     headLoader
	positions positions
	checker   checker
	herald    herald
	presence  presence
}

// The states of a hub.
const (
	stateNew int32 = iota
	stateRunning
	stateDraining
	stateStopped
)

var (
	_ chat.Announcer   = (*Hub)(nil)
	_ chat.Connections = (*Hub)(nil)
)

// New returns a hub that works once [Hub.Run] does. It reads the epoch, so the
// database must answer; Redis need not. The client must end a command when its
// context does, as those of [ConnectRedis] and [NewEmbeddedRedis] do.
func New(ctx context.Context, cfg Config, rdb redis.UniversalClient, source Source) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	epoch, err := source.Epoch(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the epoch: %w", err)
	}
	h := &Hub{
		cfg: cfg, rdb: rdb, source: source, logger: cfg.Logger,
		started: time.Now(), inboxes: map[chat.ID]*inbox{}, era: newEra(epoch),
	}
	h.memory.limit = cfg.WindowMemory
	h.reading = make(chan struct{}, cfg.SourceReads)
	h.metrics, err = newMetrics(cfg.Registerer, h)
	if err != nil {
		return nil, err
	}
	h.announcer.init(h)
	h.registry.init(h)
	h.link.init(h)
	h.heads.init(h)
	h.positions.init(h)
	h.checker.init(h)
	h.herald.init(h)
	h.presence.init(h)
	return h, nil
}

// now is the time since the hub was made; it never goes back.
func (h *Hub) now() time.Duration { return time.Since(h.started) }

// jitter spreads what would otherwise happen at once on many nodes or for many
// clients: it returns between a half and one and a half of d.
func (h *Hub) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + h.cfg.Random()))
}

// Run does the node's work until ctx ends. Then every session ends, what was
// announced and saved is handed over as far as that goes quickly, and Run
// returns when everything it started has stopped. It may be called once.
func (h *Hub) Run(ctx context.Context) error {
	if !h.state.CompareAndSwap(stateNew, stateRunning) {
		return errors.New("realtime: a hub runs once")
	}
	// Positions and announcements are handed over after the readers are gone.
	handover, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var early, late sync.WaitGroup
	late.Go(func() { h.announcer.run(handover) })
	late.Go(func() { h.positions.run(handover) })
	late.Go(func() { h.registry.run(handover) })
	for _, loop := range []func(context.Context){h.link.receive, h.link.probe, h.heads.run, h.checker.run, h.herald.run, h.presence.run} {
		early.Go(func() { loop(ctx) })
	}
	<-ctx.Done()
	h.state.Store(stateStopped)
	h.endAll(EndShutdown)
	early.Wait()
	stop()
	late.Wait()
	return nil
}

// Ready tells whether this node can serve: nil only while it runs, is not
// draining, the database has answered lately, and so has a probe come back
// through the real announce path.
func (h *Hub) Ready() error {
	switch h.state.Load() {
	case stateNew:
		return errors.New("realtime: not running yet")
	case stateDraining:
		return errors.New("realtime: draining")
	case stateStopped:
		return errors.New("realtime: stopped")
	default:
		return cmp.Or(h.link.ready(), h.checker.ready())
	}
}

// Epoch names the past that the data has.
func (h *Hub) Epoch() string { return h.currentEra().epoch }

func (h *Hub) currentEra() *era {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.era
}

// CurrentCursor returns the cursor of where a user's inbox stands in the
// database: whatever committed before the call is before it. CodeUnavailable
// when the database does not answer.
func (h *Hub) CurrentCursor(ctx context.Context, user chat.ID) (string, error) {
	if h.state.Load() == stateNew || h.state.Load() == stateStopped {
		return "", chat.Unavailable(errors.New("realtime: not running"))
	}
	e := h.currentEra()
	head, err := h.heads.load(ctx, user)
	if err != nil {
		return "", err
	}
	return chat.Cursor{Epoch: e.epoch, Seq: head.Seq}.String(user), nil
}

// Announce implements [chat.Announcer]. Readers on this node are served at
// once, the others through Redis as soon as it takes the announcement. Call it
// after the commit, from any goroutine, and leave the announcement's slices as
// they are.
func (h *Hub) Announce(a chat.Announcement) {
	if a.Empty() {
		return
	}
	h.forget(a.Forgotten)
	h.deliver(a.Bodies, a.Deliveries)
	for _, ref := range a.EndedSessions {
		h.endSession(ref)
	}
	h.announcer.enqueue(a)
}

// forget takes what is not to be believed any more out of this node's memory.
func (h *Hub) forget(forgotten []chat.Forgotten) {
	for _, f := range forgotten {
		if b := h.lookup(f.User); b != nil {
			b.forgetBefore(f.Seq)
		}
	}
}

// deliver hands events to the inboxes that are on this node.
func (h *Hub) deliver(bodies []chat.Body, deliveries []chat.Delivery) {
	var chunk [128]*inbox // looked up under one lock, served without it
	for len(deliveries) > 0 {
		n := min(len(deliveries), len(chunk))
		h.mu.RLock()
		for i := range n {
			chunk[i] = h.inboxes[deliveries[i].User]
		}
		h.mu.RUnlock()
		for i, d := range deliveries[:n] {
			if chunk[i] != nil && d.Event >= 0 && d.Event < len(bodies) {
				h.metrics.delivered.Inc()
				chunk[i].deliver(d.Seq, bodies[d.Event])
			}
		}
		deliveries = deliveries[n:]
	}
}

// distrustAll has every inbox compared with the database: what was announced
// until now may not have reached this node.
func (h *Hub) distrustAll() {
	for _, b := range h.all(nil) {
		b.distrust()
	}
	h.checker.now()
}

// unregistered is for when Redis may have lost who is where: all are registered
// anew, and each inbox is compared with the database once more when it is, for
// what was announced until then did not find this node.
func (h *Hub) unregistered() {
	h.registry.forget()
	h.registry.lostAt.Store(int64(h.now()))
	inboxes := h.all(nil)
	for _, b := range inboxes {
		b.unregister()
	}
	h.distrustAll()
	h.registry.renewAll(inboxes)
}

// endSession ends the local streams of a user's session.
func (h *Hub) endSession(ref chat.SessionRef) {
	h.cfg.OnSessionEnded(ref.Session)
	if b := h.lookup(ref.User); b != nil {
		for _, s := range b.sessions() {
			if s.id == ref.Session {
				s.end(EndRevoked)
			}
		}
	}
}

func (h *Hub) lookup(user chat.ID) *inbox {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.inboxes[user]
}

// all appends every inbox of this node to buffer.
func (h *Hub) all(buffer []*inbox) []*inbox {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, b := range h.inboxes {
		buffer = append(buffer, b)
	}
	return buffer
}

func (h *Hub) endAll(reason EndReason) {
	for _, b := range h.all(nil) {
		for _, s := range b.sessions() {
			s.end(reason)
		}
	}
}

// startEra begins anew on data with another past: every position and every
// recent event is from the old one.
func (h *Hub) startEra(epoch string) {
	h.mu.Lock()
	old := h.inboxes
	h.era, h.inboxes = newEra(epoch), map[chat.ID]*inbox{}
	h.mu.Unlock()
	for _, b := range old {
		b.discard()
		for _, s := range b.sessions() {
			s.end(EndShutdown)
		}
	}
	h.positions.forget()
	h.registry.forget()
	h.presence.forget()
	h.link.renew("the epoch changed")
}

// sweep drops inboxes that nobody has read for a while; then the window of the
// others ages, when it is time for that.
func (h *Hub) sweep(inboxes []*inbox, age bool) {
	linger := h.cfg.Linger
	if len(inboxes) > 2*h.cfg.MaxStreams {
		linger = 0
	}
	telling := h.link.connected()
	var untold []chat.ID
	for _, b := range inboxes {
		b.letPass(h.now())
		differs, connected := b.untold(h.now())
		if differs {
			untold = append(untold, b.user)
		}
		// Others must be told first that a user has left, unless there is no
		// room, or no way.
		if b.idleSince(h.now()-linger) && (!connected || linger == 0 || !telling) {
			h.drop(b, h.now()-linger)
		} else if age {
			b.age()
		}
	}
	if telling && len(untold) > 0 {
		h.registry.renew(untold...)
	}
}

// drop takes an inbox off the node, unless a reader came back.
func (h *Hub) drop(b *inbox, idle time.Duration) {
	h.mu.Lock()
	gone := h.inboxes[b.user] == b && b.idleSince(idle)
	if gone {
		delete(h.inboxes, b.user)
	}
	h.mu.Unlock()
	if gone {
		b.discard()
		h.registry.renew(b.user)
	}
}
