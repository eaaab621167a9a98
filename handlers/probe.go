package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

const (
	defaultTicks        = 4
	defaultTickInterval = 250 // milliseconds
	// maxProbes bounds how many run on a node at once: nobody need sign in for one.
	maxProbes  = 256
	probeRetry = 5 * time.Second
)

// ProbeStream serves GET /v1/diag/stream: a short stream whose client finds out
// by its own clock whether something on the way holds streams back.
func (a *api) ProbeStream(c echo.Context, params openapi.ProbeStreamParams) error {
	ticks, interval := defaultTicks, defaultTickInterval*time.Millisecond
	if params.Ticks != nil {
		ticks = *params.Ticks
	}
	if params.IntervalMs != nil {
		interval = time.Duration(*params.IntervalMs) * time.Millisecond
	}
	if exchangeOf(c).head {
		streamHeaders(c.Response().Header())
		return c.NoContent(http.StatusOK)
	}
	if a.probes.Add(1) > maxProbes {
		a.probes.Add(-1)
		return &chat.Error{Code: chat.CodeOverloaded, Detail: "Too many probes are running on this node.", RetryAfter: probeRetry}
	}
	defer a.probes.Add(-1)
	streamHeaders(c.Response().Header())
	out := newHTTPSink(c.Response(), a.WriteTimeout)
	turn := time.NewTicker(interval)
	defer turn.Stop()
	for n := 1; ; n++ {
		tick := appendTick(nil, n, ticks, interval, time.Now())
		if n == 1 {
			tick = appendPadding(tick, valueOf(params.Padding))
		}
		if err := out.write(tick); err != nil {
			exchangeOf(c).clientLeft = true
			return nil // nobody is there to be told
		}
		if n == ticks {
			return nil
		}
		select {
		case <-turn.C:
		case <-a.draining:
			return nil // fewer than were promised: the client asks another node
		case <-c.Request().Context().Done():
			exchangeOf(c).clientLeft = true
			return nil
		}
	}
}
