package repo

import (
	"cmp"
	"slices"

	"longwire/chat"
)

// CredentialsByID returns what a password is checked against, of a deleted user too.
func (t *tx) CredentialsByID(id chat.ID) (chat.Credentials, error) {
	return credentialsByID(t.conn, id)
}

// SetPasswordHash stores what the user's password is checked against from now on.
func (t *tx) SetPasswordHash(id chat.ID, hash string) error {
	n, err := t.exec("UPDATE `user` SET password_hash = ? WHERE id = ? AND deleted_at IS NULL", hash, id)
	if err == nil && n == 0 {
		return errNoUser()
	}
	return err
}

// LockSessionsOf returns the live sessions of a user, the oldest first, and
// keeps others from changing them.
func (t *tx) LockSessionsOf(user chat.ID) ([]chat.Session, error) {
	return all(t.conn, scanSession, "SELECT "+sessionColumns+
		" FROM session WHERE user_id = ? AND ended_at IS NULL AND expires_at > ? ORDER BY created_at, id"+t.dialect.forUpdate, user, t.at)
}

// peersOf selects those with whom a user has a private conversation with
// messages, as the lower or the higher of the two, but where one blocks the other.
func peersOf(mine, theirs string) string {
	return "SELECT c." + theirs + " FROM conversation c" +
		" LEFT JOIN `block` a ON a.user_id = c.user_lo AND a.blocked_id = c.user_hi" +
		" LEFT JOIN `block` b ON b.user_id = c.user_hi AND b.blocked_id = c.user_lo" +
		" WHERE c." + mine + " = ? AND c.last_seq > 0 AND a.user_id IS NULL AND b.user_id IS NULL LIMIT ?"
}

// ProfileAudience returns who is told of a user's new profile, friends first.
func (t *tx) ProfileAudience(user chat.ID, limit int) ([]chat.ID, error) {
	audience, err := t.FriendIDs(user, limit)
	if err != nil {
		return nil, err
	}
	known := make(map[chat.ID]bool, len(audience))
	for _, id := range audience {
		known[id] = true
	}
	for _, query := range []string{peersOf("user_lo", "user_hi"), peersOf("user_hi", "user_lo")} {
		peers, err := all(t.conn, scanID, query, user, limit)
		if err != nil {
			return nil, err
		}
		for _, id := range peers {
			if !known[id] && len(audience) < limit {
				audience = append(audience, id)
			}
		}
	}
	return audience, nil
}

// CountIncomingRequests returns how many requests wait for the user's answer.
func (t *tx) CountIncomingRequests(user chat.ID) (int, error) {
	return countIncoming(t.conn, user, t.at)
}

// Friend returns one friend of a user; CodeNotFound when they are no friends.
func (t *tx) Friend(user, friend chat.ID) (chat.Friend, error) {
	return oneFriend(t.conn, user, friend)
}

// RefusingInvites returns which of the users do not want to be added to groups
// by inviter, ascending.
func (t *tx) RefusingInvites(inviter chat.ID, users []chat.ID) ([]chat.ID, error) {
	wanted := slices.Clone(users)
	slices.Sort(wanted)
	var refusing []chat.ID
	text := new(statement)
	for chunk := range slices.Chunk(slices.Compact(wanted), inChunk) {
		text.reset().sql("SELECT u.id FROM `user` u LEFT JOIN friend f ON f.user_id = u.id AND f.friend_id = ").id(inviter).
			sql(" WHERE u.id IN ").ids(chunk).
			sql(" AND (u.accept_group_invites_from = 'nobody' OR u.accept_group_invites_from = 'friends' AND f.user_id IS NULL) ORDER BY u.id")
		some, err := all(t.conn, scanID, string(text.text))
		if err != nil {
			return nil, err
		}
		refusing = append(refusing, some...)
	}
	return refusing, nil
}

