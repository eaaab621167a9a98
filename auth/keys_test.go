package auth

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret returns a secret that is the same for the same letter.
func secret(letter byte) []byte { return bytes.Repeat([]byte{letter}, MinSecretBytes) }

func newKeys(t *testing.T, current []byte, previous ...[]byte) *Keys {
	t.Helper()
	keys, err := NewKeys(current, previous...)
	require.NoError(t, err)
	return keys
}

func TestAShortSecretIsRefused(t *testing.T) {
	t.Parallel()
	_, err := NewKeys([]byte("short"))
	require.ErrorContains(t, err, "current secret: want at least 32 bytes, got 5")
	_, err = NewKeys(secret('a'), secret('b'), []byte("short"))
	require.ErrorContains(t, err, "previous secret 2: want at least 32 bytes, got 5")
	assert.NotContains(t, err.Error(), "short")
}

func TestASecretGivenTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	assert.Len(t, newKeys(t, secret('a'), secret('b'), secret('a'), secret('b')).all, 2)
}

func TestKeysStayTheSameAcrossReleases(t *testing.T) {
	t.Parallel()
	// A release that derives other keys logs everybody out.
	keys := newKeys(t, secret('a'))
	assert.Equal(t, "980a974d", keys.all[0].id)
	assert.Equal(t, "r1.1.1.d5fKFKx7b1aObzg5sCepdKYYoAFwwxm73jLTsDeK6J4", keys.SignRefresh("1", 1))
	assert.NotEqual(t, keys.all[0].id, newKeys(t, secret('b')).all[0].id)
}

func TestEachPurposeHasItsOwnKey(t *testing.T) {
	t.Parallel()
	current := newKeys(t, secret('a')).all[0]
	assert.NotEqual(t, current.jwt, current.refresh)
	assert.NotEqual(t, secret('a'), current.jwt)
}
