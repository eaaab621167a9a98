package repo

import (
	"cmp"
	"context"
	"math"
	"slices"

	"longwire/chat"
	"longwire/repo/fulltext"
)

const listFound = 's'

// Bounds of one search, whatever there is to be searched.
const (
	searchConversations = 5000 // of the user, the most recently active
	searchSegments      = 2048 // then the part ends, found or not
	firstSegments       = 8    // looked at by the first query; twice as many by each that follows
	mostSegments        = 128  // by one query
	confirmChunk        = 64   // messages held against the query at once
	tailMessages        = 1000 // read of what is not indexed yet
	tailOfOne           = 200  // of one conversation
	searchChanges       = 500  // changed messages of which the index does not know yet
)

// searchable is a conversation that a user may search, and what of it.
type searchable struct {
	id            chat.ID
	first         int64 // what is before is not for this user
	last, indexed int64
	lastActivity  chat.Time
}

// selectSearchable is the one place that says what somebody may search: private
// conversations, blocked or not, and groups that one belongs to now, each from
// the first message on that the user may see.
func selectSearchable(onlyOne bool) string {
	columns := func(visibleFrom string) string {
		return "SELECT c.id AS id, COALESCE(s.cleared_seq, 0) AS cleared_seq, " + visibleFrom + " AS visible_from_seq, c.last_seq AS last_seq," +
			" c.last_activity_at AS last_activity_at, COALESCE(p.indexed_seq, 0) AS indexed_seq"
	}
	joins := func(user string) string {
		return " LEFT JOIN search_progress p ON p.conversation_id = c.id LEFT JOIN conversation_state s ON s.conversation_id = c.id AND s.user_id = " + user
	}
	which := ""
	if onlyOne {
		which = " AND c.id = ?"
	}
	return columns("1") + " FROM conversation c" + joins("c.user_lo") + " WHERE c.user_lo = ?" + which +
		" UNION ALL " + columns("1") + " FROM conversation c" + joins("c.user_hi") + " WHERE c.user_hi = ?" + which +
		" UNION ALL " + columns("m.visible_from_seq") + " FROM group_member m JOIN conversation c ON c.id = m.group_id" + joins("m.user_id") + " WHERE m.user_id = ?" + which +
		" ORDER BY last_activity_at DESC, id LIMIT ?"
}

var (
	selectAllSearchable = selectSearchable(false)
	selectOneSearchable = selectSearchable(true)
)

// spot is a place in the order of what is found: by time, newest first. Times
// of one conversation are nearly in the order of its seqs, but only nearly.
type spot struct {
	at           chat.Time
	conversation chat.ID
	seq          int64
}

func (s spot) compare(other spot) int {
	return cmp.Or(cmp.Compare(other.at, s.at), cmp.Compare(s.conversation, other.conversation), cmp.Compare(other.seq, s.seq))
}

func (s spot) place() string {
	return place{list: listFound, numbers: []int64{int64(s.at), int64(s.conversation), s.seq}}.String()
}

// name is what a message is known by.
type name struct {
	conversation chat.ID
	seq          int64
}

// candidate is a message that the index names, or one that was found already.
type candidate struct {
	spot

	found *chat.FoundMessage // nil: it is not held against the query yet
}

// search is one run of SearchMessages.
type search struct {
	c      *conn
	user   chat.ID
	wanted chat.MessageSearch
	query  fulltext.Query
	terms  []string

	after    spot      // where the part before ended
	from, to chat.Time // times looked at: from ≤ t < to

	conversations map[chat.ID]*searchable
	order         []*searchable // the same, by last activity
	seen          map[name]bool // is or was a candidate
	candidates    []candidate
	found         []chat.FoundMessage
}

