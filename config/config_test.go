package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/config"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func load(t *testing.T, vars map[string]string, args ...string) config.Config {
	t.Helper()
	c, err := config.Load(args, env(vars), io.Discard)
	require.NoError(t, err)
	return c
}

func TestNothingSetIsEmbeddedWithTheDocumentedDefaults(t *testing.T) {
	t.Parallel()
	c := load(t, nil)
	assert.True(t, c.Embedded())
	assert.Equal(t, config.Config{
		Listen: ":8080", ShutdownGrace: 10 * time.Second,
		DataDir: "./data", MySQLConnections: 32, Migrate: true, Retention: 720 * time.Hour,
		AccessTokenLifetime: 15 * time.Minute, SessionLifetime: 720 * time.Hour, InboxTokenLifetime: time.Hour, FriendRequestLifetime: 720 * time.Hour,
		RateLimit: true, MaxBodyBytes: 65536, MaxMessageLength: 8000, RecallWindow: 24 * time.Hour, MaxPageSize: 200, MaxGroupMembers: 5000, MaxTypingMembers: 100, MaxGroupsPerUser: 1000, MaxReceipts: 100,
		MaxStreams: 20000, ParkStreams: true, MaxStreamsPerUser: 8, StreamLifetime: 10 * time.Minute, StreamWriteTimeout: 5 * time.Second,
		Heartbeat: 15 * time.Second, MaxPollWait: 55 * time.Second, PresenceGrace: 30 * time.Second, InboxStreamLength: 1000, HeadCheck: 5 * time.Second,
		WriterQueue: 4096, WriterBatch: 256, LogLevel: slog.LevelInfo, LogFormat: "json",
	}, c)
}

func TestEverySettingIsReadFromItsVariableAndItsFlag(t *testing.T) {
	t.Parallel()
	one, two := config.NewSecret(goodSecret), config.NewSecret(strings.ToUpper(goodSecret))
	want := config.Config{
		Listen: "127.0.0.1:1", OpsListen: "[::1]:2", NodeName: "a-1", ShutdownGrace: time.Minute,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
		CORSOrigins:    []string{"https://app.example.com", "http://localhost:3000"}, H2C: true,
		DataDir: "/d", MySQLDSN: config.NewSecret("u:p@tcp(h)/d"), MySQLConnections: 3, Retention: 3 * time.Hour,
		RedisURL: config.NewSecret("redis://h:1/0"), SingleNode: true,
		JWTSecret: one, JWTPreviousSecrets: []config.Secret{two, one},
		AccessTokenLifetime: time.Minute, SessionLifetime: 2 * time.Minute, InboxTokenLifetime: 3 * time.Minute, FriendRequestLifetime: 4 * time.Minute,
		PasswordConcurrency: 4,
		MaxBodyBytes:        2048, MaxMessageLength: 5, RecallWindow: time.Hour, MaxPageSize: 6, MaxGroupMembers: 7, MaxTypingMembers: 13, MaxGroupsPerUser: 71, MaxReceipts: 15,
		MaxStreams: 8, MaxStreamsPerUser: 9, StreamLifetime: 10 * time.Second, StreamWriteTimeout: time.Second,
		Heartbeat: 2 * time.Second, MaxPollWait: 3 * time.Second, PresenceGrace: 14 * time.Second, InboxStreamLength: 4, HeadCheck: time.Second,
		Writers: 2, WriterQueue: 11, WriterBatch: 12, LogLevel: slog.LevelDebug, LogFormat: "text",
	}
	texts := map[string]string{
		"listen": "127.0.0.1:1", "ops-listen": "[::1]:2", "node-name": "a-1", "shutdown-grace": "1m",
		"trusted-proxies": "10.1.2.3/8, 192.0.2.7",
		"cors-origins":    "https://app.example.com, http://localhost:3000", "h2c": "on",
		"data-dir": "/d", "mysql-dsn": "u:p@tcp(h)/d", "mysql-connections": "3", "retention": "3h",
		"redis-url": "redis://h:1/0", "single-node": "true", "migrate": "false",
		"jwt-secret": goodSecret, "jwt-previous-secrets": strings.ToUpper(goodSecret) + "," + goodSecret,
		"access-token-lifetime": "1m", "session-lifetime": "2m", "inbox-token-lifetime": "3m", "friend-request-lifetime": "4m", "password-concurrency": "4",
		"rate-limit": "off", "max-body-bytes": "2048", "max-message-length": "5", "recall-window": "1h", "max-page-size": "6", "max-group-members": "7", "max-typing-members": "13", "max-groups-per-user": "71", "max-receipt-members": "15",
		"max-streams": "8", "park-streams": "off", "max-streams-per-user": "9", "stream-lifetime": "10s", "stream-write-timeout": "1s",
		"heartbeat": "2s", "max-poll-wait": "3s", "presence-grace": "14s", "inbox-stream-length": "4", "head-check": "1s",
		"writers": "2", "writer-queue": "11", "writer-batch": "12", "log-level": "debug", "log-format": "text",
	}
	vars := map[string]string{}
	var args []string
	for name, text := range texts {
		vars["LONGWIRE_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = text
		args = append(args, "--"+name+"="+text)
	}
	assert.Equal(t, want, load(t, vars), "from the environment")
	assert.Equal(t, want, load(t, nil, args...), "from flags")
	assert.Len(t, texts, config.SettingCount(), "a setting is missing from this test")
}

func TestAFlagBeatsTheEnvironmentThatBeatsTheDefault(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"LONGWIRE_HEARTBEAT": "20s", "LONGWIRE_MAX_STREAMS": "", "LONGWIRE_OPS_LISTEN": ":9"}
	c := load(t, vars, "--heartbeat", "30s", "--ops-listen=")
	assert.Equal(t, 30*time.Second, c.Heartbeat)
	assert.Equal(t, 20000, c.MaxStreams, "an empty variable counts as none")
	assert.Empty(t, c.OpsListen, "an empty flag was meant")
	assert.Equal(t, 20*time.Second, load(t, vars).Heartbeat)
}

