package chat

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"strings"
)

// Cursor is a position in one user's inbox. As text it is
// `1.<epoch>.<user mark>.<seq>`: a version, so that later cursors may hold more;
// the epoch of the data, so that a cursor from before a restore is noticed; a
// mark of the user, so that nobody continues from another's; and the seq of the
// last event seen. Clients treat it as opaque.
type Cursor struct {
	Epoch string
	Seq   int64
}

const (
	cursorVersion = "1"
	// MaxCursorLength bounds what is read as a cursor; the API promises it.
	MaxCursorLength = 512
)

// CursorPrefix returns what all cursors of a user in an epoch begin with; the
// seq in decimal follows. It is made once for each reader.
func CursorPrefix(epoch string, user ID) string {
	return cursorVersion + "." + epoch + "." + cursorMark(user) + "."
}

// AppendCursor appends the cursor at seq to b.
func AppendCursor(b []byte, prefix string, seq int64) []byte {
	return strconv.AppendInt(append(b, prefix...), seq, 10)
}

// String returns the cursor as the given user sees it.
func (c Cursor) String(user ID) string {
	return CursorPrefix(c.Epoch, user) + strconv.FormatInt(c.Seq, 10)
}

// ParseCursor reads a cursor that was given to user. Anything else, another's
// cursor included, is [CodeInvalidCursor].
func ParseCursor(text string, user ID) (Cursor, error) {
	bad := &Error{
		Code: CodeInvalidCursor, Detail: "This is no cursor of this inbox. Use one that an event, a poll or a sync gave to this user.",
		Fields: []FieldError{{Field: "cursor", Message: "is no cursor of this inbox"}},
	}
	if len(text) > MaxCursorLength {
		return Cursor{}, bad
	}
	parts := strings.Split(text, ".")
	if len(parts) != 4 || parts[0] != cursorVersion || !validEpoch(parts[1]) || parts[2] != cursorMark(user) {
		return Cursor{}, bad
	}
	seq, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || seq < 0 || strconv.FormatInt(seq, 10) != parts[3] {
		return Cursor{}, bad
	}
	return Cursor{Epoch: parts[1], Seq: seq}, nil
}

// validEpoch tells whether text can be an epoch: 1 to 32 lower-case letters and digits.
func validEpoch(text string) bool {
	if text == "" || len(text) > 32 {
		return false
	}
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// cursorMark is eight characters of the user's id, hashed: it tells users'
// cursors apart without repeating ids in URLs and logs.
func cursorMark(user ID) string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(user))
	sum := sha256.Sum256(append([]byte("longwire cursor "), raw[:]...))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}
