package handlers

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/realtime"
)

// Limiter counts requests over all nodes; see [realtime.Limiter].
type Limiter interface {
	Allow(ctx context.Context, key string, limit realtime.Limit) (realtime.Decision, error)
}

// budget is how often something may be done.
type budget struct {
	name  string
	limit realtime.Limit
	// byAddress counts client addresses; otherwise users are counted.
	byAddress bool
}

var (
	registerBudget      = &budget{name: "register", limit: realtime.Limit{Rate: 20, Period: time.Minute, Burst: 40}, byAddress: true}
	loginBudget         = &budget{name: "login", limit: realtime.Limit{Rate: 20, Period: time.Minute, Burst: 40}, byAddress: true}
	loginUsernameBudget = &budget{name: "login_username", limit: realtime.Limit{Rate: 10, Period: time.Minute, Burst: 20}}
	refreshBudget       = &budget{name: "refresh", limit: realtime.Limit{Rate: 60, Period: time.Minute, Burst: 120}, byAddress: true}
	sendBudget          = &budget{name: "send", limit: realtime.Limit{Rate: 20, Period: time.Second, Burst: 200}}
	typingBudget        = &budget{name: "typing", limit: realtime.Limit{Rate: 4, Period: time.Second, Burst: 40}}
	passwordBudget      = &budget{name: "password", limit: realtime.Limit{Rate: 10, Period: time.Minute, Burst: 10}}
	exportBudget        = &budget{name: "export", limit: realtime.Limit{Rate: 6, Period: time.Hour, Burst: 3}}
	searchBudget        = &budget{name: "search", limit: realtime.Limit{Rate: 2, Period: time.Second, Burst: 30}}
	probeBudget         = &budget{name: "probe", limit: realtime.Limit{Rate: 60, Period: time.Minute, Burst: 120}, byAddress: true}
	writeBudget         = &budget{name: "write", limit: realtime.Limit{Rate: 10, Period: time.Second, Burst: 100}}
)

// budgetOf says which budget an operation draws on. Reading is free, but for
// searching and exporting, which are dear: polls and streams must never compete with sending.
func budgetOf(method, operationID string, who access) *budget {
	switch operationID {
	case "register":
		return registerBudget
	case "login":
		return loginBudget
	case "refresh":
		return refreshBudget
	case "sendToUser", "sendToGroup":
		return sendBudget
	case "setTyping":
		return typingBudget
	case "searchMessages":
		return searchBudget
	case "changePassword", "deleteMe":
		return passwordBudget
	case "exportMe":
		return exportBudget
	case "probeStream":
		return probeBudget
	}
	if method == http.MethodGet || who == accessPublic {
		return nil
	}
	return writeBudget
}

// spend is the middleware that draws on the operation's budget.
func (a *api) spend(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		if x.op == nil || x.op.budget == nil {
			return next(c)
		}
		key := x.identity.User.String()
		if x.op.budget.byAddress {
			key = addressKey(c.RealIP())
		}
		if err := a.draw(c, x.op.budget, key); err != nil {
			return err
		}
		return next(c)
	}
}

// draw takes one from the budget of key and tells the client where it stands.
func (a *api) draw(c echo.Context, b *budget, key string) error {
	if !a.RateLimit {
		return nil
	}
	decision, err := a.Limiter.Allow(c.Request().Context(), b.name+":"+key, b.limit)
	if err != nil {
		return err
	}
	tellLimit(c.Response().Header(), decision.Limit, decision.Remaining, decision.ResetAfter)
	if decision.Allowed {
		return nil
	}
	a.metrics.limited.WithLabelValues(b.name).Inc()
	return &chat.Error{Code: chat.CodeRateLimited, Detail: "Too many requests. Wait before the next one.", RetryAfter: decision.RetryAfter}
}

// addressKey is what one client is counted under: its IPv4 address, or its IPv6
// network of 64 bits, which is what one household has.
func addressKey(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	parsed = parsed.Unmap().WithZone("")
	if parsed.Is6() {
		network, err := parsed.Prefix(64)
		if err != nil {
			return "unknown"
		}
		return network.String()
	}
	return parsed.String()
}

// usernameKey counts tries on one account whatever the spelling.
func usernameKey(username string) string {
	return strings.ToLower(username)
}

// tellLimit sets the headers that tell a client where it stands.
func tellLimit(header http.Header, limit, remaining int, reset time.Duration) {
	header.Set("RateLimit-Limit", strconv.Itoa(limit))
	header.Set("RateLimit-Remaining", strconv.Itoa(remaining))
	header.Set("RateLimit-Reset", strconv.FormatInt(seconds(reset), 10))
}
