package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func goodClaims() Claims {
	return Claims{User: "7", Session: "s1", Audience: AudienceAPI, IssuedAt: start, ExpiresAt: start.Add(15 * time.Minute)}
}

func sign(t *testing.T, keys *Keys, claims Claims) string {
	t.Helper()
	token, err := keys.Sign(claims)
	require.NoError(t, err)
	return token
}

// forge signs what no Sign would: claims and header fields as given over good ones; a nil value removes the field.
func forge(t *testing.T, method jwt.SigningMethod, signingKey any, header, claims map[string]any) string {
	t.Helper()
	all := jwt.MapClaims{
		"iss": issuer, "aud": string(AudienceAPI), "sub": "7", "sid": "s1", "iat": start.Unix(), "exp": start.Unix() + 900,
	}
	token := jwt.NewWithClaims(method, all)
	token.Header["kid"] = newKeys(t, secret('a')).all[0].id
	for target, changes := range map[*map[string]any]map[string]any{&token.Header: header, (*map[string]any)(&all): claims} {
		for name, value := range changes {
			(*target)[name] = value
			if value == nil {
				delete(*target, name)
			}
		}
	}
	signed, err := token.SignedString(signingKey)
	require.NoError(t, err)
	return signed
}

func TestATokenSaysWhatWasSigned(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	got, err := keys.Verify(sign(t, keys, goodClaims()), start, AudienceAPI)
	require.NoError(t, err)
	assert.Equal(t, goodClaims(), got)
}

func TestATokenWithoutAClaimIsNotSigned(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	for name, drop := range map[string]func(*Claims){
		"user":       func(c *Claims) { c.User = "" },
		"session":    func(c *Claims) { c.Session = "" },
		"audience":   func(c *Claims) { c.Audience = "" },
		"issued at":  func(c *Claims) { c.IssuedAt = time.Time{} },
		"expires at": func(c *Claims) { c.ExpiresAt = time.Time{} },
	} {
		claims := goodClaims()
		drop(&claims)
		_, err := keys.Sign(claims)
		require.Error(t, err, name)
	}
}

func TestATokenIsGoodUntilItExpiresAndNotASecondLonger(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	token := sign(t, keys, goodClaims())
	_, err := keys.Verify(token, goodClaims().ExpiresAt.Add(-time.Nanosecond), AudienceAPI)
	require.NoError(t, err)
	for _, late := range []time.Duration{0, time.Second, clockSkew + time.Second} {
		_, err = keys.Verify(token, goodClaims().ExpiresAt.Add(late), AudienceAPI)
		require.ErrorIs(t, err, ErrExpiredToken)
	}
}

func TestATokenOfANodeWhoseClockIsALittleAheadIsGood(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	token := sign(t, keys, goodClaims())
	_, err := keys.Verify(token, start.Add(-clockSkew), AudienceAPI)
	require.NoError(t, err)
	_, err = keys.Verify(token, start.Add(-clockSkew-time.Second), AudienceAPI)
	require.ErrorIs(t, err, ErrInvalidToken)
}

func TestATokenIsGoodForItsAudienceOnly(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	claims := goodClaims()
	claims.Audience = AudienceInbox
	inbox, api := sign(t, keys, claims), sign(t, keys, goodClaims())
	_, err := keys.Verify(inbox, start, AudienceAPI)
	require.ErrorIs(t, err, ErrInvalidToken)
	_, err = keys.Verify(api, start, AudienceInbox)
	require.ErrorIs(t, err, ErrInvalidToken)
	_, err = keys.Verify(api, start)
	require.ErrorIs(t, err, ErrInvalidToken, "no audience means no token")
	for _, token := range []string{inbox, api} {
		_, err = keys.Verify(token, start, AudienceInbox, AudienceAPI)
		require.NoError(t, err)
	}
}

func TestATokenOfThePreviousSecretIsStillGood(t *testing.T) {
	t.Parallel()
	token := sign(t, newKeys(t, secret('a')), goodClaims())
	_, err := newKeys(t, secret('b'), secret('a')).Verify(token, start, AudienceAPI)
	require.NoError(t, err)
	_, err = newKeys(t, secret('b')).Verify(token, start, AudienceAPI)
	require.ErrorIs(t, err, ErrInvalidToken)
}

func TestTheCurrentSecretSigns(t *testing.T) {
	t.Parallel()
	token := sign(t, newKeys(t, secret('b'), secret('a')), goodClaims())
	_, err := newKeys(t, secret('b')).Verify(token, start, AudienceAPI)
	require.NoError(t, err)
}

