package chat

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oneSession is a store that knows one session, and counts who asks.
type oneSession struct {
	Store

	session Session
	asked   int
	during  func() // runs while the database is asked; nil = nothing
}

func (o *oneSession) SessionByID(context.Context, ID) (Session, error) {
	o.asked++
	answer := o.session
	if o.during != nil {
		o.during()
	}
	return answer, nil
}

// anyToken takes every token for session 2 of user 1.
type anyToken struct{ Tokens }

func (anyToken) VerifyAccess(string, time.Time) (SessionRef, time.Time, error) {
	return SessionRef{User: 1, Session: 2}, time.Time{}, nil
}

func serviceWith(store *oneSession, now *time.Time) *Service {
	return NewService(Options{Store: store, Tokens: anyToken{}, Now: func() time.Time { return *now }})
}

func TestEndedSessionIsRefusedWithinTwoSecondsWithoutAnyWord(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &oneSession{session: Session{ID: 2, UserID: 1, ExpiresAt: TimeOf(now.Add(time.Hour))}}
	s := serviceWith(store, &now)

	_, err := s.Authenticate(t.Context(), "token")
	require.NoError(t, err)
	ended := TimeOf(now)
	store.session.EndedAt = &ended
	now = now.Add(2 * time.Second)
	_, err = s.Authenticate(t.Context(), "token")
	assert.Equal(t, CodeSessionEnded, CodeOf(err))
}

// A database that takes its time tells what was true when it was asked.
func TestSlowAnswerAboutASessionIsBelievedForNoLonger(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &oneSession{session: Session{ID: 2, UserID: 1, ExpiresAt: TimeOf(now.Add(time.Hour))}}
	store.during = func() { now = now.Add(2 * time.Second) }
	s := serviceWith(store, &now)

	_, err := s.Authenticate(t.Context(), "token")
	require.NoError(t, err)
	ended := TimeOf(now)
	store.session.EndedAt = &ended
	_, err = s.Authenticate(t.Context(), "token")
	assert.Equal(t, CodeSessionEnded, CodeOf(err))
	assert.Equal(t, CodeSessionEnded, CodeOf(s.SessionLives(t.Context(), Caller{User: 1, Session: 2})))
}

func TestEndedSessionIsRefusedAtOnceWhenANodeSaysSo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &oneSession{session: Session{ID: 2, UserID: 1, ExpiresAt: TimeOf(now.Add(time.Hour))}}
	s := serviceWith(store, &now)

	_, err := s.Authenticate(t.Context(), "token")
	require.NoError(t, err)
	_, err = s.Authenticate(t.Context(), "token")
	require.NoError(t, err)
	assert.Equal(t, 1, store.asked, "a session that was just seen to live is believed")

	ended := TimeOf(now)
	store.session.EndedAt = &ended
	s.SessionEnded(2)
	_, err = s.Authenticate(t.Context(), "token")
	assert.Equal(t, CodeSessionEnded, CodeOf(err))
}

func TestSessionThatEndsWhileTheDatabaseIsAskedIsNotRemembered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &oneSession{session: Session{ID: 2, UserID: 1, ExpiresAt: TimeOf(now.Add(time.Hour))}}
	s := serviceWith(store, &now)
	store.during = func() {
		ended := TimeOf(now)
		store.session.EndedAt = &ended
		s.SessionEnded(2)
	}
	_, err := s.Authenticate(t.Context(), "token")
	require.NoError(t, err, "the database said that it lives")
	_, err = s.Authenticate(t.Context(), "token")
	assert.Equal(t, CodeSessionEnded, CodeOf(err))
}

func TestSessionOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &oneSession{session: Session{ID: 2, UserID: 7, ExpiresAt: TimeOf(now.Add(time.Hour))}}
	_, err := serviceWith(store, &now).Authenticate(t.Context(), "token")
	assert.Equal(t, CodeSessionEnded, CodeOf(err))
}
