package client

import (
	"context"
	"net/http"
	"net/url"
)

func joinRequestPath(group, user ID) string {
	return groupPath(group) + "/join-requests/" + url.PathEscape(user)
}

// AskToJoin is JoinGroup with a note to those who decide.
func (c *Client) AskToJoin(ctx context.Context, id ID, note string) (Joined, error) {
	return c.join(ctx, call{method: http.MethodPost, path: groupPath(id) + "/join", body: JoinGroupRequest{Note: &note}, repeatable: true})
}

// AcceptJoinRequest makes a member of a user who asked to join. For the owner and admins.
func (c *Client) AcceptJoinRequest(ctx context.Context, group, user ID) (Member, error) {
	return do[Member](ctx, c, call{method: http.MethodPost, path: joinRequestPath(group, user) + "/accept"})
}

// MyJoinRequests lists where the user asks to join.
func (c *Client) MyJoinRequests(ctx context.Context, page Page) (List[JoinRequest], error) {
	return do[List[JoinRequest]](ctx, c, call{method: http.MethodGet, path: "/v1/me/join-requests", query: page.values()})
}

// CreateInvitation makes a code by which others join. For the owner and admins.
func (c *Client) CreateInvitation(ctx context.Context, group ID, invitation CreateInvitationRequest, options ...CreateOption) (Invitation, error) {
	return do[Invitation](ctx, c, creating(groupPath(group)+"/invitations", invitation, options))
}

// Invitations lists a group's invitations with their codes. For the owner and admins.
func (c *Client) Invitations(ctx context.Context, group ID, page Page) (List[Invitation], error) {
	return do[List[Invitation]](ctx, c, call{method: http.MethodGet, path: groupPath(group) + "/invitations", query: page.values()})
}

// RevokeInvitation ends an invitation. For the owner and admins.
func (c *Client) RevokeInvitation(ctx context.Context, group, invitation ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: groupPath(group) + "/invitations/" + url.PathEscape(invitation)})
	return err
}

// PreviewInvitation returns what joining by a code leads to.
func (c *Client) PreviewInvitation(ctx context.Context, code string) (InvitationPreview, error) {
	return do[InvitationPreview](ctx, c, call{method: http.MethodGet, path: "/v1/invitations/" + url.PathEscape(code)})
}

// JoinByInvitation makes the user a member of the group that a code is for.
func (c *Client) JoinByInvitation(ctx context.Context, code string) (Group, error) {
	return do[Group](ctx, c, call{method: http.MethodPost, path: "/v1/invitations/" + url.PathEscape(code) + "/join", repeatable: true})
}

// SetAnnouncement puts a text on top of a group. For the owner and admins.
func (c *Client) SetAnnouncement(ctx context.Context, group ID, text string) (Group, error) {
	return do[Group](ctx, c, call{method: http.MethodPut, path: groupPath(group) + "/announcement", body: SetAnnouncementRequest{Text: text}})
}

// RemoveAnnouncement takes a group's announcement away. For the owner and admins.
func (c *Client) RemoveAnnouncement(ctx context.Context, group ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: groupPath(group) + "/announcement"})
	return err
}

// MuteMember keeps a member from sending until a time. For the owner and, over plain members, for admins.
func (c *Client) MuteMember(ctx context.Context, group, user ID, until Time) (Member, error) {
	return do[Member](ctx, c, call{method: http.MethodPut, path: memberPath(group, user) + "/mute", body: MuteMemberRequest{Until: until}})
}

// UnmuteMember lets a member send again. For the owner and, over plain members, for admins.
func (c *Client) UnmuteMember(ctx context.Context, group, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: memberPath(group, user) + "/mute"})
	return err
}

func banPath(group, user ID) string {
	return groupPath(group) + "/bans/" + url.PathEscape(user)
}

// Bans lists who is banned from a group. For the owner and admins.
func (c *Client) Bans(ctx context.Context, group ID, page Page) (List[Ban], error) {
	return do[List[Ban]](ctx, c, call{method: http.MethodGet, path: groupPath(group) + "/bans", query: page.values()})
}

// BanUser removes a user from a group, if need be, and keeps the user out. For the owner and, over plain members and others, for
// admins.
func (c *Client) BanUser(ctx context.Context, group, user ID, reason string) (Ban, error) {
	return do[Ban](ctx, c, call{method: http.MethodPut, path: banPath(group, user), body: BanUserRequest{Reason: &reason}})
}

// LiftBan lets a banned user join again. For the owner and admins.
func (c *Client) LiftBan(ctx context.Context, group, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: banPath(group, user)})
	return err
}