func TestPortIsHonouredOnlyWhenNoListenAddressIsGiven(t *testing.T) {
	t.Parallel()
	assert.Equal(t, ":3000", load(t, map[string]string{"PORT": "3000"}).Listen)
	assert.Equal(t, ":1", load(t, map[string]string{"PORT": "3000", "LONGWIRE_LISTEN": ":1"}).Listen)
	assert.Equal(t, ":2", load(t, map[string]string{"PORT": "3000"}, "--listen", ":2").Listen)
}

func TestASwitchMayStandAlone(t *testing.T) {
	t.Parallel()
	c := load(t, nil, "--single-node", "--rate-limit", "off", "--migrate=false")
	assert.True(t, c.SingleNode)
	assert.False(t, c.RateLimit)
	assert.False(t, c.Migrate)
}

func TestSecretsAreReadFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	commas := strings.Repeat("a,b,", 10)
	c := load(t, map[string]string{
		"LONGWIRE_MYSQL_DSN_FILE":            write("dsn", "u:p@tcp(h)/d\n"),
		"LONGWIRE_REDIS_URL_FILE":            write("redis", "rediss://h:1"),
		"LONGWIRE_JWT_PREVIOUS_SECRETS_FILE": write("previous", goodSecret+"\r\n\n"+commas+"\n"),
	}, "--jwt-secret-file", write("jwt", goodSecret+"\r\n"))
	assert.Equal(t, "u:p@tcp(h)/d", c.MySQLDSN.Reveal())
	assert.Equal(t, "rediss://h:1", c.RedisURL.Reveal())
	assert.Equal(t, goodSecret, c.JWTSecret.Reveal())
	require.Len(t, c.JWTPreviousSecrets, 2)
	assert.Equal(t, commas, c.JWTPreviousSecrets[1].Reveal(), "in a file a comma belongs to the secret")
	assert.False(t, c.Embedded())

	// The flag's file beats the variable's value: whatever the form, a flag beats the environment.
	c = load(t, map[string]string{"LONGWIRE_JWT_SECRET": strings.ToUpper(goodSecret)}, "--jwt-secret-file", filepath.Join(dir, "jwt"))
	assert.Equal(t, goodSecret, c.JWTSecret.Reveal())
}

