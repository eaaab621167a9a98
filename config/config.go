// Package config reads the settings of a node: one table of settings, each an environment variable LONGWIRE_X_Y and the
// flag --x-y, checked all at once, so that whoever deploys is told everything that is wrong in one go.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Config is everything a node can be told. A value returned by [Load] has passed every check, and it is safe to print
// and to log: secrets show as "[redacted]" whatever the verb or the handler.
type Config struct {
	// Where the node listens and how it is known.

	Listen         string         // API and page, host:port
	OpsListen      string         // /metrics and pprof, host:port; empty means that neither is served
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; empty means nobody's
	CORSOrigins    []string       // of pages elsewhere that may use the API; empty means none, "*" all
	H2C            bool           // HTTP/2 without TLS, beside HTTP/1.1
	NodeName       string         // empty means that the node makes up a random one
	ShutdownGrace  time.Duration  // over which streams are ended after SIGTERM

	// Where things are kept.

	DataDir          string // embedded mode's SQLite file and signing key
	MySQLDSN         Secret // go-sql-driver DSN; not set means embedded mode
	MySQLConnections int    // open at once, at most
	RedisURL         Secret // not set means the in-process Redis
	SingleNode       bool   // MySQL without Redis is meant: there is no other node
	Migrate          bool   // bring the schema up to date before serving
	Retention        time.Duration

	// Who may come in.

	JWTSecret             Secret   // not set means that one is generated in DataDir; never so with MySQL
	JWTPreviousSecrets    []Secret // believed, but no longer signed with
	AccessTokenLifetime   time.Duration
	SessionLifetime       time.Duration // how long a refresh token is good
	InboxTokenLifetime    time.Duration
	FriendRequestLifetime time.Duration // how long a friend request may be answered
	PasswordConcurrency   int           // passwords hashed at once; 0 means one for each CPU

	// What one client may ask for.

	RateLimit        bool
	MaxBodyBytes     int64         // of a request
	MaxMessageLength int           // in characters, not bytes
	RecallWindow     time.Duration // in which a sender may recall a message
	MaxPageSize      int           // items in one page of a list
	MaxGroupMembers  int
	MaxTypingMembers int // of a group in which others are told who types
	MaxGroupsPerUser int
	MaxReceipts      int // recipients of a group's message that are named one by one

	// Streams and polls.

	MaxStreams         int           // streams and waiting polls of this node
	MaxStreamsPerUser  int           // over all nodes
	ParkStreams        bool          // take idle streams' connections over from net/http
	StreamLifetime     time.Duration // the longest; each stream draws 0.8 to 1.0 of it
	StreamWriteTimeout time.Duration // a reader slower than this is closed
	Heartbeat          time.Duration // the longest silence on a stream
	MaxPollWait        time.Duration
	PresenceGrace      time.Duration // how long a user who left is shown as connected
	InboxStreamLength  int           // recent events of a connected user kept in Redis, about
	HeadCheck          time.Duration // how often idle inboxes are compared with the database

	// Writing.

	Writers     int // 0 means 2 on MySQL and 1 on SQLite
	WriterQueue int // writes waiting in this node; more are answered 503
	WriterBatch int // writes in one transaction, at most

	// Logs.

	LogLevel  slog.Level
	LogFormat string // "json" or "text"
}

// Embedded says whether the node keeps its data in its own folder, in SQLite, because no MySQL is set.
func (c Config) Embedded() bool { return !c.MySQLDSN.IsSet() }

// LogValue implements [slog.LogValuer]: every setting under its name, secrets redacted.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range c.settings() {
		attrs = append(attrs, slog.String(strings.ReplaceAll(s.name, "-", "_"), s.value.String()))
	}
	return slog.GroupValue(attrs...)
}
