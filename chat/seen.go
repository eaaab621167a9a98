package chat

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ClientOrigin is where a request comes from, for people to tell their devices apart
// by. Nothing is decided by it.
type ClientOrigin struct {
	Address   string // of the client, "" = unknown
	UserAgent string // what it calls itself, "" = nothing
}

// Bounds of what is kept of an origin, in characters.
const (
	maxAddressLength   = 64
	maxUserAgentLength = 250
)

// tidy returns the origin as it may be kept and shown.
func (o ClientOrigin) tidy() ClientOrigin {
	return ClientOrigin{Address: shortened(o.Address, maxAddressLength), UserAgent: shortened(o.UserAgent, maxUserAgentLength)}
}

// shortened returns the beginning of a foreign text, without what is no text.
func shortened(text string, most int) string {
	kept := make([]rune, 0, min(len(text), most))
	for _, r := range strings.ToValidUTF8(text, "") {
		if len(kept) == most {
			break
		}
		if unicode.IsPrint(r) {
			kept = append(kept, r)
		}
	}
	return string(kept)
}

// SessionSighting says when and from where a session was last used.
type SessionSighting struct {
	Session ID
	At      Time
	Origin  ClientOrigin
}

// seenSessions notes when and from where sessions are used, so that their list
// is fresh without a write for each request.
type seenSessions struct {
	mu   sync.Mutex
	last map[ID]sighting // guarded by mu
}

// sighting is the last one of a session. As long as it is remembered, most
// requests of the session have nothing to add.
type sighting struct {
	at      Time
	origin  ClientOrigin
	unsaved bool
}

const (
	// seenStep is how exact the time is by which a session was last used.
	seenStep = Time(30_000)
	// maxSeen bounds the memory; sessions beyond it are noted once others were saved.
	maxSeen = 50_000
)

func newSeenSessions() *seenSessions {
	return &seenSessions{last: make(map[ID]sighting)}
}

func (s *seenSessions) note(session ID, at Time, origin ClientOrigin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.last[session]
	if ok && known.origin == origin && at < known.at+seenStep || !ok && len(s.last) >= maxSeen {
		return
	}
	s.last[session] = sighting{at: at, origin: origin, unsaved: true}
}

func (s *seenSessions) of(session ID) (sighting, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.last[session]
	return known, ok
}

// take returns what is to be saved, as if it were, and forgets what was not
// used for a while.
func (s *seenSessions) take(now Time) []SessionSighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []SessionSighting
	for session, known := range s.last {
		switch {
		case known.unsaved:
			due = append(due, SessionSighting{Session: session, At: known.at, Origin: known.origin.tidy()})
			known.unsaved = false
			s.last[session] = known
		case known.at+2*seenStep < now:
			delete(s.last, session)
		}
	}
	return due
}

// giveBack makes what could not be saved due again.
func (s *seenSessions) giveBack(due []SessionSighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range due {
		if known, ok := s.last[d.Session]; ok && known.at == d.At {
			known.unsaved = true
			s.last[d.Session] = known
		}
	}
}

// Seen notes that the caller's session is used, and from where. It is cheap
// enough for every request: SaveSeen writes it.
func (s *Service) Seen(caller Caller, from ClientOrigin) {
	s.seen.note(caller.Session, TimeOf(s.now()), from)
}

// SeenInterval is how often SaveSeen is to be called.
const SeenInterval = 10 * time.Second

// SaveSeen writes when and from where sessions were used since it was last called.
func (s *Service) SaveSeen(ctx context.Context) error {
	due := s.seen.take(TimeOf(s.now()))
	if len(due) == 0 {
		return nil
	}
	err := s.store.SaveSeen(ctx, due)
	if err != nil {
		s.seen.giveBack(due)
	}
	return err
}
