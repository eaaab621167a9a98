package repo_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

func refTo(m chat.Message) chat.MessageRef {
	return chat.MessageRef{ConversationID: m.ConversationID, Seq: m.Seq}
}

// edit changes what a message says and tells the users.
func (w *world) edit(ref chat.MessageRef, body string, mentions []chat.ID, users ...chat.ID) chat.Announcement {
	w.t.Helper()
	return w.write(func(tx chat.Tx) error {
		before, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		at := tx.At()
		after := before
		after.Body, after.Mentions, after.EditedAt = body, append([]chat.ID{}, mentions...), &at
		if _, err := tx.EditMessage(before, after); err != nil {
			return err
		}
		return tx.AppendMessage(chat.MessageEdited, after, users...)
	})
}

func (w *world) react(ref chat.MessageRef, user chat.ID, emoji string, on bool) (now []chat.ReactionCount, changed bool) {
	w.t.Helper()
	w.write(func(tx chat.Tx) error {
		message, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		now, changed, err = tx.SetReaction(message, user, emoji, on)
		return err
	})
	return now, changed
}

func (w *world) recall(ref chat.MessageRef, by chat.ID, users ...chat.ID) (announcement chat.Announcement, unpinned bool) {
	w.t.Helper()
	announcement = w.write(func(tx chat.Tx) error {
		message, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		recalled, was, err := tx.RecallMessage(message, by)
		if err != nil {
			return err
		}
		unpinned = was
		return tx.AppendMessage(chat.MessageRecalled, recalled, users...)
	})
	return announcement, unpinned
}

// requireAnnounced requires that what was announced is what the inboxes say.
func (w *world) requireAnnounced(announcement chat.Announcement) {
	w.t.Helper()
	require.NotEmpty(w.t, announcement.Deliveries)
	for _, d := range announcement.Deliveries {
		page, err := w.ReadInbox(w.t.Context(), d.User, d.Seq-1, 1)
		require.NoError(w.t, err)
		require.Len(w.t, page.Events, 1)
		assert.Equal(w.t, string(announcement.Bodies[d.Event]), string(page.Events[0].Body))
	}
}

func TestCustomMessagesAndForwardsAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		conversation := w.private(anna, ben)
		out := w.toPrivate(conversation, anna, "")
		out.Kind, out.Payload = chat.KindCustom, json.RawMessage(`{"ž":12345678901234567890.5,"a":["<&>\u2028"]}`)
		out.ForwardedFrom = &chat.Origin{SenderID: ben, CreatedAt: 7, ConversationID: conversation, Seq: 3}
		plain := w.toPrivate(conversation, ben, "plain")
		outcomes, announcement := w.commit(keyed(out, "k"), plain)
		for _, outcome := range outcomes {
			require.NoError(t, outcome.Err)
		}
		w.requireAnnounced(announcement)
		history, err := w.History(t.Context(), conversation, anna, chat.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		sent := outcomes[0].Message
		sent.Delivery = chat.DeliverySent // which only history tells
		assert.Equal(t, sent, history.Items[0])
		assert.Equal(t, outcomes[1].Message.ForOthers(), history.Items[1])
		assert.NotContains(t, string(announcement.Bodies[len(announcement.Bodies)-1]), "payload", "plain messages do not know of it")

		bad := w.toPrivate(conversation, anna, "x")
		bad.Payload = json.RawMessage("{\"a\":\"\xff\"}")
		outcomes, _ = w.commit(bad, w.toPrivate(conversation, anna, "good"))
		requireCode(t, chat.CodeValidation, outcomes[0].Err)
		require.NoError(t, outcomes[1].Err)
	})
}

