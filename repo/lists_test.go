package repo_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// pages reads a whole list by pages of the given size.
func pages[T any](t *testing.T, size int, read func(ctx context.Context, page chat.Page) (chat.List[T], error)) []T {
	t.Helper()
	var items []T
	page := chat.Page{Limit: size}
	for {
		part, err := read(t.Context(), page)
		require.NoError(t, err)
		require.NotNil(t, part.Items, "an empty list is [] in JSON")
		require.LessOrEqual(t, len(part.Items), size)
		items = append(items, part.Items...)
		if part.Next == nil {
			return items
		}
		page.After = *part.Next
	}
}

// agree checks that a list is the same in pages of any size, and that it
// refuses what is no place in it; it returns the list.
func agree[T any](t *testing.T, read func(ctx context.Context, page chat.Page) (chat.List[T], error)) []T {
	t.Helper()
	whole := pages(t, 100, read)
	for _, size := range []int{1, 2, 3, 7} {
		require.Equal(t, whole, pages(t, size, read))
	}
	for _, bad := range []string{
		"x", "!!", "AAAA", base64.RawURLEncoding.EncodeToString([]byte("z.1.x")), base64.RawURLEncoding.EncodeToString([]byte("f.1")),
		base64.RawURLEncoding.EncodeToString([]byte("r.x.")), strings.Repeat("A", 5000),
	} {
		_, err := read(t.Context(), chat.Page{Limit: 5, After: bad})
		requireCode(t, chat.CodeValidation, err)
		require.Equal(t, "after", chat.AsError(err).Fields[0].Field)
	}
	return whole
}

func TestUsersAreFoundByUsernameThenByDisplayName(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		add := func(username, display string) {
			w.write(func(tx chat.Tx) error {
				return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: username, DisplayName: display}}, "")
			})
		}
		add("anna", "Zoe")
		add("Annabel", "Annabel") // found by both, listed once
		add("bert", "ANNA Q")
		add("carl", "anna-lena")
		add("dora", "Hannah")
		add("an_a", "100%")
		add("emil", "Ännchen 🙂")
		for i := range 9 {
			add(fmt.Sprint("annex", i), "Annex")
		}
		find := func(prefix string) (names []string) {
			for _, p := range agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Profile], error) {
				return w.FindUsers(ctx, 1, prefix, page)
			}) {
				names = append(names, p.Username)
			}
			return names
		}
		assert.Equal(t, []string{
			"anna", "Annabel", "annex0", "annex1", "annex2", "annex3", "annex4", "annex5", "annex6", "annex7", "annex8", "bert", "carl",
		}, find("aNN"))
		assert.Equal(t, []string{"emil"}, find("äNNCHEN 🙂"))
		assert.Equal(t, []string{"an_a"}, find("an_"))
		assert.Equal(t, []string{"an_a"}, find("100%"))
		assert.Empty(t, find("%"))
		assert.Empty(t, find("x' OR 1=1 -- "))
		assert.Len(t, find(""), 16)
	})
}

func TestFindUsersGoesPastManyWhoWereFoundAlready(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.write(func(tx chat.Tx) error {
			for i := range 450 {
				name := fmt.Sprintf("zed%03d", i)
				if err := tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: name, DisplayName: name}}, ""); err != nil {
					return err
				}
			}
			return tx.InsertUser(chat.User{Profile: chat.Profile{ID: w.ids.Next(), Username: "anna", DisplayName: "Zedx"}}, "")
		})
		found := pages(t, 99, func(ctx context.Context, page chat.Page) (chat.List[chat.Profile], error) {
			return w.FindUsers(ctx, 1, "zed", page)
		})
		require.Len(t, found, 451)
		assert.Equal(t, "anna", found[450].Username)
	})
}

