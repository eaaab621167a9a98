package main

import (
	"bytes"
	"database/sql"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/config"
)

// asked runs the program in this process, with an environment of its own, and returns its exit code and what it said.
func asked(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	var out, err bytes.Buffer
	p := program{
		args: args, getenv: func(name string) string { return env[name] }, environ: func() []string { return environ },
		stdout: &out, stderr: &err,
	}
	code = p.run(t.Context())
	return code, out.String(), err.String()
}

// tables makes a data folder with the newest tables and returns the environment for it.
func tables(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{"LONGWIRE_DATA_DIR": t.TempDir(), "LONGWIRE_LISTEN": "127.0.0.1:0"}
	code, _, said := asked(t, env, "migrate", "up")
	require.Zero(t, code, said)
	return env
}

// on runs a statement on the file in that data folder.
func on(t *testing.T, env map[string]string, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(env["LONGWIRE_DATA_DIR"], "longwire.db"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func TestCommandsDoNotChangeDataUnderANode(t *testing.T) {
	t.Parallel()
	env := tables(t)
	release, err := lockDataDir(env["LONGWIRE_DATA_DIR"]) // as a node does
	require.NoError(t, err)
	for _, command := range []string{"migrate up", "migrate down", "epoch renew"} {
		code, _, said := asked(t, env, strings.Fields(command)...)
		assert.Equal(t, 1, code, command)
		assert.Contains(t, said, "a node uses the data folder", command)
		assert.Contains(t, said, "stop it first", command)
	}
	for _, command := range []string{"migrate version", "epoch show"} {
		code, _, said := asked(t, env, strings.Fields(command)...)
		assert.Zero(t, code, "%s only looks: %s", command, said)
	}
	require.NoError(t, release())
	for _, command := range []string{"epoch renew", "migrate down", "migrate up"} {
		code, _, said := asked(t, env, strings.Fields(command)...)
		assert.Zero(t, code, "%s: %s", command, said)
	}
}

func TestNodeRefusesTablesOfAnotherVersion(t *testing.T) {
	t.Parallel()
	refused := func(env map[string]string, text string, commands ...string) {
		for _, command := range commands {
			code, _, said := asked(t, env, strings.Fields(command)...)
			assert.Equal(t, 1, code, command)
			assert.Contains(t, said, text, command)
		}
	}
	env := tables(t)
	on(t, env, "UPDATE schema_migrations SET version = 99")
	refused(env, "the tables are of a newer Longwire (version 99; this one knows ", "serve", "serve --migrate=off", "migrate up", "migrate down")

	env = tables(t)
	code, _, said := asked(t, env, "migrate", "down")
	require.Zero(t, code, said)
	refused(env, "run `longwire migrate up`", "serve --migrate=off")
	refused(env, "the tables have version ", "serve --migrate=off")
	on(t, env, "UPDATE schema_migrations SET dirty = 1")
	refused(env, "half way to version ", "serve", "serve --migrate=off", "migrate up", "migrate version")
	on(t, env, "DELETE FROM schema_migrations")
	refused(env, "no tables of Longwire", "serve --migrate=off", "migrate down", "epoch show", "epoch renew")
}

func TestNoCommandMakesAFolderThatIsMisspelt(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "typo")
	for _, command := range []string{"migrate version", "migrate down", "epoch show", "epoch renew"} {
		code, _, said := asked(t, nil, append(strings.Fields(command), "--data-dir="+folder)...)
		assert.Equal(t, 1, code, command)
		assert.Contains(t, said, "there is no database in "+folder, command)
		assert.Contains(t, said, "LONGWIRE_DATA_DIR", command)
		assert.NoDirExists(t, folder, command)
	}
	code, said, _ := asked(t, nil, "migrate", "--data-dir="+folder, "up")
	assert.Zero(t, code)
	assert.Contains(t, said, "version ")
}

func TestWhatIsAskedForWronglyEndsWithCodeTwo(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"":                            "say what to do",
		"dance":                       "dance",
		"serve extra":                 `"extra"`,
		"serve --hartbeat=1s":         "-hartbeat",
		"serve --heartbeat=never":     "--heartbeat=never",
		"migrate":                     "migrate takes up or down or version",
		"migrate sideways":            `not "sideways"`,
		"migrate version extra":       `"extra" is one too many`,
		"migrate version --dada-dir=": "-dada-dir",
		"epoch":                       "epoch takes show or renew",
		"version extra":               `"extra"`,
		"healthcheck extra":           `"extra"`,
	} {
		code, _, said := asked(t, nil, strings.Fields(command)...)
		assert.Equal(t, 2, code, command)
		assert.Contains(t, said, want, command)
	}
}

