// Package auth makes and checks what proves who somebody is: signed tokens, refresh tokens and password hashes. It knows
// users and sessions by their ids only, keeps nothing and asks nobody.
package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// MinSecretBytes is what HMAC-SHA256 asks for: a key at least as long as its output (RFC 7518, section 3.2).
const MinSecretBytes = sha256.Size

// Each purpose has a key of its own, so that what is signed for one can never be passed off as the other.
const (
	jwtLabel     = "longwire/access and inbox jwt/v1"
	refreshLabel = "longwire/refresh/v1"
)

// Keys signs with the current secret and believes the previous ones too, so that a secret can be changed node by node
// without anybody being logged out. It is safe for concurrent use.
type Keys struct {
	all []key // the current one first
}

type key struct {
	id      string // the JWT's kid
	jwt     []byte
	refresh []byte
}

// NewKeys derives the keys. A secret given twice counts once.
func NewKeys(current []byte, previous ...[]byte) (*Keys, error) {
	keys := &Keys{}
	if err := keys.add(current); err != nil {
		return nil, fmt.Errorf("current secret: %w", err)
	}
	for i, secret := range previous {
		if err := keys.add(secret); err != nil {
			return nil, fmt.Errorf("previous secret %d: %w", i+1, err)
		}
	}
	return keys, nil
}

func (k *Keys) add(secret []byte) error {
	if len(secret) < MinSecretBytes {
		return fmt.Errorf("want at least %d bytes, got %d", MinSecretBytes, len(secret))
	}
	jwtKey, err := hkdf.Key(sha256.New, secret, nil, jwtLabel, sha256.Size)
	if err != nil {
		return fmt.Errorf("derive key: %w", err)
	}
	refreshKey, err := hkdf.Key(sha256.New, secret, nil, refreshLabel, sha256.Size)
	if err != nil {
		return fmt.Errorf("derive key: %w", err)
	}
	// The id is public: a hash of the derived key tells nothing of the secret.
	sum := sha256.Sum256(jwtKey)
	added := key{id: hex.EncodeToString(sum[:4]), jwt: jwtKey, refresh: refreshKey}
	for _, other := range k.all {
		if other.id != added.id {
			continue
		}
		if string(other.jwt) == string(added.jwt) {
			return nil
		}
		return errors.New("its key id is another secret's too, which happens once in four thousand million times: choose another")
	}
	k.all = append(k.all, added)
	return nil
}

// byID returns the key that a token names.
func (k *Keys) byID(id string) (key, bool) {
	for _, known := range k.all {
		if known.id == id {
			return known, true
		}
	}
	return key{}, false
}
