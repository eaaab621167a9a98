package handlers

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"longwire/realtime"
)

// metrics is what this package counts. Labels come from bounded sets only.
type metrics struct {
	requests  *prometheus.CounterVec   // route, method, status
	durations *prometheus.HistogramVec // route, method; without polls and streams, which wait by design
	limited   *prometheus.CounterVec   // budget
	streams   prometheus.Gauge
	ended     *prometheus.CounterVec // reason
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "longwire_http_requests_total", Help: "Answered requests; 499 is a client that left.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "longwire_http_request_duration_seconds", Help: "Time to answer, without polls and streams.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "longwire_http_rate_limited_total", Help: "Requests refused by a rate limit.",
		}, []string{"budget"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "longwire_http_streams", Help: "Open event streams.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "longwire_http_streams_ended_total", Help: "Ended event streams by reason.",
		}, []string{"reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.limited, m.streams, m.ended} {
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
	for _, b := range budgets {
		m.limited.WithLabelValues(b.name)
	}
	for _, reason := range []string{
		endLifetime, endTokenExpiring, endSlowConsumer, endClientLeft, string(realtime.EndShutdown), string(realtime.EndRevoked),
	} {
		m.ended.WithLabelValues(reason)
	}
}
