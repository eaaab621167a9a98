package handlers

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// groupRules is what groups have beyond members.
type groupRules interface {
	AcceptJoinRequest(ctx context.Context, caller chat.Caller, group, user chat.ID) (chat.Member, error)
	MyJoinRequests(ctx context.Context, caller chat.Caller, page chat.Page) (chat.List[chat.JoinRequest], error)
	CreateInvitation(ctx context.Context, caller chat.Caller, group chat.ID, in chat.NewInvitation) (chat.Invitation, bool, error)
	Invitations(ctx context.Context, caller chat.Caller, group chat.ID, page chat.Page) (chat.List[chat.Invitation], error)
	RevokeInvitation(ctx context.Context, caller chat.Caller, group, id chat.ID) error
	PreviewInvitation(ctx context.Context, caller chat.Caller, code string) (chat.InvitationPreview, error)
	JoinByInvitation(ctx context.Context, caller chat.Caller, code string) (chat.Group, error)
	SetAnnouncement(ctx context.Context, caller chat.Caller, group chat.ID, text string) (chat.Group, error)
	RemoveAnnouncement(ctx context.Context, caller chat.Caller, group chat.ID) error
	MuteMember(ctx context.Context, caller chat.Caller, group, user chat.ID, until chat.Time) (chat.Member, error)
	UnmuteMember(ctx context.Context, caller chat.Caller, group, user chat.ID) error
	BanUser(ctx context.Context, caller chat.Caller, group, user chat.ID, reason string) (chat.Ban, error)
	LiftBan(ctx context.Context, caller chat.Caller, group, user chat.ID) error
	Bans(ctx context.Context, caller chat.Caller, group chat.ID, page chat.Page) (chat.List[chat.Ban], error)
}

// AcceptJoinRequest serves POST /v1/groups/{id}/join-requests/{user_id}/accept.
func (a *api) AcceptJoinRequest(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	member, err := a.Service.AcceptJoinRequest(c.Request().Context(), callerOf(c), group, user)
	return ok(c, member, err)
}

// ListMyJoinRequests serves GET /v1/me/join-requests.
func (a *api) ListMyJoinRequests(c echo.Context, params openapi.ListMyJoinRequestsParams) error {
	mine, err := a.Service.MyJoinRequests(c.Request().Context(), callerOf(c), pageOf(params.Limit, params.After))
	return ok(c, mine, err)
}

// CreateInvitation serves POST /v1/groups/{id}/invitations.
func (a *api) CreateInvitation(c echo.Context, id string, params openapi.CreateInvitationParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.CreateInvitationRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	made, replayed, err := a.Service.CreateInvitation(c.Request().Context(), callerOf(c), group, chat.NewInvitation{
		Lifetime: time.Duration(valueOf(in.ExpiresIn)) * time.Second, MaxUses: valueOf(in.MaxUses),
		IdempotencyKey: valueOf(params.IdempotencyKey),
	})
	if err != nil {
		return err
	}
	return created(c, made, replayed)
}

// ListInvitations serves GET /v1/groups/{id}/invitations.
func (a *api) ListInvitations(c echo.Context, id string, params openapi.ListInvitationsParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	invitations, err := a.Service.Invitations(c.Request().Context(), callerOf(c), group, pageOf(params.Limit, params.After))
	return ok(c, invitations, err)
}

// RevokeInvitation serves DELETE /v1/groups/{id}/invitations/{invitation_id}.
func (a *api) RevokeInvitation(c echo.Context, id, invitationID string) error {
	group, invitation, err := groupAndUser(id, invitationID)
	if err != nil {
		return err
	}
	return done(c, a.Service.RevokeInvitation(c.Request().Context(), callerOf(c), group, invitation))
}

// PreviewInvitation serves GET /v1/invitations/{code}.
func (a *api) PreviewInvitation(c echo.Context, code string) error {
	preview, err := a.Service.PreviewInvitation(c.Request().Context(), callerOf(c), code)
	return ok(c, preview, err)
}

// JoinByInvitation serves POST /v1/invitations/{code}/join.
func (a *api) JoinByInvitation(c echo.Context, code string) error {
	group, err := a.Service.JoinByInvitation(c.Request().Context(), callerOf(c), code)
	return ok(c, group, err)
}

// SetAnnouncement serves PUT /v1/groups/{id}/announcement.
func (a *api) SetAnnouncement(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.SetAnnouncementRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	changed, err := a.Service.SetAnnouncement(c.Request().Context(), callerOf(c), group, in.Text)
	return ok(c, changed, err)
}

// RemoveAnnouncement serves DELETE /v1/groups/{id}/announcement.
func (a *api) RemoveAnnouncement(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.RemoveAnnouncement(c.Request().Context(), callerOf(c), group))
}

// MuteMember serves PUT /v1/groups/{id}/members/{user_id}/mute.
func (a *api) MuteMember(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	var in openapi.MuteMemberRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	member, err := a.Service.MuteMember(c.Request().Context(), callerOf(c), group, user, chat.TimeOf(in.Until))
	return ok(c, member, err)
}

// UnmuteMember serves DELETE /v1/groups/{id}/members/{user_id}/mute.
func (a *api) UnmuteMember(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.UnmuteMember(c.Request().Context(), callerOf(c), group, user))
}

// ListBans serves GET /v1/groups/{id}/bans.
func (a *api) ListBans(c echo.Context, id string, params openapi.ListBansParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	bans, err := a.Service.Bans(c.Request().Context(), callerOf(c), group, pageOf(params.Limit, params.After))
	return ok(c, bans, err)
}

// BanUser serves PUT /v1/groups/{id}/bans/{user_id}.
func (a *api) BanUser(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	var in openapi.BanUserRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	ban, err := a.Service.BanUser(c.Request().Context(), callerOf(c), group, user, valueOf(in.Reason))
	return ok(c, ban, err)
}

// LiftBan serves DELETE /v1/groups/{id}/bans/{user_id}.
func (a *api) LiftBan(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.LiftBan(c.Request().Context(), callerOf(c), group, user))
}
