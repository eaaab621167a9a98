package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds on what a stored hash may ask for. Hashes come from our own database, but a row changed by hand or by an attacker
// must not make one login cost gigabytes or minutes.
const (
	maxMemory    = 256 * 1024 // KiB
	maxTime      = 16
	maxThreads   = 16
	minSaltBytes = 8 // RFC 9106, section 3.1
	minHashBytes = 16
	maxPartBytes = 64
	maxPHCBytes  = 256
)

var errPHC = errors.New("not an argon2id hash in PHC string format")

// Strict, for one spelling only; PHC strings have no padding.
var phcEncoding = base64.RawStdEncoding.Strict()

// phc is a parsed `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
type phc struct {
	params     Params
	salt, hash []byte
}

// check says whether the parameters can be used: argon2 raises a memory below 8 KiB a thread by itself (RFC 9106, section
// 3.1), and panics when the rest is zero.
func (p Params) check() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("argon2id: want 1 to %d threads, got %d", maxThreads, p.Threads)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("argon2id: want 1 to %d passes, got %d", maxTime, p.Time)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("argon2id: want %d to %d KiB of memory, got %d", 8*p.Threads, maxMemory, p.Memory)
	}
	return nil
}

func encodePHC(p phc) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.params.Memory, p.params.Time, p.params.Threads,
		phcEncoding.EncodeToString(p.salt), phcEncoding.EncodeToString(p.hash))
}

func parsePHC(encoded string) (phc, error) {
	if len(encoded) > maxPHCBytes {
		return phc{}, fmt.Errorf("%w: too long", errPHC)
	}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	params, err := parseParams(parts[3])
	if err != nil {
		return phc{}, err
	}
	salt, err := decodePart(parts[4], minSaltBytes)
	if err != nil {
		return phc{}, fmt.Errorf("%w: salt", err)
	}
	hash, err := decodePart(parts[5], minHashBytes)
	if err != nil {
		return phc{}, fmt.Errorf("%w: hash", err)
	}
	return phc{params: params, salt: salt, hash: hash}, nil
}

// parseParams reads "m=19456,t=2,p=1": all three, in this order.
func parseParams(text string) (Params, error) {
	var numbers [3]uint64
	parts := strings.Split(text, ",")
	if len(parts) != len(numbers) {
		return Params{}, errPHC
	}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(parts[i], name)
		n, err := strconv.ParseUint(digits, 10, 31)
		if !found || err != nil || strconv.FormatUint(n, 10) != digits {
			return Params{}, errPHC
		}
		numbers[i] = n
	}
	if numbers[2] > maxThreads { // before it is cut to eight bits
		return Params{}, fmt.Errorf("%w: %d threads", errPHC, numbers[2])
	}
	params := Params{Memory: uint32(numbers[0]), Time: uint32(numbers[1]), Threads: uint8(numbers[2])}
	if err := params.check(); err != nil {
		return Params{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	return params, nil
}

func decodePart(text string, atLeast int) ([]byte, error) {
	part, err := phcEncoding.DecodeString(text)
	// The decoder skips line breaks, even when strict, so the length of the text counts too.
	if err != nil || len(part) < atLeast || len(part) > maxPartBytes || len(text) != phcEncoding.EncodedLen(len(part)) {
		return nil, errPHC
	}
	return part, nil
}
