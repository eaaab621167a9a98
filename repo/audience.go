package repo

import (
	"database/sql"
	"maps"
	"slices"
	"sync"

	"longwire/chat"
)

// conversation is a locked row, and what a batch makes of it.
type conversation struct {
	id           chat.ID
	kind         chat.ConversationKind
	lo, hi       chat.ID // the users of a private one
	lastSeq      int64
	lastActivity chat.Time
	version      int64 // of the audience
	audience     *chat.Audience
	changed      bool
	// Whether the users of a private one find it in a list.
	shownLo, shownHi bool
}

// settled tells whether all who belong to it find it in a list, so that it
// appears for nobody with the next message.
func (c *conversation) settled() bool {
	return c.kind == chat.KindGroup || c.shownLo && c.shownHi
}

// inChunk bounds the values in one IN list: well below where MySQL's range
// optimizer gives up and reads the whole table.
const inChunk = 1000

// lockConversations locks rows, ascending, and hands over each. ids are
// ascending; those that are not there are left out.
func lockConversations(x *conn, ids []chat.ID, found func(c *conversation)) error {
	return x.eachOf(lockQueries(x, ids, found))
}

// lockQueries is how rows are locked: one query, but for very many.
func lockQueries(x *conn, ids []chat.ID, found func(c *conversation)) []query {
	var queries []query
	for chunk := range slices.Chunk(ids, inChunk) {
		q := query{}
		q.sql("SELECT id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version, lo_folder <> 0, hi_folder <> 0 FROM conversation WHERE id IN ").
			ids(chunk).sql(" ORDER BY id" + x.dialect.forUpdate)
		q.scan = func(r row) error {
			c := new(conversation)
			var lo, hi sql.NullInt64
			if err := r.Scan(&c.id, &c.kind, &lo, &hi, &c.lastSeq, &c.lastActivity, &c.version, &c.shownLo, &c.shownHi); err != nil {
				return err
			}
			c.lo, c.hi = chat.ID(lo.Int64), chat.ID(hi.Int64)
			found(c)
			return nil
		}
		queries = append(queries, q)
	}
	return queries
}

// maxCachedMembers bounds the audience cache: 8 bytes each, and about 200 for
// an audience itself, which counts as audienceWeight members.
const (
	maxCachedMembers = 4 << 20
	audienceWeight   = 25
)

// audienceCache remembers who belongs to conversations. An entry is good only
// when its version is that of the locked conversation row: every change of
// members, friendships, blocks and acceptances raises the version in its own
// transaction, under the same lock, and so does what takes a conversation out of
// a user's lists. The zero value is empty and ready.
type audienceCache struct {
	mu      sync.Mutex
	entries map[chat.ID]*remembered // guarded by mu
	weight  int                     // guarded by mu
}

// remembered is an entry of an audienceCache.
type remembered struct {
	audience *chat.Audience // never changed
	settled  bool           // as the conversation was at some time with the audience's version
}

// get returns the audience of a locked conversation, nil when it is not remembered.
func (a *audienceCache) get(c *conversation) *chat.Audience {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.entries[c.id]
	if known == nil || known.audience.Version != c.version {
		return nil
	}
	known.settled = known.settled || c.settled()
	return known.audience
}

// likely returns the audience that a conversation had when it was last locked,
// nil for one that is not remembered or was not settled. It may have changed
// since, and then has another version.
func (a *audienceCache) likely(id chat.ID) *chat.Audience {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.entries[id]; known != nil && known.settled {
		return known.audience
	}
	return nil
}

// put remembers the audience of a locked conversation. It must have been read
// from committed data by a transaction that changes no audience itself.
func (a *audienceCache) put(c *conversation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries == nil {
		a.entries = make(map[chat.ID]*remembered)
	}
	a.drop(c.id)
	a.weight += len(c.audience.Members) + audienceWeight
	for victim := range a.entries { // in no particular order
		if a.weight <= maxCachedMembers {
			break
		}
		a.drop(victim)
	}
	a.entries[c.id] = &remembered{audience: c.audience, settled: c.settled()}
}

// drop forgets an entry; mu is held.
func (a *audienceCache) drop(id chat.ID) {
	if known := a.entries[id]; known != nil {
		a.weight -= len(known.audience.Members) + audienceWeight
		delete(a.entries, id)
	}
}

// load gives each of the locked conversations its audience, from memory where
// its version is current and otherwise from the database.
func (a *audienceCache) load(x *conn, conversations map[chat.ID]*conversation) error {
	var missing map[chat.ID]*conversation
	for id, c := range conversations {
		if c.audience = a.get(c); c.audience != nil {
			continue
		}
		if missing == nil {
			missing = make(map[chat.ID]*conversation)
		}
		missing[id] = c
	}
	if missing == nil {
		return nil
	}
	if err := readAudiences(x, missing); err != nil {
		return err
	}
	for _, c := range missing {
		a.put(c)
	}
	return nil
}

