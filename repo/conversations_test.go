package repo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// insert adds rows directly, many at a time. A row is a text of SQL values.
func (w *world) insert(into string, n int, row func(i int) string) {
	w.t.Helper()
	for start := 0; start < n; start += 1000 {
		var rows []string
		for i := start; i < min(start+1000, n); i++ {
			rows = append(rows, "("+row(i)+")")
		}
		_, err := w.Pool().ExecContext(w.t.Context(), "INSERT INTO "+into+" VALUES "+strings.Join(rows, ","))
		require.NoError(w.t, err)
	}
}

// acquaintance is somebody with many private conversations, made without the
// detour over the API: of those folders, in turn, each with unread messages.
func (w *world) acquaintance(me, conversations, messages int, folders ...int) chat.ID {
	w.t.Helper()
	const base = 1_000_000
	id := func(i int) int { return me + (i+1)*(1-2*(i%2)) } // lower and higher ids in turn
	w.insert("`user` (id, username, username_key, display_name, display_key, accept_messages_from, password_hash, created_at)", conversations+1, func(i int) string {
		user := me
		if i > 0 {
			user = id(i - 1)
		}
		return fmt.Sprintf("%d,'u%d','u%d','','','everyone','',1", user, user, user)
	})
	columns := "conversation (id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version, listed_at, lo_folder, hi_folder)"
	w.insert(columns, conversations, func(i int) string {
		folder := folders[i%len(folders)]
		return fmt.Sprintf("%d,'private',%d,%d,%d,%d,1,%d,%d,%d", me*base+i, min(me, id(i)), max(me, id(i)), messages, base+i, base+i, folder, folder)
	})
	w.insert("conversation_state (user_id, conversation_id, pinned_at, muted_until, archived_seq, marked_unread, cleared_seq)", conversations, func(i int) string {
		archived := "NULL"
		if folders[i%len(folders)] == 2 {
			archived = fmt.Sprint(messages)
		}
		return fmt.Sprintf("%d,%d,NULL,0,%s,0,0", me, me*base+i, archived)
	})
	w.insert("chat_history (conversation_id, seq, sender_id, kind, body, created_at, recalled)", conversations*messages, func(i int) string {
		return fmt.Sprintf("%d,%d,%d,'text','x',1,0", me*base+i/messages, i%messages+1, id(i/messages))
	})
	return chat.ID(me)
}

// rowsRead returns how many rows of tables and indexes a call has MySQL look at.
func (w *world) rowsRead(call func() error) int {
	w.t.Helper()
	read := func() (n int) {
		rows, err := w.Pool().QueryContext(w.t.Context(), "SHOW SESSION STATUS LIKE 'Handler_read%'")
		require.NoError(w.t, err)
		defer rows.Close()
		for rows.Next() {
			var (
				name  string
				count int
			)
			require.NoError(w.t, rows.Scan(&name, &count))
			n += count
		}
		require.NoError(w.t, rows.Err())
		return n
	}
	w.Pool().SetMaxOpenConns(1) // the counts are those of one connection
	read()
	start := read()
	cost := read() - start // of reading the counts itself
	start = read()
	require.NoError(w.t, call())
	return read() - start - cost
}

func TestPagesOfConversationsReadTheSameHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	w := onMySQL(t)
	few, many := w.acquaintance(10_000_000, 20, 2, 1, 2), w.acquaintance(20_000_000, 10_000, 2, 1, 2)
	for _, table := range []string{"conversation", "conversation_state", "`user`", "chat_history"} {
		_, err := w.Pool().ExecContext(t.Context(), "ANALYZE TABLE "+table)
		require.NoError(t, err)
	}
	for _, filter := range []chat.ConversationFilter{{}, {Archived: chat.ArchivedYes}, {Archived: chat.ArchivedAny}, {Unread: true}} {
		pages := func(user chat.ID) (read []int) {
			page := chat.Page{Limit: 4}
			for range 2 {
				read = append(read, w.rowsRead(func() error {
					list, err := w.Conversations(t.Context(), user, filter, page)
					if err == nil {
						assert.Len(t, list.Items, 4)
						require.NotNil(t, list.Next)
						page.After = *list.Next
					}
					return err
				}))
			}
			return read
		}
		// Looking for unread ones reads a piece of the list, of which 20 is less than there is.
		bound := 250
		if filter.Unread {
			bound = 4000
		}
		a, b := pages(few), pages(many)
		t.Logf("%+v: %v rows of 20 conversations, %v of 10,000", filter, a, b)
		for i := range b {
			assert.Less(t, b[i], bound, "%+v", filter)
			if !filter.Unread {
				assert.LessOrEqual(t, b[i], 2*a[i], "%+v", filter)
			}
		}
	}
}

