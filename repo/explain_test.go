package repo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// recorder is a connector that notes what is asked, once for each shape.
type recorder struct {
	driver.Connector

	mu   sync.Mutex
	seen map[string][]any // guarded by mu: statement → arguments
}

func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &recordingConn{Conn: conn, recorder: r}, nil
}

func (r *recorder) note(query string, args []driver.NamedValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	r.seen[query] = values
}

type recordingConn struct {
	driver.Conn

	recorder *recorder
}

func (c *recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.recorder.note(query, args)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.recorder.note(query, args)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *recordingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

// recorded opens a database of its own whose statements are noted.
func recorded(t *testing.T, kind string) (*DB, *recorder) {
	t.Helper()
	config := Config{SQLitePath: filepath.Join(t.TempDir(), "chat.db")}
	if kind == "mysql" {
		config = Config{MySQLDSN: scratchDatabase(t)}
	}
	db, err := Open(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, db.MigrateUp(t.Context()))
	require.NoError(t, db.Close())
	r := &recorder{seen: make(map[string][]any)}
	if kind == "mysql" {
		r.Connector, err = mysqlConnector(db.mysql)
	} else {
		r.Connector, err = sqliteConnector(config.SQLitePath, "")
	}
	require.NoError(t, err)
	pool := sql.OpenDB(r)
	db.write, db.read = pool, pool
	db.joined = nil // the same statements, one at a time
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, r
}

func scratchDatabase(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv("TEST_MYSQL_DSN")
	if dsn == "" {
		t.Fatal("TEST_MYSQL_DSN is not set: these tests want a MySQL or MariaDB server where they may create databases")
	}
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	server, err := sql.Open("mysql", cfg.FormatDSN())
	require.NoError(t, err)
	cfg.DBName = "repo_" + strings.ToLower(rand.Text())
	_, err = server.ExecContext(t.Context(), "CREATE DATABASE "+cfg.DBName)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := server.ExecContext(context.Background(), "DROP DATABASE "+cfg.DBName) // the test's context has ended
		require.NoError(t, err)
		require.NoError(t, server.Close())
	})
	return cfg.FormatDSN()
}

// crowd is how many rows of strangers each table gets: with few rows, reading
// them all is the best plan.
const crowd = 3000

