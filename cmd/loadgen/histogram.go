package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// clock is what all times here are counted from.
var clock = time.Now()

// now is the time since the program began, in nanoseconds. It never goes back.
func now() int64 {
	return int64(time.Since(clock))
}

const (
	// Each power of two of nanoseconds is divided into so many buckets, so that
	// a quantile is off by 1.6 % at most.
	subBuckets = 64
	subBits    = 6
	// maxExponent is beyond 18 minutes.
	maxExponent = 40
)

// histogram counts durations. Its methods may be called concurrently.
type histogram struct {
	counts [(maxExponent - subBits + 2) * subBuckets]atomic.Int64
}

// record counts one duration in nanoseconds.
func (h *histogram) record(d int64) {
	h.counts[bucketOf(d)].Add(1)
}

func bucketOf(d int64) int {
	v := min(uint64(max(d, 0)), 1<<maxExponent)
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// middle is the duration in the middle of a bucket.
func middle(bucket int) float64 {
	if bucket < subBuckets {
		return float64(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket%subBuckets+subBuckets) << shift
	return float64(low) + float64(uint64(1)<<shift)/2
}

// count returns how many durations were recorded.
func (h *histogram) count() int64 {
	var n int64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// quantile returns the duration below which the share q of them are, in
// nanoseconds; 0 when there are none.
func (h *histogram) quantile(q float64) float64 {
	rank := int64(q*float64(h.count())) + 1
	for i := range h.counts {
		if rank -= h.counts[i].Load(); rank <= 0 {
			return middle(i)
		}
	}
	if n := h.count(); n > 0 { // q is 1
		return h.quantile(float64(n-1) / float64(n))
	}
	return 0
}
