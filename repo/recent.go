package repo

import (
	"sync/atomic"
	"time"
)

// reckoning is how long something that is rare is reckoned with after it
// happened: it comes in crowds, after something went down.
const reckoning = time.Second

// recent remembers when something last happened.
type recent struct {
	last atomic.Pointer[time.Time] // nil = never
}

func (r *recent) note() {
	now := time.Now()
	r.last.Store(&now)
}

// lately tells whether it is to be reckoned with.
func (r *recent) lately() bool {
	last := r.last.Load()
	return last != nil && time.Since(*last) < reckoning
}