func TestBadSettingsAreRefusedByNameWithWhatIsAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large, empty := filepath.Join(dir, "large"), filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(large, make([]byte, 1<<17), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	withMySQL := func(more map[string]string) map[string]string {
		vars := map[string]string{
			"LONGWIRE_MYSQL_DSN": "u:p@tcp(h)/d", "LONGWIRE_REDIS_URL": "redis://h:1", "LONGWIRE_JWT_SECRET": goodSecret,
		}
		maps.Copy(vars, more)
		return vars
	}
	for name, test := range map[string]struct {
		vars map[string]string
		args []string
		want string
	}{
		"duration of no unit":      {args: []string{"--heartbeat", "15"}, want: "--heartbeat=15: want a duration from 1s to 1m"},
		"duration too long":        {vars: map[string]string{"LONGWIRE_HEARTBEAT": "2m"}, want: "LONGWIRE_HEARTBEAT=2m: want a duration from 1s to 1m"},
		"number too small":         {vars: map[string]string{"LONGWIRE_MAX_STREAMS": "0"}, want: "LONGWIRE_MAX_STREAMS=0: want a whole number from 1"},
		"number of letters":        {args: []string{"--writers=two"}, want: "--writers=two: want a whole number from 0 to 64"},
		"number beyond an int":     {args: []string{"--writers=99999999999999999999"}, want: "want a whole number"},
		"switch":                   {vars: map[string]string{"LONGWIRE_RATE_LIMIT": "maybe"}, want: "LONGWIRE_RATE_LIMIT=maybe: want on or off"},
		"listen without a port":    {vars: map[string]string{"LONGWIRE_LISTEN": "localhost"}, want: "LONGWIRE_LISTEN=localhost: want host:port"},
		"listen on a named port":   {args: []string{"--listen=:http"}, want: "--listen=:http: want host:port"},
		"ops beside the api":       {args: []string{"--listen=:1", "--ops-listen=:1"}, want: "LONGWIRE_OPS_LISTEN=:1: want another address"},
		"port":                     {vars: map[string]string{"PORT": "http"}, want: "PORT=http: want a port"},
		"proxies":                  {vars: map[string]string{"LONGWIRE_TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, want: "LONGWIRE_TRUSTED_PROXIES=10.0.0.0/8,proxy: want networks"},
		"origin without a scheme":  {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "app.example.com"}, want: "want origins separated by commas"},
		"origin with a path":       {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://app.example.com/"}, want: "want origins separated by commas"},
		"origin of a pattern":      {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://*.example.com"}, want: "want origins separated by commas"},
		"origin with its own port": {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://app.example.com:443"}, want: "want origins separated by commas"},
		"origin in capitals":       {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://App.example.com"}, want: "want origins separated by commas"},
		"origin null":              {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "null"}, want: "want origins separated by commas"},
		"origin of a file":         {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "file://x"}, want: "want origins separated by commas"},
		"origin of somebody":       {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://me@app.example.com"}, want: "want origins separated by commas"},
		"origin without a port":    {vars: map[string]string{"LONGWIRE_CORS_ORIGINS": "https://app.example.com:"}, want: "want origins separated by commas"},
		"everybody and another":    {args: []string{"--cors-origins=https://app.example.com,*"}, want: "want either * or origins"},
		"level":                    {args: []string{"--log-level=loud"}, want: "want debug, info, warn or error"},
		"format":                   {args: []string{"--log-format=xml"}, want: "--log-format=xml: want json or text"},
		"node name":                {args: []string{"--node-name=a b"}, want: "want at most 64 letters"},
		"data folder":              {args: []string{"--data-dir="}, want: "want a path"},
		"redis scheme":             {vars: map[string]string{"LONGWIRE_REDIS_URL": "http://h"}, want: "LONGWIRE_REDIS_URL: want redis://"},
		"redis of nothing":         {vars: map[string]string{"LONGWIRE_REDIS_URL": "redis://"}, want: "LONGWIRE_REDIS_URL: want redis://"},
		"short secret":             {vars: map[string]string{"LONGWIRE_JWT_SECRET": "short"}, want: "LONGWIRE_JWT_SECRET: want at least 32 bytes, got 5"},
		"short previous secret":    {vars: map[string]string{"LONGWIRE_JWT_PREVIOUS_SECRETS": goodSecret + ",short"}, want: "secret 2 of 2: want at least 32 bytes, got 5"},
		"variable and file":        {vars: map[string]string{"LONGWIRE_JWT_SECRET": goodSecret, "LONGWIRE_JWT_SECRET_FILE": "x"}, want: "LONGWIRE_JWT_SECRET and LONGWIRE_JWT_SECRET_FILE are both set"},
		"flag and file":            {args: []string{"--jwt-secret=x", "--jwt-secret-file=x"}, want: "--jwt-secret and --jwt-secret-file are both given"},
		"no such file":             {args: []string{"--jwt-secret-file=" + filepath.Join(dir, "none")}, want: "--jwt-secret-file: open "},
		"empty file":               {args: []string{"--jwt-secret-file=" + empty}, want: "is empty"},
		"large file":               {args: []string{"--jwt-secret-file=" + large}, want: "is larger than"},
		"unknown flag":             {args: []string{"--hartbeat=1s"}, want: "not defined: -hartbeat; see `longwire serve --help`"},
		"argument":                 {args: []string{"--migrate", "false"}, want: `unexpected argument "false"`},
		"mysql alone":              {vars: map[string]string{"LONGWIRE_MYSQL_DSN": "d"}, want: "LONGWIRE_SINGLE_NODE=true"},
		"mysql without a secret":   {vars: withMySQL(map[string]string{"LONGWIRE_JWT_SECRET": ""}), want: "LONGWIRE_JWT_SECRET is not set"},
		"more writers than connections": {
			vars: withMySQL(map[string]string{"LONGWIRE_MYSQL_CONNECTIONS": "4", "LONGWIRE_WRITERS": "4"}),
			want: "LONGWIRE_MYSQL_CONNECTIONS=4: want more than LONGWIRE_WRITERS=4",
		},
		"session shorter than its tokens": {
			args: []string{"--session-lifetime=1m", "--access-token-lifetime=2m"},
			want: "LONGWIRE_SESSION_LIFETIME=1m: want no less than LONGWIRE_ACCESS_TOKEN_LIFETIME=2m",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(test.args, env(test.vars), io.Discard)
			require.ErrorContains(t, err, test.want)
			assert.Zero(t, c)
		})
	}
}

func TestAllErrorsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"--heartbeat=0s"}, env(map[string]string{
		"LONGWIRE_WRITERS": "-1", "PORT": "x", "LONGWIRE_MYSQL_DSN": "d", "LONGWIRE_JWT_SECRET": "short",
	}), io.Discard)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 5, err)
	for i, want := range []string{"PORT=x", "--heartbeat=0s", "LONGWIRE_WRITERS=-1", "LONGWIRE_SINGLE_NODE", "LONGWIRE_JWT_SECRET"} {
		assert.Contains(t, err.Error(), want, i)
	}
	assert.NotContains(t, err.Error(), "LONGWIRE_JWT_SECRET is not set", "a refused secret is not a missing one")
}

