package auth

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cheap parameters, so that tests of everything else take no time.
var cheap = Params{Memory: 8, Time: 1, Threads: 1}

func newHasher(t *testing.T, params Params, concurrency, waiting int) *Hasher {
	t.Helper()
	hasher, err := NewHasher(params, concurrency, waiting)
	require.NoError(t, err)
	return hasher
}

func TestOnlyTheRightPasswordIsAccepted(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, DefaultParams, 0, 0)
	encoded, err := hasher.Hash(t.Context(), "correct horse")
	require.NoError(t, err)
	assert.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, encoded)

	ok, needsRehash, err := hasher.Verify(t.Context(), "correct horse", encoded)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.False(t, needsRehash)
	for _, wrong := range []string{"", "correct horsf", "correct horse ", "Correct horse"} {
		ok, needsRehash, err = hasher.Verify(t.Context(), wrong, encoded)
		require.NoError(t, err)
		assert.False(t, ok, wrong)
		assert.False(t, needsRehash, wrong)
	}
}

func TestTheSamePasswordIsHashedDifferentlyEachTime(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, cheap, 1, 0)
	one, err := hasher.Hash(t.Context(), "p")
	require.NoError(t, err)
	two, err := hasher.Hash(t.Context(), "p")
	require.NoError(t, err)
	assert.NotEqual(t, one, two)
}

func TestAHashOfTheReferenceImplementationIsAccepted(t *testing.T) {
	t.Parallel()
	// echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 (the known answer in the reference's own tests)
	const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, needsRehash, err := newHasher(t, cheap, 1, 0).Verify(t.Context(), "password", known)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.True(t, needsRehash)
}

func TestAHashOfOtherParametersIsToBeRenewed(t *testing.T) {
	t.Parallel()
	encoded, err := newHasher(t, cheap, 1, 0).Hash(t.Context(), "p")
	require.NoError(t, err)
	for _, params := range []Params{{16, 1, 1}, {8, 2, 1}, {16, 1, 2}} {
		ok, needsRehash, err := newHasher(t, params, 1, 0).Verify(t.Context(), "p", encoded)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.True(t, needsRehash)
	}
	short := strings.Replace(encodePHC(phc{params: cheap, salt: make([]byte, 8), hash: nil}), "$$", "$", 1)
	hasher := newHasher(t, cheap, 1, 0)
	hash, err := hasher.run(t.Context(), "p", make([]byte, 8), cheap, hashBytes)
	require.NoError(t, err)
	_, needsRehash, err := hasher.Verify(t.Context(), "p", short+phcEncoding.EncodeToString(hash))
	require.NoError(t, err)
	assert.True(t, needsRehash, "a short salt is renewed too")
}

func TestNobodyCostsAsMuchAsSomebody(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, cheap, 1, 0)
	encoded, err := hasher.Hash(t.Context(), "p")
	require.NoError(t, err)
	type cost struct {
		salt, hash   int
		time, memory uint32
		threads      uint8
	}
	var costs []cost
	hasher.derive = func(_, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
		costs = append(costs, cost{len(salt), int(keyLen), time, memory, threads})
		return nil
	}
	_, _, err = hasher.Verify(t.Context(), "p", encoded)
	require.NoError(t, err)
	require.NoError(t, hasher.VerifyNobody(t.Context(), "p"))
	require.Len(t, costs, 2)
	assert.Equal(t, costs[0], costs[1])
}

func TestOnlySoManyPasswordsAreHashedAtOnceAndOnlySoManyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const concurrency, waiting = 2, 3
		hasher := newHasher(t, cheap, concurrency, waiting)
		var running, most atomic.Int32
		hasher.derive = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second) // inside the bubble: no real time passes
			running.Add(-1)
			return nil
		}
		done := make(chan error, concurrency+waiting)
		for range concurrency + waiting {
			go func() {
				_, err := hasher.Hash(t.Context(), "p")
				done <- err
			}()
		}
		synctest.Wait()
		require.ErrorIs(t, hasher.VerifyNobody(t.Context(), "p"), ErrBusy, "at once, not after waiting")
		started := time.Now()
		for range concurrency + waiting {
			require.NoError(t, <-done)
		}
		assert.Equal(t, 3*time.Second, time.Since(started))
		assert.Equal(t, int32(concurrency), most.Load())
		require.NoError(t, hasher.VerifyNobody(t.Context(), "p"), "all places are free again")
	})
}

func TestACallerThatLeavesGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hasher := newHasher(t, cheap, 1, 1)
		release := make(chan struct{})
		calls := 0
		hasher.derive = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte {
			calls++
			<-release
			return nil
		}
		first := make(chan error, 1)
		go func() { first <- hasher.VerifyNobody(t.Context(), "p") }()
		synctest.Wait()

		left := errors.New("client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		second := make(chan error, 1)
		go func() { second <- hasher.VerifyNobody(ctx, "p") }()
		synctest.Wait()
		require.ErrorIs(t, hasher.VerifyNobody(t.Context(), "p"), ErrBusy)
		cancel(left)
		require.ErrorIs(t, <-second, left)

		third := make(chan error, 1)
		go func() { third <- hasher.VerifyNobody(t.Context(), "p") }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-first)
		require.NoError(t, <-third)
		require.ErrorIs(t, hasher.VerifyNobody(ctx, "p"), left, "nothing is hashed for who has left")
		assert.Equal(t, 2, calls)
	})
}

func TestAHasherOfNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, params := range []Params{{}, {Memory: 8, Time: 1}, {Memory: 8, Threads: 1}, {Memory: 15, Time: 1, Threads: 2}, {Memory: maxMemory + 1, Time: 1, Threads: 1}, {Memory: 8, Time: maxTime + 1, Threads: 1}, {Memory: 1024, Time: 1, Threads: maxThreads + 1}} {
		_, err := NewHasher(params, 1, 1)
		require.ErrorContains(t, err, "argon2id: want", params)
	}
	_, err := NewHasher(cheap, -1, 0)
	require.Error(t, err)
	_, err = NewHasher(cheap, 0, -1)
	require.Error(t, err)
}

func TestAStoredTextThatIsNoHashIsAnErrorAndCostsNothing(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, cheap, 1, 0)
	hasher.derive = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte { panic("work was done for it") }
	const salt, hash = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for name, encoded := range map[string]string{
		"nothing":             "",
		"another function":    "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + hash,
		"bcrypt":              "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"an older version":    "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + hash,
		"no version":          "$argon2id$m=8,t=1,p=1$" + salt + "$" + hash,
		"parameters in chaos": "$argon2id$v=19$t=1,m=8,p=1$" + salt + "$" + hash,
		"a parameter missing": "$argon2id$v=19$m=8,t=1$" + salt + "$" + hash,
		"a parameter more":    "$argon2id$v=19$m=8,t=1,p=1,x=1$" + salt + "$" + hash,
		"leading zero":        "$argon2id$v=19$m=08,t=1,p=1$" + salt + "$" + hash,
		"signed":              "$argon2id$v=19$m=+8,t=1,p=1$" + salt + "$" + hash,
		"absurd memory":       "$argon2id$v=19$m=1073741824,t=1,p=1$" + salt + "$" + hash,
		"memory beyond 32":    "$argon2id$v=19$m=4294967304,t=1,p=1$" + salt + "$" + hash,
		"absurd time":         "$argon2id$v=19$m=8,t=1000000,p=1$" + salt + "$" + hash,
		"no time":             "$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + hash,
		"absurd threads":      "$argon2id$v=19$m=8,t=1,p=257$" + salt + "$" + hash,
		"no threads":          "$argon2id$v=19$m=8,t=1,p=0$" + salt + "$" + hash,
		"no salt":             "$argon2id$v=19$m=8,t=1,p=1$$" + hash,
		"padded salt":         "$argon2id$v=19$m=8,t=1,p=1$" + salt + "==$" + hash,
		"salt of line breaks": "$argon2id$v=19$m=8,t=1,p=1$" + salt + "\n$" + hash,
		"short hash":          "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$AAAA",
		"too long":            "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("A", maxPHCBytes),
		"one part more":       "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + hash + "$",
		"words before":        "x$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + hash,
	} {
		ok, needsRehash, err := hasher.Verify(t.Context(), "p", encoded)
		require.ErrorIs(t, err, errPHC, name)
		assert.False(t, ok || needsRehash, name)
	}
}

func FuzzPHCStringsAreBoundedAndHaveOneSpelling(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, encoded string) {
		parsed, err := parsePHC(encoded)
		if err != nil {
			require.ErrorIs(t, err, errPHC)
			return
		}
		require.NoError(t, parsed.params.check())
		assert.Equal(t, encoded, encodePHC(parsed))
	})
}
