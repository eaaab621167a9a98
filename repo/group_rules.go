package repo

import (
	"context"

	"longwire/chat"
)

// Lists of what belongs to groups beyond members.
const (
	listInvitations    = 'v'
	listBans           = 'x'
	listMyJoinRequests = 'y'
)

const selectInvitations = "SELECT i.id, i.group_id, i.secret, i.created_by, i.created_at, i.expires_at, i.max_uses, i.uses FROM group_invitation i"

func scanInvitation(r row) (invitation chat.Invitation, err error) {
	var secret string
	err = r.Scan(&invitation.ID, &invitation.GroupID, &secret, &invitation.CreatedBy, &invitation.CreatedAt,
		&invitation.ExpiresAt, &invitation.MaxUses, &invitation.Uses)
	return invitation.WithSecret(secret), err
}

func invitationByID(c *conn, id chat.ID) (chat.Invitation, error) {
	return one(c, chat.NotFound("There is no such invitation."), scanInvitation, selectInvitations+" WHERE i.id = ?", id)
}

// InvitationByID returns an invitation, CodeNotFound when there is none.
func (db *DB) InvitationByID(ctx context.Context, id chat.ID) (chat.Invitation, error) {
	return invitationByID(db.reader(ctx), id)
}

// Invitations lists the invitations of a group, the oldest first.
func (db *DB) Invitations(ctx context.Context, group chat.ID, page chat.Page) (chat.List[chat.Invitation], error) {
	after, err := placeByID(listInvitations, page.After)
	if err != nil {
		return chat.List[chat.Invitation]{}, err
	}
	items, err := all(db.reader(ctx), scanInvitation, selectInvitations+" WHERE i.group_id = ? AND i.id > ? ORDER BY i.id LIMIT ?",
		group, after, page.Limit+1)
	return listByID(listInvitations, items, page.Limit, func(last chat.Invitation) chat.ID { return last.ID }), err
}

const selectBans = "SELECT " + profileColumns + ", b.group_id, b.banned_by, b.reason, b.banned_at FROM group_ban b JOIN `user` u ON u.id = b.user_id"

func scanBan(r row) (ban chat.Ban, err error) {
	return ban, scanProfile(r, &ban.User, &ban.GroupID, &ban.BannedBy, &ban.Reason, &ban.BannedAt)
}

func banOf(c *conn, group, user chat.ID) (chat.Ban, error) {
	return one(c, chat.NotFound("This user is not banned."), scanBan, selectBans+" WHERE b.group_id = ? AND b.user_id = ?", group, user)
}

// BanOf returns a ban, CodeNotFound when there is none.
func (db *DB) BanOf(ctx context.Context, group, user chat.ID) (chat.Ban, error) {
	return banOf(db.reader(ctx), group, user)
}

// Bans lists who is banned from a group, by their ids.
func (db *DB) Bans(ctx context.Context, group chat.ID, page chat.Page) (chat.List[chat.Ban], error) {
	after, err := placeByID(listBans, page.After)
	if err != nil {
		return chat.List[chat.Ban]{}, err
	}
	items, err := all(db.reader(ctx), scanBan, selectBans+" WHERE b.group_id = ? AND b.user_id > ? ORDER BY b.user_id LIMIT ?",
		group, after, page.Limit+1)
	return listByID(listBans, items, page.Limit, func(last chat.Ban) chat.ID { return last.User.ID }), err
}

const selectJoinRequests = "SELECT " + profileColumns + ", j.group_id, j.note, j.created_at FROM join_request j JOIN `user` u ON u.id = j.user_id"

func scanJoinRequest(r row) (request chat.JoinRequest, err error) {
	request.State = chat.RequestPending // others are not kept
	return request, scanProfile(r, &request.User, &request.GroupID, &request.Note, &request.CreatedAt)
}

// JoinRequestsOf lists a user's own waiting requests, by the groups' ids.
func (db *DB) JoinRequestsOf(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.JoinRequest], error) {
	after, err := placeByID(listMyJoinRequests, page.After)
	if err != nil {
		return chat.List[chat.JoinRequest]{}, err
	}
	items, err := all(db.reader(ctx), scanJoinRequest, selectJoinRequests+" WHERE j.user_id = ? AND j.group_id > ? ORDER BY j.group_id LIMIT ?",
		user, after, page.Limit+1)
	return listByID(listMyJoinRequests, items, page.Limit, func(last chat.JoinRequest) chat.ID { return last.GroupID }), err
}