func TestDirectoryHasLivePublicGroupsByName(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		for _, name := range []string{"Go", "golf", "Gold", "chess", "GOLF", "Ärger", "g%"} {
			w.group(name, users[0])
		}
		secret, gone := w.group("gossip", users[0]), w.group("gone", users...)
		w.write(func(tx chat.Tx) error {
			g, err := tx.LockGroup(secret)
			if err != nil {
				return err
			}
			g.Visibility = chat.VisibilityPrivate
			if err := tx.UpdateGroup(g); err != nil {
				return err
			}
			return tx.DissolveGroup(gone)
		})
		find := func(viewer chat.ID, query string) (names []string) {
			for _, g := range agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Group], error) {
				return w.FindGroups(ctx, viewer, query, page)
			}) {
				names = append(names, g.Name)
				assert.Equal(t, viewer == users[0], g.MyRole != nil)
			}
			return names
		}
		assert.Equal(t, []string{"Go", "Gold", "golf", "GOLF"}, find(users[0], "GO"))
		assert.Equal(t, []string{"g%"}, find(users[1], "g%"))
		assert.Equal(t, []string{"chess", "g%", "Go", "Gold", "golf", "GOLF", "Ärger"}, find(users[1], ""))
	})
}

func TestListsOfPeople(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(9)
		me := users[4]
		others := slices.Concat(users[:4], users[5:])
		w.write(func(tx chat.Tx) error {
			for _, other := range others {
				if err := tx.InsertFriendship(w.ids.Next(), me, other); err != nil {
					return err
				}
				if _, err := tx.SetBlock(other, me, true); err != nil {
					return err
				}
				if _, err := tx.SetBlock(me, other, true); err != nil {
					return err
				}
				if _, err := tx.InsertFriendRequest(w.ids.Next(), other, me, "in", tx.At()+1_000_000); err != nil {
					return err
				}
				if _, err := tx.InsertFriendRequest(w.ids.Next(), me, other, "out", tx.At()+1_000_000); err != nil {
					return err
				}
			}
			return nil
		})
		friends := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Friend], error) {
			return w.Friends(ctx, me, page)
		})
		blocks := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Block], error) {
			return w.Blocks(ctx, me, page)
		})
		require.Len(t, friends, 8)
		require.Len(t, blocks, 8)
		for i, other := range others {
			assert.Equal(t, other, friends[i].User.ID)
			assert.Equal(t, other, blocks[i].User.ID)
		}
		incoming := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.FriendRequest], error) {
			return w.FriendRequests(ctx, me, chat.DirectionIncoming, w.now(), page)
		})
		outgoing := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.FriendRequest], error) {
			return w.FriendRequests(ctx, me, chat.DirectionOutgoing, w.now(), page)
		})
		require.Len(t, incoming, 8)
		require.Len(t, outgoing, 8)
		for i, other := range slices.Backward(others) { // newest first
			assert.Equal(t, other, incoming[7-i].From.ID)
			assert.Equal(t, other, outgoing[7-i].To.ID)
		}
	})
}

func TestListsOfGroups(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(9)
		big := w.group("big", users...)
		groups := []chat.ID{big}
		for i := range 6 {
			groups = append(groups, w.group(fmt.Sprint(i), users[8], users[1]))
		}
		mine := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Group], error) {
			return w.GroupsOf(ctx, users[1], page)
		})
		require.Len(t, mine, 7)
		for i, id := range groups {
			assert.Equal(t, id, mine[i].ID)
			assert.Equal(t, chat.RoleMember, *mine[i].MyRole)
		}
		members := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Member], error) {
			return w.GroupMembers(ctx, big, page)
		})
		require.Len(t, members, 9)
		for i, id := range users {
			assert.Equal(t, id, members[i].User.ID)
		}
		for i := range users { // the last first, two at a time
			w.write(func(tx chat.Tx) error {
				return tx.InsertJoinRequest(groups[1], users[8-i], "please")
			})
			w.clock.Add(int64(-(i % 2)))
		}
		waiting := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.JoinRequest], error) {
			return w.JoinRequests(ctx, groups[1], page)
		})
		require.Len(t, waiting, 9)
		assert.True(t, slices.IsSortedFunc(waiting, func(a, b chat.JoinRequest) int { return int(a.CreatedAt - b.CreatedAt) }))
		assert.Equal(t, groups[1], waiting[0].GroupID)
		assert.Equal(t, "please", waiting[0].Note)
		for _, group := range groups[2:] {
			w.write(func(tx chat.Tx) error { return tx.InsertJoinRequest(group, users[8], "") })
		}
		own := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.JoinRequest], error) {
			return w.JoinRequestsOf(ctx, users[8], page)
		})
		require.Len(t, own, 6)
		for i, id := range groups[1:] {
			assert.Equal(t, id, own[i].GroupID)
		}
	})
}