func TestCountingUnreadMessagesReadsABoundedNumber(t *testing.T) {
	t.Parallel()
	w := onMySQL(t)
	me := w.acquaintance(10_000_000, 2, 6*chat.MaxUnreadCount, 1)
	var list chat.List[chat.Conversation]
	read := w.rowsRead(func() (err error) {
		list, err = w.Conversations(t.Context(), me, chat.ConversationFilter{}, chat.Page{Limit: 5})
		return err
	})
	for _, c := range list.Items {
		assert.EqualValues(t, chat.MaxUnreadCount, c.UnreadCount)
	}
	assert.Less(t, read, 2*(chat.MaxUnreadCount+100)*2, "each message is read once and copied once")
}

func TestWhatIsUnreadIsFoundAndThePartsMayBeShort(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		me := w.acquaintance(10_000_000, 1200, 1, 1)
		// All but some have been read, the newest and the oldest among them.
		unread := map[chat.ID]bool{}
		_, err := w.Pool().ExecContext(t.Context(), "INSERT INTO read_position (user_id, conversation_id, read_seq) SELECT 10000000, id, 1 FROM conversation")
		require.NoError(t, err)
		for _, i := range []int{0, 1, 2, 640, 641, 1199} {
			id := chat.ID(10_000_000*1_000_000 + i)
			unread[id] = true
			if i%2 == 0 {
				w.write(func(tx chat.Tx) error { _, err := tx.SetReadSeq(id, me, 0); return err })
				continue
			}
			w.set(id, me, func(s *chat.StoredState) { s.MarkedUnread = true })
		}
		for _, size := range []int{1, 2, 3, 100} {
			page, found, parts := chat.Page{Limit: size}, map[chat.ID]bool{}, 0
			for {
				list, err := w.Conversations(t.Context(), me, chat.ConversationFilter{Unread: true}, page)
				require.NoError(t, err)
				require.LessOrEqual(t, len(list.Items), size)
				for _, c := range list.Items {
					require.False(t, found[c.ID], "twice")
					found[c.ID] = true
				}
				if parts++; list.Next == nil {
					break
				}
				page.After = *list.Next
			}
			assert.Equal(t, unread, found)
			assert.LessOrEqual(t, parts, 9)
		}
	})
}

// set changes what a user has set for a conversation.
func (w *world) set(conversation, user chat.ID, change func(s *chat.StoredState)) (unread int64) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error {
		if _, _, err := tx.LockConversation(conversation); err != nil {
			return err
		}
		state, at, err := tx.StateOf(conversation, user)
		if err != nil {
			return err
		}
		change(&state)
		if err := tx.SetState(conversation, user, state, at); err != nil {
			return err
		}
		now, err := tx.ReadStateOf(conversation, user)
		unread = now.UnreadCount
		return err
	})
	return unread
}

// listed returns the ids of a list, which is the same in pages of any size.
func (w *world) listed(t *testing.T, user chat.ID, filter chat.ConversationFilter) (ids []chat.ID) {
	t.Helper()
	for _, c := range agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Conversation], error) {
		return w.Conversations(ctx, user, filter, page)
	}) {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestPinnedConversationsAreListedByWhenTheyWerePinned(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(6)
		me := users[2]
		var all []chat.ID
		for _, other := range []chat.ID{users[0], users[1], users[3], users[4]} {
			ab := w.private(me, other)
			w.send(w.toPrivate(ab, other, "hi"))
			all = append(all, ab)
		}
		left, stays := w.group("left", users[5], me), w.group("stays", users[5], me)
		for _, id := range []chat.ID{all[2], left, all[0], stays} {
			w.set(id, me, func(s *chat.StoredState) { s.PinnedAt = new(w.now()) })
		}
		assert.Equal(t, []chat.ID{stays, all[0], left, all[2]}, w.listed(t, me, chat.ConversationFilter{Pinned: true}))
		assert.Equal(t, []chat.ID{stays, left, all[3], all[2], all[1], all[0]}, w.listed(t, me, chat.ConversationFilter{}), "they stay where they are in the other list")
		assert.Empty(t, w.listed(t, users[0], chat.ConversationFilter{Pinned: true}), "a pin is its user's own")
		w.write(func(tx chat.Tx) error { return tx.DeleteMember(left, me) })
		assert.Equal(t, []chat.ID{stays, all[0], all[2]}, w.listed(t, me, chat.ConversationFilter{Pinned: true}))
		count := func() (n int) {
			w.write(func(tx chat.Tx) (err error) {
				if err := tx.LockUsers(me); err != nil {
					return err
				}
				n, err = tx.CountPinned(me)
				return err
			})
			return n
		}
		assert.Equal(t, 3, count(), "a group one has left is not counted for ever")
		w.write(func(tx chat.Tx) error { return tx.InsertMembers(left, chat.RoleMember, me) })
		assert.Equal(t, 3, count())
		w.set(all[0], me, func(s *chat.StoredState) { *s = chat.StoredState{} })
		assert.Equal(t, 2, count())
	})
}

