package realtime

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"longwire/chat"

	"github.com/redis/go-redis/v9"
)

// benchmarkFanOut announces events for 1,000 users at a time and waits until
// each of their readers has everything.
func benchmarkFanOut(b *testing.B, rdb redis.UniversalClient, remote bool) {
	b.Helper()
	const users = 1000
	source := newMemorySource(randomEpoch())
	quiet := func(c *Config) { patient(c); c.QueueMemory = 1 << 30 }
	sender := startNode(b, "a", rdb, source, quiet)
	receiver := sender
	if remote {
		receiver = startNode(b, "b", rdb, source, quiet)
	}
	group := make([]chat.ID, users)
	var got atomic.Int64
	var readers sync.WaitGroup
	ctx, cancel := context.WithCancel(b.Context())
	arrived := make(chan struct{}, 1)
	want := int64(users) * int64(b.N)
	for i := range group {
		group[i] = alice + chat.ID(i)
		s := receiver.attach(streamOf(group[i]))
		readers.Go(func() {
			for {
				batch, err := s.Next(ctx)
				if err != nil {
					return
				}
				if got.Add(int64(len(batch.Events))) == want {
					arrived <- struct{}{}
				}
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		sender.Announce(source.commit(group...))
	}
	<-arrived
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(want), "ns/delivery")
	cancel()
	readers.Wait()
}

func BenchmarkFanOutLocal(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { benchmarkFanOut(b, embeddedRedis(b), false) })
	b.Run("real", func(b *testing.B) { benchmarkFanOut(b, realRedis(b), false) })
}

func BenchmarkFanOutRemote(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { benchmarkFanOut(b, embeddedRedis(b), true) })
	b.Run("real", func(b *testing.B) { benchmarkFanOut(b, realRedis(b), true) })
}

// BenchmarkAnnounce is what announcing costs the one who sends.
func BenchmarkAnnounce(b *testing.B) {
	source := newMemorySource(randomEpoch())
	hub := startNode(b, "a", embeddedRedis(b), source, patient)
	request := streamOf(alice)
	request.OnWake = func() {}
	s := hub.attach(request)
	b.ReportAllocs()
	for b.Loop() {
		hub.Announce(source.commit(alice))
		_, _ = s.TryWindow()
	}
}

// BenchmarkIdleSession is what a parked session costs in memory: the handlers'
// share, and the operating system's, come on top.
func BenchmarkIdleSession(b *testing.B) {
	hub := startNode(b, "a", realRedis(b), newMemorySource(randomEpoch()), patient, func(c *Config) { c.MaxStreams = 1 << 30 })
	sessions := make([]*Session, 0, b.N)
	before := heapInUse()
	b.ResetTimer()
	for i := range b.N {
		request := streamOf(alice + chat.ID(i))
		request.Kind, request.OnWake = Poll, func() {}
		sessions = append(sessions, hub.attach(request))
	}
	b.StopTimer()
	b.ReportMetric(float64(heapInUse()-before)/float64(b.N), "B/session")
	for _, s := range sessions {
		s.Close()
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