// SearchMessages returns messages of a user's conversations that have all words
// of a query, as they are now, newest first. The index says where to look; what
// is shown was held against the query as it stands in the history.
func (db *DB) SearchMessages(ctx context.Context, user chat.ID, wanted chat.MessageSearch, page chat.Page) (chat.List[chat.FoundMessage], error) {
	none := chat.List[chat.FoundMessage]{}
	s := &search{
		c: db.reader(ctx), user: user, wanted: wanted, query: fulltext.ParseQuery(wanted.Query),
		after: spot{at: math.MaxInt64}, from: math.MinInt64, to: math.MaxInt64, seen: make(map[name]bool),
	}
	if s.query.Empty() {
		return none, chat.Invalid("q", "must have a letter, a digit or a symbol")
	}
	s.terms = s.query.Terms()
	if wanted.AfterTime != nil {
		s.from = *wanted.AfterTime
	}
	if wanted.BeforeTime != nil {
		s.to = *wanted.BeforeTime
	}
	if page.After != "" {
		p, err := parsePlace(listFound, page.After, 3)
		if err != nil {
			return none, err
		}
		s.after = spot{chat.Time(p.numbers[0]), chat.ID(p.numbers[1]), p.numbers[2]}
		if s.after.at < s.to {
			s.to = s.after.at + 1
		}
	}
	// How far is indexed is read before anything else: what is indexed
	// meanwhile is then found twice, and not never.
	if err := s.readConversations(); err != nil {
		return none, err
	}
	segments, err := s.readSegments()
	if err != nil {
		return none, err
	}
	if err := s.readUnindexed(db); err != nil {
		return none, err
	}
	found, err := s.run(segments, page.Limit)
	if err != nil {
		return none, err
	}
	messages := make([]*chat.Message, len(found.Items))
	for i := range found.Items {
		messages[i] = &found.Items[i].Message
	}
	return found, markMine(s.c, user, messages)
}

// readConversations reads what may be searched.
func (s *search) readConversations() error {
	text, args := selectAllSearchable, []any{s.user, s.user, s.user, searchConversations}
	if only := s.wanted.Conversation; only != nil {
		text, args = selectOneSearchable, []any{s.user, *only, s.user, *only, s.user, *only, 1}
	}
	s.conversations = make(map[chat.ID]*searchable)
	err := each(s.c, func(r row) error {
		var cleared, visibleFrom int64
		f := new(searchable)
		if err := r.Scan(&f.id, &cleared, &visibleFrom, &f.last, &f.lastActivity, &f.indexed); err != nil {
			return err
		}
		f.first = firstVisible(cleared, visibleFrom)
		s.conversations[f.id] = f
		s.order = append(s.order, f)
		return nil
	}, text, args...)
	if err == nil && s.wanted.Conversation != nil && len(s.order) == 0 {
		return errNoConversation()
	}
	return err
}