func TestClearedMessagesAreSeenNowhere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab, group := w.private(users[0], users[1]), w.group("talk", users...)
		for i := range 6 {
			w.send(w.toPrivate(ab, users[i%2], fmt.Sprint(i)))
			w.send(w.toGroup(group, users[i%2], fmt.Sprint(i)))
		}
		read := func(id, user chat.ID, query chat.HistoryQuery) (seqs []int64, before, after bool) {
			t.Helper()
			history, err := w.History(t.Context(), id, user, query)
			require.NoError(t, err)
			for _, m := range history.Items {
				seqs = append(seqs, m.Seq)
			}
			return seqs, history.HasMoreBefore, history.HasMoreAfter
		}
		hide := func(id chat.ID) {
			unread := w.set(id, users[0], func(s *chat.StoredState) { s.ClearedSeq = 6 })
			assert.Zero(t, unread)
		}
		hide(ab)
		hide(group)
		assert.Equal(t, []chat.ID{group}, w.listed(t, users[0], chat.ConversationFilter{}), "a private one is not listed any more")
		assert.Equal(t, []chat.ID{group, ab}, w.listed(t, users[1], chat.ConversationFilter{}), "for the other one it is")
		for _, id := range []chat.ID{ab, group} {
			c, err := w.ConversationFor(t.Context(), id, users[0])
			require.NoError(t, err)
			assert.Nil(t, c.LastMessage)
			assert.Zero(t, c.UnreadCount)
			assert.EqualValues(t, 6, c.LastSeq)
			seqs, before, after := read(id, users[0], chat.HistoryQuery{Limit: 3})
			assert.Empty(t, seqs)
			assert.False(t, before || after)
			seqs, _, _ = read(id, users[1], chat.HistoryQuery{Limit: 99})
			assert.Len(t, seqs, 6)
		}
		for i := range 4 {
			w.send(w.toPrivate(ab, users[1], fmt.Sprint(i)))
		}
		assert.Equal(t, []chat.ID{ab, group}, w.listed(t, users[0], chat.ConversationFilter{}), "something new brings it back")
		c, err := w.ConversationFor(t.Context(), ab, users[0])
		require.NoError(t, err)
		assert.EqualValues(t, 4, c.UnreadCount)
		at := func(n int64) *int64 { return &n }
		for _, query := range []struct {
			chat.HistoryQuery

			want          []int64
			before, after bool
		}{
			{chat.HistoryQuery{Limit: 3}, []int64{8, 9, 10}, true, false},
			{chat.HistoryQuery{Limit: 9}, []int64{7, 8, 9, 10}, false, false},
			{chat.HistoryQuery{Limit: 2, AfterSeq: at(0)}, []int64{7, 8}, false, true},
			{chat.HistoryQuery{Limit: 2, AfterSeq: at(8)}, []int64{9, 10}, true, false},
			{chat.HistoryQuery{Limit: 2, BeforeSeq: at(9)}, []int64{7, 8}, false, true},
			{chat.HistoryQuery{Limit: 2, BeforeSeq: at(5)}, nil, false, true},
			{chat.HistoryQuery{Limit: 2, AroundSeq: at(2)}, []int64{7, 8}, false, true},
			{chat.HistoryQuery{Limit: 3, AroundSeq: at(8)}, []int64{7, 8, 9}, false, true},
		} {
			seqs, before, after := read(ab, users[0], query.HistoryQuery)
			assert.Equal(t, query.want, seqs, "%+v", query)
			assert.Equal(t, query.before, before, "%+v", query)
			assert.Equal(t, query.after, after, "%+v", query)
		}
		w.write(func(tx chat.Tx) error {
			unread, err := tx.SetReadSeq(ab, users[0], 2)
			assert.EqualValues(t, 4, unread, "what is hidden is not unread")
			return err
		})
	})
}

func TestConversationsOfEarlierVersionsAreListed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, bare(t, kind))
			users := w.users(3)
			talking, silent, group := w.private(users[0], users[1]), w.private(users[0], users[2]), w.group("talk", users...)
			sent := w.send(w.toPrivate(talking, users[0], "hi"))
			w.send(w.toGroup(group, users[0], "hi"))
			const before = 5
			for {
				version, _, err := w.MigrateVersion(t.Context())
				require.NoError(t, err)
				if version < before {
					break
				}
				require.NoError(t, w.MigrateDown(t.Context()))
			}
			require.NoError(t, w.MigrateUp(t.Context()))
			assert.Equal(t, []chat.ID{group, talking}, w.listed(t, users[0], chat.ConversationFilter{}))
			assert.Equal(t, []chat.ID{group}, w.listed(t, users[2], chat.ConversationFilter{}))
			w.send(w.toPrivate(silent, users[2], "me too"))
			assert.Equal(t, []chat.ID{silent, group, talking}, w.listed(t, users[0], chat.ConversationFilter{}))
			// Where that message stood in an inbox nobody knows any more.
			require.NoError(t, w.SavePositions(t.Context(), []chat.SavedPosition{{User: users[1], Session: 1, Seq: 99}}))
			history, err := w.History(t.Context(), talking, users[0], chat.HistoryQuery{Limit: 1})
			require.NoError(t, err)
			assert.Equal(t, sent.Seq, history.Items[0].Seq)
			assert.Equal(t, chat.DeliverySent, history.Items[0].Delivery)
		})
	}
}
