package chat

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// ID names a user, session, request, group or conversation. Inside it is a
// positive 63-bit integer whose upper bits are the time of its making, so that
// primary keys grow; outside it is an opaque string of 13 characters.
type ID int64

// idText is Crockford's alphabet in lower case: no letter that reads as a digit.
var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// idLength is the length of every id as text.
const idLength = 13

// String returns the id as clients see it.
func (id ID) String() string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(id))
	return idText.EncodeToString(raw[:])
}

// append appends the id as clients see it.
func (id ID) append(b []byte) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(id))
	return idText.AppendEncode(b, raw[:])
}

// MarshalText makes ids strings in JSON, also as map keys.
func (id ID) MarshalText() ([]byte, error) {
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText wrote; anything else is [CodeNotFound].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseID reads an id as clients send it. Text that never was an id of ours
// cannot name anything, so the error is [CodeNotFound] rather than a
// validation error: a stranger learns nothing from the difference.
func ParseID(text string) (ID, error) {
	if len(text) != idLength || strings.ContainsAny(text, "\r\n") {
		return 0, NotFound("There is nothing with this id.")
	}
	raw, err := idText.DecodeString(text)
	if err != nil || len(raw) != 8 {
		return 0, NotFound("There is nothing with this id.")
	}
	id := ID(binary.BigEndian.Uint64(raw))
	// The last character carries spare bits; only one spelling is the id.
	if id <= 0 || id.String() != text {
		return 0, NotFound("There is nothing with this id.")
	}
	return id, nil
}

// idEpoch is where the clock of ids starts: 2026-01-01T00:00:00Z.
const idEpoch = 1_767_225_600_000

// idRandomBits is what is left of 63 bits after 41 bits of milliseconds.
const idRandomBits = 22

// IDs makes new ids. The zero value is not usable; see [NewIDs].
type IDs struct {
	now func() time.Time

	mu   sync.Mutex
	last ID // guarded by mu
}

// NewIDs returns a source of ids that reads the given clock.
func NewIDs(now func() time.Time) *IDs {
	return &IDs{now: now}
}

// Next returns an id greater than every id this source made before. Two nodes
// may with a chance of one in four million per shared millisecond make the
// same; the primary key refuses the second.
func (s *IDs) Next() ID {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
	random := int64(binary.BigEndian.Uint32(raw[:]) >> (32 - idRandomBits))
	millis := max(s.now().UnixMilli()-idEpoch, 1)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(ID(millis<<idRandomBits|random), s.last+1)
	return s.last
}
