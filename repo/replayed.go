package repo

import (
	"sync/atomic"
	"time"
)

// looking is how long after a replay the batches of messages look for others
// before they begin: replays come in crowds, after something went down.
const looking = time.Second

// replayed remembers when a message last turned out to be a replay.
type replayed struct {
	last atomic.Pointer[time.Time] // nil = never
}

func (r *replayed) note() {
	now := time.Now()
	r.last.Store(&now)
}

// lately tells whether replays are to be expected.
func (r *replayed) lately() bool {
	last := r.last.Load()
	return last != nil && time.Since(*last) < looking
}
