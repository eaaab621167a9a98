package repo

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"longwire/chat"
)

// Places in the lists of conversations: by activity, and by when they were pinned.
const (
	listConversations = 'c'
	listPinned        = 'p'
)

// The folders of a private conversation, as each of its users finds it.
const (
	folderNone     = 0 // there is nothing to show
	folderList     = 1
	folderArchived = 2
)

// entry is a conversation in a list, and what the list is sorted by.
type entry struct {
	id chat.ID
	at int64
}

func scanEntry(r row) (s entry, err error) {
	return s, r.Scan(&s.id, &s.at)
}

// isArchived is chat.StoredState.Archived in SQL, for a conversation c with its state s.
const isArchived = "(s.archived_seq IS NOT NULL AND (c.last_seq <= s.archived_seq OR c.last_activity_at < s.muted_until))"

// privatePage selects a page of one folder of the private conversations in
// which the user is on the given side ("lo" or "hi"): a range of an index. The
// user, the place and the size of the page follow as arguments. It is cut off
// before it is put together with others; "page" is what has been cut.
func privatePage(side string, folder int) string {
	return "SELECT id, activity FROM (SELECT c.id AS id, c.listed_at AS activity FROM conversation c WHERE c.user_" + side + " = ? AND c." + side +
		"_folder = " + strconv.Itoa(folder) + " AND c.listed_at <= ? AND (c.listed_at < ? OR c.id < ?) ORDER BY c.listed_at DESC, c.id DESC LIMIT ?) page"
}

// groupPage selects the groups of a user behind a place, all of them: a user
// has a bounded number, and sorting them by activity beforehand would cost a
// row for every member and message.
func groupPage(condition string) string {
	return "SELECT c.id, c.last_activity_at FROM group_member m JOIN conversation c ON c.id = m.group_id" +
		" LEFT JOIN conversation_state s ON s.user_id = m.user_id AND s.conversation_id = m.group_id" +
		" WHERE m.user_id = ? AND c.last_activity_at <= ? AND (c.last_activity_at < ? OR c.id < ?)" + condition
}

// unionPage is a statement for a page of a list that is put together.
type unionPage struct {
	query string
	parts int // pages of private conversations, beside the groups
}

var pagesByActivity = func() map[chat.ArchivedFilter]unionPage {
	page := func(groups string, folders ...int) (p unionPage) {
		for _, folder := range folders {
			for _, side := range []string{"lo", "hi"} {
				p.query += privatePage(side, folder) + " UNION ALL "
				p.parts++
			}
		}
		p.query += groupPage(groups) + " ORDER BY activity DESC, id DESC LIMIT ?"
		return p
	}
	return map[chat.ArchivedFilter]unionPage{
		chat.ArchivedNo:  page(" AND NOT "+isArchived, folderList),
		chat.ArchivedYes: page(" AND "+isArchived, folderArchived),
		chat.ArchivedAny: page("", folderList, folderArchived),
	}
}()

// byActivity returns up to limit conversations behind a place, newest first.
func byActivity(c *conn, user chat.ID, filter chat.ArchivedFilter, from entry, limit int) ([]entry, error) {
	if filter == "" {
		filter = chat.ArchivedNo
	}
	page := pagesByActivity[filter]
	var args []any
	for range page.parts {
		args = append(args, user, from.at, from.at, from.id, limit)
	}
	args = append(args, user, from.at, from.at, from.id, limit)
	return all(c, scanEntry, page.query, args...)
}

// selectPinned selects those pinned conversations that the user belongs to, in
// no order. There are few; see chat.Limits.MaxPinnedConversations.
const selectPinned = "SELECT s.conversation_id, s.pinned_at FROM conversation_state s JOIN conversation c ON c.id = s.conversation_id" +
	" LEFT JOIN group_member m ON m.group_id = s.conversation_id AND m.user_id = s.user_id" +
	" WHERE s.user_id = ? AND s.pinned_at > 0 AND (c.user_lo IS NOT NULL OR m.user_id IS NOT NULL)"

