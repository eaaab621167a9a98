package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longwire runs the program with an environment of its own and returns its exit code and what it said.
func longwire(t *testing.T, env settings, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		command.Env = append(command.Env, "LONGWIRE_"+name+"="+value)
	}
	var out, err strings.Builder
	command.Stdout, command.Stderr = &out, &err
	_ = command.Run() // the exit code says it
	return command.ProcessState.ExitCode(), out.String(), err.String()
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	code, help, _ := longwire(t, nil, "serve", "--help")
	assert.Zero(t, code)
	for _, name := range []string{
		"LISTEN", "OPS_LISTEN", "DATA_DIR", "MYSQL_DSN", "REDIS_URL", "JWT_SECRET", "JWT_SECRET_FILE", "RATE_LIMIT", "MAX_GROUP_MEMBERS",
		"MAX_STREAMS_PER_USER", "STREAM_LIFETIME", "HEARTBEAT", "RETENTION", "MAX_BODY_BYTES", "MAX_PAGE_SIZE", "MAX_POLL_WAIT", "SHUTDOWN_GRACE",
	} {
		assert.Contains(t, help, "LONGWIRE_"+name)
	}
	for _, said := range []string{":8080", "./data", "5000", "10m", "(default: 8)", "PORT"} {
		assert.Contains(t, help, said)
	}
	for _, word := range []string{"version", "--version"} {
		code, version, _ := longwire(t, nil, word)
		assert.Zero(t, code)
		assert.Regexp(t, `^longwire \S+\n$`, version)
	}
	code, usage, _ := longwire(t, nil, "--help")
	assert.Zero(t, code)
	for _, command := range []string{"serve", "migrate", "version"} {
		assert.Contains(t, usage, "longwire "+command)
	}
	code, _, said := longwire(t, nil)
	assert.Equal(t, 2, code)
	assert.Contains(t, said, "Usage")
	code, _, said = longwire(t, nil, "dance")
	assert.Equal(t, 2, code)
	assert.Contains(t, said, `"dance"`)
}

func TestWrongSettingsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	code, _, said := longwire(t, settings{
		"LISTEN": "nonsense", "HEARTBEAT": "never", "MYSQL_DSN": "root:very-secret@tcp(127.0.0.1:1)/x", "JWT_SECRET": "also-secret",
	}, "serve")
	assert.NotZero(t, code)
	for _, name := range []string{"LONGWIRE_LISTEN", "LONGWIRE_HEARTBEAT", "LONGWIRE_JWT_SECRET", "LONGWIRE_REDIS_URL", "LONGWIRE_SINGLE_NODE"} {
		assert.Contains(t, said, name)
	}
	assert.NotContains(t, said, "secret@")
	assert.NotContains(t, said, "also-secret")
}

func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{embedded, cluster} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			env := settings{"DATA_DIR": t.TempDir()}
			if b == cluster {
				dsn, drop, err := newDatabase()
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, drop()) })
				env["MYSQL_DSN"] = dsn
			}
			migrate := func(word string) string {
				code, said, failed := longwire(t, env, "migrate", word)
				require.Zero(t, code, "%s: %s", word, failed)
				return said
			}
			if b == cluster {
				assert.Contains(t, migrate("version"), "version 0")
			}
			for _, word := range []string{"show", "renew"} {
				code, _, said := longwire(t, env, "epoch", word)
				assert.Equal(t, 1, code)
				assert.Regexp(t, "the database has no tables of Longwire|there is no database in ", said)
			}
			newest := migrate("up")
			assert.Regexp(t, `version [1-9]`, newest)
			assert.Equal(t, newest, migrate("up"), "twice is once")
			assert.Equal(t, newest, migrate("version"))
			assert.NotEqual(t, newest, migrate("down"))
			assert.Equal(t, newest, migrate("up"), "what was taken back comes again")
			for range strings.Count(newest, "") { // all the way
				if strings.Contains(migrate("version"), "version 0") {
					break
				}
				migrate("down")
			}
			code, _, said := longwire(t, env, "migrate", "sideways")
			assert.Equal(t, 2, code)
			assert.Contains(t, said, "sideways")
		})
	}
}

// A node that is told not to migrate says what is missing, and does not serve half a database.
func TestServeWithoutMigration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := newNode(map[string]string{"LONGWIRE_DATA_DIR": dir, "LONGWIRE_MIGRATE": "false"})
	require.ErrorContains(t, n.start(), "the database has no tables of Longwire: run `longwire migrate up`")
	code, _, said := longwire(t, settings{"DATA_DIR": dir}, "migrate", "up")
	require.Zero(t, code, said)
	n = newNode(map[string]string{"LONGWIRE_DATA_DIR": dir, "LONGWIRE_MIGRATE": "false"})
	require.NoError(t, n.start())
	require.NoError(t, n.stop())
}

