package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"longwire/chat"
)

// newRegistry returns the metrics of a node, with those of the process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// observeBatches returns what the sender tells of each batch to the metrics.
func observeBatches(registry prometheus.Registerer) func(chat.Batch) {
	messages := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "longwire_writer_batch_messages", Help: "Messages in one transaction.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	})
	rows := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "longwire_writer_batch_rows", Help: "Inbox rows in one transaction.",
		Buckets: prometheus.ExponentialBuckets(1, 4, 8),
	})
	waited := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "longwire_writer_wait_seconds", Help: "How long the oldest message of a batch waited for its transaction to begin.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
	})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "longwire_writer_commit_seconds", Help: "How long a transaction of messages took.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 3, 10),
	})
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "longwire_writer_failed_batches_total", Help: "Transactions of messages that did not commit.",
	})
	registry.MustRegister(messages, rows, waited, took, failed)
	return func(b chat.Batch) {
		messages.Observe(float64(b.Messages))
		rows.Observe(float64(b.Rows))
		waited.Observe(b.Waited.Seconds())
		took.Observe(b.Took.Seconds())
		if b.Failed {
			failed.Inc()
		}
	}
}

// countRefusals returns what the sender tells of messages that it did not take.
func countRefusals(registry prometheus.Registerer) func(chat.Refusal) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "longwire_writer_refused_total", Help: "Messages that were not queued, by whose share of the queue was used up.",
	}, []string{"share"})
	registry.MustRegister(refused)
	for _, why := range []chat.Refusal{chat.RefusedQueue, chat.RefusedSender, chat.RefusedConversation} {
		refused.WithLabelValues(string(why)) // is 0 from the start, so that the first one is seen to be more
	}
	return func(why chat.Refusal) { refused.WithLabelValues(string(why)).Inc() }
}