func TestEveryCommandHasAHelp(t *testing.T) {
	t.Parallel()
	for command, want := range map[string][]string{
		"serve":       {"longwire serve [--flag=value …]", "Runs a node", "--heartbeat"},
		"migrate":     {"longwire migrate up|down|version [--flag=value …]", "tables", "--data-dir", "--mysql-dsn", "LONGWIRE_MYSQL_DSN_FILE"},
		"epoch":       {"longwire epoch show|renew [--flag=value …]", "backup", "--data-dir"},
		"healthcheck": {"longwire healthcheck [--flag=value …]", "Exits with 0", "--listen"},
		"version":     {"longwire version\n", "Says which version"},
	} {
		code, help, said := asked(t, nil, command, "--help")
		assert.Zero(t, code, command)
		assert.Empty(t, said, command)
		assert.True(t, strings.HasPrefix(help, "Usage: "+want[0]), help)
		for _, text := range want[1:] {
			assert.Contains(t, help, text, command)
		}
	}
}

func TestErrorsOfTheStartNameTheirSetting(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	servers := []string{"--jwt-secret=0123456789abcdef0123456789abcdef", "--single-node"}
	for setting, args := range map[string][]string{
		"LONGWIRE_LISTEN":     {"--listen=" + taken.Addr().String()},
		"LONGWIRE_OPS_LISTEN": {"--ops-listen=" + taken.Addr().String()},
		"LONGWIRE_DATA_DIR":   {"--data-dir=" + file},
		"LONGWIRE_REDIS_URL":  {"--redis-url=redis://127.0.0.1/first"},
		"LONGWIRE_MYSQL_DSN":  append([]string{"--mysql-dsn=nonsense"}, servers...),
	} {
		env := map[string]string{"LONGWIRE_LISTEN": "127.0.0.1:0", "LONGWIRE_DATA_DIR": t.TempDir()}
		code, _, said := asked(t, env, append([]string{"serve"}, args...)...)
		assert.Equal(t, 1, code, setting)
		last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
		assert.Contains(t, last, setting)
		assert.NotContains(t, last, "repo:")
		assert.Equal(t, 1, strings.Count(last, "listen tcp ")+strings.Count(last, "not a directory")+strings.Count(last, " address:")+strings.Count(last, "MySQL DSN"), last)
	}
}

// Somebody who keeps something else under that name is told at once, and keeps it.
func TestFileThatIsNoDatabaseIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "longwire.db")
	other := bytes.Repeat([]byte("no database\n"), 1000)
	require.NoError(t, os.WriteFile(path, other, 0o600))
	env := map[string]string{"LONGWIRE_DATA_DIR": folder, "LONGWIRE_LISTEN": "127.0.0.1:0"}
	for _, command := range []string{"serve", "migrate up", "migrate version", "epoch renew"} {
		code, _, said := asked(t, env, strings.Fields(command)...)
		assert.Equal(t, 1, code, command)
		assert.Contains(t, said, "file is not a database", command)
		assert.Contains(t, said, "LONGWIRE_DATA_DIR="+folder, command)
		assert.NotContains(t, said, "waiting for the database", command)
	}
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, other, kept)
}

func TestMisspeltVariablesAreLogged(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"LONGWIRE_HEARTBEET": "1s", "LONGWIRE_LISTEN": "127.0.0.1:0", "LONGWIRE_LOG_FORMAT": "text", "LONGWIRE_MIGRATE": "off",
		"LONGWIRE_DATA_DIR": t.TempDir(),
	}
	_, _, said := asked(t, env, "serve")
	assert.Contains(t, said, `level=WARN msg="unknown variable ignored" name=LONGWIRE_HEARTBEET nearest=LONGWIRE_HEARTBEAT`)
	assert.Equal(t, 1, strings.Count(said, "unknown variable ignored"))
}

func TestLoggedDurationsAreReadable(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		logger := newLogger(config.Config{LogFormat: format}, &out)
		logger.Info("waiting", "retry_in", 50*time.Millisecond, slog.Group("in", "a_group", 50*time.Millisecond))
		assert.Equal(t, 2, strings.Count(out.String(), "50ms"), out.String())
	}
}