func TestHealthAndOps(t *testing.T) {
	t.Parallel()
	ops := "127.0.0.1:" + freePort()
	d := fresh(t, embedded, settings{"OPS_LISTEN": ops})
	get := func(address string) (int, http.Header, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, response.Header, string(body)
	}
	checkedClient := d.http(t)
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/openapi.yaml", "/v1/limits"} {
		assert.Equal(t, http.StatusOK, ask(t, checkedClient, raw{url: d.url(0, path)}).status, path)
	}
	for _, path := range []string{"/", "/docs"} {
		status, header, body := get(d.url(0, path))
		assert.Equal(t, http.StatusOK, status, path)
		assert.Contains(t, header.Get("Content-Type"), "text/html", path)
		assert.Contains(t, body, "Longwire", path)
		assert.NotEmpty(t, header.Get("Content-Security-Policy"), path)
		for _, link := range regexp.MustCompile(`(?:src|href)="(/[^"#?]*)"`).FindAllStringSubmatch(body, -1) {
			status, _, _ := get(d.url(0, link[1]))
			assert.Equal(t, http.StatusOK, status, "%s links to %s", path, link[1])
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		assert.Equal(t, http.StatusNotFound, ask(t, checkedClient, raw{url: d.url(0, path), wrong: true}).status, "%s is not for everybody", path)
		status, _, body := get("http://" + ops + path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.NotEmpty(t, body)
	}
	_, _, metrics := get("http://" + ops + "/metrics")
	assert.Contains(t, metrics, "longwire_")
	assert.Contains(t, metrics, "go_goroutines")
	for counter, values := range map[string]string{
		`writer_refused_total{share=`: "queue sender conversation", `announce_lost_total{reason=`: "queue_full stream registry publish",
		`ephemeral_dropped_total{reason=`: "queue_full busy redis reader", `resets_total{reason=`: "too_old unknown_future epoch",
		`sessions_ended_total{reason=`:     "revoked shutdown",
		`http_rate_limited_total{budget=`:  "register login login_username refresh send typing password export search probe write",
		`http_streams_ended_total{reason=`: "lifetime token_expiring slow_consumer client_left shutdown revoked",
	} {
		for value := range strings.FieldsSeq(values) {
			assert.Contains(t, metrics, fmt.Sprintf("\nlongwire_%s%q} 0\n", counter, value), "it is there before its first step")
		}
	}

	code, _, _ := longwire(t, settings{"LISTEN": strings.TrimPrefix(d.node(0).url, "http://")}, "healthcheck")
	assert.Zero(t, code)
	code, _, _ = longwire(t, settings{"LISTEN": "127.0.0.1:" + freePort()}, "healthcheck")
	assert.Equal(t, 1, code)

	var limits map[string]any
	require.NoError(t, json.Unmarshal(ask(t, checkedClient, raw{url: d.url(0, "/v1/limits")}).body, &limits))
	for name, want := range map[string]float64{
		"max_body_bytes": 65536, "max_group_members": 5000, "max_streams_per_user": 8, "stream_lifetime_seconds": 600, "heartbeat_seconds": 15,
		"max_poll_wait_seconds": 55, "inbox_retention_seconds": 2_592_000, "max_poll_events": 500,
	} {
		assert.InDelta(t, want, limits[name], 0, name)
	}
}

// A wrong password does not become right by waiting.
func TestDatabaseThatRefusesEndsTheNodeAtOnce(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*mysql.Config){
		"1045": func(c *mysql.Config) { c.User, c.Passwd = "nobody-of-this-name", "wrong" },
		"1049": func(c *mysql.Config) { c.DBName = "e2e_that_is_not_there" },
	} {
		config, err := mysql.ParseDSN(os.Getenv("TEST_MYSQL_DSN"))
		require.NoError(t, err)
		config.DBName = "mysql"
		change(config)
		dsn := config.FormatDSN()
		for _, args := range [][]string{{"serve"}, {"migrate", "version"}, {"epoch", "renew"}} {
			env := settings{"MYSQL_DSN": dsn, "SINGLE_NODE": "true", "JWT_SECRET": strings.Repeat("s", 32), "LISTEN": "127.0.0.1:0"}
			if args[0] != "serve" {
				env = settings{"MYSQL_DSN": dsn}
			}
			code, _, said := longwire(t, env, args...)
			assert.Equal(t, 1, code, "%s: %s", args, said)
			assert.Contains(t, said, "LONGWIRE_MYSQL_DSN: the database cannot be used: mysql: Error "+want, args)
			assert.NotContains(t, said, "waiting for the database", args)
		}
	}
}

// Two nodes on one data folder would ruin it.
func TestEmbeddedDataBelongsToOneNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := newNode(map[string]string{"LONGWIRE_DATA_DIR": dir})
	require.NoError(t, first.start())
	second := newNode(map[string]string{"LONGWIRE_DATA_DIR": dir})
	require.ErrorContains(t, second.start(), "give this one its own with LONGWIRE_DATA_DIR")
	for _, command := range [][]string{{"migrate", "up"}, {"migrate", "down"}, {"epoch", "renew"}} {
		code, _, said := longwire(t, settings{"DATA_DIR": dir}, command...)
		assert.Equal(t, 1, code, command)
		assert.Contains(t, said, "stop it first", command)
	}
	code, _, said := longwire(t, settings{"DATA_DIR": dir}, "migrate", "version")
	assert.Zero(t, code, said)
	require.NoError(t, first.stop())
	for _, shown := range []string{first.url + "/docs", "curl --json"} {
		assert.Contains(t, first.log.String(), shown, "what to try is said")
	}
	require.NoError(t, second.start(), "and whoever comes after it may have it")
	require.NoError(t, second.stop())
}