func TestEditsAreShownEverywhereAndKeepWhatWasSaid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, cleo := w.user("anna"), w.user("ben"), w.user("cleo")
		group := w.group("g", anna, ben, cleo)
		message := w.send(keyed(w.toGroup(group, anna, "first"), "k"))
		ref := refTo(message)
		w.react(ref, ben, "👍", true)
		announcement := w.edit(ref, "second", nil, anna, ben, cleo)
		w.requireAnnounced(announcement)
		assert.Len(t, announcement.Bodies, 3, "the sender has a key, ben a reaction, cleo neither")
		assert.Empty(t, announcement.Forgotten)
		w.requireAnnounced(w.edit(ref, "third", []chat.ID{ben}, anna, ben, cleo))

		versions, err := w.MessageVersions(t.Context(), ref)
		require.NoError(t, err)
		require.Len(t, versions, 2)
		assert.Equal(t, "first", versions[0].Body)
		assert.Equal(t, message.CreatedAt, versions[0].At)
		assert.Equal(t, "second", versions[1].Body)
		now, err := w.Message(t.Context(), group, ben, message.Seq)
		require.NoError(t, err)
		assert.Equal(t, "third", now.Body)
		assert.Equal(t, []chat.ID{ben}, now.Mentions)
		assert.Equal(t, []chat.Reaction{{Emoji: "👍", Count: 1, Mine: true}}, now.Reactions)
		require.NotNil(t, now.EditedAt)
		events := w.inbox(cleo)
		require.Len(t, events, 3)
		for _, event := range events {
			assert.Contains(t, string(event.Body), `"body":"third"`, "who reads later sees what it says now")
			assert.Contains(t, string(event.Body), `"mine":false`)
		}
		conversation, err := w.ConversationFor(t.Context(), group, ben)
		require.NoError(t, err)
		assert.Equal(t, &now, conversation.LastMessage)
	})
}

func TestMentionsUnreadFollowsEditsRecallsAndReading(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, cleo := w.user("anna"), w.user("ben"), w.user("cleo")
		group := w.group("g", anna, ben, cleo)
		unread := func(user chat.ID) int64 {
			t.Helper()
			conversation, err := w.ConversationFor(t.Context(), group, user)
			require.NoError(t, err)
			return conversation.MentionsUnread
		}
		mentioning := func(body string, users ...chat.ID) chat.Outgoing {
			out := w.toGroup(group, anna, body)
			out.Mentions = users
			return out
		}
		outcomes, _ := w.commit(mentioning("1", ben), w.toGroup(group, anna, "2"), mentioning("3", anna, ben, cleo))
		assert.EqualValues(t, 2, unread(ben))
		assert.EqualValues(t, 1, unread(cleo))
		assert.Zero(t, unread(anna), "who mentions themselves need not be told")
		w.edit(refTo(outcomes[1].Message), "2", []chat.ID{cleo}, anna, ben, cleo)
		w.edit(refTo(outcomes[0].Message), "1", []chat.ID{cleo}, anna, ben, cleo)
		assert.EqualValues(t, 1, unread(ben))
		assert.EqualValues(t, 3, unread(cleo))
		w.recall(refTo(outcomes[2].Message), anna, anna, ben, cleo)
		assert.Zero(t, unread(ben))
		assert.EqualValues(t, 2, unread(cleo))
		w.write(func(tx chat.Tx) error {
			_, err := tx.SetReadSeq(group, cleo, 1)
			require.NoError(t, err)
			state, err := tx.ReadStateOf(group, cleo)
			assert.Equal(t, chat.ReadState{ConversationID: group, ReadSeq: 1, UnreadCount: 2, MentionsUnread: 1, LastSeq: 3}, state)
			return err
		})
		assert.EqualValues(t, 1, unread(cleo))
	})
}

func TestReactionCountsAgreeWithWhoReacted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, cleo := w.user("anna"), w.user("ben"), w.user("cleo")
		group := w.group("g", anna, ben, cleo)
		ref := refTo(w.send(w.toGroup(group, anna, "x")))
		now, changed := w.react(ref, ben, "👍", false)
		assert.False(t, changed)
		assert.Empty(t, now)
		for _, user := range []chat.ID{anna, ben, ben, cleo} {
			now, changed = w.react(ref, user, "👍", true)
		}
		assert.True(t, changed)
		assert.Equal(t, []chat.ReactionCount{{Emoji: "👍", Count: 3}}, now)
		_, changed = w.react(ref, cleo, "👍", true)
		assert.False(t, changed)
		w.react(ref, ben, "👍🏽", true)
		now, changed = w.react(ref, anna, "👍", false)
		assert.True(t, changed)
		assert.Equal(t, []chat.ReactionCount{{Emoji: "👍", Count: 2}, {Emoji: "👍🏽", Count: 1}}, now)

		var all []chat.Reactor
		for page := (chat.Page{Limit: 1}); ; {
			part, err := w.Reactors(t.Context(), ref, page)
			require.NoError(t, err)
			all = append(all, part.Items...)
			if part.Next == nil {
				break
			}
			page.After = *part.Next
		}
		require.Len(t, all, 3)
		assert.Equal(t, "ben", all[0].User.Username)
		assert.Equal(t, "cleo", all[2].User.Username)
		_, err := w.Reactors(t.Context(), ref, chat.Page{Limit: 1, After: "x"})
		requireCode(t, chat.CodeValidation, err)

		now, _ = w.react(ref, ben, "👍🏽", false)
		assert.Len(t, now, 1)
		w.react(ref, ben, "👍", false)
		w.react(ref, cleo, "👍", false)
		message, err := w.Message(t.Context(), group, ben, ref.Seq)
		require.NoError(t, err)
		assert.Nil(t, message.Reactions)
	})
}

