package repo

import (
	"errors"
	"slices"
	"strconv"

	"longwire/chat"
)

// InsertUser adds a user with an empty inbox; CodeUsernameTaken when the name
// exists in any case.
func (t *tx) InsertUser(user chat.User, passwordHash string) error {
	_, err := t.exec("INSERT INTO `user` (id, username, username_key, display_name, display_key, avatar_url, status_text,"+
		" accept_messages_from, accept_friend_requests_from, accept_group_invites_from, password_hash, created_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", user.ID, user.Username, fold(user.Username), user.DisplayName, fold(user.DisplayName),
		user.AvatarURL, user.StatusText, string(user.AcceptMessagesFrom), string(user.AcceptFriendRequestsFrom),
		string(user.AcceptGroupInvitesFrom), passwordHash, user.CreatedAt)
	if errors.Is(err, errDuplicate) {
		if _, missing := userByName(t.conn, user.Username); missing == nil {
			return errUsernameTaken()
		}
		return chat.Conflict("This user could not be added. Try again.") // the id was there
	}
	if err != nil {
		return err
	}
	// Looked up after the insert, which has waited for whoever is deleting the account that had the name.
	_, err = one(t.conn, errNoUser(), scanID, "SELECT id FROM `user` WHERE username_key = ?", formerKey(user.Username))
	if err == nil {
		return errUsernameTaken()
	}
	if chat.CodeOf(err) != chat.CodeNotFound {
		return err
	}
	_, err = t.exec("INSERT INTO inbox_head (user_id, seq, pruned) VALUES (?, 0, 0)", user.ID)
	return err
}

func errUsernameTaken() error {
	return &chat.Error{Code: chat.CodeUsernameTaken, Detail: "This username is taken. Choose another."}
}

// LockUsers makes concurrent transactions over the same users wait.
// CodeNotFound when one of them does not exist or is deleted.
func (t *tx) LockUsers(ids ...chat.ID) error {
	return t.lockUsers(ids, " AND deleted_at IS NULL")
}

func (t *tx) lockUsers(ids []chat.ID, condition string) error {
	wanted := slices.DeleteFunc(slices.Clone(ids), func(id chat.ID) bool { return t.locked[id] })
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	for chunk := range slices.Chunk(wanted, inChunk) {
		text := new(statement).sql("SELECT id FROM `user` WHERE id IN ").ids(chunk).sql(condition + " ORDER BY id" + t.dialect.forUpdate)
		found := 0
		err := text.each(t.conn, func(r row) error {
			id, err := scanID(r)
			t.locked[id] = true
			found++
			return err
		})
		if err != nil {
			return err
		}
		if found < len(chunk) {
			return errNoUser()
		}
	}
	return nil
}

// UserByID returns a user, CodeNotFound when there is none.
func (t *tx) UserByID(id chat.ID) (chat.User, error) {
	return userByID(t.conn, id)
}

// UpdateUser stores profile and acceptances. The username stays.
func (t *tx) UpdateUser(user chat.User) error {
	if err := t.LockUsers(user.ID); err != nil {
		return err
	}
	before, err := userByID(t.conn, user.ID)
	if err != nil {
		return err
	}
	if before.AcceptMessagesFrom != user.AcceptMessagesFrom {
		if err := t.raiseVersionsOf(user.ID); err != nil {
			return err
		}
	}
	_, err = t.exec("UPDATE `user` SET display_name = ?, display_key = ?, avatar_url = ?, status_text = ?, accept_messages_from = ?,"+
		" accept_friend_requests_from = ?, accept_group_invites_from = ?, presence_visibility = ? WHERE id = ?",
		user.DisplayName, fold(user.DisplayName), user.AvatarURL, user.StatusText, string(user.AcceptMessagesFrom),
		string(user.AcceptFriendRequestsFrom), string(user.AcceptGroupInvitesFrom), string(user.PresenceVisibility), user.ID)
	return err
}

