package handlers

import (
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// memory notices that little happens and that there is garbage. It is given back
// to the system then: what opening many streams took, buffers of net/http above
// all, and what idle streams make in minutes. The collector by itself would keep
// as much again as is alive, and with idle streams it hardly ever runs.
type memory struct {
	samples [2]runtimemetrics.Sample // of allocatedBytes and liveBytes
	looked  time.Time
	seen    uint64 // allocated in all when it was last looked
	freed   uint64 // and when memory was last given back
}

const (
	allocatedBytes = "/gc/heap/allocs:bytes" // ever
	liveBytes      = "/gc/heap/live:bytes"   // at the last collection

	lookEvery    = time.Second
	busyBytes    = 4 << 20 // allocated in a second: the collector has enough to do
	garbageBytes = 8 << 20 // worth a collection, or more when it has more to go through
)

func newMemory() *memory {
	m := new(memory)
	m.samples[0].Name, m.samples[1].Name = allocatedBytes, liveBytes
	return m
}

// worthFreeing tells, at most once a second, whether it is time to give memory back.
func (m *memory) worthFreeing(now time.Time) bool {
	if now.Sub(m.looked) < lookEvery {
		return false
	}
	m.looked = now
	runtimemetrics.Read(m.samples[:])
	return m.quiet(m.samples[0].Value.Uint64(), m.samples[1].Value.Uint64())
}

// quiet is told each second what was allocated so far and what was alive.
func (m *memory) quiet(allocated, live uint64) bool {
	grown := allocated - m.seen
	m.seen = allocated
	if grown > busyBytes || allocated-m.freed < max(garbageBytes, live/2) {
		return false
	}
	m.freed = allocated
	return true
}

// freeMemory collects twice, because pools keep what they have through one
// collection, and gives back what is free.
func freeMemory() {
	runtime.GC()
	debug.FreeOSMemory()
}