// readSegments returns the indexed segments in which there may be something,
// newest first.
func (s *search) readSegments() ([]segment, error) {
	var (
		ids      []chat.ID
		segments []segment
	)
	for _, f := range s.order {
		if f.indexed >= f.first {
			ids = append(ids, f.id)
		}
	}
	text := new(statement)
	for chunk := range slices.Chunk(ids, inChunk) {
		text.reset().sql("SELECT conversation_id, segment, oldest_at, newest_at FROM search_segment WHERE conversation_id IN ").ids(chunk).
			sql(" AND newest_at >= ").int(int64(s.from)).sql(" AND oldest_at < ").int(int64(s.to))
		err := text.each(s.c, func(r row) error {
			var g segment
			err := r.Scan(&g.conversation, &g.number, &g.oldest, &g.newest)
			if g.number >= segmentOf(s.conversations[g.conversation].first) {
				segments = append(segments, g)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(segments, func(a, b segment) int {
		return cmp.Or(cmp.Compare(b.newest, a.newest), cmp.Compare(a.conversation, b.conversation), cmp.Compare(b.number, a.number))
	})
	return segments, nil
}

// readUnindexed holds against the query what the index does not know yet: the
// newest messages, and those that were changed. Usually there are none.
func (s *search) readUnindexed(db *DB) error {
	var (
		runs []messageRun
		room = int64(tailMessages)
	)
	for _, f := range s.order {
		if f.indexed >= f.last {
			continue
		}
		db.unindexed.note(f.id, f.lastActivity) // should nobody know
		if first := max(f.indexed+1, f.first, f.last-min(room, tailOfOne)+1); first <= f.last {
			runs = append(runs, messageRun{f.id, first, f.last})
			room -= f.last - first + 1
		}
	}
	changed := 0
	text := new(statement)
	ids := make([]chat.ID, 0, len(s.order))
	for _, f := range s.order {
		ids = append(ids, f.id)
	}
	for chunk := range slices.Chunk(ids, inChunk) {
		text.reset().sql("SELECT conversation_id, seq FROM search_pending WHERE conversation_id IN ").ids(chunk).
			sql(" LIMIT ").int(int64(searchChanges - changed))
		err := text.each(s.c, func(r row) error {
			var run messageRun
			err := r.Scan(&run.conversation, &run.first)
			run.last = run.first
			if run.first >= s.conversations[run.conversation].first {
				runs = append(runs, run)
			}
			changed++
			return err
		})
		if err != nil {
			return err
		}
	}
	return readRuns(s.c, s.user, runs, func(m chat.Message) {
		known := name{m.ConversationID, m.Seq}
		if found := s.match(m); found != nil && !s.seen[known] {
			s.candidates = append(s.candidates, candidate{spot{m.CreatedAt, m.ConversationID, m.Seq}, found})
		}
		s.seen[known] = true
	})
}

// match holds a message against all that is wanted; nil when it is not.
func (s *search) match(m chat.Message) *chat.FoundMessage {
	f := s.conversations[m.ConversationID]
	switch {
	case f == nil, m.Seq < f.first, m.Kind != searchedKind, m.Recalled, m.Deleted,
		s.wanted.Sender != nil && m.SenderID != *s.wanted.Sender,
		m.CreatedAt < s.from, m.CreatedAt >= s.to,
		s.after.compare(spot{m.CreatedAt, m.ConversationID, m.Seq}) >= 0:
		return nil
	}
	spans, all := s.query.Find(m.Body)
	if !all {
		return nil
	}
	found := &chat.FoundMessage{ConversationID: m.ConversationID, Message: m, Highlights: make([]chat.Highlight, len(spans))}
	for i, span := range spans {
		found.Highlights[i] = chat.Highlight(span)
	}
	return found
}

// run looks at segments, newest first, until the part is full. What is newer
// than all segments that are left is certain to come next.
func (s *search) run(segments []segment, limit int) (chat.List[chat.FoundMessage], error) {
	none := chat.List[chat.FoundMessage]{}
	budget, size := searchSegments, firstSegments
	s.found = []chat.FoundMessage{}
	for {
		n := min(size, len(segments), budget)
		if err := s.ask(segments[:n]); err != nil {
			return none, err
		}
		segments, budget, size = segments[n:], budget-n, min(size*2, mostSegments)
		certain := chat.Time(math.MinInt64)
		if len(segments) > 0 {
			certain = segments[0].newest
		}
		if err := s.confirm(certain, limit+1); err != nil {
			return none, err
		}
		if len(s.found) > limit || len(segments) == 0 {
			return list(s.found, limit, func(last chat.FoundMessage) string {
				return spot{last.Message.CreatedAt, last.ConversationID, last.Message.Seq}.place()
			}), nil
		}
		if budget == 0 {
			// All that is newer has been looked at.
			next := spot{at: certain + 1, conversation: math.MaxInt64}.place()
			return chat.List[chat.FoundMessage]{Items: s.found, Next: &next}, nil
		}
	}
}

// ask lets the index name candidates in segments.
func (s *search) ask(segments []segment) error {
	if len(segments) == 0 {
		return nil
	}
	text := s.c.dialect.terms.find(new(statement), segments, s.terms)
	if s.wanted.Sender != nil {
		text.sql(" AND s.sender_id = ").id(*s.wanted.Sender)
	}
	return text.each(s.c, func(r row) error {
		var c candidate
		if err := r.Scan(&c.conversation, &c.seq, &c.at); err != nil {
			return err
		}
		known := name{c.conversation, c.seq}
		f := s.conversations[c.conversation]
		if f == nil || c.seq < f.first || s.seen[known] || c.at < s.from || c.at >= s.to || s.after.compare(c.spot) >= 0 {
			return nil
		}
		s.seen[known] = true
		s.candidates = append(s.candidates, c)
		return nil
	})
}

// confirm takes candidates that are newer than certain, newest first, and finds
// up to limit of them in all.
func (s *search) confirm(certain chat.Time, limit int) error {
	slices.SortFunc(s.candidates, func(a, b candidate) int { return a.compare(b.spot) })
	ready := 0
	for ready < len(s.candidates) && s.candidates[ready].at > certain {
		ready++
	}
	for ready > 0 && len(s.found) < limit {
		chunk := s.candidates[:min(ready, confirmChunk)]
		if err := s.look(chunk); err != nil {
			return err
		}
		for _, c := range chunk {
			if c.found != nil {
				s.found = append(s.found, *c.found)
			}
		}
		s.candidates, ready = s.candidates[len(chunk):], ready-len(chunk)
	}
	return nil
}

// look reads candidates as they are now.
func (s *search) look(chunk []candidate) error {
	var runs []messageRun
	at := make(map[name]int)
	for i, c := range chunk {
		if c.found == nil {
			runs = append(runs, messageRun{c.conversation, c.seq, c.seq})
			at[name{c.conversation, c.seq}] = i
		}
	}
	return readRuns(s.c, s.user, runs, func(m chat.Message) {
		chunk[at[name{m.ConversationID, m.Seq}]].found = s.match(m)
	})
}