// raiseVersionsOf prepares a change of who may send to a user.
func (t *tx) raiseVersionsOf(user chat.ID) error {
	ids, err := all(t.conn, scanID, "SELECT id FROM conversation WHERE user_lo = ? UNION ALL SELECT id FROM conversation WHERE user_hi = ?", user, user)
	if err != nil {
		return err
	}
	return raiseVersions(t.conn, ids)
}

// InsertSession adds a session whose saved position is where the inbox stands
// when the transaction has committed.
func (t *tx) InsertSession(session chat.Session) error {
	stands, err := one(t.conn, errNoUser(), scanInt, "SELECT seq FROM inbox_head WHERE user_id = ?", session.UserID)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO session (id, user_id, device_name, created_at, last_seen_at, expires_at, ended_at, refresh_generation, saved_seq, address, user_agent)"+
		" VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)", session.ID, session.UserID, session.DeviceName, session.CreatedAt,
		session.LastSeenAt, session.ExpiresAt, session.RefreshGeneration, stands, session.Address, session.UserAgent)
	t.begun = append(t.begun, chat.SessionRef{User: session.UserID, Session: session.ID})
	return err
}

// LockSession returns a session, live or not, and keeps others from changing it.
func (t *tx) LockSession(id chat.ID) (chat.Session, error) {
	return sessionByID(t.conn, id, t.dialect.forUpdate)
}

// SetRefreshGeneration stores the newest refresh token's generation, when the
// session was seen, and until when it lives.
func (t *tx) SetRefreshGeneration(session chat.ID, generation int64, expiresAt chat.Time) error {
	n, err := t.exec("UPDATE session SET refresh_generation = ?, last_seen_at = ?, expires_at = ? WHERE id = ?", generation, t.at, expiresAt, session)
	if err == nil && n == 0 {
		return errNoSession()
	}
	return err
}

// EndSession ends a session and notes it for the announcement. CodeNotFound
// when the user has no such session or it has ended already.
func (t *tx) EndSession(ref chat.SessionRef) error {
	n, err := t.exec("UPDATE session SET ended_at = ? WHERE id = ? AND user_id = ? AND ended_at IS NULL", t.at, ref.Session, ref.User)
	if err != nil {
		return err
	}
	if n == 0 {
		return errNoSession()
	}
	t.ended = append(t.ended, ref)
	return nil
}

// RelationOf returns what decides between two users, seen from the first.
func (t *tx) RelationOf(user, peer chat.ID) (chat.Relation, error) {
	return relation(t.conn, user, peer)
}

// PendingFriendRequest returns the open request of one user to another,
// CodeNotFound when there is none.
func (t *tx) PendingFriendRequest(from, to chat.ID) (chat.FriendRequest, error) {
	return friendRequest(t.conn, "r.pending_key = ?", pendingKey(from, to))
}

// FriendRequestByID returns a request in any state, CodeNotFound when there is none.
func (t *tx) FriendRequestByID(id chat.ID) (chat.FriendRequest, error) {
	return friendRequest(t.conn, "r.id = ?", id)
}

