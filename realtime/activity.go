package realtime

import (
	"errors"
	"time"

	"longwire/chat"
)

// activity is what readers say of their user, the least first.
type activity uint8

const (
	inactive activity = iota
	background
	active
)

func activityOf(said chat.Activity) activity {
	switch said {
	case chat.ActivityActive:
		return active
	case chat.ActivityBackground:
		return background
	default:
		return inactive
	}
}

// state is what others see.
func (a activity) state() chat.PresenceState {
	switch a {
	case active:
		return chat.PresenceOnline
	case background:
		return chat.PresenceAway
	default:
		return chat.PresenceOffline
	}
}

func parseActivity(text string) (activity, error) {
	if len(text) != 1 || text[0] < '0' || text[0] > '0'+byte(active) {
		return 0, errors.New("realtime: malformed activity")
	}
	return activity(text[0] - '0'), nil
}

// hold keeps a user connected for a while after a reader left, so that one who
// comes back has never been away.
type hold struct {
	session  chat.ID // of the reader that left
	until    time.Duration
	activity activity
}

// activity is what the readers say, and those who have just left; mu is held.
func (b *inbox) activityAt(now time.Duration) activity {
	most := inactive
	for _, s := range b.readers {
		most = max(most, s.activity)
	}
	if b.held != nil && now < b.held.until {
		most = max(most, b.held.activity)
	}
	return most
}

// holdFor keeps what a reader that leaves has said; mu is held. One whose
// session has ended does not come back.
func (b *inbox) holdFor(s *Session) {
	if reason := s.ending.Load(); s.activity == inactive || reason != nil && *reason == EndRevoked {
		return
	}
	now := b.now()
	if b.held != nil && now < b.held.until && b.held.activity > s.activity {
		return // the other one says more
	}
	b.held = &hold{session: s.id, until: now + b.hub.cfg.PresenceGrace, activity: s.activity}
}

// release ends the hold of a session that is back and says something else or
// the same; mu is held.
func (b *inbox) release(s *Session) {
	if s.activity != inactive && b.held != nil && b.held.session == s.id {
		b.held = nil
	}
}

// setActivity changes what the readers of a session say.
func (b *inbox) setActivity(session chat.ID, to activity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.readers {
		if s.id == session {
			s.activity = to
		}
	}
	if b.held != nil && b.held.session == session {
		b.held.activity = to
	}
}

// untold tells whether Redis was told something else than what is true now, and
// whether what it was told keeps the user connected.
func (b *inbox) untold(now time.Duration) (differs, connected bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.activityAt(now) != b.told, b.told != inactive
}

// telling returns what Redis is to be told, what it was told before, and when
// the user was seen last.
func (b *inbox) telling(now time.Duration) (is, was activity, seen time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen = now
	if len(b.readers) == 0 {
		seen = min(b.left, now)
	}
	return b.activityAt(now), b.told, seen
}

func (b *inbox) noteTold(told activity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = told
}

// leaving is what a user is held as when this node stops, and until when.
func (b *inbox) leaving(now time.Duration) hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := hold{activity: b.activityAt(now), until: now + b.hub.cfg.PresenceGrace}
	if len(b.readers) == 0 && b.held != nil {
		h.until = b.held.until
	}
	return h
}