// byPinning returns up to limit pinned conversations behind a place, the latest
// pinned first.
func byPinning(c *conn, user chat.ID, from entry, limit int) ([]entry, error) {
	entries, err := all(c, scanEntry, selectPinned, user)
	if err != nil {
		return nil, err
	}
	later := func(a, b entry) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) }
	slices.SortFunc(entries, later)
	entries = slices.DeleteFunc(entries, func(s entry) bool { return later(from, s) >= 0 })
	return entries[:min(limit, len(entries))], nil
}

const (
	// unreadChunk is how many conversations are looked at together for unread ones.
	unreadChunk = 100
	// unreadRounds bounds the work for one part of the list; it may be short for it.
	unreadRounds = 5
)

// Conversations lists a user's groups, and those private conversations that
// have something to show, by last activity, newest first; or the pinned ones, by
// when they were pinned. It takes the same number of queries however long the
// page is, and reads as much however many conversations there are.
func (db *DB) Conversations(ctx context.Context, user chat.ID, filter chat.ConversationFilter, page chat.Page) (chat.List[chat.Conversation], error) {
	name, read := byte(listConversations), func(c *conn, from entry, limit int) ([]entry, error) {
		return byActivity(c, user, filter.Archived, from, limit)
	}
	if filter.Pinned {
		name, read = listPinned, func(c *conn, from entry, limit int) ([]entry, error) { return byPinning(c, user, from, limit) }
	}
	from := entry{id: math.MaxInt64, at: math.MaxInt64}
	if page.After != "" {
		place, err := parsePlace(name, page.After, 2)
		if err != nil {
			return chat.List[chat.Conversation]{}, err
		}
		from = entry{at: place.numbers[0], id: chat.ID(place.numbers[1])}
	}
	next := func(last entry) string {
		return place{list: name, numbers: []int64{last.at, int64(last.id)}}.String()
	}
	c := db.reader(ctx)
	if filter.Unread {
		return unreadAmong(c, user, from, page.Limit, read, next)
	}
	entries, err := read(c, from, page.Limit+1)
	if err != nil {
		return chat.List[chat.Conversation]{}, err
	}
	part := list(entries, page.Limit, next)
	items, err := conversationsFor(c, user, idsOf(part.Items))
	return chat.List[chat.Conversation]{Items: items, Next: part.Next}, err
}

func idsOf(entries []entry) []chat.ID {
	ids := make([]chat.ID, len(entries))
	for i, s := range entries {
		ids[i] = s.id
	}
	return ids
}

// unreadAmong goes through a list for conversations that have something unread.
// Those are mostly the first ones, and no index could know: what is unread
// changes for every recipient with every message.
func unreadAmong(c *conn, user chat.ID, from entry, limit int, read func(c *conn, from entry, limit int) ([]entry, error),
	next func(last entry) string,
) (chat.List[chat.Conversation], error) {
	items := []chat.Conversation{}
	for range unreadRounds {
		entries, err := read(c, from, unreadChunk)
		if err != nil {
			return chat.List[chat.Conversation]{}, err
		}
		found, err := conversationsFor(c, user, idsOf(entries))
		if err != nil {
			return chat.List[chat.Conversation]{}, err
		}
		for _, conversation := range found {
			if conversation.UnreadCount == 0 && !conversation.MarkedUnread {
				continue
			}
			if len(items) == limit {
				// Behind the last one given: what is between has nothing unread.
				at := slices.IndexFunc(entries, func(s entry) bool { return s.id == conversation.ID })
				if at > 0 {
					from = entries[at-1]
				}
				after := next(from)
				return chat.List[chat.Conversation]{Items: items, Next: &after}, nil
			}
			items = append(items, conversation)
		}
		if len(entries) < unreadChunk {
			return chat.List[chat.Conversation]{Items: items}, nil
		}
		from = entries[len(entries)-1]
	}
	after := next(from)
	return chat.List[chat.Conversation]{Items: items, Next: &after}, nil
}
