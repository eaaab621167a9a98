package chat

import (
	"context"
	"sync"
	"time"
)

// Identity is who a token speaks for, and until when.
type Identity struct {
	Caller

	ExpiresAt time.Time
}

// InboxToken may read its user's inbox and nothing else.
type InboxToken struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// errSessionEnded is what every token of an ended session hears.
func errSessionEnded() error {
	return &Error{Code: CodeSessionEnded, Detail: "This session has ended. Log in again."}
}

// Refresh exchanges a refresh token for new tokens. The newest token given out
// and the one before it are good: the answer with the newest may have been
// lost on its way. Using the newest retires the one before, and a retired one
// that comes back was stolen or copied: the session ends.
func (s *Service) Refresh(ctx context.Context, token string) (SignIn, error) {
	id, generation, err := s.tokens.VerifyRefresh(token)
	if err != nil {
		return SignIn{}, err
	}
	var (
		user   User
		next   int64
		reused bool
	)
	err = s.commit(ctx, func(tx Tx) error {
		reused = false // fn may run again
		session, err := tx.LockSession(id)
		if isNotFound(err) {
			return errSessionEnded()
		}
		if err != nil {
			return err
		}
		if !session.Live(tx.At()) {
			return errSessionEnded()
		}
		if generation < session.RefreshGeneration-1 {
			reused = true
			return endSession(tx, SessionRef{User: session.UserID, Session: id})
		}
		if user, err = tx.UserByID(session.UserID); err != nil {
			return err
		}
		next = generation + 1
		return tx.SetRefreshGeneration(id, max(next, session.RefreshGeneration), TimeOf(s.now().Add(s.lifetimes.Session)))
	})
	if err != nil {
		return SignIn{}, err
	}
	if reused {
		s.sessions.forget(id)
		return SignIn{}, errSessionEnded()
	}
	return s.signIn(user, id, next)
}

// endSession ends a session in tx and tells the user's devices.
func endSession(tx Tx, ref SessionRef) error {
	if err := tx.EndSession(ref); err != nil {
		return err
	}
	return tx.Append(SessionRevoked, SessionRevokedData{SessionID: ref.Session}, ref.User)
}

// Logout ends the caller's session: its tokens are refused and its streams
// close, on every node.
func (s *Service) Logout(ctx context.Context, caller Caller) error {
	return s.EndSession(ctx, caller, caller.Session)
}

// EndSession ends one of the caller's sessions.
func (s *Service) EndSession(ctx context.Context, caller Caller, id ID) error {
	err := s.commit(ctx, func(tx Tx) error {
		session, err := tx.LockSession(id)
		if err != nil {
			return err
		}
		if session.UserID != caller.User || !session.Live(tx.At()) {
			return NotFound("There is no such session.")
		}
		return endSession(tx, SessionRef{User: caller.User, Session: id})
	})
	s.sessions.forget(id)
	return err
}

// Sessions lists the caller's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, caller Caller) ([]Session, error) {
	sessions, err := s.store.SessionsOf(ctx, caller.User, TimeOf(s.now()))
	for i := range sessions {
		session := &sessions[i]
		session.Current = session.ID == caller.Session
		// This node may know more than it has written yet.
		if last, ok := s.seen.of(session.ID); ok && last.at > session.LastSeenAt {
			from := last.origin.tidy()
			session.LastSeenAt, session.Address, session.UserAgent = last.at, from.Address, from.UserAgent
		}
	}
	return sessions, err
}

// Authenticate tells who an access token speaks for. CodeUnauthenticated for
// what is no good token, CodeSessionEnded when its session has ended.
func (s *Service) Authenticate(ctx context.Context, token string) (Identity, error) {
	ref, expires, err := s.tokens.VerifyAccess(token, s.now())
	if err != nil {
		return Identity{}, err
	}
	return s.identify(ctx, ref, expires)
}

// AuthenticateInbox does the same for a token that may only read the inbox.
func (s *Service) AuthenticateInbox(ctx context.Context, token string) (Identity, error) {
	ref, expires, err := s.tokens.VerifyInbox(token, s.now())
	if err != nil {
		return Identity{}, err
	}
	return s.identify(ctx, ref, expires)
}

// NewInboxToken makes a token for the caller's own inbox. It dies with the session.
func (s *Service) NewInboxToken(_ context.Context, caller Caller) (InboxToken, error) {
	token, err := s.tokens.Inbox(SessionRef(caller), s.now().Add(s.lifetimes.InboxToken))
	return InboxToken{Token: token, ExpiresIn: int(s.lifetimes.InboxToken.Seconds())}, err
}

// SessionEnded is to be called when another node has ended a session, so that
// this one stops believing in it at once.
func (s *Service) SessionEnded(id ID) {
	s.sessions.forget(id)
}

// identify checks that the session of a good token still lives.
func (s *Service) identify(ctx context.Context, ref SessionRef, expires time.Time) (Identity, error) {
	identity := Identity{Caller: Caller(ref), ExpiresAt: expires}
	if s.sessions.live(ref.Session) {
		return identity, nil
	}
	asked := s.sessions.asking()
	session, err := s.store.SessionByID(ctx, ref.Session)
	if isNotFound(err) {
		return Identity{}, errSessionEnded()
	}
	if err != nil {
		return Identity{}, err
	}
	if session.UserID != ref.User || !session.Live(TimeOf(s.now())) {
		return Identity{}, errSessionEnded()
	}
	s.sessions.remember(ref.Session, asked)
	return identity, nil
}

// SessionLives returns CodeSessionEnded when a caller's session has ended.
func (s *Service) SessionLives(ctx context.Context, caller Caller) error {
	_, err := s.identify(ctx, SessionRef(caller), time.Time{})
	return err
}

// sessionCache remembers for a moment which sessions live, so that not every
// request asks the database. A session that ends elsewhere is forgotten when
// that node says so, and after sessionTrust at the latest.
type sessionCache struct {
	now func() time.Time

	mu        sync.Mutex
	until     map[ID]time.Time // guarded by mu: live, as far as we know, until then
	forgotten uint64           // guarded by mu: counts calls of forget
}

const (
	// sessionTrust is shorter than the 2 s in which an ended session must be refused everywhere.
	sessionTrust = 1500 * time.Millisecond
	maxCached    = 50_000
)

func newSessionCache(now func() time.Time) *sessionCache {
	return &sessionCache{now: now, until: make(map[ID]time.Time)}
}

func (c *sessionCache) live(id ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Before(c.until[id])
}

// asked is when the database was asked, and how many sessions had been forgotten.
type asked struct {
	at        time.Time
	forgotten uint64
}

// asking is called before the database is asked; its answer goes into remember.
func (c *sessionCache) asking() asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	return asked{c.now(), c.forgotten}
}

// remember notes a session that the database said lives, unless a session has
// been forgotten since it was asked: it might be this one. The answer may have
// taken its time: what it says is as old as the question.
func (c *sessionCache) remember(id ID, asked asked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten != asked.forgotten {
		return
	}
	if len(c.until) >= maxCached {
		clear(c.until)
	}
	c.until[id] = asked.at.Add(sessionTrust)
}

func (c *sessionCache) forget(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.until, id)
	c.forgotten++
}