func TestMessagesDeletedForMeAreEmptyForMeAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben := w.user("anna"), w.user("ben")
		conversation := w.private(anna, ben)
		w.send(w.toPrivate(conversation, anna, "stays"))
		ref := refTo(w.send(w.toPrivate(conversation, anna, "goes")))
		for i := range 2 {
			w.write(func(tx chat.Tx) error {
				changed, err := tx.HideMessage(ref, ben)
				assert.Equal(t, i == 0, changed)
				return err
			})
		}
		for user, body := range map[chat.ID]string{anna: "goes", ben: ""} {
			history, err := w.History(t.Context(), conversation, user, chat.HistoryQuery{Limit: 10})
			require.NoError(t, err)
			require.Len(t, history.Items, 2, "numbers have no gap")
			assert.Equal(t, "stays", history.Items[0].Body)
			assert.Equal(t, body, history.Items[1].Body)
			assert.Equal(t, user == ben, history.Items[1].Deleted)
			seen, err := w.ConversationFor(t.Context(), conversation, user)
			require.NoError(t, err)
			assert.Equal(t, body, seen.LastMessage.Body)
		}
		announcement := w.edit(ref, "comes back?", nil, anna, ben)
		w.requireAnnounced(announcement)
		events := w.inbox(ben)
		assert.NotContains(t, string(events[len(events)-1].Body), "comes back?")
		assert.Contains(t, string(events[len(events)-1].Body), `"deleted":true`)
		events = w.inbox(anna)
		assert.Contains(t, string(events[len(events)-1].Body), "comes back?")
	})
}

func TestPinsAreListedTheLastPinnedFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, stranger := w.user("anna"), w.user("ben"), w.user("stranger")
		conversation := w.private(anna, ben)
		var refs []chat.MessageRef
		for i := range 3 {
			refs = append(refs, refTo(w.send(w.toPrivate(conversation, anna, fmt.Sprint(i)))))
		}
		for _, i := range []int{1, 0, 2, 0} {
			w.write(func(tx chat.Tx) error { _, err := tx.SetPin(refs[i], ben, true); return err })
		}
		w.write(func(tx chat.Tx) error {
			changed, err := tx.SetPin(refs[1], anna, false)
			assert.True(t, changed)
			return err
		})
		pins, err := w.Pins(t.Context(), conversation, anna)
		require.NoError(t, err)
		require.Len(t, pins, 2)
		assert.Equal(t, "2", pins[0].Message.Body)
		assert.Equal(t, "0", pins[1].Message.Body)
		assert.Equal(t, ben, pins[0].PinnedBy)
		_, err = w.Pins(t.Context(), conversation, stranger)
		requireCode(t, chat.CodeNotFound, err)
		_, unpinned := w.recall(refs[2], anna, anna, ben)
		assert.True(t, unpinned)
		_, unpinned = w.recall(refs[1], anna, anna, ben)
		assert.False(t, unpinned)
	})
}

const secret = "žluťoučký secret"

// tables lists every table with its columns.
func (w *world) tables() map[string][]string {
	w.t.Helper()
	query := "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
	if w.kind == "sqlite" {
		query = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
	}
	rows, err := w.Pool().QueryContext(w.t.Context(), query)
	require.NoError(w.t, err)
	defer rows.Close()
	tables := map[string][]string{}
	for rows.Next() {
		var table, column string
		require.NoError(w.t, rows.Scan(&table, &column))
		tables[table] = append(tables[table], column)
	}
	require.NoError(w.t, rows.Err())
	return tables
}

// places returns the tables and columns that have a text anywhere.
func (w *world) places(text string) (found []string) {
	w.t.Helper()
	for table, columns := range w.tables() {
		for _, column := range columns {
			var n int
			quoted := "`" + column + "`"
			query := "SELECT COUNT(*) FROM `" + table + "` WHERE INSTR(CAST(" + quoted + " AS CHAR), ?) > 0"
			if w.kind == "sqlite" {
				query = "SELECT COUNT(*) FROM `" + table + "` WHERE INSTR(CAST(" + quoted + " AS TEXT), ?) > 0"
			}
			require.NoError(w.t, w.Pool().QueryRowContext(w.t.Context(), query, text).Scan(&n), "%s.%s", table, column)
			if n > 0 {
				found = append(found, table+"."+column)
			}
		}
	}
	return found
}

