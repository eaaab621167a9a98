package realtime

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"longwire/chat"
)

// positions saves how far sessions have acknowledged: into Redis soon, where
// any node finds it, and into the database every few seconds. What is lost
// before only repeats events.
type positions struct {
	hub    *Hub
	signal chan struct{} // of capacity 1: something is due for Redis

	mu sync.Mutex
	// unsaved has not reached the database, uncached not even Redis: uncached
	// is a part of unsaved. Both guarded by mu.
	unsaved  map[sessionKey]int64
	uncached map[sessionKey]int64
}

type sessionKey struct {
	user, session chat.ID
}

const (
	maxUnsaved     = 100_000 // sessions; what comes beyond is dropped and counted
	maxSavesAtOnce = 500
	savedLife      = time.Hour
)

func (p *positions) init(h *Hub) {
	p.hub = h
	p.signal = make(chan struct{}, 1)
	p.forget()
}

// forget drops what is unsaved: it is about another past.
func (p *positions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsaved, p.uncached = map[sessionKey]int64{}, map[sessionKey]int64{}
}

// Save notes that a user's session has acknowledged everything up to seq.
// Positions only move forward. It never blocks; the last seconds may be lost.
func (h *Hub) Save(user, session chat.ID, seq int64) {
	p, key := &h.positions, sessionKey{user, session}
	p.mu.Lock()
	old, known := p.unsaved[key]
	if known && old >= seq || !known && len(p.unsaved) >= maxUnsaved {
		p.mu.Unlock()
		if !known {
			h.metrics.savesDropped.Inc()
		}
		return
	}
	p.unsaved[key] = seq
	p.uncached[key] = seq
	p.mu.Unlock()
	raise(p.signal)
}

// saved returns a session's saved position, the highest that anybody has.
func (p *positions) saved(ctx context.Context, b *inbox, session chat.ID) (int64, error) {
	h := p.hub
	bounded, cancel := context.WithTimeout(ctx, h.cfg.SourceTimeout)
	defer cancel()
	kept, err := h.source.SessionByID(bounded, session)
	if err != nil {
		if chat.CodeOf(err) == chat.CodeInternal {
			err = chat.Unavailable(err)
		}
		return 0, err
	}
	p.mu.Lock()
	seq := max(kept.SavedSeq, p.unsaved[sessionKey{b.user, session}])
	p.mu.Unlock()
	if !h.link.connected() {
		return seq, nil
	}
	bounded, cancel = context.WithTimeout(ctx, h.cfg.RedisTimeout)
	defer cancel()
	score, err := h.rdb.ZScore(bounded, b.era.savedKey(b.name), sessionMember(session)).Result()
	if err != nil {
		if !answered(err) {
			h.redisFailed(ctx, "read of a saved position", err)
		}
		return seq, nil
	}
	return max(seq, int64(score)), nil
}

// run saves until ctx ends, then what is left.
func (p *positions) run(ctx context.Context) {
	ticker := time.NewTicker(p.hub.cfg.SaveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.hub.cfg.SourceTimeout)
			defer cancel()
			p.store(last)
			return
		case <-p.signal:
			p.cache(ctx)
		case <-ticker.C:
			p.store(ctx)
		}
	}
}

// cache writes to Redis what is not there yet. What it does not take waits for
// the database.
func (p *positions) cache(ctx context.Context) {
	h := p.hub
	p.mu.Lock()
	due := p.uncached
	p.uncached = map[sessionKey]int64{}
	p.mu.Unlock()
	e := h.currentEra()
	for keys := range slices.Chunk(slices.Collect(maps.Keys(due)), maxSavesAtOnce) {
		if !h.link.connected() {
			return
		}
		pipe := h.rdb.Pipeline()
		for _, key := range keys {
			name := e.savedKey(key.user.String())
			pipe.Do(ctx, "zadd", name, "gt", strconv.FormatInt(due[key], 10), sessionMember(key.session))
			pipe.Expire(ctx, name, savedLife)
		}
		if err := h.exec(ctx, pipe); err != nil {
			h.redisFailed(ctx, "saving positions", err)
			return
		}
	}
}

// store writes to the database what is not there yet.
func (p *positions) store(ctx context.Context) {
	h := p.hub
	p.mu.Lock()
	due := maps.Clone(p.unsaved)
	p.mu.Unlock()
	for keys := range slices.Chunk(slices.Collect(maps.Keys(due)), maxSavesAtOnce) {
		saves := make([]chat.SavedPosition, len(keys))
		for i, key := range keys {
			saves[i] = chat.SavedPosition{User: key.user, Session: key.session, Seq: due[key]}
		}
		if err := p.save(ctx, saves); err != nil {
			h.logger.WarnContext(ctx, "saving positions failed, they wait", "error", err, "positions", len(due))
			return
		}
		p.mu.Lock()
		for _, key := range keys {
			if p.unsaved[key] == due[key] {
				delete(p.unsaved, key)
			}
		}
		p.mu.Unlock()
	}
}

func (p *positions) save(ctx context.Context, saves []chat.SavedPosition) error {
	ctx, cancel := context.WithTimeout(ctx, p.hub.cfg.SourceTimeout)
	defer cancel()
	return p.hub.source.SavePositions(ctx, saves)
}
