package repo

import (
	"math"

	"longwire/chat"
)

// StateOf returns what a user has set for a locked conversation, and how far
// that has come.
func (t *tx) StateOf(conversation, user chat.ID) (state chat.StoredState, at chat.Standing, err error) {
	at, err = one(t.conn, errNoConversation(), func(r row) (at chat.Standing, err error) {
		return at, r.Scan(&at.LastSeq, &at.LastActivityAt, &state.PinnedAt, &state.MutedUntil, &state.ArchivedSeq, &state.MarkedUnread, &state.ClearedSeq)
	}, "SELECT c.last_seq, c.last_activity_at, s.pinned_at, COALESCE(s.muted_until, 0), s.archived_seq, COALESCE(s.marked_unread, 0), COALESCE(s.cleared_seq, 0)"+
		" FROM conversation c"+joinState+" WHERE c.id = ?", user, conversation)
	return state, at, err
}

// SetState stores what a user has set for a locked conversation, and puts a
// private one where the user finds it then.
func (t *tx) SetState(conversation, user chat.ID, state chat.StoredState, at chat.Standing) error {
	var err error
	if state == (chat.StoredState{}) {
		_, err = t.exec("DELETE FROM conversation_state WHERE user_id = ? AND conversation_id = ?", user, conversation)
	} else {
		_, err = t.exec("INSERT INTO conversation_state (user_id, conversation_id, pinned_at, muted_until, archived_seq, marked_unread, cleared_seq)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?)"+t.dialect.replaceState,
			user, conversation, state.PinnedAt, state.MutedUntil, state.ArchivedSeq, state.MarkedUnread, state.ClearedSeq)
	}
	if err != nil {
		return err
	}
	folder, keptUntil := folderList, chat.Time(0)
	leaves := 0 // 1: the next message makes it appear again, which the audiences that are remembered do not know
	switch {
	case !state.Shown(at):
		folder, leaves = folderNone, 1
	case state.Archived(at):
		folder, keptUntil = folderArchived, state.MutedUntil
	}
	_, err = t.exec("UPDATE conversation SET"+
		" lo_folder = CASE WHEN user_lo = ? THEN ? ELSE lo_folder END, lo_kept_until = CASE WHEN user_lo = ? THEN ? ELSE lo_kept_until END,"+
		" hi_folder = CASE WHEN user_hi = ? THEN ? ELSE hi_folder END, hi_kept_until = CASE WHEN user_hi = ? THEN ? ELSE hi_kept_until END,"+
		" audience_version = audience_version + ? WHERE id = ? AND user_lo IS NOT NULL",
		user, folder, user, keptUntil, user, folder, user, keptUntil, leaves, conversation)
	return err
}

// countUnreadAfter counts others' messages in a locked conversation, so that
// nothing comes after what the caller knows.
func (t *tx) countUnreadAfter(conversation, user chat.ID, after int64) (int64, error) {
	counts, err := countUnread(t.conn, user, map[chat.ID]unreadRun{conversation: {after: after, last: math.MaxInt64}})
	return counts[conversation], err
}

// CountPinned returns how many conversations a locked user has pinned. Pins of
// groups to which the user does not belong any more are taken away: they would
// be counted for ever.
func (t *tx) CountPinned(user chat.ID) (int, error) {
	live, err := byPinning(t.conn, user, entry{id: math.MaxInt64, at: math.MaxInt64}, math.MaxInt32)
	if err != nil {
		return 0, err
	}
	text := new(statement).sql("SELECT conversation_id FROM conversation_state WHERE user_id = ").id(user).sql(" AND pinned_at > 0")
	if len(live) > 0 {
		text.sql(" AND conversation_id NOT IN ").ids(idsOf(live))
	}
	stale, err := all(t.conn, scanID, string(text.text))
	if err != nil || len(stale) == 0 {
		return len(live), err
	}
	// By the primary key: MySQL copies what it changes in the index by which it finds it.
	text.reset().sql("UPDATE conversation_state SET pinned_at = NULL WHERE user_id = ").id(user).sql(" AND conversation_id IN ").ids(stale)
	return len(live), text.exec(t.conn)
}
