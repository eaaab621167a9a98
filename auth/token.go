package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	// ErrInvalidToken means that a token was not made by us, was changed, or is not for this use.
	ErrInvalidToken = errors.New("invalid token")
	// ErrExpiredToken means that a token was good once.
	ErrExpiredToken = errors.New("expired token")
)

// Audience is what a token is good for.
type Audience string

// The audiences there are.
const (
	AudienceAPI   Audience = "longwire-api"   // everything its user may do
	AudienceInbox Audience = "longwire-inbox" // reading its user's inbox; may stand in a URL, so it may do nothing else
)

const (
	issuer = "longwire"
	// maxTokenBytes bounds the work that a stranger can cause. Ours are about 300 bytes long.
	maxTokenBytes = 4 << 10
	// clockSkew is how far ahead the clock of the node that signed may be.
	clockSkew = 30 * time.Second
)

// Claims is what an access or inbox token says.
type Claims struct {
	User      string
	Session   string
	Audience  Audience
	IssuedAt  time.Time
	ExpiresAt time.Time // whole seconds; Sign drops the rest
}

// tokenClaims is Claims as JSON, by the names of RFC 7519, section 4.1.
type tokenClaims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
}

// Sign returns a token that says claims, all of which must be set.
func (k *Keys) Sign(claims Claims) (string, error) {
	if claims.User == "" || claims.Session == "" || claims.Audience == "" || claims.IssuedAt.IsZero() || claims.ExpiresAt.IsZero() {
		return "", errors.New("sign token: a claim is missing")
	}
	current := k.all[0]
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    issuer,
			Subject:   claims.User,
			Audience:  jwt.ClaimStrings{string(claims.Audience)},
			IssuedAt:  jwt.NewNumericDate(claims.IssuedAt),
			ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		Session: claims.Session,
	})
	token.Header["kid"] = current.id
	signed, err := token.SignedString(current.jwt)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// tokenParser checks form and signature only; what the claims mean is checked in Verify, where the rules can be seen. The
// one method is pinned, because a token that chooses its own is the classic hole (RFC 8725, section 3.1). Strict decoding
// leaves each token a single spelling, but for line breaks, which every base64 decoder of Go skips: Verify refuses those.
var tokenParser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
	jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation(),
)

// Verify returns what a token says, once it is known to be ours, to be good at now and to be for one of the audiences. Its
// errors are ErrInvalidToken, with the reason for the log, and ErrExpiredToken.
func (k *Keys) Verify(token string, now time.Time, audiences ...Audience) (Claims, error) {
	if len(token) > maxTokenBytes {
		return Claims{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalidToken, maxTokenBytes)
	}
	if strings.ContainsFunc(token, notInToken) {
		return Claims{}, fmt.Errorf("%w: a character that no token has", ErrInvalidToken)
	}
	var said tokenClaims
	if _, err := tokenParser.ParseWithClaims(token, &said, k.forToken); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	switch {
	case said.Issuer != issuer:
		return Claims{}, fmt.Errorf("%w: another issuer's", ErrInvalidToken)
	case len(said.Audience) != 1 || !slices.Contains(audiences, Audience(said.Audience[0])):
		return Claims{}, fmt.Errorf("%w: for another use", ErrInvalidToken)
	case said.Subject == "" || said.Session == "" || said.IssuedAt == nil || said.ExpiresAt == nil:
		return Claims{}, fmt.Errorf("%w: a claim is missing", ErrInvalidToken)
	case said.IssuedAt.After(now.Add(clockSkew)):
		return Claims{}, fmt.Errorf("%w: issued in the future", ErrInvalidToken)
	case said.NotBefore != nil && said.NotBefore.After(now.Add(clockSkew)):
		return Claims{}, fmt.Errorf("%w: not good yet", ErrInvalidToken)
	case !now.Before(said.ExpiresAt.Time):
		return Claims{}, ErrExpiredToken
	}
	return Claims{
		User:      said.Subject,
		Session:   said.Session,
		Audience:  Audience(said.Audience[0]),
		IssuedAt:  said.IssuedAt.UTC(),
		ExpiresAt: said.ExpiresAt.UTC(),
	}, nil
}

func notInToken(r rune) bool { return r != '.' && notInID(r) }

// forToken finds the key that a token names.
func (k *Keys) forToken(token *jwt.Token) (any, error) {
	if _, ok := token.Header["crit"]; ok {
		// What crit lists must be understood or the token refused (RFC 7515, section 4.1.11), and we understand nothing.
		return nil, errors.New("critical extension")
	}
	id, _ := token.Header["kid"].(string)
	known, ok := k.byID(id)
	if !ok {
		return nil, errors.New("unknown key")
	}
	return known.jwt, nil
}
