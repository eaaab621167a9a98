package repo

import (
	"database/sql"
	"errors"
	"slices"

	"longwire/chat"
)

// ManagerIDs returns the owner and the admins of a group, ascending.
func (t *tx) ManagerIDs(group chat.ID) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT user_id FROM group_member WHERE group_id = ? AND role <> ? ORDER BY user_id", group, string(chat.RoleMember))
}

// InGroups returns which of the users are members of that many groups or more.
func (t *tx) InGroups(users []chat.ID, many int) ([]chat.ID, error) {
	found := []chat.ID{}
	text := new(statement)
	for chunk := range slices.Chunk(slices.Sorted(slices.Values(users)), inChunk) {
		text.reset().sql("SELECT user_id FROM group_member WHERE user_id IN ").ids(chunk).
			sql(" GROUP BY user_id HAVING COUNT(*) >= ").int(int64(many)).sql(" ORDER BY user_id")
		some, err := all(t.conn, scanID, string(text.text))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// SetMutedUntil mutes a member, or with nil lets the member speak.
func (t *tx) SetMutedUntil(group, user chat.ID, until *chat.Time) error {
	if err := raiseVersions(t.conn, []chat.ID{group}); err != nil {
		return err
	}
	n, err := t.exec("UPDATE group_member SET muted_until = ? WHERE group_id = ? AND user_id = ?", until, group, user)
	if err == nil && n == 0 {
		return errNoMember()
	}
	return err
}

// keepMute remembers the mute of a member who goes, for when they come back.
func (t *tx) keepMute(group, user chat.ID) error {
	until, err := one(t.conn, nil, scanMaybe, "SELECT muted_until FROM group_member WHERE group_id = ? AND user_id = ?", group, user)
	if err != nil || until == nil || chat.Time(*until) <= t.at {
		return err
	}
	_, err = t.exec("INSERT INTO group_mute (group_id, user_id, muted_until) VALUES (?, ?, ?)", group, user, *until)
	return err
}

// keptMutes returns the mutes of users who come back, and forgets them.
func (t *tx) keptMutes(group chat.ID, users []chat.ID) (map[chat.ID]int64, error) {
	kept := make(map[chat.ID]int64)
	text := new(statement).sql("SELECT user_id, muted_until FROM group_mute WHERE group_id = ").id(group).sql(" AND user_id IN ").ids(users)
	err := text.each(t.conn, func(r row) error {
		var (
			user  chat.ID
			until int64
		)
		err := r.Scan(&user, &until)
		kept[user] = until
		return err
	})
	if err != nil || len(kept) == 0 {
		return kept, err
	}
	return kept, text.reset().sql("DELETE FROM group_mute WHERE group_id = ").id(group).sql(" AND user_id IN ").ids(users).exec(t.conn)
}

// JoinRequestOf returns a waiting request, CodeNotFound when there is none.
func (t *tx) JoinRequestOf(group, user chat.ID) (chat.JoinRequest, error) {
	return one(t.conn, chat.NotFound("There is no such join request."), scanJoinRequest,
		selectJoinRequests+" WHERE j.group_id = ? AND j.user_id = ?", group, user)
}

// InsertJoinRequest adds a request to join; CodeConflict when there is one.
func (t *tx) InsertJoinRequest(group, user chat.ID, note string) error {
	_, err := t.exec("INSERT INTO join_request (group_id, user_id, note, created_at) VALUES (?, ?, ?, ?)", group, user, note, t.at)
	if errors.Is(err, errDuplicate) {
		return chat.Conflict("This user waits already.")
	}
	return err
}

// DeleteJoinRequest removes a request to join.
func (t *tx) DeleteJoinRequest(group, user chat.ID) error {
	_, err := t.exec("DELETE FROM join_request WHERE group_id = ? AND user_id = ?", group, user)
	return err
}

// CountJoinRequests returns how many wait to be let into a group.
func (t *tx) CountJoinRequests(group chat.ID) (int, error) {
	return t.count("SELECT COUNT(*) FROM join_request WHERE group_id = ?", group)
}

// JoinRequesters returns who waits to be let into a group, the longest waiting first.
func (t *tx) JoinRequesters(group chat.ID) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT user_id FROM join_request WHERE group_id = ? ORDER BY created_at, user_id", group)
}

func (t *tx) count(query string, args ...any) (int, error) {
	n, err := one(t.conn, nil, scanInt, query, args...)
	return int(n), err
}

// InvitationByID returns an invitation, CodeNotFound when there is none.
func (t *tx) InvitationByID(id chat.ID) (chat.Invitation, error) {
	return invitationByID(t.conn, id)
}

// InsertInvitation adds an invitation.
func (t *tx) InsertInvitation(invitation chat.Invitation) error {
	_, err := t.exec("INSERT INTO group_invitation (id, group_id, secret, created_by, created_at, expires_at, max_uses, uses) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		invitation.ID, invitation.GroupID, invitation.Secret(), invitation.CreatedBy, invitation.CreatedAt,
		invitation.ExpiresAt, invitation.MaxUses, invitation.Uses)
	if errors.Is(err, errDuplicate) {
		return &retryError{cause: err} // another node made the same id in the same millisecond
	}
	return err
}

// CountInvitations returns how many invitations a group has, good or not.
func (t *tx) CountInvitations(group chat.ID) (int, error) {
	return t.count("SELECT COUNT(*) FROM group_invitation WHERE group_id = ?", group)
}

// UseInvitation counts one more use.
func (t *tx) UseInvitation(id chat.ID) error {
	_, err := t.exec("UPDATE group_invitation SET uses = uses + 1 WHERE id = ?", id)
	return err
}

// DeleteInvitation removes an invitation and tells whether there was one.
func (t *tx) DeleteInvitation(group, id chat.ID) (bool, error) {
	n, err := t.exec("DELETE FROM group_invitation WHERE id = ? AND group_id = ?", id, group)
	return n > 0, err
}

// UselessInvitations returns those that are used up or expired.
func (t *tx) UselessInvitations(group chat.ID) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT id FROM group_invitation WHERE group_id = ? AND (uses >= max_uses OR expires_at <= ?) ORDER BY id", group, t.at)
}