// readAudiences reads who belongs to locked conversations.
func readAudiences(x *conn, conversations map[chat.ID]*conversation) error {
	var groups, private []chat.ID
	for _, id := range slices.Sorted(maps.Keys(conversations)) {
		c := conversations[id]
		c.audience = &chat.Audience{Kind: c.kind, Version: c.version}
		if c.kind == chat.KindGroup {
			groups = append(groups, id)
		} else {
			c.audience.Members = []chat.ID{c.lo, c.hi}
			private = append(private, id)
		}
	}
	text := new(statement)
	for chunk := range slices.Chunk(groups, inChunk) {
		if err := readMembers(x, text, chunk, conversations); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(private, inChunk) {
		text.reset().sql(relationsOfPairs).ids(chunk)
		err := text.each(x, func(r row) error {
			var (
				id                         chat.ID
				acceptsLo, acceptsHi       sql.NullString
				friends, loBlocks, hiBlock bool
			)
			if err := r.Scan(&id, &acceptsLo, &acceptsHi, &friends, &loBlocks, &hiBlock); err != nil {
				return err
			}
			missing := !acceptsLo.Valid || !acceptsHi.Valid // who is deleted sends nothing either
			if c := conversations[id]; c != nil {
				c.audience.Relations = [2]chat.Relation{
					{Friends: friends, Blocks: loBlocks, BlockedBy: hiBlock, PeerAccepts: chat.Acceptance(acceptsHi.String), PeerIsMissing: missing},
					{Friends: friends, Blocks: hiBlock, BlockedBy: loBlocks, PeerAccepts: chat.Acceptance(acceptsLo.String), PeerIsMissing: missing},
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readMembers reads who belongs to groups and who of them may send.
func readMembers(x *conn, text *statement, groups []chat.ID, conversations map[chat.ID]*conversation) error {
	text.reset().sql("SELECT m.group_id, m.user_id, m.role <> 'member', m.muted_until, g.send_policy = 'admins'" +
		" FROM group_member m JOIN chat_group g ON g.id = m.group_id WHERE m.group_id IN ").ids(groups)
	err := text.each(x, func(r row) error {
		var (
			group, member         chat.ID
			manages, managersOnly bool
			mutedUntil            sql.NullInt64
		)
		err := r.Scan(&group, &member, &manages, &mutedUntil, &managersOnly)
		c := conversations[group]
		if err != nil || c == nil {
			return err
		}
		c.audience.Members = append(c.audience.Members, member)
		c.audience.ManagersOnly = managersOnly
		if manages {
			c.audience.Managers = append(c.audience.Managers, member)
		}
		if mutedUntil.Valid {
			if c.audience.MutedUntil == nil {
				c.audience.MutedUntil = make(map[chat.ID]chat.Time)
			}
			c.audience.MutedUntil[member] = chat.Time(mutedUntil.Int64)
		}
		return nil
	})
	for _, group := range groups {
		if c := conversations[group]; c != nil { // sorted here, where they nearly are, and not by the database
			slices.Sort(c.audience.Members)
			slices.Sort(c.audience.Managers)
		}
	}
	return err
}

// relationsOfPairs reads both directions between the users of private conversations.
const relationsOfPairs = "SELECT c.id, lo.accept_messages_from, hi.accept_messages_from," +
	" f.user_id IS NOT NULL, bl.user_id IS NOT NULL, bh.user_id IS NOT NULL FROM conversation c" +
	" LEFT JOIN `user` lo ON lo.id = c.user_lo AND lo.deleted_at IS NULL LEFT JOIN `user` hi ON hi.id = c.user_hi AND hi.deleted_at IS NULL" +
	" LEFT JOIN friend f ON f.user_id = c.user_lo AND f.friend_id = c.user_hi" +
	" LEFT JOIN `block` bl ON bl.user_id = c.user_lo AND bl.blocked_id = c.user_hi" +
	" LEFT JOIN `block` bh ON bh.user_id = c.user_hi AND bh.blocked_id = c.user_lo WHERE c.id IN "

// raiseVersions locks conversations, ascending, and makes cached audiences of
// them stale. It is called before what it announces is changed.
func raiseVersions(x *conn, ids []chat.ID) error {
	slices.Sort(ids)
	text := new(statement)
	for chunk := range slices.Chunk(ids, inChunk) {
		if err := lockConversations(x, chunk, func(*conversation) {}); err != nil {
			return err
		}
		text.reset().sql("UPDATE conversation SET audience_version = audience_version + 1 WHERE id IN ").ids(chunk)
		if err := text.exec(x); err != nil {
			return err
		}
	}
	return nil
}

// maxCachedPairs bounds pairCache.
const maxCachedPairs = 200_000

// pairCache remembers the conversations of pairs of users, which never change
// once they are there. The zero value is empty and ready.
type pairCache struct {
	mu      sync.Mutex
	entries map[[2]chat.ID]chat.ID // guarded by mu
}

func (p *pairCache) get(pair [2]chat.ID) (chat.ID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.entries[pair]
	return id, ok
}

// put remembers a conversation that is committed.
func (p *pairCache) put(pair [2]chat.ID, id chat.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries == nil {
		p.entries = make(map[[2]chat.ID]chat.ID)
	}
	for victim := range p.entries { // in no particular order
		if len(p.entries) < maxCachedPairs {
			break
		}
		delete(p.entries, victim)
	}
	p.entries[pair] = id
}
