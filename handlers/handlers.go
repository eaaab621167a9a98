package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"longwire/chat"
	"longwire/openapi"
)

// Config is what the API needs. Fields without a word on their zero value are required.
type Config struct {
	Service Service
	Inboxes Inboxes
	Limiter Limiter      // required when RateLimit is set
	Ready   func() error // nil means: always ready; see getReadiness

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil keeps the metrics to itself

	// Pages serves what is for people at PagePaths; nil = nothing.
	Pages     http.Handler
	PagePaths []string // echo patterns; nil = /, /docs, /docs/*, /assets/*

	TrustedProxies []netip.Prefix // whose X-Forwarded-For and -Proto are believed
	RateLimit      bool
	// CORSOrigins are the origins of pages elsewhere that may use the API, as
	// browsers send them; nil = none, "*" = all. They never get the cookie.
	CORSOrigins []string

	MaxBodyBytes   int64         // of a request; 64 KiB
	StreamLifetime time.Duration // the longest; each stream draws 0.8 to 1.0 of it; 10 min
	Heartbeat      time.Duration // the longest silence on a stream; 15 s
	WriteTimeout   time.Duration // for one write to a stream; 5 s
	MaxPollWait    time.Duration // 55 s

	// ParkStreams takes the connections of idle streams over from net/http,
	// where the platform and the connection allow it.
	ParkStreams bool

	Random func() float64 // in [0, 1), for jitter; nil is math/rand
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Service == nil || cfg.Inboxes == nil || cfg.RateLimit && cfg.Limiter == nil {
		return cfg, errors.New("handlers: a service, inboxes and, with rate limits, a limiter are needed")
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.PagePaths == nil {
		cfg.PagePaths = []string{"/", "/docs", "/docs/*", "/assets/*"}
	}
	if cfg.MaxBodyBytes <= 0 {
		cfg.MaxBodyBytes = 64 << 10
	}
	setDefault(&cfg.StreamLifetime, 10*time.Minute)
	setDefault(&cfg.Heartbeat, 15*time.Second)
	setDefault(&cfg.WriteTimeout, 5*time.Second)
	setDefault(&cfg.MaxPollWait, 55*time.Second)
	return cfg, nil
}

func setDefault(field *time.Duration, value time.Duration) {
	if *field <= 0 {
		*field = value
	}
}

// api is the implementation of the generated server interface.
type api struct {
	Config

	spec       openapi.Spec
	operations map[routeKey]*operation
	pages      map[string]bool // the patterns that Pages serves
	metrics    *metrics
	parking    *parking // nil: every stream keeps its handler
	probes     atomic.Int64
	draining   chan struct{} // closed by Drain
}

var _ openapi.ServerInterface = (*api)(nil)

// New returns the whole API and the pages as one handler. The server that uses
// it should set ReadHeaderTimeout; ReadTimeout and WriteTimeout may be set too,
// since streams and polls lift them for themselves.
func New(cfg Config) (*API, error) {
	a, err := newAPI(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.ParkStreams {
		if a.parking, err = newParking(); err != nil {
			return nil, fmt.Errorf("handlers: %w", err)
		}
	}
	return &API{Handler: headAsGet(a.router()), parking: a.parking, drain: sync.OnceFunc(func() { close(a.draining) })}, nil
}

// API is the whole API and the pages as one handler.
type API struct {
	http.Handler

	parking *parking
	drain   func()
}

// Drain ends what is of no use while the server shuts down: give it to
// [http.Server.RegisterOnShutdown]. Streams and polls are the hub's to end.
func (a *API) Drain() { a.drain() }

// Close ends what outlives requests. Call it when the server and the hub have
// stopped: streams that are open then are cut.
func (a *API) Close() {
	if a.parking != nil {
		a.parking.close()
	}
}

func newAPI(cfg Config) (*api, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &api{Config: cfg, pages: map[string]bool{}, draining: make(chan struct{})}
	if a.spec, err = openapi.Load(); err != nil {
		return nil, err
	}
	if a.operations, err = operationsOf(a.spec); err != nil {
		return nil, fmt.Errorf("handlers: %w", err)
	}
	if a.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, fmt.Errorf("handlers: %w", err)
	}
	return a, nil
}

// router is the way of every request, from the outside in.
func (a *api) router() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = a.fail
	e.IPExtractor = clientAddress(a.TrustedProxies)

	e.Pre(a.open)
	e.Use(a.observe)
	if len(a.CORSOrigins) > 0 {
		e.Use(allowOrigins(a.CORSOrigins))
	}
	e.Use(a.authenticate, a.spend, a.validate)
	openapi.RegisterHandlers(e, a)
	if a.Pages != nil {
		for _, path := range a.PagePaths {
			a.pages[path] = true
			e.GET(path, echo.WrapHandler(a.Pages))
		}
	}
	return e
}

// clientAddress believes X-Forwarded-For as far as trusted proxies wrote it.
func clientAddress(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: network.Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), network.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// callerOf returns who asks, in an operation that wants to know.
func callerOf(c echo.Context) chat.Caller {
	return exchangeOf(c).identity.Caller
}

// created answers a creating call: 201, or 200 when it is the replay of an earlier one.
func created(c echo.Context, value any, replayed bool) error {
	if !replayed {
		return c.JSON(http.StatusCreated, value)
	}
	c.Response().Header().Set("Idempotency-Replayed", "true")
	return c.JSON(http.StatusOK, value)
}

// ok answers 200 with a value, unless there is an error.
func ok(c echo.Context, value any, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, value)
}

// done answers 204, unless there is an error.
func done(c echo.Context, err error) error {
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// pageOf returns which part of a list is asked for.
func pageOf(limit *int, after *string) chat.Page {
	return chat.Page{Limit: valueOf(limit), After: valueOf(after)}
}

// valueOf returns what p points to, the zero value for nil.
func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// cast turns a pointer to a generated text type into one to the domain's.
func cast[To, From ~string](p *From) *To {
	if p == nil {
		return nil
	}
	to := To(*p)
	return &to
}
