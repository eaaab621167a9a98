package realtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// boundedOptions are those of every connection: nothing waits long for Redis,
// because everything goes on without it.
func boundedOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		DialTimeout:           2 * time.Second,
		DialerRetries:         1,
		ReadTimeout:           2 * time.Second,
		WriteTimeout:          2 * time.Second,
		PoolTimeout:           2 * time.Second,
		ContextTimeoutEnabled: true,
		MaxRetries:            1,
		MaxRetryBackoff:       50 * time.Millisecond,
		// The library's own are several times that, on dozens of connections. Few
		// pipelines are large, and those of the announcer come one at a time.
		ReadBufferSize:          16 << 10,
		WriteBufferSize:         16 << 10,
		PipelinePoolSize:        4,
		PipelineReadBufferSize:  32 << 10,
		PipelineWriteBufferSize: 64 << 10,
		// A notice of the cloud's would make the library move the
		// subscription by itself.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// ConnectRedis returns a client for one of
//
//	redis://[user:password@]host[:port][/db]      one server
//	rediss://…                                    the same over TLS
//	redis://host1:port,host2:port                 a cluster, by several addresses
//	redis://host:port?cluster=true                a cluster, by one address
//	redis+sentinel://[user:password@]host1:port,host2:port/master[/db]
//
// It does not connect yet: a Redis that is down is found by the hub. For
// sentinels, user and password are the servers'; the sentinels' own are given
// as ?sentinel_user= and ?sentinel_password=. Errors do not repeat the address,
// which may hold a password.
func ConnectRedis(address string) (redis.UniversalClient, error) {
	parsed, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	options := boundedOptions()
	options.Addrs, options.Username, options.Password = parsed.hosts, parsed.user, parsed.password
	options.SentinelUsername, options.SentinelPassword = parsed.query.Get("sentinel_user"), parsed.query.Get("sentinel_password")
	if parsed.scheme == "rediss" {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	path := parsed.path
	if parsed.scheme == "redis+sentinel" {
		if len(path) == 0 {
			return nil, errors.New("redis address: redis+sentinel:// needs the master's name as path")
		}
		options.MasterName, path = path[0], path[1:]
	} else {
		options.IsClusterMode = len(parsed.hosts) > 1 || parsed.query.Get("cluster") == "true"
	}
	switch {
	case len(path) > 1:
		return nil, errors.New("redis address: the path has too many parts")
	case len(path) == 1 && options.IsClusterMode:
		return nil, errors.New("redis address: a cluster has no numbered databases")
	case len(path) == 1:
		if options.DB, err = strconv.Atoi(path[0]); err != nil || options.DB < 0 {
			return nil, errors.New("redis address: the database must be a number")
		}
	}
	return redis.NewUniversalClient(options), nil
}

type redisAddress struct {
	scheme         string
	user, password string
	hosts          []string // host:port
	path           []string
	query          url.Values
}

// parseAddress takes an address apart. [net/url.Parse] alone cannot: it knows
// one host only.
func parseAddress(address string) (redisAddress, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found || scheme != "redis" && scheme != "rediss" && scheme != "redis+sentinel" {
		return redisAddress{}, errors.New("redis address: must begin with redis://, rediss:// or redis+sentinel://")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	credentials, hosts := "", authority
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		credentials, hosts = authority[:at+1], authority[at+1:]
	}
	parsed := redisAddress{scheme: scheme}
	for i, host := range strings.Split(hosts, ",") {
		part, err := url.Parse("redis://" + credentials + host + tail)
		if err != nil || part.Hostname() == "" {
			// The error would repeat the address, and with it the password.
			return redisAddress{}, fmt.Errorf("redis address: address %d is malformed", i+1)
		}
		port := part.Port()
		if port == "" {
			port = map[bool]string{true: "26379", false: "6379"}[scheme == "redis+sentinel"]
		}
		parsed.hosts = append(parsed.hosts, net.JoinHostPort(part.Hostname(), port))
		parsed.user, parsed.query = part.User.Username(), part.Query()
		parsed.password, _ = part.User.Password()
		parsed.path = strings.FieldsFunc(part.Path, func(r rune) bool { return r == '/' })
	}
	for name := range parsed.query {
		if name != "cluster" && name != "sentinel_user" && name != "sentinel_password" {
			return redisAddress{}, errors.New("redis address: unknown parameter " + strconv.Quote(name))
		}
	}
	return parsed, nil
}

// LogRedisTo sends what the Redis client library has to say, for all clients of
// the process, to a logger; by itself it writes lines to standard error. Call
// it before the first client is made.
func LogRedisTo(logger *slog.Logger) {
	redis.SetLogger(clientLog{logger})
}

type clientLog struct{ logger *slog.Logger }

// Printf implements the library's logging interface.
func (c clientLog) Printf(ctx context.Context, format string, values ...any) {
	c.logger.WarnContext(ctx, "redis client", "message", fmt.Sprintf(format, values...))
}