// DeleteUser makes an account one of a deleted user.
func (t *tx) DeleteUser(id chat.ID, purgeAt chat.Time) error {
	if err := t.LockUsers(id); err != nil {
		return err
	}
	known, err := userByID(t.conn, id)
	if err != nil {
		return err
	}
	if err := t.raiseVersionsOf(id); err != nil {
		return err
	}
	nobody := string(chat.AcceptNobody)
	_, err = t.exec("UPDATE `user` SET username = ?, username_key = ?, display_name = ?, display_key = '', avatar_url = NULL, status_text = '',"+
		" accept_messages_from = ?, accept_friend_requests_from = ?, accept_group_invites_from = ?, presence_visibility = ?, password_hash = '',"+
		" deleted_at = ?, purge_at = ? WHERE id = ?",
		chat.DeletedUsername, formerKey(known.Username), chat.DeletedDisplayName, nobody, nobody, nobody, string(chat.PresenceToNobody), t.at, purgeAt, id)
	return err
}

// LockUsersEvenDeleted makes concurrent transactions over the same users wait;
// the users may be deleted.
func (t *tx) LockUsersEvenDeleted(ids ...chat.ID) error {
	return t.lockUsers(ids, "")
}

// FriendIDs returns up to limit friends of a user, ascending.
func (t *tx) FriendIDs(user chat.ID, limit int) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT friend_id FROM friend WHERE user_id = ? ORDER BY friend_id LIMIT ?", user, limit)
}

// DeleteFriends ends friendships of a deleted user. The versions of their
// conversations were raised when the user was deleted.
func (t *tx) DeleteFriends(user chat.ID, friends []chat.ID) error {
	err := new(statement).sql("DELETE FROM friend WHERE user_id = ").id(user).sql(" AND friend_id IN ").ids(friends).exec(t.conn)
	if err != nil {
		return err
	}
	return new(statement).sql("DELETE FROM friend WHERE user_id IN ").ids(friends).sql(" AND friend_id = ").id(user).exec(t.conn)
}

// BlockersOf returns up to limit users who block a user, ascending.
func (t *tx) BlockersOf(user chat.ID, limit int) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT user_id FROM `block` WHERE blocked_id = ? ORDER BY user_id LIMIT ?", user, limit)
}

// DeleteBlocksOn removes the blocks of some users on a deleted one.
func (t *tx) DeleteBlocksOn(user chat.ID, blockers []chat.ID) error {
	return new(statement).sql("DELETE FROM `block` WHERE user_id IN ").ids(blockers).sql(" AND blocked_id = ").id(user).exec(t.conn)
}

// Members returns all members of a group, those who joined first before the others.
func (t *tx) Members(group chat.ID) ([]chat.Membership, error) {
	members, err := all(t.conn, func(r row) (m chat.Membership, err error) {
		return m, r.Scan(&m.User, &m.Role, &m.JoinedAt)
	}, "SELECT user_id, role, joined_at FROM group_member WHERE group_id = ?", group)
	slices.SortFunc(members, func(a, b chat.Membership) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.User, b.User))
	})
	return members, err
}

// ownTables hold, by user_id, what belongs to one user and concerns nobody else.
var ownTables = []string{"`block`", "read_position", "remembered_answer", "mention", "hidden_message", "last_seen", "conversation_state", "delivered_position"}

// ClearUser deletes what belongs to a deleted user and concerns nobody else. The
// inbox, which no session can read any more, goes with the retention.
func (t *tx) ClearUser(id chat.ID) error {
	for _, table := range ownTables {
		if _, err := t.exec("DELETE FROM "+table+" WHERE user_id = ?", id); err != nil {
			return err
		}
	}
	return nil
}

// SetPurgeAt says when a deleted user is to be looked at again; nil = never.
func (t *tx) SetPurgeAt(id chat.ID, at *chat.Time) error {
	_, err := t.exec("UPDATE `user` SET purge_at = ? WHERE id = ?", at, id)
	return err
}
