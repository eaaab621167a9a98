package repo_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"longwire/chat"
)

// listService returns the use cases with lists as long as the tests need, and few pins.
func (w *world) listService() *chat.Service {
	limits := chat.FixedLimits()
	limits.MaxPageSize, limits.MaxPinnedConversations = 100, 3
	return w.serviceWith(limits)
}

// entry is what a user should find of a conversation.
type entry struct {
	id                       chat.ID
	group                    bool
	last, read, cleared      int64
	activity                 chat.Time
	others                   []int64 // seqs of messages that are not the user's
	archived, pinned, marked bool
	pinnedAt, mutedUntil     chat.Time
	peerSender, me           chat.ID
}

func (e *entry) shown() bool { return e.group || e.last > e.cleared }

func (e *entry) unread() (n int64) {
	for _, seq := range e.others {
		if seq > max(e.read, e.cleared) {
			n++
		}
	}
	return n
}

func (e *entry) send(t *rapid.T, w *world) {
	out := w.toPrivate(e.id, rapid.SampledFrom([]chat.ID{e.me, e.peerSender}).Draw(t, "sender"), "x")
	if e.group {
		out.Target = chat.KindGroup
	}
	sent := w.send(out)
	e.last, e.activity = sent.Seq, sent.CreatedAt
	if sent.SenderID != e.me {
		e.others = append(e.others, sent.Seq)
	}
	if e.archived && sent.CreatedAt >= e.mutedUntil {
		e.archived = false
	}
}

// patch changes what the user has set, as the user would.
func (e *entry) patch(t *rapid.T, w *world, s *chat.Service, pinned int) {
	var patch chat.ConversationPatch
	switch rapid.SampledFrom([]string{"pin", "mute", "archive", "mark"}).Draw(t, "what") {
	case "pin":
		patch.Pinned = new(rapid.Bool().Draw(t, "pinned"))
	case "mute":
		until := w.now() + chat.Time(rapid.IntRange(5, 60).Draw(t, "for"))
		if rapid.Bool().Draw(t, "unmute") {
			until = 0
		}
		patch.MutedUntil = &until
	case "archive":
		patch.Archived = new(rapid.Bool().Draw(t, "archived"))
	case "mark":
		patch.MarkedUnread = new(rapid.Bool().Draw(t, "marked"))
	}
	got, err := s.UpdateConversation(w.t.Context(), chat.Caller{User: e.me}, e.id, patch)
	if patch.Pinned != nil && *patch.Pinned && !e.pinned && pinned == 3 || patch.Archived != nil && *patch.Archived && !e.shown() {
		require.Equal(t, chat.CodeConflict, chat.CodeOf(err))
		return
	}
	require.NoError(t, err)
	switch {
	case patch.Pinned != nil && !*patch.Pinned:
		e.pinned = false
	case patch.Pinned != nil && !e.pinned:
		e.pinned, e.archived, e.pinnedAt = true, false, *got.PinnedAt
	case patch.MutedUntil != nil:
		e.mutedUntil = *patch.MutedUntil
	case patch.Archived != nil:
		if e.archived = *patch.Archived; e.archived {
			e.pinned = false
		}
	case patch.MarkedUnread != nil:
		e.marked = *patch.MarkedUnread
	}
}

func (e *entry) check(t *rapid.T, got chat.Conversation) {
	require.Equal(t, e.archived, got.Archived)
	require.Equal(t, e.pinned, got.Pinned)
	require.Equal(t, e.marked, got.MarkedUnread)
	require.Equal(t, e.cleared, got.ClearedSeq)
	require.Equal(t, e.unread(), got.UnreadCount)
	require.Equal(t, e.last > e.cleared, got.LastMessage != nil)
	require.Equal(t, e.mutedUntil != 0, got.MutedUntil != nil)
	require.Equal(t, e.pinned, got.PinnedAt != nil)
}

// checkList compares a list with those that should be in it.
func checkList(t *rapid.T, w *world, me chat.ID, filter chat.ConversationFilter, all []*entry, in func(e *entry) bool) {
	want := []chat.ID{}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b *entry) int {
		if filter.Pinned {
			return cmp.Compare(b.pinnedAt, a.pinnedAt)
		}
		return cmp.Compare(b.activity, a.activity)
	})
	byID := make(map[chat.ID]*entry)
	for _, e := range sorted {
		byID[e.id] = e
		if in(e) {
			want = append(want, e.id)
		}
	}
	got := []chat.ID{}
	page := chat.Page{Limit: 2}
	for {
		list, err := w.Conversations(context.Background(), me, filter, page)
		require.NoError(t, err)
		for _, c := range list.Items {
			got = append(got, c.ID)
			byID[c.ID].check(t, c)
		}
		if list.Next == nil {
			break
		}
		page.After = *list.Next
	}
	require.Equal(t, want, got, "%+v", filter)
}

