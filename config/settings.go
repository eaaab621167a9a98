package config

import (
	"slices"
	"strings"
	"time"
)

// setting is one row of the table: what there is to know about one field of Config.
type setting struct {
	group    string
	name     string // of the flag, without dashes; the variable's name follows from it
	fallback string // the default, as one would write it
	usage    string // one sentence
	value    value
}

// env returns the name of the setting's environment variable.
func (s setting) env() string {
	return prefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// fromFile says whether the setting can also be read from a file named by LONGWIRE_…_FILE or --…-file, which is how
// container platforms hand out secrets.
func (s setting) fromFile() bool {
	switch s.value.(type) {
	case secretValue, secretsValue:
		return true
	default:
		return false
	}
}

// isSwitch says whether the flag may stand alone, without a value.
func (s setting) isSwitch() bool {
	_, ok := s.value.(switchValue)
	return ok
}

// settings returns the table, in the order of the help, with values that write to and read from c.
func (c *Config) settings() []setting {
	return slices.Concat(
		grouped("Network and life of the node", c.networkSettings()),
		grouped("Storage", c.storageSettings()),
		grouped("Tokens and passwords", c.authSettings()),
		grouped("What a client may ask for", c.limitSettings()),
		grouped("Streams and polls", c.streamSettings()),
		grouped("Writing", c.writerSettings()),
		grouped("Logs", c.logSettings()),
	)
}

func grouped(group string, settings []setting) []setting {
	for i := range settings {
		settings[i].group = group
	}
	return settings
}

const (
	day  = 24 * time.Hour
	year = 365 * day
	mebi = 1 << 20
)

func (c *Config) networkSettings() []setting {
	return []setting{{
		name: "listen", fallback: ":8080", value: textValue{&c.Listen, address},
		usage: "Address of the API and the page; without it PORT is honoured as :PORT.",
	}, {
		name: "ops-listen", value: textValue{&c.OpsListen, addressOrEmpty},
		usage: "Address of /metrics and pprof, which must not be public; empty serves neither.",
	}, {
		name: "trusted-proxies", value: prefixesValue{&c.TrustedProxies},
		usage: "Networks, separated by commas, whose X-Forwarded-For is believed.",
	}, {
		name: "cors-origins", value: originsValue{&c.CORSOrigins},
		usage: "Origins of pages elsewhere that may use the API, separated by commas, as browsers send them; * is all.",
	}, {
		name: "h2c", fallback: "off", value: onOffValue{switchValue{&c.H2C}},
		usage: "HTTP/2 without TLS as well, for a proxy that carries many streams on one connection.",
	}, {
		name: "node-name", value: textValue{&c.NodeName, nodeName},
		usage: "Name of this node, different on every node; empty makes up a random one.",
	}, {
		name: "shutdown-grace", fallback: "10s", value: durationValue{&c.ShutdownGrace, 0, 10 * time.Minute},
		usage: "Time over which streams are ended after SIGTERM; keep it below the platform's own limit.",
	}}
}

func (c *Config) storageSettings() []setting {
	return []setting{{
		name: "data-dir", fallback: "./data", value: textValue{&c.DataDir, notEmpty},
		usage: "Folder of the SQLite file and of the generated signing key, used when no MySQL is set.",
	}, {
		name: "mysql-dsn", value: secretValue{&c.MySQLDSN, nil},
		usage: "MySQL or MariaDB as user:password@tcp(host:3306)/database; empty keeps data in the data folder.",
	}, {
		name: "mysql-connections", fallback: "32", value: intValue[int]{&c.MySQLConnections, 2, 10_000},
		usage: "MySQL connections this node opens at most.",
	}, {
		name: "redis-url", value: secretValue{&c.RedisURL, redisURL},
		usage: "Redis as redis://host:6379/0, rediss:// or redis+sentinel://; empty uses one inside the process.",
	}, {
		name: "single-node", fallback: "false", value: switchValue{&c.SingleNode},
		usage: "Allow MySQL without Redis, which is right only while no second node exists.",
	}, {
		name: "migrate", fallback: "true", value: switchValue{&c.Migrate},
		usage: "Bring the database schema up to date before serving.",
	}, {
		name: "retention", fallback: "720h", value: durationValue{&c.Retention, time.Second, 10 * year},
		usage: "How long inbox events are kept and cursors stay good; history is kept for ever.",
	}}
}

func (c *Config) authSettings() []setting {
	return []setting{{
		name: "jwt-secret", value: secretValue{&c.JWTSecret, longEnough},
		usage: "Secret that signs tokens, 32 bytes or more, the same on every node; without MySQL it is generated and kept in the data folder.",
	}, {
		name: "jwt-previous-secrets", value: secretsValue{&c.JWTPreviousSecrets, longEnough},
		usage: "Earlier secrets whose tokens are still believed, separated by commas (in a file: one a line).",
	}, {
		name: "access-token-lifetime", fallback: "15m", value: durationValue{&c.AccessTokenLifetime, time.Second, day},
		usage: "How long an access token is good.",
	}, {
		name: "session-lifetime", fallback: "720h", value: durationValue{&c.SessionLifetime, time.Second, 10 * year},
		usage: "How long a refresh token is good; a session unused for longer has to log in again.",
	}, {
		name: "inbox-token-lifetime", fallback: "1h", value: durationValue{&c.InboxTokenLifetime, time.Second, day},
		usage: "How long a token for the inbox URLs is good.",
	}, {
		name: "friend-request-lifetime", fallback: "720h", value: durationValue{&c.FriendRequestLifetime, time.Second, 10 * year},
		usage: "How long a friend request may be answered; then it expires.",
	}, {
		name: "password-concurrency", fallback: "0", value: intValue[int]{&c.PasswordConcurrency, 0, 1024},
		usage: "Passwords hashed at the same time, 19 MiB each; 0 means one for each CPU.",
	}}
}

func (c *Config) limitSettings() []setting {
	return []setting{{
		name: "rate-limit", fallback: "on", value: onOffValue{switchValue{&c.RateLimit}},
		usage: "Rate limits; off is for load tests.",
	}, {
		name: "max-body-bytes", fallback: "65536", value: intValue[int64]{&c.MaxBodyBytes, 1024, 16 * mebi},
		usage: "Largest request body in bytes.",
	}, {
		name: "max-message-length", fallback: "8000", value: intValue[int]{&c.MaxMessageLength, 1, 16_000},
		usage: "Longest message in characters.",
	}, {
		name: "recall-window", fallback: "24h", value: durationValue{&c.RecallWindow, 0, 10 * year},
		usage: "How long a sender may recall a message; those who manage a group may at any time.",
	}, {
		name: "max-page-size", fallback: "200", value: intValue[int]{&c.MaxPageSize, 1, 1000},
		usage: "Most items in one page of a list.",
	}, {
		name: "max-group-members", fallback: "5000", value: intValue[int]{&c.MaxGroupMembers, 2, 1_000_000},
		usage: "Most members of a group.",
	}, {
		name: "max-typing-members", fallback: "100", value: intValue[int]{&c.MaxTypingMembers, 0, 1000},
		usage: "Members up to which a group is told who is typing.",
	}, {
		name: "max-groups-per-user", fallback: "1000", value: intValue[int]{&c.MaxGroupsPerUser, 1, 100_000},
		usage: "Most groups that one user is a member of.",
	}, {
		name: "max-receipt-members", fallback: "100", value: intValue[int]{&c.MaxReceipts, 0, 1000},
		usage: "Largest number of recipients of a message in a group of whom its sender is told who has read it; of more only how many.",
	}}
}

func (c *Config) streamSettings() []setting {
	return []setting{{
		name: "max-streams", fallback: "20000", value: intValue[int]{&c.MaxStreams, 1, 10_000_000},
		usage: "Most streams and waiting polls on this node; see also the limit of open files.",
	}, {
		name: "park-streams", fallback: "on", value: onOffValue{switchValue{&c.ParkStreams}},
		usage: "Idle streams cost no goroutine (on Linux, without TLS); off keeps a handler for each.",
	}, {
		name: "max-streams-per-user", fallback: "8", value: intValue[int]{&c.MaxStreamsPerUser, 1, 10_000},
		usage: "Most streams of one user, on all nodes; twice as many polls may wait on each.",
	}, {
		name: "stream-lifetime", fallback: "10m", value: durationValue{&c.StreamLifetime, time.Second, day},
		usage: "Longest life of a stream, of which each gets 80 to 100 %; keep it below the limit of what stands in front.",
	}, {
		name: "stream-write-timeout", fallback: "5s", value: durationValue{&c.StreamWriteTimeout, 100 * time.Millisecond, time.Minute},
		usage: "A stream whose reader takes longer than this for one write is closed.",
	}, {
		name: "heartbeat", fallback: "15s", value: durationValue{&c.Heartbeat, time.Second, time.Minute},
		usage: "Silence after which a stream gets a heartbeat; keep it well below the idle limit of what stands in front.",
	}, {
		name: "presence-grace", fallback: "30s", value: durationValue{&c.PresenceGrace, time.Second, 10 * time.Minute},
		usage: "How long a user who left is still shown as connected, so that reconnecting does not show.",
	}, {
		name: "max-poll-wait", fallback: "55s", value: durationValue{&c.MaxPollWait, time.Second, 5 * time.Minute},
		usage: "Longest time a poll may wait for an event.",
	}, {
		name: "inbox-stream-length", fallback: "1000", value: intValue[int]{&c.InboxStreamLength, 1, 1_000_000},
		usage: "Recent events kept in Redis for each connected user, about; older ones are read from the database.",
	}, {
		name: "head-check", fallback: "5s", value: durationValue{&c.HeadCheck, 100 * time.Millisecond, 5 * time.Minute},
		usage: "How often idle inboxes are compared with the database, which bounds the delay of a lost announcement.",
	}}
}

func (c *Config) writerSettings() []setting {
	return []setting{{
		name: "writers", fallback: "0", value: intValue[int]{&c.Writers, 0, 64},
		usage: "Transactions that write messages at the same time; 0 means 2 on MySQL and 1 on SQLite.",
	}, {
		name: "writer-queue", fallback: "4096", value: intValue[int]{&c.WriterQueue, 1, 1_000_000},
		usage: "Writes waiting for a transaction; more are answered 503.",
	}, {
		name: "writer-batch", fallback: "256", value: intValue[int]{&c.WriterBatch, 1, 10_000},
		usage: "Most writes in one transaction.",
	}}
}

func (c *Config) logSettings() []setting {
	return []setting{{
		name: "log-level", fallback: "info", value: levelValue{&c.LogLevel},
		usage: "Least important lines to log: debug, info, warn or error.",
	}, {
		name: "log-format", fallback: "json", value: textValue{&c.LogFormat, oneOf("json", "text")},
		usage: "Form of the log: json or text.",
	}}
}