func TestMySQLWithoutRedisIsAllowedForASingleNode(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{"LONGWIRE_MYSQL_DSN": "d", "LONGWIRE_JWT_SECRET": goodSecret, "LONGWIRE_SINGLE_NODE": "1"})
	assert.False(t, c.Embedded())
}

func TestNoSecretIsEverPrinted(t *testing.T) {
	t.Parallel()
	const dsn, redis, jwt, old = "dsn-CANARY", "redis://CANARY", "jwt-CANARY-jwt-CANARY-jwt-CANARY-jwt", "old-CANARY-old-CANARY-old-CANARY-old"
	c := load(t, map[string]string{
		"LONGWIRE_MYSQL_DSN": dsn, "LONGWIRE_REDIS_URL": redis, "LONGWIRE_JWT_SECRET": jwt, "LONGWIRE_JWT_PREVIOUS_SECRETS": old,
	})
	holder := struct{ inner config.Config }{c} // fmt cannot call methods on what is in here
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, c, &c, holder, c.JWTSecret)
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		log := slog.New(handler)
		log.Info("settings", "config", c, "pointer", &c, "holder", holder, "secret", c.JWTSecret, "list", c.JWTPreviousSecrets)
	}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(text)
	assert.NotContains(t, out.String(), "CANARY")
	assert.NotContains(t, strings.ToLower(out.String()), fmt.Sprintf("%x", "CANARY"))
	assert.Contains(t, out.String(), "[redacted]")
}

func TestNoErrorShowsASecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("CANARY"), 0o600))
	for _, args := range [][]string{
		{"--jwt-secret=CANARY"},
		{"--jwt-secret-file", file},
		{"--jwt-previous-secrets=CANARY,CANARY"},
		{"--jwt-previous-secrets-file", file},
		{"--redis-url=http://:CANARY@h"},
		{"--redis-url-file", file},
		{"--mysql-dsn=CANARY"},
		{"--mysql-dsn-file", file},
	} {
		_, err := config.Load(args, env(nil), io.Discard)
		require.Error(t, err, args)
		assert.NotContains(t, err.Error(), "CANARY", args)
	}
}

func TestTheLogShowsEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "config", load(t, nil))
	var line struct{ Config map[string]string }
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	assert.Len(t, line.Config, config.SettingCount())
	assert.Equal(t, "10m", line.Config["stream_lifetime"])
	assert.Equal(t, "on", line.Config["rate_limit"])
}