func TestConversationsByLastActivity(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(12)
		me := users[5]
		silent := w.group("silent", me, users[0])
		talking := w.group("talking", users[0], me)
		w.private(me, users[11]) // without a message: not listed
		w.group("others", users[0], users[1])
		var want []chat.ID
		for _, other := range slices.Concat(users[:5], users[6:10]) {
			ab := w.private(me, other)
			w.send(w.toPrivate(ab, other, "hi from "+other.String()))
			w.send(keyed(w.toPrivate(ab, me, "hi back"), "key "+other.String()))
			want = append(want, ab)
		}
		w.send(w.toGroup(talking, me, "one"))
		w.send(w.toGroup(talking, users[0], "two"))
		w.send(w.toGroup(talking, users[0], "three"))
		w.write(func(tx chat.Tx) error { _, err := tx.SetReadSeq(want[0], me, 1); return err })
		w.write(func(tx chat.Tx) error { _, err := tx.SetReadSeq(want[0], users[0], 2); return err })
		slices.Reverse(want)
		want = append([]chat.ID{talking}, want...)
		want = append(want, silent)

		list := agree(t, func(ctx context.Context, page chat.Page) (chat.List[chat.Conversation], error) {
			return w.Conversations(ctx, me, chat.ConversationFilter{}, page)
		})
		var got []chat.ID
		for _, c := range list {
			got = append(got, c.ID)
		}
		require.Equal(t, want, got)

		group, private, quiet := list[0], list[9], list[10]
		assert.Equal(t, "talking", group.Group.Name)
		assert.Equal(t, chat.RoleMember, *group.Group.MyRole)
		assert.Nil(t, group.Peer)
		assert.Nil(t, group.PeerReadSeq)
		assert.Equal(t, "three", group.LastMessage.Body)
		assert.Equal(t, int64(3), group.LastSeq)
		assert.Equal(t, int64(2), group.UnreadCount, "own messages are not unread")
		assert.Equal(t, group.LastMessage.CreatedAt, group.LastActivityAt)

		assert.Equal(t, users[0], private.Peer.ID)
		assert.Equal(t, int64(1), private.ReadSeq)
		assert.Equal(t, int64(2), *private.PeerReadSeq)
		assert.Zero(t, private.UnreadCount)
		assert.NotEmpty(t, private.LastMessage.IdempotencyKey, "it is mine")
		assert.Nil(t, private.Group)

		assert.Nil(t, quiet.LastMessage)
		assert.Zero(t, quiet.LastSeq)

		one, err := w.ConversationFor(t.Context(), private.ID, users[0])
		require.NoError(t, err)
		assert.Equal(t, me, one.Peer.ID)
		assert.Empty(t, one.LastMessage.IdempotencyKey, "it is not theirs")
		assert.Zero(t, one.UnreadCount)
		assert.Equal(t, int64(1), *one.PeerReadSeq)
		_, err = w.ConversationFor(t.Context(), private.ID, users[1])
		requireCode(t, chat.CodeNotFound, err)
		_, err = w.ConversationFor(t.Context(), 1, users[1])
		requireCode(t, chat.CodeNotFound, err)
	})
}