// BanOf returns a ban, CodeNotFound when there is none.
func (t *tx) BanOf(group, user chat.ID) (chat.Ban, error) {
	return banOf(t.conn, group, user)
}

// InsertBan bans a user from a group; CodeConflict when there is a ban already.
func (t *tx) InsertBan(group, user, by chat.ID, reason string) error {
	_, err := t.exec("INSERT INTO group_ban (group_id, user_id, banned_by, reason, banned_at) VALUES (?, ?, ?, ?, ?)", group, user, by, reason, t.at)
	if errors.Is(err, errDuplicate) {
		return chat.Conflict("This user is banned already.")
	}
	return err
}

// CountBans returns how many users are banned from a group.
func (t *tx) CountBans(group chat.ID) (int, error) {
	return t.count("SELECT COUNT(*) FROM group_ban WHERE group_id = ?", group)
}

// DeleteBan lifts a ban and tells whether there was one.
func (t *tx) DeleteBan(group, user chat.ID) (bool, error) {
	n, err := t.exec("DELETE FROM group_ban WHERE group_id = ? AND user_id = ?", group, user)
	return n > 0, err
}

// deleteGroupRules removes what a group has beyond members when it ends.
func (t *tx) deleteGroupRules(group chat.ID) error {
	for _, table := range []string{"join_request", "group_invitation", "group_ban", "group_mute"} {
		if _, err := t.exec("DELETE FROM "+table+" WHERE group_id = ?", group); err != nil {
			return err
		}
	}
	return nil
}

// announcementColumns returns what UpdateGroup stores of an announcement.
func announcementColumns(a *chat.GroupAnnouncement) (text sql.NullString, by, at sql.NullInt64) {
	if a == nil {
		return text, by, at
	}
	return sql.NullString{String: a.Text, Valid: true}, sql.NullInt64{Int64: int64(a.By), Valid: true}, sql.NullInt64{Int64: int64(a.At), Valid: true}
}