// fill puts strangers into every table.
func fill(t *testing.T, db *DB) {
	t.Helper()
	tables := map[string]func(s *statement, i int64){
		"`user` (id, username, username_key, display_name, display_key, accept_messages_from, password_hash, created_at)": func(s *statement, i int64) {
			name := fmt.Sprintf("'stranger%d'", i)
			s.int(i).sql("," + name + "," + name + "," + name + "," + name + ",'friends','',1")
		},
		"session (id, user_id, device_name, created_at, last_seen_at, expires_at, refresh_generation, saved_seq)": func(s *statement, i int64) {
			s.int(i).sql(",").int(i).sql(",'phone',1,1,1,1,1")
		},
		"friend (user_id, friend_id, remark, since)": func(s *statement, i int64) { s.int(i).sql(",").int(i + 1).sql(",'',1") },
		"friend_request (id, from_id, to_id, note, state, created_at, updated_at, expires_at)": func(s *statement, i int64) {
			state := ",'','declined',1,1,"
			if i%3 == 0 { // some are open, and most of these for long
				state = ",'','pending',1,1,"
			}
			s.int(i).sql(",").int(i).sql(",").int(i + 1).sql(state).int(i * 100_000_000)
		},
		"last_seen (user_id, at)":              func(s *statement, i int64) { s.int(i).sql(",1") },
		"`block` (user_id, blocked_id, since)": func(s *statement, i int64) { s.int(i).sql(",").int(i + 1).sql(",1") },
		"chat_group (id, name, name_key, description, visibility, join_policy, owner_id, member_count, created_at)": func(s *statement, i int64) {
			name := fmt.Sprintf("'group%d'", i)
			s.int(i).sql("," + name + "," + name + ",'','public','open',1,1,1")
		},
		"group_member (group_id, user_id, role, joined_at)": func(s *statement, i int64) { s.int(i).sql(",").int(i).sql(",'owner',1") },
		"join_request (group_id, user_id, created_at)":      func(s *statement, i int64) { s.int(i).sql(",").int(i + 1).sql(",1") },
		"group_invitation (id, group_id, secret, created_by, created_at, uses)": func(s *statement, i int64) {
			s.int(i).sql(",").int(i).sql(",'x',1,1,0")
		},
		"group_ban (group_id, user_id, banned_by, reason, banned_at)": func(s *statement, i int64) { s.int(i).sql(",").int(i + 1).sql(",1,'',1") },
		"group_mute (group_id, user_id, muted_until)":                 func(s *statement, i int64) { s.int(i).sql(",").int(i + 1).sql(",1") },
		"read_position (user_id, conversation_id, read_seq)":          func(s *statement, i int64) { s.int(i).sql(",").int(i).sql(",1") },
		"conversation_state (user_id, conversation_id, pinned_at, muted_until, archived_seq, marked_unread, cleared_seq)": func(s *statement, i int64) {
			s.int(i).sql(",").int(i).sql(",1,1,1,0,0")
		},
		"delivered_position (user_id, seq)":                 func(s *statement, i int64) { s.int(i).sql(",1") },
		"inbox_head (user_id, seq, pruned)":                 func(s *statement, i int64) { s.int(i).sql(",1,0") },
		"inbox (user_id, seq, source, ref_id, ref_seq, at)": func(s *statement, i int64) { s.int(i).sql(",1,1,").int(i).sql(",1,").int(i * 1_000_000) },
		"`event` (id, type, at, data)":                      func(s *statement, i int64) { s.int(i).sql(",'x',").int(i * 1_000_000).sql(",'{}'") },
		"conversation (id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version, listed_at, lo_folder, hi_folder)": func(s *statement, i int64) {
			s.int(i).sql(",'private',").int(i).sql(",").int(i + 1).sql(",1,1,1,1,1,1")
		},
		"chat_history (conversation_id, seq, sender_id, kind, body, created_at, recalled, idempotency_key)": func(s *statement, i int64) {
			s.int(i).sql(",1,").int(i).sql(",'text','x',1,0,").arg(fmt.Sprint(i))
		},
		"message_version (conversation_id, seq, version, body, written_at)": func(s *statement, i int64) { s.int(i).sql(",1,1,'x',1") },
		"mention (user_id, conversation_id, seq)":                           func(s *statement, i int64) { s.int(i).sql(",").int(i).sql(",1") },
		"hidden_message (user_id, conversation_id, seq)":                    func(s *statement, i int64) { s.int(i).sql(",").int(i).sql(",1") },
		"reaction (conversation_id, seq, user_id, emoji, created_at)":       func(s *statement, i int64) { s.int(i).sql(",1,").int(i).sql(",'x',1") },
		"pin (conversation_id, seq, pinned_by, pinned_at)":                  func(s *statement, i int64) { s.int(i).sql(",1,").int(i).sql(",1") },
		"search_segment (conversation_id, segment, oldest_at, newest_at)":   func(s *statement, i int64) { s.int(i).sql(",0,1,1") },
		"search_progress (conversation_id, indexed_seq)":                    func(s *statement, i int64) { s.int(i).sql(",1") },
		"search_pending (conversation_id, seq, change_id)":                  func(s *statement, i int64) { s.int(i).sql(",1,1") },
		"remembered_answer (user_id, idempotency_key, fingerprint, answer, created_at)": func(s *statement, i int64) {
			s.int(i).sql(",'k',").bytes(make([]byte, 16)).sql(",'{}',").int(i * 1_000_000)
		},
	}
	require.NoError(t, db.transact(t.Context(), func(x *conn) error {
		strangers := make([]indexed, crowd)
		for i := range strangers {
			strangers[i] = indexed{chat.ID(i + 1), 1, chat.ID(i + 1), 1, []string{"x"}}
		}
		if err := db.dialect.terms.insert(x, strangers, db.ids.Next); err != nil {
			return err
		}
		for table, values := range tables {
			s := new(statement).sql("INSERT INTO " + table + " VALUES ")
			for i := range int64(crowd) {
				values(s.comma(int(i)).sql("("), i+1)
				s.sql(")")
			}
			if err := s.exec(x); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		return nil
	}))
	for table := range tables {
		analyze := "ANALYZE "
		if db.mysql != nil {
			analyze = "ANALYZE TABLE "
		}
		name, _, _ := strings.Cut(table, " ")
		_, err := db.write.ExecContext(t.Context(), analyze+name)
		require.NoError(t, err)
	}
}

// live does everything a store can do, once.
func live(t *testing.T, db *DB) {
	t.Helper()
	ctx, at := t.Context(), chat.Time(5_000_000_000)
	require.NoError(t, db.Ping(ctx))
	me, peer, third, group, session := db.ids.Next(), db.ids.Next(), db.ids.Next(), db.ids.Next(), db.ids.Next()
	var private chat.ID
	do := func(fn func(tx chat.Tx) error) {
		t.Helper()
		_, err := db.Write(ctx, at, fn)
		require.NoError(t, err)
	}
	step := func(err error) {
		if err != nil && chat.CodeOf(err) != chat.CodeNotFound {
			t.Error(err)
		}
	}
	do(func(tx chat.Tx) error {
		for _, id := range []chat.ID{me, peer, third} {
			step(tx.InsertUser(chat.User{Profile: chat.Profile{ID: id, Username: id.String(), DisplayName: "d"}, AcceptMessagesFrom: "everyone"}, ""))
		}
		step(tx.LockUsers(me, peer))
		user, err := tx.UserByID(me)
		step(err)
		user.AcceptMessagesFrom = chat.AcceptFriends
		step(tx.InsertFriendship(db.ids.Next(), me, peer))
		step(tx.UpdateUser(user))
		private, err = tx.EnsurePrivateConversation(0, me, peer)
		step(err)
		step(tx.InsertSession(chat.Session{ID: session, UserID: me, ExpiresAt: at * 2}))
		_, err = tx.LockSession(session)
		step(err)
		step(tx.SetRefreshGeneration(session, 2, at*2))
		_, err = tx.PendingFriendRequest(me, third)
		step(err)
		request, err := tx.InsertFriendRequest(db.ids.Next(), me, third, "", at+1)
		step(err)
		step(tx.SetFriendRequestState(request.ID, chat.RequestDeclined))
		step(tx.SetRemark(me, peer, "r"))
		_, err = tx.RelationOf(me, peer)
		step(err)
		_, err = tx.SetBlock(me, third, true)
		step(err)
		_, err = tx.SetBlock(me, third, false)
		step(err)
		_, err = tx.Remembered(me, "key")
		step(err)
		step(tx.InsertGroup(chat.Group{ID: group, Name: "g", Visibility: chat.VisibilityPublic}))
		_, err = tx.LockGroup(group)
		step(err)
		step(tx.InsertMembers(group, chat.RoleMember, me, peer, third))
		step(tx.SetRole(group, me, chat.RoleOwner))
		step(tx.UpdateGroup(chat.Group{ID: group, Name: "g", Visibility: chat.VisibilityPublic}))
		_, err = tx.MemberOf(group, me)
		step(err)
		_, err = tx.MemberIDs(group)
		step(err)
		_, _, err = tx.Refusals(me, []chat.ID{peer, third})
		step(err)
		stepThroughGroupRules(tx, step, group, me, third)
		step(tx.DeleteMember(group, third))
		return tx.Append(chat.GroupUpdated, chat.Group{ID: group}, me, peer)
	})
	out := chat.Outgoing{ConversationID: private, Target: chat.KindPrivate, SenderID: peer, Kind: chat.KindText, Body: "x", IdempotencyKey: "k", At: at}
	other := out
	other.ConversationID, other.Target, other.SenderID = group, chat.KindGroup, me
	outcomes, _, err := db.CommitMessages(ctx, []chat.Outgoing{out, other})
	require.NoError(t, err)
	step(outcomes[0].Err)
	step(outcomes[1].Err)
	do(func(tx chat.Tx) error {
		_, _, err := tx.LockConversation(group)
		step(err)
		_, _, err = tx.LockConversation(private)
		step(err)
		_, err = tx.ReadSeq(private, me)
		step(err)
		_, err = tx.SetReadSeq(private, me, 0)
		step(err)
		state, standing, err := tx.StateOf(private, me)
		step(err)
		state.PinnedAt = new(tx.At())
		step(tx.SetState(private, me, state, standing))
		_, err = tx.CountPinned(me)
		step(err)
		_, err = tx.CountPinned(third)
		step(err)
		return tx.SetState(group, peer, chat.StoredState{}, standing)
	})
	liveMessages(t, db, do, chat.MessageRef{ConversationID: private, Seq: 1}, me, peer)
	for _, page := range []chat.Page{{Limit: 10}} {
		_, err = db.FindUsers(ctx, me, "stranger7", page)
		step(err)
		_, err = db.FindUsers(ctx, me, "stranger7", chat.Page{Limit: 10, After: place{list: listUsersByName, text: "stranger70"}.String()})
		step(err)
		_, err = db.FindGroups(ctx, me, "group7", page)
		step(err)
		_, err = db.Friends(ctx, me, page)
		step(err)
		_, err = db.Blocks(ctx, me, page)
		step(err)
		_, err = db.FriendRequests(ctx, me, chat.DirectionIncoming, at, page)
		step(err)
		_, err = db.FriendRequests(ctx, me, chat.DirectionOutgoing, at, page)
		step(err)
		_, err = db.GroupsOf(ctx, me, page)
		step(err)
		_, err = db.GroupMembers(ctx, group, page)
		step(err)
		_, err = db.JoinRequests(ctx, group, page)
		step(err)
		_, err = db.JoinRequestsOf(ctx, me, page)
		step(err)
		_, err = db.Invitations(ctx, group, page)
		step(err)
		_, err = db.Bans(ctx, group, page)
		step(err)
		for _, filter := range []chat.ConversationFilter{
			{}, {Archived: chat.ArchivedYes}, {Archived: chat.ArchivedAny}, {Pinned: true}, {Unread: true},
		} {
			_, err = db.Conversations(ctx, me, filter, page)
			step(err)
		}
	}
	_, err = db.CredentialsByUsername(ctx, me.String())
	step(err)
	_, err = db.CountIncomingRequests(ctx, me, at)
	step(err)
	_, err = db.SessionsOf(ctx, me, at)
	step(err)
	liveAccounts(t, db, account{me: me, peer: peer, third: third, group: group, session: session, at: at})
	_, err = db.Friend(ctx, me, peer)
	step(err)
	_, err = db.GroupByID(ctx, group, me)
	step(err)
	_, err = db.PrivateConversation(ctx, me, peer)
	step(err)
	_, err = db.ConversationFor(ctx, private, me)
	step(err)
	_, err = db.History(ctx, private, me, chat.HistoryQuery{Limit: 5})
	step(err)
	_, err = db.History(ctx, private, me, chat.HistoryQuery{AroundTime: &at, Limit: 5})
	step(err)
	liveSearch(t, db, me, private)
	_, err = db.ReadInbox(ctx, me, 0, 10)
	step(err)
	_, err = db.InboxHead(ctx, me)
	step(err)
	step(db.SavePositions(ctx, []chat.SavedPosition{{User: me, Session: session, Seq: 1}, {User: peer, Session: session, Seq: 1}}))
	_, err = db.TypingAudience(ctx, private, me, 100, 1)
	step(err)
	_, err = db.TypingAudience(ctx, group, me, 100, 1)
	step(err)
	_, err = db.TypingAudience(ctx, group, me, 1, 1)
	step(err)
	_, err = db.FriendsSeen(ctx, me, []chat.ID{peer, third})
	step(err)
	_, err = db.PresenceAudiences(ctx, []chat.ID{me, peer}, 100)
	step(err)
	step(db.SaveLastSeen(ctx, []chat.LastSeen{{User: me, At: 1}}))
	_, err = db.ConversationFor(ctx, private, peer)
	step(err)
	for _, most := range []int{0, 100} {
		_, err = db.Receipts(ctx, group, 1, me, most)
		step(err)
	}
	_, err = db.Receipts(ctx, private, 1, peer, 100)
	step(err)
	_, err = db.Epoch(ctx)
	step(err)
	_, err = db.PruneInboxes(ctx, 4_000_000, 1000)
	step(err)
	do(func(tx chat.Tx) error {
		step(tx.EndSession(chat.SessionRef{User: me, Session: session}))
		_, err := tx.DeleteFriendship(me, peer)
		step(err)
		return tx.DissolveGroup(group)
	})
}

// touch edits the first message of a conversation without changing it.
func touch(tx chat.Tx, conversation chat.ID) error {
	m, err := tx.MessageOf(chat.MessageRef{ConversationID: conversation, Seq: 1})
	if err == nil {
		_, err = tx.EditMessage(m, m)
	}
	return err
}

// liveSearch indexes and searches, in every way.
func liveSearch(t *testing.T, db *DB, me, private chat.ID) {
	t.Helper()
	find := func() {
		t.Helper()
		_, err := db.SearchMessages(t.Context(), me, chat.MessageSearch{Query: "x y"}, chat.Page{Limit: 10})
		require.NoError(t, err)
		found, err := db.SearchMessages(t.Context(), me, chat.MessageSearch{Query: "x", Conversation: &private, Sender: new(chat.ID(1))}, chat.Page{Limit: 10})
		require.NoError(t, err)
		require.Empty(t, found.Items)
		found, err = db.SearchMessages(t.Context(), me, chat.MessageSearch{Query: "x"}, chat.Page{Limit: 10})
		require.NoError(t, err)
		require.NotEmpty(t, found.Items)
	}
	_, err := db.WalkUnindexed(t.Context())
	require.NoError(t, err)
	find()
	_, err = db.Write(t.Context(), 1, func(tx chat.Tx) error { return touch(tx, private) })
	require.NoError(t, err)
	for more := true; more; {
		_, more, err = db.IndexMessages(t.Context())
		require.NoError(t, err)
	}
	find()
	_, err = db.Write(t.Context(), 1, func(tx chat.Tx) error { return touch(tx, private) })
	require.NoError(t, err)
	_, _, err = db.IndexMessages(t.Context())
	require.NoError(t, err)
}

// TestIndexIsAskedAboutOwnConversationsOnly is why other people's messages with
// the same word do not make a search slow.
func TestIndexIsAskedAboutOwnConversationsOnly(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db, r := recorded(t, kind)
			fill(t, db) // strangers whose messages have the same word
			clear(r.seen)
			found, err := db.SearchMessages(t.Context(), 7, chat.MessageSearch{Query: "x"}, chat.Page{Limit: 10})
			require.NoError(t, err)
			require.NotEmpty(t, found.Items)
			asked := 0
			for query, args := range r.seen {
				if !strings.Contains(query, "MATCH") {
					continue
				}
				asked++
				text, isText := args[0].(string)
				require.True(t, isText)
				terms := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("+* ()", r) })
				terms = slices.DeleteFunc(terms, func(term string) bool { return term == "OR" })
				// Stranger 7 is in three conversations: two private ones and a group.
				require.LessOrEqual(t, len(terms), 3)
				for _, term := range terms {
					require.Contains(t, []string{scope(6, 0) + "x", scope(7, 0) + "x"}, term)
				}
			}
			require.Positive(t, asked)
		})
	}
}

