package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

const (
	// refreshVersion begins each refresh token, so that their form can change.
	refreshVersion = "r1"
	// maxRefreshBytes is more than any of ours has.
	maxRefreshBytes = 256
)

// Strict refuses spellings that differ only in bits that carry nothing: each token has one spelling.
var refreshEncoding = base64.RawURLEncoding.Strict()

// SignRefresh returns the refresh token of a session's generation: r1.<session>.<generation>.<mac>. Nothing is kept of it:
// whoever stores the session's generation knows which tokens were used. The session id must be made of letters, digits,
// "-" and "_", and the generation must not be negative; other tokens would be refused by VerifyRefresh.
func (k *Keys) SignRefresh(session string, generation int64) string {
	said := refreshVersion + "." + session + "." + strconv.FormatInt(generation, 10)
	return said + "." + refreshEncoding.EncodeToString(k.all[0].macRefresh(said))
}

// VerifyRefresh returns what a refresh token names, or ErrInvalidToken. It says nothing of whether the session still exists
// or the generation was used before.
func (k *Keys) VerifyRefresh(token string) (session string, generation int64, err error) {
	said, session, generation, mac, err := parseRefresh(token)
	if err != nil {
		return "", 0, err
	}
	for _, known := range k.all {
		if hmac.Equal(mac, known.macRefresh(said)) {
			return session, generation, nil
		}
	}
	return "", 0, fmt.Errorf("%w: its code is wrong", ErrInvalidToken)
}

func (k key) macRefresh(said string) []byte {
	mac := hmac.New(sha256.New, k.refresh)
	mac.Write([]byte(said))
	return mac.Sum(nil)
}

// parseRefresh takes a token apart: said is what its code covers.
func parseRefresh(token string) (said, session string, generation int64, mac []byte, err error) {
	refuse := func(reason string) (string, string, int64, []byte, error) {
		return "", "", 0, nil, fmt.Errorf("%w: %s", ErrInvalidToken, reason)
	}
	if len(token) > maxRefreshBytes {
		return refuse("too long")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 4 || parts[0] != refreshVersion {
		return refuse("no refresh token")
	}
	session = parts[1]
	if session == "" || strings.ContainsFunc(session, notInID) {
		return refuse("its session is no id")
	}
	generation, parseErr := strconv.ParseInt(parts[2], 10, 64)
	if parseErr != nil || generation < 0 || strconv.FormatInt(generation, 10) != parts[2] {
		return refuse("its generation is no number")
	}
	mac, decodeErr := refreshEncoding.DecodeString(parts[3])
	// The decoder skips line breaks, even when strict, so the length of the text counts too.
	if decodeErr != nil || len(mac) != sha256.Size || len(parts[3]) != refreshEncoding.EncodedLen(sha256.Size) {
		return refuse("its code is no code")
	}
	said = token[:len(token)-len(parts[3])-1]
	return said, session, generation, mac, nil
}

func notInID(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	default:
		return true
	}
}
