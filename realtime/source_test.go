package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"longwire/chat"
)

// memorySource is a database of inboxes in memory. It commits under one lock,
// so that its reads see what committed before they began.
type memorySource struct {
	mu       sync.Mutex
	epoch    string
	inboxes  map[chat.ID]*memoryInbox
	sessions map[chat.ID]chat.Session
	friends  map[chat.ID][]chat.ID
	onRead   func(after int64) // called before an inbox is read; nil = nobody is told
	hidden   map[chat.ID]bool  // shows presence to nobody
	seen     map[chat.ID]chat.Time
	down     error // every call fails with it
	reads    int   // of inboxes
	given    int   // events in their pages
	queries  int   // of heads
	saves    int   // batches of positions
}

type memoryInbox struct {
	events []chat.InboxEvent // pruned+1 …
	head   chat.InboxHead
}

var errDown = errors.New("the database is down")

func newMemorySource(epoch string) *memorySource {
	return &memorySource{epoch: epoch, inboxes: map[chat.ID]*memoryInbox{}, sessions: map[chat.ID]chat.Session{}, seen: map[chat.ID]chat.Time{}}
}

func (m *memorySource) inbox(user chat.ID) *memoryInbox {
	b := m.inboxes[user]
	if b == nil {
		b = &memoryInbox{}
		m.inboxes[user] = b
	}
	return b
}

// commit appends one event to the inbox of each user and returns what is to be announced.
func (m *memorySource) commit(users ...chat.ID) chat.Announcement {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commitBody(nil, users)
}

func (m *memorySource) commitBody(body chat.Body, users []chat.ID) chat.Announcement {
	if body == nil {
		body = chat.Body(fmt.Sprintf(`"type":"message.created","at":"2026-01-01T00:00:00.000Z","data":{"n":%d}}`, m.inbox(users[0]).head.Seq+1))
	}
	a := chat.Announcement{Bodies: []chat.Body{body}}
	for _, user := range users {
		b := m.inbox(user)
		b.head.Seq++
		b.events = append(b.events, chat.InboxEvent{Seq: b.head.Seq, Body: body})
		a.Deliveries = append(a.Deliveries, chat.Delivery{User: user, Seq: b.head.Seq})
	}
	return a
}

func (m *memorySource) commitRevocation(user, session chat.ID) chat.Announcement {
	body, err := chat.EncodeBody(chat.SessionRevoked, 0, chat.SessionRevokedData{SessionID: session})
	if err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.commitBody(body, []chat.ID{user})
	a.EndedSessions = []chat.SessionRef{{User: user, Session: session}}
	return a
}

// recall changes what an event of alice says and commits another that says so, as a
// recall does: copies of what came before are not to be believed.
func (m *memorySource) recall(seq int64) chat.Announcement {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.inbox(alice)
	b.events = slices.Clone(b.events) // pages of before are others'
	b.events[seq-b.head.Pruned-1].Body = recalledBody
	a := m.commitBody(chat.Body(`"type":"message.recalled","at":"2026-01-01T00:00:00.000Z","data":{"recalled":true}}`), []chat.ID{alice})
	b.head.Forgotten = b.head.Seq
	a.Forgotten = []chat.Forgotten{{User: alice, Seq: b.head.Seq}}
	return a
}

var recalledBody = chat.Body(`"type":"message.created","at":"2026-01-01T00:00:00.000Z","data":{"recalled":true}}`)

func (m *memorySource) prune(user chat.ID, upTo int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.inbox(user)
	b.events = slices.Clone(b.events[upTo-b.head.Pruned:])
	b.head.Pruned = upTo
}

// loseAfter makes the database forget what came after seq, as a restore from a backup does.
func (m *memorySource) loseAfter(user chat.ID, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.inbox(user)
	b.events = slices.Clone(b.events[:seq-b.head.Pruned])
	b.head.Seq = seq
}

func (m *memorySource) set(change func(*memorySource)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// savedSeq is where the phone's session stands in the database.
func (m *memorySource) savedSeq() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[phone].SavedSeq
}

func (m *memorySource) readCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memorySource) ReadInbox(_ context.Context, user chat.ID, after int64, limit int) (chat.InboxPage, error) {
	m.mu.Lock()
	onRead := m.onRead
	m.mu.Unlock()
	if onRead != nil {
		onRead(after)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.down != nil {
		return chat.InboxPage{}, m.down
	}
	b := m.inbox(user)
	page := chat.InboxPage{Head: b.head}
	if after >= b.head.Pruned && after < b.head.Seq {
		rest := b.events[after-b.head.Pruned:]
		page.Events = slices.Clone(rest[:min(limit, len(rest))])
		m.given += len(page.Events)
	}
	return page, nil
}

func (m *memorySource) InboxHeads(_ context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queries++
	if m.down != nil {
		return nil, m.down
	}
	heads := map[chat.ID]chat.InboxHead{}
	for _, user := range users {
		if b := m.inboxes[user]; b != nil {
			heads[user] = b.head
		}
	}
	return heads, nil
}

func (m *memorySource) SessionByID(_ context.Context, id chat.ID) (chat.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return chat.Session{}, m.down
	}
	session, ok := m.sessions[id]
	if !ok {
		return chat.Session{}, chat.NotFound("There is no such session.")
	}
	return session, nil
}

func (m *memorySource) SavePositions(_ context.Context, positions []chat.SavedPosition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	m.saves++
	for _, p := range positions {
		session := m.sessions[p.Session]
		session.SavedSeq = max(session.SavedSeq, p.Seq)
		m.sessions[p.Session] = session
	}
	return nil
}

func (m *memorySource) Epoch(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, m.down
}

func (m *memorySource) PresenceAudiences(_ context.Context, users []chat.ID, most int) (map[chat.ID]chat.PresenceAudience, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	audiences := map[chat.ID]chat.PresenceAudience{}
	for _, user := range users {
		audience := chat.PresenceAudience{Visibility: chat.PresenceToFriends, Friends: m.friends[user]}
		if m.hidden[user] {
			audience.Visibility = chat.PresenceToNobody
		}
		if len(audience.Friends) > most {
			audience.Friends, audience.TooMany = nil, true
		}
		audiences[user] = audience
	}
	return audiences, m.down
}

func (m *memorySource) SaveLastSeen(_ context.Context, seen []chat.LastSeen) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	for _, s := range seen {
		m.seen[s.User] = max(m.seen[s.User], s.At)
	}
	return nil
}

// lastSeen is when alice was seen, as the database has it; 0 = never.
func (m *memorySource) lastSeen() chat.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[alice]
}