func TestNoStatementReadsAWholeTable(t *testing.T) {
	t.Parallel()
	for kind, plan := range map[string]func(t *testing.T, db *DB, query string, args []any){
		"sqlite": checkSQLitePlan, "mysql": checkMySQLPlan,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db, r := recorded(t, kind)
			fill(t, db)
			clear(r.seen)
			live(t, db)
			statements := make(map[string][]any)
			for query, args := range r.seen {
				if strings.HasPrefix(query, "SELECT") || strings.HasPrefix(query, "UPDATE") || strings.HasPrefix(query, "DELETE") {
					statements[query] = args
				}
			}
			require.Greater(t, len(statements), 60)
			leavePending(t, db)
			for query, args := range statements {
				plan(t, db, query, args)
			}
		})
	}
}

// leavePending puts strangers into the table that indexing has emptied.
func leavePending(t *testing.T, db *DB) {
	t.Helper()
	pending := new(statement).sql("INSERT INTO search_pending (conversation_id, seq, change_id) VALUES ")
	for i := range int64(crowd) {
		pending.comma(int(i)).sql("(").int(i + 1).sql(",1,1)")
	}
	require.NoError(t, db.transact(t.Context(), pending.exec))
	analyze := map[bool]string{true: "ANALYZE TABLE search_pending", false: "ANALYZE search_pending"}[db.mysql != nil]
	_, err := db.write.ExecContext(t.Context(), analyze)
	require.NoError(t, err)
}

