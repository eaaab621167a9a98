package realtime

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Limit allows Rate requests in a Period, and Burst of them at once.
type Limit struct {
	Rate   int
	Period time.Duration
	Burst  int // 0 = Rate
}

// Decision is what a limiter says to one request.
type Decision struct {
	Allowed    bool
	Limit      int           // requests that may come at once, when none came lately
	Remaining  int           // requests that may still come now
	RetryAfter time.Duration // until a request is allowed; 0 = now
	ResetAfter time.Duration // until Remaining is Limit
}

// Limiter limits how often something may be done, over all nodes: with the
// generic cell rate algorithm in Redis. While Redis does not answer, each node
// applies the limit by itself, so that requests go on.
type Limiter struct {
	rdb    redis.UniversalClient
	prefix string

	// avoided is until when (Unix nanoseconds) Redis is left alone after it
	// did not answer: no request should wait for that twice.
	avoided atomic.Int64

	// byNode counts what this node decided alone, logger is told when that
	// begins; both nil until Report.
	byNode prometheus.Counter
	logger *slog.Logger

	mu    sync.Mutex
	local map[string]int64 // theoretical arrival times, Unix microseconds; guarded by mu
}

const (
	limiterTimeout = 150 * time.Millisecond
	limiterAvoids  = time.Second
	maxLocalLimits = 50_000
)

//go:embed limiter.lua
var limiterSource string

var limiterScript = redis.NewScript(limiterSource)

// NewLimiter returns a limiter over Redis. The client should end a command when
// its context does, as those of [ConnectRedis] and [NewEmbeddedRedis] do.
func NewLimiter(rdb redis.UniversalClient) *Limiter {
	return &Limiter{rdb: rdb, prefix: "lw:limit:", local: map[string]int64{}}
}

// Report has the limiter tell when it cannot ask Redis. Call it before the first
// request.
func (l *Limiter) Report(logger *slog.Logger, registerer prometheus.Registerer) error {
	l.logger = logger
	l.byNode = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "longwire", Name: "limits_by_node_total", Help: "Requests counted by this node alone, because Redis did not answer.",
	})
	if err := registerer.Register(l.byNode); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// Allow counts a request under key. The error is about the limit or the
// context, never about Redis.
func (l *Limiter) Allow(ctx context.Context, key string, limit Limit) (Decision, error) {
	if limit.Burst == 0 {
		limit.Burst = limit.Rate
	}
	if limit.Rate <= 0 || limit.Burst < 0 || limit.Period < time.Duration(limit.Rate)*time.Microsecond {
		return Decision{}, errors.New("realtime: a limit needs a rate and a period")
	}
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	interval := limit.Period.Microseconds() / int64(limit.Rate)
	now := time.Now()
	if now.UnixNano() >= l.avoided.Load() {
		decision, err := l.ask(ctx, key, interval, limit.Burst)
		if err == nil {
			return decision, nil
		}
		if ctx.Err() != nil {
			return Decision{}, ctx.Err()
		}
		l.avoided.Store(time.Now().Add(limiterAvoids).UnixNano())
		if l.logger != nil {
			l.logger.WarnContext(ctx, "redis did not answer a rate limit, this node counts alone", "error", err)
		}
	}
	if l.byNode != nil {
		l.byNode.Inc()
	}
	return l.take(now, key, interval, limit.Burst), nil
}

func (l *Limiter) ask(ctx context.Context, key string, interval int64, burst int) (Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, limiterTimeout)
	defer cancel()
	values, err := limiterScript.Run(ctx, l.rdb, []string{l.prefix + "{" + key + "}"}, interval, burst).Int64Slice()
	if err != nil {
		return Decision{}, fmt.Errorf("ask redis for a limit: %w", err)
	}
	if len(values) != 4 {
		return Decision{}, errors.New("ask redis for a limit: malformed answer")
	}
	return decide(values[0] == 1, burst, values[1], values[2], values[3]), nil
}

func decide(allowed bool, burst int, remaining, retry, reset int64) Decision {
	return Decision{
		Allowed: allowed, Limit: burst, Remaining: int(remaining),
		RetryAfter: time.Duration(retry) * time.Microsecond, ResetAfter: time.Duration(reset) * time.Microsecond,
	}
}

// take is limiter.lua in this node's memory.
func (l *Limiter) take(at time.Time, key string, interval int64, burst int) Decision {
	now := at.UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	tat := max(l.local[key], now)
	after := tat + interval
	early := after - int64(burst)*interval - now
	if early > 0 {
		return decide(false, burst, 0, early, tat-now)
	}
	if _, known := l.local[key]; !known && len(l.local) >= maxLocalLimits {
		l.forget(now)
	}
	l.local[key] = after
	return decide(true, burst, -early/interval, 0, after-now)
}

// forget makes room: what is used up no more goes first, and if that is not
// enough, a tenth of whatever comes; mu is held.
func (l *Limiter) forget(now int64) {
	for key, tat := range l.local {
		if tat <= now {
			delete(l.local, key)
		}
	}
	drop := len(l.local) - maxLocalLimits*9/10
	for key := range l.local {
		if drop <= 0 {
			return
		}
		delete(l.local, key)
		drop--
	}
}
