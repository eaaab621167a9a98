package chat

import (
	"context"
	"time"
)

// Passwords turns passwords into what may be stored, and checks them.
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	// Verify tells whether password is the one that was hashed. It takes the
	// same time whatever the answer.
	Verify(ctx context.Context, password, hash string) (bool, error)
	// VerifyNobody takes as long as Verify, for a username that nobody has.
	VerifyNobody(ctx context.Context, password string) error
}

// Tokens makes and reads the texts that stand for a session. What they refuse
// is CodeUnauthenticated.
type Tokens interface {
	Access(ref SessionRef, expires time.Time) (string, error)
	VerifyAccess(token string, now time.Time) (SessionRef, time.Time, error)
	// Inbox tokens may read one inbox and nothing else.
	Inbox(ref SessionRef, expires time.Time) (string, error)
	VerifyInbox(token string, now time.Time) (SessionRef, time.Time, error)
	Refresh(session ID, generation int64) string
	VerifyRefresh(token string) (session ID, generation int64, err error)
}

// Options is what a Service needs. All fields are required.
type Options struct {
	Store       Store
	Announcer   Announcer
	Connections Connections
	Sender      *Sender
	Passwords   Passwords
	Tokens      Tokens
	Limits      Limits
	Lifetimes   Lifetimes
	Now         func() time.Time
}

// Lifetimes says how long what the service gives out is good.
type Lifetimes struct {
	AccessToken time.Duration
	InboxToken  time.Duration
	Session     time.Duration // from the last refresh on
	// FriendRequest is how long a friend request may be answered.
	FriendRequest time.Duration
}

// Service is the use cases: what a caller may do, and what follows from it.
// It keeps nothing that another node would miss.
type Service struct {
	store       Store
	announcer   Announcer
	connections Connections
	sender      *Sender
	passwords   Passwords
	tokens      Tokens
	limits      Limits
	lifetimes   Lifetimes
	now         func() time.Time
	ids         *IDs
	sessions    *sessionCache
	typing      typingGate
	seen        *seenSessions
}

// NewService returns a service; it starts nothing.
func NewService(o Options) *Service {
	return &Service{
		store: o.Store, announcer: o.Announcer, connections: o.Connections, sender: o.Sender, passwords: o.Passwords, tokens: o.Tokens,
		limits: o.Limits, lifetimes: o.Lifetimes, now: o.Now, ids: NewIDs(o.Now), sessions: newSessionCache(o.Now), seen: newSeenSessions(),
	}
}

// Caller is who asks: a user, by one of the user's sessions.
type Caller struct {
	User    ID
	Session ID
}

// commit is the one place where use cases other than sending change anything:
// the transaction first, and only when it is durable the announcement.
func (s *Service) commit(ctx context.Context, fn func(tx Tx) error) error {
	announcement, err := s.store.Write(ctx, TimeOf(s.now()), fn)
	if err != nil {
		return err
	}
	if !announcement.Empty() {
		s.announcer.Announce(announcement)
	}
	return nil
}

// page returns the page with its limit inside what is allowed; 0 means the default.
func (s *Service) page(p Page) (Page, error) {
	if p.Limit == 0 {
		p.Limit = min(defaultPageSize, s.limits.MaxPageSize)
	}
	if p.Limit < 1 || p.Limit > s.limits.MaxPageSize {
		return Page{}, Invalid("limit", "must be between 1 and "+decimal(s.limits.MaxPageSize))
	}
	return p, nil
}
