package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// indexEvery is how soon new messages are indexed when there is nothing else to do.
	indexEvery = 500 * time.Millisecond
	// indexRest is how many times as long as a transaction the pause after it
	// is: indexing takes at most a quarter of one connection's time, however
	// much there is to do, and a twentieth while this node stores more than
	// busySending messages a second. Sending comes first.
	indexRest     = 3
	indexRestBusy = 19
	busySending   = 1000
	// walkEvery is how often some conversations are compared with the index,
	// once all of them were.
	walkEvery = 10 * time.Second
	// indexFailed is the pause after an error.
	indexFailed = 5 * time.Second
)

// indexMetrics is what operators learn of the search index.
type indexMetrics struct {
	messages prometheus.Counter
	failures prometheus.Counter
}

func newIndexMetrics(registry prometheus.Registerer, lag func() time.Duration) indexMetrics {
	m := indexMetrics{
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longwire_search_indexed_messages_total", Help: "Messages this node has put into the search index.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longwire_search_index_failures_total", Help: "Transactions of the search index that did not commit.",
		}),
	}
	registry.MustRegister(m.messages, m.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "longwire_search_lag_seconds", Help: "Age of the oldest message that this node knows to wait for the search index.",
	}, func() float64 { return lag().Seconds() }))
	return m
}

// index keeps the search index up to date. At first it compares all
// conversations with the index, for what a node that died left behind; later it
// goes on doing so, slowly.
func (n *node) index(ctx context.Context) {
	metrics := newIndexMetrics(n.registry, func() time.Duration { return n.db.SearchLag(time.Now()) })
	next := time.NewTimer(indexEvery)
	defer next.Stop()
	var (
		walk  = time.Now() // when to compare next
		round = false      // all were compared once
		sent  = n.db.SentMessages()
		since = walk
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		done, more, err := n.db.IndexMessages(ctx)
		if err == nil && !began.Before(walk) {
			var last bool
			if last, err = n.db.WalkUnindexed(ctx); last || round {
				round, walk = true, began.Add(walkEvery)
			}
			more = more || !round
		}
		metrics.messages.Add(float64(done))
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			metrics.failures.Inc()
			n.logger.WarnContext(ctx, "indexing for search failed", "error", err)
			next.Reset(indexFailed)
			continue
		}
		if !more {
			next.Reset(indexEvery)
			continue
		}
		now, count := time.Now(), n.db.SentMessages()
		took := now.Sub(began)
		pause := indexRest * took
		if float64(count-sent) > busySending*now.Sub(since).Seconds() {
			pause = indexRestBusy * took
		}
		sent, since = count, now
		next.Reset(pause)
	}
}
