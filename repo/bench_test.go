package repo_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// BenchmarkCommitMessages measures the hot path as the sender drives it: two
// writers, each with batches. One operation is one message.
func BenchmarkCommitMessages(b *testing.B) {
	for _, kind := range []string{"sqlite", "mysql"} {
		for _, c := range []struct {
			name    string
			members int // 2 = private
			batch   int
			keys    bool
		}{
			{"private/batch=1", 2, 1, false},
			{"private/batch=128", 2, 128, false},
			{"private/batch=128/keys", 2, 128, true},
			{"group=100/batch=32", 100, 32, false},
		} {
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				w := onBench(b, kind)
				targets := w.benchTargets(c.members)
				writers := 2
				if kind == "sqlite" {
					writers = 1
				}
				body := strings.Repeat("x", 200)
				var next atomic.Int64
				b.ResetTimer()
				b.ReportAllocs()
				done := make(chan error, writers)
				for range writers {
					go func() {
						done <- func() error {
							batch := make([]chat.Outgoing, 0, c.batch)
							for {
								batch = batch[:0]
								for range c.batch {
									n := next.Add(1)
									if n > int64(b.N) {
										break
									}
									out := targets[n%int64(len(targets))]
									out.Body, out.At = body, chat.Time(n)
									if c.keys {
										out = keyed(out, fmt.Sprint("key", n))
									}
									batch = append(batch, out)
								}
								if len(batch) == 0 {
									return nil
								}
								if _, _, err := w.CommitMessages(b.Context(), batch); err != nil {
									return err
								}
							}
						}()
					}()
				}
				for range writers {
					require.NoError(b, <-done)
				}
				b.StopTimer()
				perSecond := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(perSecond, "messages/s")
				b.ReportMetric(perSecond*float64(c.members), "rows/s")
			})
		}
	}
}

// BenchmarkConversations measures a page of the list, which must not depend on
// how many conversations there are.
func BenchmarkConversations(b *testing.B) {
	for _, kind := range []string{"sqlite", "mysql"} {
		for _, n := range []int{10, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/conversations=%d", kind, n), func(b *testing.B) {
				w := onBench(b, kind)
				me := w.acquaintance(10_000_000, n, 2, 1)
				b.ResetTimer()
				for range b.N {
					if _, err := w.Conversations(b.Context(), me, chat.ConversationFilter{}, chat.Page{Limit: 50}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func onBench(b *testing.B, kind string) *world {
	b.Helper()
	if kind == "sqlite" {
		return onSQLite(b)
	}
	return onMySQL(b)
}

// benchTargets returns messages without text to 256 conversations.
func (w *world) benchTargets(members int) []chat.Outgoing {
	w.t.Helper()
	users := make([]chat.ID, 512)
	w.write(func(tx chat.Tx) error {
		for i := range users {
			users[i] = w.ids.Next()
			user := chat.User{Profile: chat.Profile{ID: users[i], Username: fmt.Sprint("user", i)}, AcceptMessagesFrom: chat.AcceptEveryone}
			if err := tx.InsertUser(user, ""); err != nil {
				return err
			}
		}
		return nil
	})
	targets := make([]chat.Outgoing, 256)
	w.write(func(tx chat.Tx) error {
		for i := range targets {
			id, sender := w.ids.Next(), users[2*i]
			targets[i] = chat.Outgoing{ConversationID: id, Target: chat.KindPrivate, SenderID: sender, Kind: chat.KindText}
			if members == 2 {
				if _, err := tx.EnsurePrivateConversation(id, sender, users[2*i+1]); err != nil {
					return err
				}
				continue
			}
			targets[i].Target = chat.KindGroup
			if err := tx.InsertGroup(chat.Group{ID: id, OwnerID: sender}); err != nil {
				return err
			}
			around := slices.Concat(users, users)[2*i:]
			if err := tx.InsertMembers(id, chat.RoleMember, around[:members]...); err != nil {
				return err
			}
		}
		return nil
	})
	return targets
}