func TestRecalledTextIsInNoTable(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, cleo := w.user("anna"), w.user("ben"), w.user("cleo")
		group := w.group("g", anna, ben, cleo)
		out := w.toGroup(group, anna, secret+" 1")
		out.Kind, out.Payload, out.Mentions = chat.KindCustom, json.RawMessage(`{"x":"`+secret+`"}`), []chat.ID{ben}
		out.ForwardedFrom = &chat.Origin{SenderID: ben, CreatedAt: 7}
		sent := keyed(out, "k")
		message := w.send(sent)
		ref := refTo(message)
		w.edit(ref, secret+" 2", []chat.ID{ben, cleo}, anna, ben, cleo)
		w.react(ref, ben, "👍", true)
		w.write(func(tx chat.Tx) error { _, err := tx.SetPin(ref, anna, true); return err })
		require.Contains(t, w.places(secret), "chat_history.body", "the search finds what is there")
		require.Contains(t, w.places(secret), "message_version.body")

		announcement, unpinned := w.recall(ref, ben, anna, ben, cleo)
		assert.True(t, unpinned)
		assert.Empty(t, w.places(secret))
		w.requireAnnounced(announcement)
		for _, body := range announcement.Bodies {
			assert.NotContains(t, string(body), secret)
		}
		for _, user := range []chat.ID{anna, ben, cleo} {
			for _, event := range w.inbox(user) {
				assert.NotContains(t, string(event.Body), secret)
				assert.Contains(t, string(event.Body), `"recalled":true`)
			}
		}
		now, err := w.Message(t.Context(), group, anna, ref.Seq)
		require.NoError(t, err)
		assert.Equal(t, chat.Message{
			ConversationID: group, Seq: ref.Seq, SenderID: anna, Kind: chat.KindCustom, Mentions: []chat.ID{}, CreatedAt: message.CreatedAt,
			Recalled: true, RecalledBy: ben, IdempotencyKey: "k",
		}, now)

		// Whoever sends it again under the key gets what is left, and makes no other.
		outcomes, _ := w.commit(sent)
		require.NoError(t, outcomes[0].Err)
		assert.True(t, outcomes[0].Replayed)
		assert.Equal(t, now, outcomes[0].Message)
	})
}

func TestCopiesOfInboxesAreForgottenWithARecallAndWhenSomebodyLeaves(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		anna, ben, cleo := w.user("anna"), w.user("ben"), w.user("cleo")
		group := w.group("g", anna, ben, cleo)
		first, second := w.send(w.toGroup(group, anna, "1")), w.send(w.toGroup(group, anna, "2"))
		forgotten := func(user chat.ID) int64 {
			t.Helper()
			head, err := w.InboxHead(t.Context(), user)
			require.NoError(t, err)
			page, err := w.ReadInbox(t.Context(), user, 0, 1)
			require.NoError(t, err)
			assert.Equal(t, head, page.Head, "both ways tell the same")
			return head.Forgotten
		}
		assert.Zero(t, forgotten(cleo))
		announcement := w.write(func(tx chat.Tx) error {
			if err := tx.DeleteMember(group, cleo); err != nil {
				return err
			}
			return tx.Append(chat.MemberLeft, chat.MemberLeftData{GroupID: group, UserID: cleo}, anna, ben, cleo)
		})
		assert.Equal(t, []chat.Forgotten{{User: cleo, Seq: 3}}, announcement.Forgotten)
		assert.EqualValues(t, 3, forgotten(cleo), "she would not hear of what is recalled from now on")
		assert.Zero(t, forgotten(ben))
		announcement, _ = w.recall(refTo(first), anna, anna, ben)
		assert.Equal(t, []chat.Forgotten{{User: anna, Seq: 4}, {User: ben, Seq: 4}}, announcement.Forgotten)
		assert.EqualValues(t, 4, forgotten(ben))
		w.recall(refTo(second), anna, anna, ben)
		assert.EqualValues(t, 5, forgotten(anna))
		assert.Contains(t, string(w.inbox(cleo)[0].Body), `"recalled":true`)
		assert.NotContains(t, string(w.inbox(cleo)[1].Body), `"body":"2"`)
	})
}
