package handlers

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// parking holds streams whose handler has returned. An idle stream there costs
// its socket, its position and a place on a wheel, but no goroutine and none of
// net/http's buffers; a few writers serve all of them. See parkedStream for one
// stream's life.
type parking struct {
	wheel   wheel
	sockets sockets
	ready   lane         // streams that have something to do
	reading lane         // streams that must ask Redis or the database first
	kept    atomic.Int64 // bytes that did not fit into sockets, of all streams

	stop  context.CancelFunc
	loops sync.WaitGroup
}

// maxKeptRest bounds what is kept for readers that read slower than they are
// written to: more than that, and they are closed at once.
const maxKeptRest = 256 << 20

// readers is how many streams ask Redis or the database at once.
const readers = 64

// newParking starts a parking place. Close ends it. It is nil where the
// platform has no way to watch sockets without a goroutine for each.
func newParking() (*parking, error) {
	p := &parking{}
	supported, err := p.sockets.open()
	if err != nil || !supported {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.ready.open(64)
	p.reading.open(1) // one may wait for long, and the others must not wait behind it
	// One more than there are processors: a writer may be in a system call.
	for range runtime.GOMAXPROCS(0) + 1 {
		p.loops.Go(func() { p.ready.run((*parkedStream).write) })
	}
	for range readers {
		p.loops.Go(func() { p.reading.run((*parkedStream).read) })
	}
	p.loops.Go(func() { p.turn(ctx) })
	p.loops.Go(p.sockets.watch)
	return p, nil
}

// close stops everything. The hub has ended the streams before, see
// [realtime.Hub.Drain]; what is left is cut.
func (p *parking) close() {
	p.stop()
	p.ready.close()
	p.reading.close()
	p.sockets.ring()
	p.loops.Wait()
	p.sockets.close()
}

// lane is a queue of streams and the goroutines that serve them. It is as long
// as there are streams at most: each is in one lane at most, once.
type lane struct {
	mu     sync.Mutex
	wake   sync.Cond       // signalled when queue grows or closed is set; its lock is mu
	queue  []*parkedStream // guarded by mu
	closed bool            // guarded by mu
	most   int             // that one goroutine takes at once
}

func (l *lane) open(most int) { l.wake.L, l.most = &l.mu, most }

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake.Broadcast()
}

// add gives a stream to the lane.
func (l *lane) add(s *parkedStream) {
	l.mu.Lock()
	l.queue = append(l.queue, s)
	l.mu.Unlock()
	l.wake.Signal()
}

// take removes up to len(taken) streams, the oldest first, and waits for one.
// It leaves some for the other goroutines. 0 = the lane is closed and empty.
func (l *lane) take(taken []*parkedStream) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 {
		if l.closed {
			return 0
		}
		l.wake.Wait()
	}
	n := copy(taken[:min(len(taken), (len(l.queue)+1)/2)], l.queue)
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		l.queue = nil // so that one burst's memory is not kept for ever
	}
	return n
}

// run serves the lane's streams, with memory that they share.
func (l *lane) run(serve func(s *parkedStream, buffer []byte) []byte) {
	var (
		taken  = make([]*parkedStream, l.most)
		buffer []byte
	)
	for {
		n := l.take(taken)
		if n == 0 {
			return
		}
		for i, s := range taken[:n] {
			buffer = serve(s, buffer[:0])
			taken[i] = nil
		}
		if cap(buffer) > maxLaneBuffer {
			buffer = nil
		}
	}
}

// maxLaneBuffer is how much memory a lane's goroutine keeps between streams.
const maxLaneBuffer = 512 << 10

// wheelTick is how exact the times of parked streams are.
const wheelTick = 250 * time.Millisecond

// wheel is the timer of all parked streams: a ring of ticks, each with the
// streams that are due then. A stream that was busy in the meantime is simply
// put further along when its tick comes, so that traffic costs no timer.
type wheel struct {
	mu    sync.Mutex
	slots [256][]turn // guarded by mu
	at    int         // the slot that is due next; guarded by mu
}

// turn is a stream's place on the wheel. Each has one that goes with it all its
// life; one that is once comes beside it and is gone when it has come.
type turn struct {
	stream *parkedStream
	once   bool
}

// add makes a stream due after d, or at the end of the ring if that is sooner:
// it then finds that it has more time.
func (w *wheel) add(t turn, d time.Duration) {
	ticks := min(max(int(d/wheelTick)+1, 1), len(w.slots)-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	slot := (w.at + ticks) % len(w.slots)
	w.slots[slot] = append(w.slots[slot], t)
}

// next takes the streams of the present tick and moves on.
func (w *wheel) next() []turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.slots[w.at]
	w.slots[w.at] = nil
	w.at = (w.at + 1) % len(w.slots)
	return due
}

// turn turns the wheel until ctx ends.
func (p *parking) turn(ctx context.Context) {
	ticker := time.NewTicker(wheelTick)
	defer ticker.Stop()
	last := time.Now()
	memory := newMemory()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		// The ticker drops ticks when we are late; the wheel must not.
		for ; now.Sub(last) >= wheelTick; last = last.Add(wheelTick) {
			for _, t := range p.wheel.next() {
				p.due(t, now)
			}
		}
		if memory.worthFreeing(now) {
			p.loops.Go(freeMemory)
		}
	}
}

// due looks at a stream whose tick has come.
func (p *parking) due(t turn, now time.Time) {
	s := t.stream
	switch {
	case s.gone():
		return // and nobody refers to it any more
	case t.once:
		s.raise()
		return
	}
	wait := s.nextDue().Sub(now)
	if wait <= 0 {
		s.raise()
		wait = wheelTick // to look whether it went through
	}
	p.wheel.add(t, wait)
}