// InsertFriendRequest adds a pending request; CodeConflict when there is one already.
func (t *tx) InsertFriendRequest(id, from, to chat.ID, note string, expiresAt chat.Time) (chat.FriendRequest, error) {
	_, err := t.exec("INSERT INTO friend_request (id, from_id, to_id, note, state, pending_key, created_at, updated_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		id, from, to, note, string(chat.RequestPending), pendingKey(from, to), t.at, t.at, expiresAt)
	if errors.Is(err, errDuplicate) {
		return chat.FriendRequest{}, chat.Conflict("There is an open request already.")
	}
	if err != nil {
		return chat.FriendRequest{}, err
	}
	return friendRequest(t.conn, "r.id = ?", id)
}

// SetFriendRequestState gives a pending request another state; CodeConflict
// when it is not pending any more.
func (t *tx) SetFriendRequestState(id chat.ID, state chat.RequestState) error {
	n, err := t.exec("UPDATE friend_request SET state = ?, pending_key = NULL, updated_at = ? WHERE id = ? AND state = ?",
		string(state), t.at, id, string(chat.RequestPending))
	if err == nil && n == 0 {
		if _, err := friendRequest(t.conn, "r.id = ?", id); err != nil {
			return err
		}
		return chat.Conflict("This request has been answered already.")
	}
	return err
}

// InsertFriendship makes two users friends, with a conversation that is added
// under the given id when they have none. CodeAlreadyFriends when they are.
func (t *tx) InsertFriendship(conversation, a, b chat.ID) error {
	id, err := t.EnsurePrivateConversation(conversation, a, b)
	if err != nil {
		return err
	}
	if err := raiseVersions(t.conn, []chat.ID{id}); err != nil {
		return err
	}
	lo, hi := min(a, b), max(a, b)
	_, err = t.exec("INSERT INTO friend (user_id, friend_id, remark, since) VALUES (?, ?, '', ?), (?, ?, '', ?)", lo, hi, t.at, hi, lo, t.at)
	if errors.Is(err, errDuplicate) {
		return &chat.Error{Code: chat.CodeAlreadyFriends, Detail: "You are friends already."}
	}
	return err
}

// DeleteFriendship ends a friendship; it tells whether there was one.
func (t *tx) DeleteFriendship(a, b chat.ID) (bool, error) {
	if err := t.touchPair(a, b); err != nil {
		return false, err
	}
	n, err := t.exec("DELETE FROM friend WHERE user_id = ? AND friend_id = ? OR user_id = ? AND friend_id = ?", a, b, b, a)
	return n > 0, err
}

// SetRemark changes one side's note; CodeNotFound when they are no friends.
func (t *tx) SetRemark(user, friend chat.ID, remark string) error {
	n, err := t.exec("UPDATE friend SET remark = ? WHERE user_id = ? AND friend_id = ?", remark, user, friend)
	if err == nil && n == 0 {
		return errNoFriend()
	}
	return err
}

// SetBlock adds or removes a block; it tells whether anything changed.
func (t *tx) SetBlock(user, blocked chat.ID, on bool) (bool, error) {
	if err := t.touchPair(user, blocked); err != nil {
		return false, err
	}
	if !on {
		n, err := t.exec("DELETE FROM `block` WHERE user_id = ? AND blocked_id = ?", user, blocked)
		return n > 0, err
	}
	_, err := t.exec("INSERT INTO `block` (user_id, blocked_id, since) VALUES (?, ?, ?)", user, blocked, t.at)
	if errors.Is(err, errDuplicate) {
		return false, nil
	}
	return err == nil, err
}

// touchPair prepares a change of what two users may send each other: it locks
// both, so that no conversation of theirs appears meanwhile, and the one they
// have, if any.
func (t *tx) touchPair(a, b chat.ID) error {
	if err := t.LockUsers(a, b); err != nil {
		return err
	}
	id, err := privateConversation(t.conn, a, b)
	if chat.CodeOf(err) == chat.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return raiseVersions(t.conn, []chat.ID{id})
}

// EnsurePrivateConversation returns the conversation of two users, adding it
// under the given id when they have none. CodeNotFound when a user is missing.
func (t *tx) EnsurePrivateConversation(id, a, b chat.ID) (chat.ID, error) {
	if a == b {
		return 0, chat.Invalid("user_id", "must be another user")
	}
	if err := t.LockUsers(a, b); err != nil {
		return 0, err
	}
	known, err := privateConversation(t.conn, a, b)
	if chat.CodeOf(err) != chat.CodeNotFound {
		return known, err
	}
	_, err = t.exec("INSERT INTO conversation (id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version) VALUES (?, ?, ?, ?, 0, ?, 1)",
		id, string(chat.KindPrivate), min(a, b), max(a, b), t.at)
	return id, err
}

// pendingKey is unique among pending requests.
func pendingKey(from, to chat.ID) string {
	return strconv.FormatInt(int64(from), 10) + "." + strconv.FormatInt(int64(to), 10)
}