func checkSQLitePlan(t *testing.T, db *DB, query string, args []any) {
	t.Helper()
	c := db.reader(t.Context())
	require.NoError(t, each(c, func(r row) error {
		var (
			id, parent, unused int
			detail             string
		)
		err := r.Scan(&id, &parent, &unused, &detail)
		// "page" is what a subquery has cut out of an inbox by its key; a union is sorted as a whole.
		bad := strings.HasPrefix(detail, "SCAN") && detail != "SCAN CONSTANT ROW" && !strings.HasPrefix(detail, "SCAN page")
		if _, how, virtual := strings.Cut(detail, "VIRTUAL TABLE INDEX 0:"); virtual {
			bad = how == "" // what follows says what the full-text index is asked: a match, or a row
		}
		if bad || strings.HasPrefix(detail, "USE TEMP B-TREE") && !strings.Contains(query, " UNION ") {
			t.Errorf("%s\n%s", detail, query)
		}
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...))
}

func checkMySQLPlan(t *testing.T, db *DB, query string, args []any) {
	t.Helper()
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN FORMAT=TRADITIONAL "+query, args...) // MySQL 9 draws a tree by default
	require.NoError(t, err, query)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values := make(map[string]*sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i, name := range columns {
			values[name] = new(sql.NullString)
			dest[i] = values[name]
		}
		require.NoError(t, rows.Scan(dest...))
		table, kind := values["table"].String, values["type"].String
		if strings.HasPrefix(table, "<") { // what the statement itself has put together
			continue
		}
		assert.NotContains(t, values["Extra"].String, "filesort", "%s sorts %q\n%s", db.dialect.name, table, query)
		assert.NotContains(t, values["Extra"].String, "temporary", "%s copies %q\n%s", db.dialect.name, table, query)
		assert.NotContains(t, []string{"ALL", "index"}, kind, "%s reads all of %q by %q\n%s", kind, table, values["key"].String, query)
	}
	require.NoError(t, rows.Err())
}
