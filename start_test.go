package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/config"
)

// The pings are doubles: nobody waits half a minute for a test.
func TestDatabaseIsWaitedForInPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := newLogger(config.Config{LogFormat: "json"}, &out)
		cause := errors.New("connection refused")
		began := time.Now()
		pings := 0
		err := awaitData(t.Context(), func(context.Context) error { pings++; return chat.Unavailable(cause) }, logger)
		require.ErrorIs(t, err, cause)
		assert.Equal(t, "the database does not answer: connection refused", err.Error())
		assert.Equal(t, dataPatience, time.Since(began))
		assert.Less(t, pings, 12, "it is asked less and less often")
		assert.Greater(t, pings, 6)
		assert.NotContains(t, out.String(), "Idempotency-Key", "that is for users")
		assert.Contains(t, out.String(), `"error":"the database does not answer: connection refused","retry_in":"250ms"`)

		pings = 0
		answers := func(context.Context) error {
			if pings++; pings < 4 {
				return chat.Unavailable(cause)
			}
			return nil
		}
		require.NoError(t, awaitData(t.Context(), answers, logger))
	})
}

func TestDatabaseThatRefusesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	refusal := &mysql.MySQLError{Number: 1045, Message: "Access denied for user 'longwire'"}
	err := awaitData(t.Context(), func(context.Context) error { return refusal }, newLogger(config.Config{LogFormat: "json"}, &out))
	require.ErrorIs(t, err, refusal)
	assert.Contains(t, err.Error(), "Access denied")
	assert.Empty(t, out.String())
}

func TestWelcomeTakesNoNameOfTheQuickStart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	welcome(&out, &net.TCPAddr{IP: net.IPv4zero, Port: 8080})
	assert.Contains(t, out.String(), "http://127.0.0.1:8080/docs")
	assert.Contains(t, out.String(), "a second one stops at once")
	_, name, _ := strings.Cut(out.String(), `"username":"`)
	name, _, _ = strings.Cut(name, `"`)
	require.NotEmpty(t, name)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.NotContains(t, strings.ToLower(string(readme)), name)
}
