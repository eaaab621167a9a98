package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/auth"
	"longwire/chat"
)

func tokensOf(t *testing.T) tokens {
	t.Helper()
	keys, err := auth.NewKeys([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	return tokens{keys: keys, now: time.Now, known: new(knownTokens)}
}

func TestKnownTokenIsGoodAsLongAndForAsMuchAsAnUnknownOne(t *testing.T) {
	t.Parallel()
	tokens := tokensOf(t)
	ref := chat.SessionRef{User: 1 << 30, Session: 1 << 31}
	expires := time.Now().Add(time.Minute).Truncate(time.Second)
	access, err := tokens.Access(ref, expires)
	require.NoError(t, err)
	inbox, err := tokens.Inbox(ref, expires)
	require.NoError(t, err)
	for _, when := range []string{"first", "known"} {
		got, until, err := tokens.VerifyAccess(access, time.Now())
		require.NoError(t, err, when)
		assert.Equal(t, ref, got, when)
		assert.True(t, until.Equal(expires), when)
		_, _, err = tokens.VerifyInbox(inbox, time.Now())
		require.NoError(t, err, when)
		for _, wrong := range []string{inbox, access + "x", access[:len(access)-1], ""} {
			_, _, err = tokens.VerifyAccess(wrong, time.Now())
			assert.Equal(t, chat.CodeUnauthenticated, chat.CodeOf(err), when)
		}
		_, _, err = tokens.VerifyInbox(access, time.Now())
		assert.Equal(t, chat.CodeUnauthenticated, chat.CodeOf(err), when)
		_, _, err = tokens.VerifyAccess(access, expires)
		assert.Equal(t, chat.CodeUnauthenticated, chat.CodeOf(err), "expired, %s", when)
	}
}

func TestKnownTokensAreBounded(t *testing.T) {
	t.Parallel()
	var known knownTokens
	for i := range 2*maxKnownTokens + 5 {
		known.remember(tokenMark{byte(i), byte(i >> 8), byte(i >> 16)}, chat.SessionRef{}, time.Now())
	}
	assert.LessOrEqual(t, len(known.known), maxKnownTokens)
}