func TestHelpListsEveryFieldWithItsVariableAndDefault(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	_, err := config.Load([]string{"--help"}, env(nil), &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	for field, setting := range config.FieldsAndSettings(t) {
		require.NotNil(t, setting, "%s is set by nothing", field)
		assert.Contains(t, out.String(), fmt.Sprintf("  --%s, %s", setting.Name, setting.Env), field)
		assert.Contains(t, out.String(), setting.Usage, field)
		assert.Equal(t, 1, strings.Count(setting.Usage, ".")-strings.Count(setting.Usage, "0."), "%s: one sentence", field)
	}
	assert.Contains(t, out.String(), "--stream-lifetime, LONGWIRE_STREAM_LIFETIME (default: 10m)")
	assert.Contains(t, out.String(), "--jwt-secret, LONGWIRE_JWT_SECRET or LONGWIRE_JWT_SECRET_FILE (default: none)")
}

func TestHelpThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"-h"}, env(nil), brokenWriter{})
	require.ErrorIs(t, err, errBroken)
}

func TestAnotherCommandReadsOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"LONGWIRE_MYSQL_DSN": "d", "LONGWIRE_HEARTBEAT": "bad"}
	migrate := config.Command{Name: "migrate", Words: []string{"up", "down"}, About: "It moves.", Settings: []string{"mysql-dsn", "data-dir"}}
	for _, args := range [][]string{{"--data-dir=/x", "up"}, {"up", "--data-dir=/x"}, {"up", "--data-dir", "/x"}, {"--", "up", "--data-dir=/x"}} {
		c, word, err := config.LoadOnly(migrate, args, env(vars), io.Discard)
		require.NoError(t, err, args)
		assert.Equal(t, config.Config{DataDir: "/x", MySQLDSN: config.NewSecret("d")}, c)
		assert.Equal(t, "up", word)
	}

	var out strings.Builder
	_, _, err := config.LoadOnly(migrate, []string{"up", "-h"}, env(vars), &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	assert.Contains(t, out.String(), "Usage: longwire migrate up|down [--flag=value …]\n\nIt moves.\n")
	assert.NotContains(t, out.String(), "heartbeat")

	_, _, err = config.LoadOnly(config.Command{Name: "x", Settings: []string{"heartbeat"}}, nil, env(vars), io.Discard)
	require.ErrorContains(t, err, "LONGWIRE_HEARTBEAT=bad")
	assert.Panics(t, func() {
		_, _, _ = config.LoadOnly(config.Command{Name: "x", Settings: []string{"hartbeat"}}, nil, env(nil), io.Discard)
	})
}

func TestACommandTakesItsOneWord(t *testing.T) {
	t.Parallel()
	move := config.Command{Name: "move", Words: []string{"up", "down"}}
	for want, args := range map[string][]string{
		"move takes up or down; see `longwire move --help`":               nil,
		"move takes up or down, not \"left\"; see `longwire move --help`": {"left"},
		"move takes one word: \"down\" is one too many":                   {"up", "down"},
		"flag provided but not defined: -far; see `longwire move --help`": {"up", "--far"},
	} {
		_, _, err := config.LoadOnly(move, args, env(nil), io.Discard)
		require.EqualError(t, err, want)
	}
	_, _, err := config.LoadOnly(config.Command{Name: "stay"}, []string{"up"}, env(nil), io.Discard)
	require.EqualError(t, err, "stay takes no argument, not \"up\"; see `longwire stay --help`")
}

func TestVariablesThatNobodyReadsAreFound(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []config.Unknown{
		{Name: "LONGWIRE_DATADIR", Nearest: "LONGWIRE_DATA_DIR"},
		{Name: "LONGWIRE_HEARTBEET", Nearest: "LONGWIRE_HEARTBEAT"},
		{Name: "LONGWIRE_JWT_SECRETS_FILE", Nearest: "LONGWIRE_JWT_SECRET_FILE"},
		{Name: "LONGWIRE_PORT"},
		{Name: "LONGWIRE_WHATEVER_THIS_IS"},
	}, config.UnknownVariables([]string{
		"PATH=/bin", "LONGWIRE_WHATEVER_THIS_IS=", "LONGWIRE_HEARTBEET=1s", "LONGWIRE_HEARTBEAT=1s", "LONGWIRE_DATADIR=/x",
		"LONGWIRE_JWT_SECRETS_FILE=/x", "LONGWIRE_JWT_SECRET_FILE=/x", "LONGWIRE_PORT=80",
	}))
	assert.Empty(t, config.UnknownVariables([]string{
		"LONGWIRE_SERVICE_HOST=10.0.0.1", "LONGWIRE_SERVICE_PORT=8080", "LONGWIRE_PORT=tcp://10.0.0.1:8080", "LONGWIRE_PORT_8080_TCP_ADDR=10.0.0.1",
	}), "of Kubernetes")
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
