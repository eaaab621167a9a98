package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"
)

// ErrBusy means that as many passwords are waiting to be hashed as may wait: try again later.
var ErrBusy = errors.New("too many passwords are waiting to be checked")

const (
	saltBytes = 16 // RFC 9106, section 3.1
	hashBytes = 32
)

// DefaultParams are the second choice of OWASP's password storage cheat sheet: 19 MiB and two passes, about 20 ms.
var DefaultParams = Params{Memory: 19 * 1024, Time: 2, Threads: 1}

// Params says how dear one argon2id hash is (RFC 9106).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8
}

// Hasher hashes and checks passwords. Hashing is meant to be slow and large, so only so many run at once, and only so many
// more wait: a flood of logins costs a bounded amount of memory and the rest of the node goes on. It is safe for concurrent
// use.
type Hasher struct {
	params Params
	// admitted has a token for each call that runs or waits.
	admitted chan struct{}
	// running has a token for each call that runs.
	running chan struct{}
	// derive is argon2.IDKey but in tests of the queue.
	derive func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// NewHasher returns a Hasher that runs concurrency calls at once (0: one for each CPU) and lets waiting more wait.
func NewHasher(params Params, concurrency, waiting int) (*Hasher, error) {
	if err := params.check(); err != nil {
		return nil, err
	}
	if concurrency < 0 || waiting < 0 {
		return nil, errors.New("password hasher: concurrency and waiting must not be negative")
	}
	if concurrency == 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	return &Hasher{
		params:   params,
		admitted: make(chan struct{}, concurrency+waiting),
		running:  make(chan struct{}, concurrency),
		derive:   argon2.IDKey,
	}, nil
}

// Hash returns a password's hash in PHC string format, to be stored and given to Verify. It returns ErrBusy at once when too
// many wait, and the context's error when that ends before its turn comes.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: it ends the program instead
	hash, err := h.run(ctx, password, salt, h.params, hashBytes)
	if err != nil {
		return "", err
	}
	return encodePHC(phc{params: h.params, salt: salt, hash: hash}), nil
}

// Verify says whether password is the one that encoded was made of and, if it is, whether it should be hashed again because
// the parameters have changed since. Its errors are those of Hash, and one for an encoded text that no Hash returned.
func (h *Hasher) Verify(ctx context.Context, password, encoded string) (ok, needsRehash bool, err error) {
	kept, err := parsePHC(encoded)
	if err != nil {
		return false, false, err
	}
	hash, err := h.run(ctx, password, kept.salt, kept.params, uint32(len(kept.hash)))
	if err != nil {
		return false, false, err
	}
	if subtle.ConstantTimeCompare(hash, kept.hash) != 1 {
		return false, false, nil
	}
	return true, kept.params != h.params || len(kept.salt) != saltBytes || len(kept.hash) != hashBytes, nil
}

// VerifyNobody takes as long as Verify does, for a username that does not exist: the time of an answer must not tell which
// usernames do. Its errors are those of Hash.
func (h *Hasher) VerifyNobody(ctx context.Context, password string) error {
	_, err := h.run(ctx, password, make([]byte, saltBytes), h.params, hashBytes)
	return err
}

// run derives a key when its turn comes.
func (h *Hasher) run(ctx context.Context, password string, salt []byte, params Params, length uint32) ([]byte, error) {
	select {
	case h.admitted <- struct{}{}:
		defer func() { <-h.admitted }()
	default:
		return nil, ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
	}
	// Both may have been ready, and select takes either: nobody waits for the answer any more, so do not work for it.
	if ctx.Err() != nil {
		return nil, fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
	}
	return h.derive([]byte(password), salt, params.Time, params.Memory, params.Threads, length), nil
}
