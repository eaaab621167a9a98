package chat

import (
	"cmp"
	"context"
	"slices"
)

// PasswordChange is an account's password and what it is to become.
type PasswordChange struct {
	Current string
	New     string
}

// ChangePassword changes the caller's password and ends all other sessions: if
// somebody else knows the old one, they are out. CodeWrongPassword when the
// current one is not the caller's.
func (s *Service) ChangePassword(ctx context.Context, caller Caller, change PasswordChange) error {
	var faults fieldErrors
	faults.text("new_password", change.New, s.limits.MinPasswordLength, s.limits.MaxPasswordLength)
	if err := faults.err(); err != nil {
		return err
	}
	known, err := s.checkPassword(ctx, caller.User, change.Current)
	if err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, change.New)
	if err != nil {
		return err
	}
	return s.endingSessions(ctx, func(tx Tx) ([]ID, error) {
		if err := confirm(tx, caller, known); err != nil {
			return nil, err
		}
		if err := tx.SetPasswordHash(caller.User, hash); err != nil {
			return nil, err
		}
		return endOthers(tx, caller)
	})
}

// EndOtherSessions ends all sessions of the caller but the one that asks.
func (s *Service) EndOtherSessions(ctx context.Context, caller Caller) error {
	return s.endingSessions(ctx, func(tx Tx) ([]ID, error) {
		if err := tx.LockUsers(caller.User); err != nil {
			return nil, err
		}
		return endOthers(tx, caller)
	})
}

// endingSessions commits fn, and then makes this node forget the sessions that
// fn says it has ended; the others are told.
func (s *Service) endingSessions(ctx context.Context, fn func(tx Tx) ([]ID, error)) error {
	var ended []ID
	err := s.commit(ctx, func(tx Tx) (err error) {
		ended, err = fn(tx)
		return err
	})
	for _, id := range ended {
		s.sessions.forget(id)
	}
	return err
}

// checkPassword verifies a password of a user who is signed in, and returns
// what it was checked against. It holds no lock while it hashes.
func (s *Service) checkPassword(ctx context.Context, user ID, password string) (Credentials, error) {
	wrong := &Error{Code: CodeWrongPassword, Detail: "The password is wrong."}
	// What cannot be a password of anybody is not hashed, whatever its length.
	if len(password) > 4*s.limits.MaxPasswordLength {
		return Credentials{}, wrong
	}
	known, err := s.store.CredentialsByID(ctx, user)
	if isNotFound(err) {
		return Credentials{}, errSessionEnded()
	}
	if err != nil {
		return Credentials{}, err
	}
	good, err := s.passwords.Verify(ctx, password, known.PasswordHash)
	if err == nil && !good {
		err = wrong
	}
	return known, err
}

// confirm locks the caller and makes sure that the password which was checked
// is still the one that holds.
func confirm(tx Tx, caller Caller, checked Credentials) error {
	err := tx.LockUsers(caller.User)
	if isNotFound(err) {
		return errSessionEnded()
	}
	if err != nil {
		return err
	}
	now, err := tx.CredentialsByID(caller.User)
	if err != nil {
		return err
	}
	if now.PasswordHash != checked.PasswordHash {
		return Conflict("The password has just been changed by another device.")
	}
	return nil
}

// endOthers ends all sessions of a locked user but the caller's, which must
// live: one that has just been ended cannot end those who ended it.
func endOthers(tx Tx, caller Caller) ([]ID, error) {
	sessions, err := tx.LockSessionsOf(caller.User)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(sessions, func(s Session) bool { return s.ID == caller.Session }) {
		return nil, errSessionEnded()
	}
	var ended []ID
	for _, session := range sessions {
		if session.ID == caller.Session {
			continue
		}
		if err := endSession(tx, SessionRef{User: caller.User, Session: session.ID}); err != nil {
			return nil, err
		}
		ended = append(ended, session.ID)
	}
	return ended, nil
}

// endUnused ends those sessions of a locked user that are more than may be,
// the ones that were not used for longest, but never the one to be kept.
func (s *Service) endUnused(tx Tx, user, keep ID) ([]ID, error) {
	sessions, err := tx.LockSessionsOf(user)
	if err != nil || len(sessions) <= s.limits.MaxSessionsPerUser {
		return nil, err
	}
	sessions = slices.DeleteFunc(sessions, func(s Session) bool { return s.ID == keep })
	slices.SortFunc(sessions, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.LastSeenAt, b.LastSeenAt), cmp.Compare(a.ID, b.ID))
	})
	var ended []ID
	for _, session := range sessions[:len(sessions)+1-s.limits.MaxSessionsPerUser] {
		if err := endSession(tx, SessionRef{User: user, Session: session.ID}); err != nil {
			return nil, err
		}
		ended = append(ended, session.ID)
	}
	return ended, nil
}
