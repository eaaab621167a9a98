package auth

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARefreshTokenNamesItsSessionAndGeneration(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	for _, generation := range []int64{0, 1, 42, math.MaxInt64} {
		session, got, err := keys.VerifyRefresh(keys.SignRefresh("s_1-A", generation))
		require.NoError(t, err)
		assert.Equal(t, "s_1-A", session)
		assert.Equal(t, generation, got)
	}
}

func TestRefreshTokenOfAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	token := newKeys(t, secret('a')).SignRefresh("1", 1)
	_, _, err := newKeys(t, secret('b')).VerifyRefresh(token)
	require.ErrorIs(t, err, ErrInvalidToken)
	_, _, err = newKeys(t, secret('b'), secret('a')).VerifyRefresh(token)
	require.NoError(t, err, "the previous secret's is good")
}

func TestNoBitOfARefreshTokenCanBeChanged(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	token := keys.SignRefresh("12", 34)
	for i := range len(token) {
		for bit := range 8 {
			changed := []byte(token)
			changed[i] ^= 1 << bit
			_, _, err := keys.VerifyRefresh(string(changed))
			require.ErrorIs(t, err, ErrInvalidToken, "byte %d, bit %d", i, bit)
		}
	}
}

func TestAMalformedRefreshTokenIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	good := keys.SignRefresh("1", 1)
	mac := good[strings.LastIndex(good, ".")+1:]
	signed := func(said string) string {
		return said + "." + refreshEncoding.EncodeToString(keys.all[0].macRefresh(said))
	}
	for name, test := range map[string]struct{ token, want string }{
		"nothing":                     {"", "no refresh token"},
		"another version":             {signed("r2.1.1"), "no refresh token"},
		"three parts":                 {"r1.1." + mac, "no refresh token"},
		"five parts":                  {signed("r1.1.1.1"), "no refresh token"},
		"no session":                  {signed("r1..1"), "its session"},
		"session with a space":        {signed("r1.a b.1"), "its session"},
		"negative generation":         {signed("r1.1.-1"), "its generation"},
		"generation of another form":  {signed("r1.1.01"), "its generation"},
		"generation beyond an int64":  {signed("r1.1.9223372036854775808"), "its generation"},
		"short code":                  {good[:len(good)-2], "its code is no code"},
		"padded code":                 {good + "=", "its code is no code"},
		"code with a line break":      {good + "\n", "its code is no code"},
		"code of another generation":  {"r1.1.2." + mac, "its code is wrong"},
		"code of another session":     {"r1.2.1." + mac, "its code is wrong"},
		"longer than any of ours":     {signed("r1." + strings.Repeat("1", maxRefreshBytes) + ".1"), "too long"},
		"an access token, by mistake": {sign(t, keys, goodClaims()), "no refresh token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, generation, err := keys.VerifyRefresh(test.token)
			require.ErrorIs(t, err, ErrInvalidToken)
			require.ErrorContains(t, err, test.want)
			assert.Empty(t, session)
			assert.Zero(t, generation)
		})
	}
}

func FuzzRefreshTokensHaveOneSpelling(f *testing.F) {
	keys, err := NewKeys(secret('a'), secret('b'))
	require.NoError(f, err)
	f.Add(keys.SignRefresh("1", 1))
	f.Fuzz(func(t *testing.T, token string) {
		said, session, generation, mac, err := parseRefresh(token)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidToken)
			return
		}
		assert.Equal(t, token, said+"."+refreshEncoding.EncodeToString(mac))
		// What was parsed must be what Sign writes for it, or a token could be told in two ways.
		signed := keys.SignRefresh(session, generation)
		assert.True(t, strings.HasPrefix(signed, said+"."))
		if _, _, err := keys.VerifyRefresh(token); err == nil {
			assert.Equal(t, signed, token)
		}
	})
}
