package handlers

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
)

// exchange is what one request has gathered on its way through the middleware.
type exchange struct {
	requestID  string
	op         *operation // nil: no route of the specification
	identity   chat.Identity
	head       bool // asked by HEAD: no body goes out, so nothing is waited for
	body       []byte
	plain      string // the text of a message that is nothing else; "" = body says it
	err        error  // what the handler returned; for the log
	clientLeft bool
	ended      string // why the answer's stream ended; "" = it is none
	parked     bool   // the answer goes on after the handler, and is recorded when it ends
	began      time.Time
}

const exchangeKey = "longwire.exchange"

// exchangeOf returns the request's exchange. There is one from the first
// middleware on; a bare context, as in echo's own error paths, gets its own.
func exchangeOf(c echo.Context) *exchange {
	if x, ok := c.Get(exchangeKey).(*exchange); ok {
		return x
	}
	x := &exchange{requestID: rand.Text(), began: time.Now()}
	x.head, _ = c.Request().Context().Value(headKey{}).(bool)
	c.Set(exchangeKey, x)
	return x
}

// open begins the exchange before the route is known: the request's id is
// settled, and what every answer carries is set.
func (a *api) open(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		if id := c.Request().Header.Get(echo.HeaderXRequestID); saneRequestID(id) {
			x.requestID = id
		}
		header := c.Response().Header()
		header.Set(echo.HeaderXRequestID, x.requestID)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		// Pages elsewhere may not load it as a picture or a script either, which asks nobody;
		// what they may fetch is CORS's to say. The page sets a policy of its own.
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if strings.HasPrefix(c.Request().URL.Path, "/v1/") {
			header.Set("Cache-Control", "no-store")
		}
		return next(c)
	}
}

// saneRequestID accepts ids that are safe in logs and headers.
func saneRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return true
}

// observe answers errors and panics, and afterwards writes the request's one
// log line and its metrics.
func (a *api) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		x.op = a.operations[routeKey{c.Request().Method, c.Path()}]
		defer func() {
			if !x.parked {
				a.record(c, x)
			}
		}()
		if err := guard(next, c); err != nil {
			a.fail(err, c)
		}
		return nil
	}
}

// panicked is a panic on its way to the log.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string {
	return fmt.Sprintf("panic: %v", p.value)
}

// guard turns a panic into an error. [http.ErrAbortHandler] goes on: it is how
// a handler asks net/http to cut the connection.
func guard(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if value == http.ErrAbortHandler { //nolint:errorlint // recovered values are compared, as net/http does
			panic(value)
		}
		err = &panicked{value: value, stack: debug.Stack()}
	}()
	return next(c)
}

// record writes the log line and the metrics. Of the request it tells the route
// and never the address asked for, whose query may hold a token.
func (a *api) record(c echo.Context, x *exchange) {
	level := slog.LevelInfo
	if x.op == nil || x.op.access == accessPublic && c.Request().Method == http.MethodGet {
		level = slog.LevelDebug
	}
	ctx := context.WithoutCancel(c.Request().Context())
	a.log(ctx, x, level, entry{route: a.routeLabel(c, x), method: methodLabel(c.Request(), x), status: c.Response().Status, bytes: c.Response().Size})
}

// entry is what a log line tells of a request beside its exchange.
type entry struct {
	route, method string
	status        int
	bytes         int64
}

// log counts a request and logs it, at the given level unless it failed.
func (a *api) log(ctx context.Context, x *exchange, level slog.Level, e entry) {
	status := e.status
	if x.clientLeft {
		status = statusClientLeft
	}
	route, method := e.route, e.method
	took := time.Since(x.began)
	a.metrics.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	if x.op == nil || x.op.access != accessInbox { // those wait by design
		a.metrics.durations.WithLabelValues(route, method).Observe(took.Seconds())
	}

	switch {
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	if !a.Logger.Enabled(ctx, level) {
		return
	}
	fields := make([]slog.Attr, 0, 10)
	fields = append(fields, slog.String("request_id", x.requestID), slog.String("method", method), slog.String("route", route),
		slog.Int("status", status), slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.Int64("bytes", e.bytes))
	if x.identity.User != 0 {
		fields = append(fields, slog.String("user_id", x.identity.User.String()))
	}
	if x.ended != "" {
		fields = append(fields, slog.String("ended", x.ended))
	}
	if x.err != nil {
		fields = append(fields, causeOf(x.err)...)
	}
	// Not by the logger's own methods: they look up their caller each time, for nobody.
	record := slog.NewRecord(x.began.Add(took), level, "request", 0)
	record.AddAttrs(fields...)
	_ = a.Logger.Handler().Handle(ctx, record) // as the logger does: who is to be told?
}

// causeOf returns what the log tells of an error: the code of an expected one,
// the cause of any other.
func causeOf(err error) []slog.Attr {
	known := domainError(err)
	fields := []slog.Attr{slog.String("code", string(known.Code))}
	if known.Err != nil {
		fields = append(fields, slog.String("cause", known.Err.Error()))
	}
	if p, ok := known.Err.(*panicked); ok { //nolint:errorlint // set by guard, never wrapped
		fields = append(fields, slog.String("stack", string(p.stack)))
	}
	return fields
}

// routeLabel names a route out of a bounded set.
func (a *api) routeLabel(c echo.Context, x *exchange) string {
	switch {
	case x.op != nil:
		return x.op.route.Path
	case a.pages[c.Path()]:
		return c.Path()
	default:
		return "unmatched"
	}
}

// methodLabel names a method out of a bounded set.
func methodLabel(r *http.Request, x *exchange) string {
	if x.head {
		return http.MethodHead
	}
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}
