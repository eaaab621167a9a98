package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"longwire/auth"
	"longwire/chat"
)

// tokens lets chat work with auth's keys: ids become text and back, and what
// auth refuses becomes one of the domain's errors.
type tokens struct {
	keys  *auth.Keys
	now   func() time.Time
	known *knownTokens // nil = every token is verified each time
}

var _ chat.Tokens = tokens{}

func (t tokens) Access(ref chat.SessionRef, expires time.Time) (string, error) {
	return t.sign(ref, auth.AudienceAPI, expires)
}

func (t tokens) Inbox(ref chat.SessionRef, expires time.Time) (string, error) {
	return t.sign(ref, auth.AudienceInbox, expires)
}

func (t tokens) sign(ref chat.SessionRef, audience auth.Audience, expires time.Time) (string, error) {
	return t.keys.Sign(auth.Claims{
		User: ref.User.String(), Session: ref.Session.String(), Audience: audience, IssuedAt: t.now(), ExpiresAt: expires,
	})
}

func (t tokens) VerifyAccess(token string, now time.Time) (chat.SessionRef, time.Time, error) {
	return t.verify(token, now, auth.AudienceAPI)
}

func (t tokens) VerifyInbox(token string, now time.Time) (chat.SessionRef, time.Time, error) {
	return t.verify(token, now, auth.AudienceInbox)
}

func (t tokens) verify(token string, now time.Time, audience auth.Audience) (chat.SessionRef, time.Time, error) {
	mark := markOf(token, audience)
	if ref, expires, ok := t.known.find(mark, now); ok {
		return ref, expires, nil
	}
	claims, err := t.keys.Verify(token, now, audience)
	if err != nil {
		return chat.SessionRef{}, time.Time{}, refused(err)
	}
	user, userErr := chat.ParseID(claims.User)
	session, sessionErr := chat.ParseID(claims.Session)
	if err := errors.Join(userErr, sessionErr); err != nil {
		return chat.SessionRef{}, time.Time{}, refused(err)
	}
	ref := chat.SessionRef{User: user, Session: session}
	t.known.remember(mark, ref, claims.ExpiresAt)
	return ref, claims.ExpiresAt, nil
}

// knownTokens remembers tokens that were verified, until they expire: what a
// token says never changes, and checking its signature and reading its JSON is
// dear when it is done for every message. Whether the session still lives is
// asked each time, elsewhere. Tokens are kept as their hashes.
type knownTokens struct {
	mu    sync.Mutex
	known map[tokenMark]knownToken // guarded by mu
}

type tokenMark [sha256.Size]byte

type knownToken struct {
	ref     chat.SessionRef
	expires time.Time
}

// maxKnownTokens bounds the memory; when it is reached all are verified anew.
const maxKnownTokens = 20_000

// markOf is a token as it is remembered. The audience is part of it: a token is
// good for one use only.
func markOf(token string, audience auth.Audience) tokenMark {
	return sha256.Sum256([]byte(string(audience) + " " + token))
}

func (k *knownTokens) find(mark tokenMark, now time.Time) (chat.SessionRef, time.Time, bool) {
	if k == nil {
		return chat.SessionRef{}, time.Time{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	token, ok := k.known[mark]
	return token.ref, token.expires, ok && now.Before(token.expires)
}

func (k *knownTokens) remember(mark tokenMark, ref chat.SessionRef, expires time.Time) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnownTokens {
		k.known = make(map[tokenMark]knownToken)
	}
	k.known[mark] = knownToken{ref, expires}
}

func (t tokens) Refresh(session chat.ID, generation int64) string {
	return t.keys.SignRefresh(session.String(), generation)
}

func (t tokens) VerifyRefresh(token string) (chat.ID, int64, error) {
	text, generation, err := t.keys.VerifyRefresh(token)
	if err != nil {
		return 0, 0, refused(err)
	}
	session, err := chat.ParseID(text)
	if err != nil {
		return 0, 0, refused(err)
	}
	return session, generation, nil
}

// refused tells the client that a token is no good, and the log why.
func refused(cause error) error {
	detail := "The token is not valid."
	if errors.Is(cause, auth.ErrExpiredToken) {
		detail = "The token has expired. Get a new one with the refresh token."
	}
	return &chat.Error{Code: chat.CodeUnauthenticated, Detail: detail, Err: cause}
}

// passwords lets chat work with auth's hasher.
type passwords struct {
	hasher *auth.Hasher
}

var _ chat.Passwords = passwords{}

func (p passwords) Hash(ctx context.Context, password string) (string, error) {
	hash, err := p.hasher.Hash(ctx, password)
	return hash, busy(err)
}

func (p passwords) Verify(ctx context.Context, password, hash string) (bool, error) {
	good, _, err := p.hasher.Verify(ctx, password, hash)
	return good, busy(err)
}

func (p passwords) VerifyNobody(ctx context.Context, password string) error {
	return busy(p.hasher.VerifyNobody(ctx, password))
}

// busy tells the client when to come back if too many passwords wait to be checked.
func busy(err error) error {
	if errors.Is(err, auth.ErrBusy) {
		return &chat.Error{
			Code: chat.CodeOverloaded, Detail: "Too many people are signing in right now. Try again shortly.",
			RetryAfter: 2 * time.Second, Err: err,
		}
	}
	return err
}