// Where a conversation is found follows from what happened to it, whether an index
// or a look at its state says so.
func TestListsAgreeWithWhatIsSetForConversations(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s, round := w.listService(), 0
		rapid.Check(t, func(rt *rapid.T) {
			if round++; w.kind == "mysql" && round > 15 {
				return // the same statements, but slower
			}
			users := []chat.ID{w.ids.Next(), w.ids.Next(), w.ids.Next()}
			w.write(func(tx chat.Tx) error {
				for _, id := range users {
					if err := tx.InsertUser(chat.User{Profile: chat.Profile{ID: id, Username: id.String()}, AcceptMessagesFrom: chat.AcceptEveryone}, ""); err != nil {
						return err
					}
				}
				return nil
			})
			me := users[1] // the lower id in one conversation, the higher in another
			all := []*entry{
				{id: w.private(me, users[0]), peerSender: users[0]},
				{id: w.private(me, users[2]), peerSender: users[2]},
				{id: w.group("one", users...), group: true, peerSender: users[0]},
				{id: w.group("two", me, users[0]), group: true, peerSender: users[0]},
			}
			for _, e := range all {
				c, err := w.ConversationFor(context.Background(), e.id, me)
				require.NoError(rt, err)
				e.me, e.activity = me, c.LastActivityAt
			}
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				e := rapid.SampledFrom(all).Draw(rt, "conversation")
				pinned := 0
				for _, other := range all {
					if other.pinned {
						pinned++
					}
				}
				switch rapid.SampledFrom([]string{"send", "send", "patch", "patch", "patch", "clear", "read", "time"}).Draw(rt, "step") {
				case "send":
					e.send(rt, w)
				case "patch":
					e.patch(rt, w, s, pinned)
				case "clear":
					require.NoError(rt, s.ClearConversation(context.Background(), chat.Caller{User: me}, e.id))
					e.cleared, e.archived, e.pinned, e.marked = e.last, false, false, false
				case "read":
					seq := int64(rapid.IntRange(0, int(e.last)).Draw(rt, "seq"))
					state, err := s.MarkRead(context.Background(), chat.Caller{User: me}, e.id, seq)
					require.NoError(rt, err)
					e.read, e.marked = max(e.read, seq), false
					require.Equal(rt, e.unread(), state.UnreadCount)
				case "time":
					w.clock.Add(int64(rapid.IntRange(1, 30).Draw(rt, "passed")))
				}
			}
			checkList(rt, w, me, chat.ConversationFilter{}, all, func(e *entry) bool { return e.shown() && !e.archived })
			checkList(rt, w, me, chat.ConversationFilter{Archived: chat.ArchivedYes}, all, func(e *entry) bool { return e.archived })
			checkList(rt, w, me, chat.ConversationFilter{Archived: chat.ArchivedAny}, all, func(e *entry) bool { return e.shown() })
			checkList(rt, w, me, chat.ConversationFilter{Pinned: true}, all, func(e *entry) bool { return e.pinned })
			checkList(rt, w, me, chat.ConversationFilter{Unread: true}, all, func(e *entry) bool {
				return e.shown() && !e.archived && (e.marked || e.unread() > 0)
			})
		})
	})
}

func TestReadingTakesTheMarkAwayAndSaysSo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		s, caller := w.listService(), chat.Caller{User: users[0]}
		ab := w.private(users[0], users[1])
		w.send(w.toPrivate(ab, users[1], "hi"))
		_, err := s.MarkRead(t.Context(), caller, ab, 1)
		require.NoError(t, err)
		_, err = s.UpdateConversation(t.Context(), caller, ab, chat.ConversationPatch{MarkedUnread: new(true)})
		require.NoError(t, err)
		before := len(w.inbox(users[1]))
		_, err = s.MarkRead(t.Context(), caller, ab, 1)
		require.NoError(t, err)
		events := w.inbox(users[0])
		last := string(events[len(events)-1].Body)
		assert.Contains(t, last, `"type":"conversation.updated"`)
		assert.Contains(t, last, `"marked_unread":false`)
		_, err = s.MarkRead(t.Context(), caller, ab, 1)
		require.NoError(t, err)
		assert.Len(t, w.inbox(users[0]), len(events), "what changes nothing is no news")
		assert.Len(t, w.inbox(users[1]), before, "it is nobody else's business")
		var rows int
		require.NoError(t, w.Pool().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM conversation_state").Scan(&rows))
		assert.Zero(t, rows, "what is so by itself needs no row")
	})
}

func TestOnlyWhoBelongsToAConversationMaySetAnything(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		s, stranger := w.listService(), chat.Caller{User: users[2]}
		for _, id := range []chat.ID{w.private(users[0], users[1]), w.group("two", users[:2]...), w.ids.Next()} {
			_, err := s.UpdateConversation(t.Context(), stranger, id, chat.ConversationPatch{Pinned: new(true)})
			requireCode(t, chat.CodeNotFound, err)
			requireCode(t, chat.CodeNotFound, s.ClearConversation(t.Context(), stranger, id))
			_, err = s.Receipts(t.Context(), stranger, id, 1)
			requireCode(t, chat.CodeNotFound, err)
		}
		caller, past := chat.Caller{User: users[0]}, chat.Time(1)
		for _, patch := range []chat.ConversationPatch{{MutedUntil: &past}, {Pinned: new(true), Archived: new(true)}} {
			_, err := s.UpdateConversation(t.Context(), caller, w.private(users[0], users[1]), patch)
			requireCode(t, chat.CodeValidation, err)
		}
		_, err := s.Conversations(t.Context(), caller, chat.ConversationFilter{Pinned: true, Archived: chat.ArchivedYes}, chat.Page{})
		requireCode(t, chat.CodeValidation, err)
	})
}
