package repo_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"longwire/chat"
	"longwire/repo"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// world is a database of its own, with what tests do again and again.
type world struct {
	*repo.DB

	t     testing.TB
	kind  string // "sqlite" or "mysql"
	open  func() *repo.DB
	ids   *chat.IDs
	clock atomic.Int64 // milliseconds; each transaction gets a later one
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, onSQLite(t))
	})
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		test(t, onMySQL(t))
	})
}

func onSQLite(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chat.db")
	return newWorld(t, "sqlite", repo.Config{SQLitePath: path})
}

func onMySQL(t testing.TB) *world {
	t.Helper()
	return newWorld(t, "mysql", repo.Config{MySQLDSN: newDatabase(t), Connections: 8})
}

// newDatabase makes a database with a random name, to be dropped when the test
// ends, and returns its DSN.
func newDatabase(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("TEST_MYSQL_DSN")
	if dsn == "" {
		t.Fatal("TEST_MYSQL_DSN is not set: these tests want a MySQL or MariaDB server where they may create databases, for example root@tcp(127.0.0.1:3306)/ (make test starts one)")
	}
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	server, err := sql.Open("mysql", cfg.FormatDSN())
	require.NoError(t, err)
	name := "repo_" + strings.ToLower(rand.Text())
	// The worst defaults a server may have; the tables must not care.
	_, err = server.ExecContext(t.Context(), "CREATE DATABASE "+name+" CHARACTER SET latin1")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := server.ExecContext(context.Background(), "DROP DATABASE "+name) // the test's context has ended
		require.NoError(t, err)
		require.NoError(t, server.Close())
	})
	cfg.DBName = name
	return cfg.FormatDSN()
}

func newWorld(t testing.TB, kind string, config repo.Config) *world {
	t.Helper()
	w := &world{t: t, kind: kind, ids: chat.NewIDs(time.Now)}
	w.clock.Store(time.Now().UnixMilli())
	w.open = func() *repo.DB {
		db, err := repo.Open(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	}
	w.DB = w.open()
	require.NoError(t, w.MigrateUp(t.Context()))
	return w
}

func (w *world) now() chat.Time {
	return chat.Time(w.clock.Add(1))
}

// write runs fn in a transaction that must succeed.
func (w *world) write(fn func(tx chat.Tx) error) chat.Announcement {
	w.t.Helper()
	announcement, err := w.Write(w.t.Context(), w.now(), fn)
	require.NoError(w.t, err)
	return announcement
}

// user adds a user who takes messages from everyone.
func (w *world) user(name string) chat.ID {
	w.t.Helper()
	return w.userWho(name, chat.AcceptEveryone)
}

func (w *world) userWho(name string, accepts chat.Acceptance) chat.ID {
	w.t.Helper()
	id := w.ids.Next()
	w.write(func(tx chat.Tx) error {
		return tx.InsertUser(chat.User{
			Profile:            chat.Profile{ID: id, Username: name, DisplayName: "The " + name},
			AcceptMessagesFrom: accepts, CreatedAt: tx.At(),
		}, "hash of "+name)
	})
	return id
}

func (w *world) users(n int) []chat.ID {
	w.t.Helper()
	ids := make([]chat.ID, n)
	for i := range ids {
		ids[i] = w.user(fmt.Sprintf("user%03d", i))
	}
	return ids
}

// private returns the conversation of two users.
func (w *world) private(a, b chat.ID) chat.ID {
	w.t.Helper()
	id := w.empty(a, b)
	_, err := w.Pool().ExecContext(w.t.Context(), "UPDATE conversation SET lo_folder = 1, hi_folder = 1 WHERE id = ?", id)
	require.NoError(w.t, err)
	return id
}

// empty adds a private conversation that neither of them knows of yet.
func (w *world) empty(a, b chat.ID) chat.ID {
	w.t.Helper()
	var id chat.ID
	w.write(func(tx chat.Tx) (err error) {
		id, err = tx.EnsurePrivateConversation(w.ids.Next(), a, b)
		return err
	})
	return id
}

// group adds a public group whose first member is the owner.
func (w *world) group(name string, members ...chat.ID) chat.ID {
	w.t.Helper()
	id := w.ids.Next()
	w.write(func(tx chat.Tx) error {
		err := tx.InsertGroup(chat.Group{
			ID: id, Name: name, Visibility: chat.VisibilityPublic, JoinPolicy: chat.JoinOpen,
			OwnerID: members[0], MemberCount: len(members), CreatedAt: tx.At(),
			AddPolicy: chat.AddByAdmins, SendPolicy: chat.SendByEveryone, HistoryForNewcomers: true,
		})
		if err != nil {
			return err
		}
		if err := tx.InsertMembers(id, chat.RoleOwner, members[0]); err != nil {
			return err
		}
		return tx.InsertMembers(id, chat.RoleMember, members[1:]...)
	})
	return id
}

func (w *world) toPrivate(conversation, sender chat.ID, body string) chat.Outgoing {
	return chat.Outgoing{ConversationID: conversation, Target: chat.KindPrivate, SenderID: sender, Kind: chat.KindText, Body: body, At: w.now()}
}

func (w *world) toGroup(group, sender chat.ID, body string) chat.Outgoing {
	out := w.toPrivate(group, sender, body)
	out.Target = chat.KindGroup
	return out
}

// keyed gives a message an idempotency key, and a fingerprint of its body.
func keyed(out chat.Outgoing, key string) chat.Outgoing {
	out.IdempotencyKey = key
	sum := sha256.Sum256([]byte(out.ConversationID.String() + out.Body))
	copy(out.Fingerprint[:], sum[:])
	return out
}

// commit sends messages in one batch.
func (w *world) commit(messages ...chat.Outgoing) ([]chat.Outcome, chat.Announcement) {
	w.t.Helper()
	outcomes, announcement, err := w.CommitMessages(w.t.Context(), messages)
	require.NoError(w.t, err)
	require.Len(w.t, outcomes, len(messages))
	return outcomes, announcement
}

// send sends one message that must be taken.
func (w *world) send(out chat.Outgoing) chat.Message {
	w.t.Helper()
	outcomes, _ := w.commit(out)
	require.NoError(w.t, outcomes[0].Err)
	return outcomes[0].Message
}

// inbox reads a whole inbox, in small pages, and checks that it has no hole.
func (w *world) inbox(user chat.ID) []chat.InboxEvent {
	w.t.Helper()
	var events []chat.InboxEvent
	for {
		page, err := w.ReadInbox(w.t.Context(), user, int64(len(events)), 7)
		require.NoError(w.t, err)
		for _, e := range page.Events {
			require.Equal(w.t, int64(len(events)+1), e.Seq, "the inbox of %s has a hole", user)
			events = append(events, e)
		}
		if len(page.Events) == 0 {
			require.Equal(w.t, page.Head.Seq, int64(len(events)), "the head of %s", user)
			return events
		}
	}
}

// requireCode requires an error with the code.
func requireCode(t testing.TB, code chat.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, chat.CodeOf(err), "%v", err)
}