func TestAForgedTokenIsRefused(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	hs256, known := jwt.SigningMethodHS256, keys.all[0]
	_, err := keys.Verify(forge(t, hs256, known.jwt, nil, nil), start, AudienceAPI)
	require.NoError(t, err, "the forger's own starting point is good")

	for name, token := range map[string]string{
		"algorithm none":           forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"another HMAC":             forge(t, jwt.SigningMethodHS512, known.jwt, nil, nil),
		"signed with the secret":   forge(t, hs256, secret('a'), nil, nil),
		"signed with refresh key":  forge(t, hs256, known.refresh, nil, nil),
		"unknown key":              forge(t, hs256, known.jwt, map[string]any{"kid": "00000000"}, nil),
		"no key":                   forge(t, hs256, known.jwt, map[string]any{"kid": nil}, nil),
		"key of another type":      forge(t, hs256, known.jwt, map[string]any{"kid": 7}, nil),
		"critical extension":       forge(t, hs256, known.jwt, map[string]any{"crit": []string{"b64"}}, nil),
		"another issuer":           forge(t, hs256, known.jwt, nil, map[string]any{"iss": "shortwire"}),
		"no audience":              forge(t, hs256, known.jwt, nil, map[string]any{"aud": nil}),
		"two audiences":            forge(t, hs256, known.jwt, nil, map[string]any{"aud": []string{"longwire-api", "longwire-inbox"}}),
		"no user":                  forge(t, hs256, known.jwt, nil, map[string]any{"sub": nil}),
		"no session":               forge(t, hs256, known.jwt, nil, map[string]any{"sid": ""}),
		"session of another type":  forge(t, hs256, known.jwt, nil, map[string]any{"sid": 1}),
		"no time of issue":         forge(t, hs256, known.jwt, nil, map[string]any{"iat": nil}),
		"no expiry":                forge(t, hs256, known.jwt, nil, map[string]any{"exp": nil}),
		"expiry in words":          forge(t, hs256, known.jwt, nil, map[string]any{"exp": "never"}),
		"good only later":          forge(t, hs256, known.jwt, nil, map[string]any{"nbf": start.Unix() + 60}),
		"forged and expired":       forge(t, hs256, secret('a'), nil, map[string]any{"exp": start.Unix() - 1}),
		"for another and expired":  forge(t, hs256, known.jwt, nil, map[string]any{"aud": "x", "exp": start.Unix() - 1}),
		"longer than any of ours":  forge(t, hs256, known.jwt, nil, map[string]any{"more": strings.Repeat("x", maxTokenBytes)}),
		"nothing":                  "",
		"dots":                     "..",
		"a refresh token":          keys.SignRefresh("s1", 1),
		"an unencoded one":         `{"alg":"HS256"}.{}.x`,
		"a line break at its end":  sign(t, keys, goodClaims()) + "\n",
		"a fourth part":            sign(t, keys, goodClaims()) + ".x",
		"its last character again": sign(t, keys, goodClaims()) + "A",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims, err := keys.Verify(token, start, AudienceAPI, AudienceInbox)
			require.ErrorIs(t, err, ErrInvalidToken)
			require.NotErrorIs(t, err, ErrExpiredToken)
			assert.Zero(t, claims)
		})
	}
}

func TestNoBitOfATokenCanBeChanged(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	token := sign(t, keys, goodClaims())
	for i := range len(token) {
		for bit := range 8 {
			changed := []byte(token)
			changed[i] ^= 1 << bit
			_, err := keys.Verify(string(changed), start, AudienceAPI)
			require.Error(t, err, "byte %d, bit %d", i, bit)
		}
	}
}

func TestAReasonShowsNothingOfTheToken(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, secret('a'))
	token := sign(t, newKeys(t, secret('b')), goodClaims())
	_, err := keys.Verify(token, start, AudienceAPI)
	require.Error(t, err)
	for part := range strings.SplitSeq(token, ".") {
		assert.NotContains(t, err.Error(), part)
	}
}

func FuzzVerifyBelievesOnlyWhatWasSigned(f *testing.F) {
	keys, err := NewKeys(secret('a'), secret('b'))
	require.NoError(f, err)
	good, err := keys.Sign(goodClaims())
	require.NoError(f, err)
	f.Add(good)
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := keys.Verify(token, start, AudienceAPI)
		if err != nil {
			assert.Zero(t, claims)
			return
		}
		// The fuzzer knows no key, so a token that is believed is one that somebody signed.
		assert.Equal(t, good, token)
		parts := strings.Split(token, ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		require.NoError(t, err)
		assert.True(t, json.Valid(payload))
	})
}
