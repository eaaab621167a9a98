package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// CreateGroup serves POST /v1/groups.
func (a *api) CreateGroup(c echo.Context, params openapi.CreateGroupParams) error {
	var in openapi.CreateGroupRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	members, err := bodyIDs("members", in.Members)
	if err != nil {
		return err
	}
	group, replayed, err := a.Service.CreateGroup(c.Request().Context(), callerOf(c), chat.NewGroup{
		Name: in.Name, Description: valueOf(in.Description), Visibility: chat.Visibility(in.Visibility),
		JoinPolicy: chat.JoinPolicy(in.JoinPolicy), Members: members, IdempotencyKey: valueOf(params.IdempotencyKey),
		AddPolicy: chat.AddPolicy(valueOf(in.AddPolicy)), SendPolicy: chat.SendPolicy(valueOf(in.SendPolicy)),
		HistoryForNewcomers: in.HistoryForNewcomers,
	})
	if err != nil {
		return err
	}
	return created(c, group, replayed)
}

// ListMyGroups serves GET /v1/me/groups.
func (a *api) ListMyGroups(c echo.Context, params openapi.ListMyGroupsParams) error {
	mine, err := a.Service.MyGroups(c.Request().Context(), callerOf(c), pageOf(params.Limit, params.After))
	return ok(c, mine, err)
}

// FindGroups serves GET /v1/groups.
func (a *api) FindGroups(c echo.Context, params openapi.FindGroupsParams) error {
	found, err := a.Service.FindGroups(c.Request().Context(), callerOf(c), valueOf(params.Q), pageOf(params.Limit, params.After))
	return ok(c, found, err)
}

// GetGroup serves GET /v1/groups/{id}.
func (a *api) GetGroup(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	found, err := a.Service.Group(c.Request().Context(), callerOf(c), group)
	return ok(c, found, err)
}

// UpdateGroup serves PATCH /v1/groups/{id}.
func (a *api) UpdateGroup(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.UpdateGroupRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	changed, err := a.Service.UpdateGroup(c.Request().Context(), callerOf(c), group, chat.GroupPatch{
		Name: in.Name, Description: in.Description,
		Visibility: cast[chat.Visibility](in.Visibility), JoinPolicy: cast[chat.JoinPolicy](in.JoinPolicy),
		AddPolicy: cast[chat.AddPolicy](in.AddPolicy), SendPolicy: cast[chat.SendPolicy](in.SendPolicy),
		HistoryForNewcomers: in.HistoryForNewcomers,
	})
	return ok(c, changed, err)
}

// DissolveGroup serves DELETE /v1/groups/{id}.
func (a *api) DissolveGroup(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.DissolveGroup(c.Request().Context(), callerOf(c), group))
}

// JoinGroup serves POST /v1/groups/{id}/join.
func (a *api) JoinGroup(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.JoinGroupRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	result, err := a.Service.JoinGroup(c.Request().Context(), callerOf(c), group, valueOf(in.Note))
	if err != nil {
		return err
	}
	if result.Group != nil {
		return c.JSON(http.StatusOK, result.Group)
	}
	return c.JSON(http.StatusAccepted, result.Request)
}

// LeaveGroup serves POST /v1/groups/{id}/leave.
func (a *api) LeaveGroup(c echo.Context, id string) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.LeaveGroup(c.Request().Context(), callerOf(c), group))
}

// ListGroupMembers serves GET /v1/groups/{id}/members.
func (a *api) ListGroupMembers(c echo.Context, id string, params openapi.ListGroupMembersParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	members, err := a.Service.GroupMembers(c.Request().Context(), callerOf(c), group, pageOf(params.Limit, params.After))
	return ok(c, members, err)
}

// PutGroupMember serves PUT /v1/groups/{id}/members/{user_id}.
func (a *api) PutGroupMember(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	var in openapi.PutMemberRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	member, added, err := a.Service.PutMember(c.Request().Context(), callerOf(c), group, user, cast[chat.Role](in.Role))
	if err != nil {
		return err
	}
	if added {
		return c.JSON(http.StatusCreated, member)
	}
	return c.JSON(http.StatusOK, member)
}

// RemoveGroupMember serves DELETE /v1/groups/{id}/members/{user_id}.
func (a *api) RemoveGroupMember(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.RemoveMember(c.Request().Context(), callerOf(c), group, user))
}

// ListJoinRequests serves GET /v1/groups/{id}/join-requests.
func (a *api) ListJoinRequests(c echo.Context, id string, params openapi.ListJoinRequestsParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	requests, err := a.Service.JoinRequests(c.Request().Context(), callerOf(c), group, pageOf(params.Limit, params.After))
	return ok(c, requests, err)
}

// DeclineJoinRequest serves DELETE /v1/groups/{id}/join-requests/{user_id}.
func (a *api) DeclineJoinRequest(c echo.Context, id, userID string) error {
	group, user, err := groupAndUser(id, userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.DeclineJoinRequest(c.Request().Context(), callerOf(c), group, user))
}

func groupAndUser(groupID, userID string) (group, user chat.ID, err error) {
	if group, err = chat.ParseID(groupID); err != nil {
		return 0, 0, err
	}
	user, err = chat.ParseID(userID)
	return group, user, err
}