func TestUnreadCountsOthersMessagesAndStopsSomewhere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(2)
		ab := w.private(users[0], users[1])
		var messages []chat.Outgoing
		for i := range 10 {
			messages = append(messages, w.toPrivate(ab, users[i%2], fmt.Sprint(i)))
		}
		w.commit(messages...)
		for seq, want := range map[int64]int64{0: 5, 1: 5, 2: 4, 9: 1, 10: 0} {
			w.write(func(tx chat.Tx) error {
				unread, err := tx.SetReadSeq(ab, users[0], seq)
				assert.Equal(t, want, unread)
				if err != nil {
					return err
				}
				stored, err := tx.ReadSeq(ab, users[0])
				assert.Equal(t, seq, stored)
				return err
			})
		}
		w.write(func(tx chat.Tx) error {
			stored, err := tx.ReadSeq(ab, users[1])
			assert.Zero(t, stored)
			return err
		})
	})
}

func TestHistoryIsAscendingAndKnowsWhetherThereIsMore(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		users := w.users(3)
		group := w.group("talk", users[:2]...)
		read := func(query chat.HistoryQuery) (seqs []int64, before, after bool) {
			t.Helper()
			history, err := w.History(t.Context(), group, users[0], query)
			require.NoError(t, err)
			require.NotNil(t, history.Items)
			for _, m := range history.Items {
				seqs = append(seqs, m.Seq)
			}
			return seqs, history.HasMoreBefore, history.HasMoreAfter
		}
		seqs, before, after := read(chat.HistoryQuery{Limit: 5})
		assert.Empty(t, seqs)
		assert.False(t, before || after)
		for i := range 10 {
			w.send(w.toGroup(group, users[i%2], fmt.Sprint(i)))
		}
		at := func(n int64) *int64 { return &n }
		for _, c := range []struct {
			query         chat.HistoryQuery
			first, last   int64
			before, after bool
		}{
			{chat.HistoryQuery{Limit: 3}, 8, 10, true, false},
			{chat.HistoryQuery{Limit: 10}, 1, 10, false, false},
			{chat.HistoryQuery{Limit: 99}, 1, 10, false, false},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(5)}, 2, 4, true, true},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(4)}, 1, 3, false, true},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(1)}, 1, 0, false, true},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(0)}, 1, 0, false, true},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(11)}, 8, 10, true, false},
			{chat.HistoryQuery{Limit: 3, BeforeSeq: at(99)}, 8, 10, true, false},
			{chat.HistoryQuery{Limit: 3, AfterSeq: at(0)}, 1, 3, false, true},
			{chat.HistoryQuery{Limit: 3, AfterSeq: at(6)}, 7, 9, true, true},
			{chat.HistoryQuery{Limit: 3, AfterSeq: at(7)}, 8, 10, true, false},
			{chat.HistoryQuery{Limit: 3, AfterSeq: at(10)}, 11, 10, true, false},
			{chat.HistoryQuery{Limit: 3, AfterSeq: at(99)}, 11, 10, true, false},
			{chat.HistoryQuery{Limit: 4, AroundSeq: at(5)}, 3, 6, true, true},
			{chat.HistoryQuery{Limit: 3, AroundSeq: at(5)}, 4, 6, true, true},
			{chat.HistoryQuery{Limit: 1, AroundSeq: at(5)}, 5, 5, true, true},
			{chat.HistoryQuery{Limit: 4, AroundSeq: at(1)}, 1, 4, false, true},
			{chat.HistoryQuery{Limit: 4, AroundSeq: at(10)}, 7, 10, true, false},
			{chat.HistoryQuery{Limit: 4, AroundSeq: at(99)}, 7, 10, true, false},
			{chat.HistoryQuery{Limit: 40, AroundSeq: at(5)}, 1, 10, false, false},
		} {
			seqs, before, after := read(c.query)
			var want []int64
			for seq := c.first; seq <= c.last; seq++ {
				want = append(want, seq)
			}
			assert.Equal(t, want, seqs, "%+v", c)
			assert.Equal(t, c.before, before, "%+v", c)
			assert.Equal(t, c.after, after, "%+v", c)
		}
		_, err := w.History(t.Context(), group, users[2], chat.HistoryQuery{Limit: 1})
		requireCode(t, chat.CodeNotFound, err)
	})
}
