package realtime

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what a node tells of its delivery.
type metrics struct {
	openStreams      prometheus.Gauge
	waitingPolls     prometheus.Gauge
	batches          prometheus.Counter
	batchSeconds     prometheus.Histogram
	delivered        prometheus.Counter
	lost             *prometheus.CounterVec
	fallbackStream   prometheus.Counter
	fallbackDatabase prometheus.Counter
	holesHealed      prometheus.Counter
	resets           *prometheus.CounterVec
	headsBehind      prometheus.Counter
	probeSeconds     prometheus.Histogram
	probesLost       prometheus.Counter
	reconnects       prometheus.Counter
	sessionsEnded    *prometheus.CounterVec
	savesDropped     prometheus.Counter

	ephemeralDelivered prometheus.Counter
	ephemeralDropped   *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, h *Hub) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "longwire", Name: name, Help: help})
	}
	counters := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "longwire", Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "longwire", Name: name, Help: help})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "longwire", Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		})
	}
	fallback := counters("fallback_reads_total", "from", "Reads of inboxes that memory did not have, by what was asked.")
	m := &metrics{
		openStreams:      gauge("open_streams", "Streams open on this node."),
		waitingPolls:     gauge("waiting_polls", "Polls under way on this node."),
		batches:          counter("announce_batches_total", "Batches of announcements handed to Redis."),
		batchSeconds:     seconds("announce_batch_seconds", "How long one batch of announcements took."),
		delivered:        counter("announce_deliveries_total", "Events handed to inboxes that are on this node."),
		lost:             counters("announce_lost_total", "reason", "Deliveries that could not be announced to other nodes; they are found in the database."),
		fallbackStream:   fallback.WithLabelValues("stream"),
		fallbackDatabase: fallback.WithLabelValues("database"),
		holesHealed:      counter("holes_healed_total", "Holes in what was announced that were filled."),
		resets:           counters("resets_total", "reason", "Readers that could not continue from where they were."),
		headsBehind:      counter("heads_behind_total", "Inboxes found behind the database."),
		probeSeconds:     seconds("probe_round_trip_seconds", "From sending a probe through the announce path to its return."),
		probesLost:       counter("probes_lost_total", "Probes that did not come back in time."),
		reconnects:       counter("subscription_reconnects_total", "Interruptions of the subscription to Redis."),
		sessionsEnded:    counters("sessions_ended_total", "reason", "Readers that this node ended."),
		savesDropped:     counter("saved_positions_dropped_total", "Acknowledgements dropped because too many waited for the database."),

		ephemeralDelivered: counter("ephemeral_deliveries_total", "Ephemeral events handed to inboxes that are on this node."),
		ephemeralDropped:   counters("ephemeral_dropped_total", "reason", "Ephemeral events that were dropped."),
	}
	windows := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "longwire", Name: "window_bytes", Help: "Recent events kept in memory, about.",
	}, func() float64 { return float64(h.memory.used.Load()) })
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "longwire", Name: "ready", Help: "1 while this node can serve, as /readyz says; otherwise 0.",
	}, func() float64 {
		if h.Ready() != nil {
			return 0
		}
		return 1
	})
	for _, c := range []prometheus.Collector{
		m.openStreams, m.waitingPolls, m.batches, m.batchSeconds, m.delivered, m.lost, fallback, m.holesHealed, m.resets,
		m.headsBehind, m.probeSeconds, m.probesLost, m.reconnects, m.sessionsEnded, m.savesDropped, windows, ready,
		m.ephemeralDelivered, m.ephemeralDropped,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.begin()
	return m, nil
}

// begin shows 0 for everything that nothing has been counted of: who watches a
// counter would not notice its first step from nowhere.
func (m *metrics) begin() {
	for counter, reasons := range map[*prometheus.CounterVec][]string{
		m.lost:             {lostQueueFull, lostStream, lostRegistry, lostPublish},
		m.resets:           {string(ResetTooOld), string(ResetUnknownFuture), string(ResetEpoch)},
		m.sessionsEnded:    {string(EndShutdown), string(EndRevoked)},
		m.ephemeralDropped: {droppedQueueFull, droppedBusy, droppedRedis, droppedReader},
	} {
		for _, reason := range reasons {
			counter.WithLabelValues(reason)
		}
	}
}

func (m *metrics) open(kind Kind) prometheus.Gauge {
	if kind == Poll {
		return m.waitingPolls
	}
	return m.openStreams
}
