package handlers

import (
	"strconv"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// GetUser serves GET /v1/users/{id}.
func (a *api) GetUser(c echo.Context, id string) error {
	user, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	profile, err := a.Service.Profile(c.Request().Context(), user)
	return ok(c, profile, err)
}

// FindUsers serves GET /v1/users.
func (a *api) FindUsers(c echo.Context, params openapi.FindUsersParams) error {
	found, err := a.Service.FindUsers(c.Request().Context(), callerOf(c), params.Q, pageOf(params.Limit, params.After))
	return ok(c, found, err)
}

// RequestFriend serves POST /v1/friend-requests.
func (a *api) RequestFriend(c echo.Context, params openapi.RequestFriendParams) error {
	var in openapi.FriendRequestRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	user, err := bodyID("user_id", in.UserId)
	if err != nil {
		return err
	}
	request, replayed, err := a.Service.RequestFriend(c.Request().Context(), callerOf(c), chat.FriendRequestInput{
		UserID: user, Note: valueOf(in.Note), IdempotencyKey: valueOf(params.IdempotencyKey),
	})
	if err != nil {
		return err
	}
	return created(c, request, replayed)
}

// ListFriendRequests serves GET /v1/friend-requests.
func (a *api) ListFriendRequests(c echo.Context, params openapi.ListFriendRequestsParams) error {
	direction := chat.DirectionIncoming
	if params.Direction != nil {
		direction = chat.Direction(*params.Direction)
	}
	requests, err := a.Service.FriendRequests(c.Request().Context(), callerOf(c), direction, pageOf(params.Limit, params.After))
	return ok(c, requests, err)
}

// AcceptFriendRequest serves POST /v1/friend-requests/{id}/accept.
func (a *api) AcceptFriendRequest(c echo.Context, id string) error {
	request, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	accepted, err := a.Service.AcceptRequest(c.Request().Context(), callerOf(c), request)
	return ok(c, accepted, err)
}

// DeclineFriendRequest serves POST /v1/friend-requests/{id}/decline.
func (a *api) DeclineFriendRequest(c echo.Context, id string) error {
	request, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	declined, err := a.Service.DeclineRequest(c.Request().Context(), callerOf(c), request)
	return ok(c, declined, err)
}

// CancelFriendRequest serves DELETE /v1/friend-requests/{id}.
func (a *api) CancelFriendRequest(c echo.Context, id string) error {
	request, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.CancelRequest(c.Request().Context(), callerOf(c), request))
}

// ListFriends serves GET /v1/friends.
func (a *api) ListFriends(c echo.Context, params openapi.ListFriendsParams) error {
	friends, err := a.Service.Friends(c.Request().Context(), callerOf(c), pageOf(params.Limit, params.After))
	return ok(c, friends, err)
}

// SetRemark serves PATCH /v1/friends/{user_id}.
func (a *api) SetRemark(c echo.Context, userID string) error {
	friend, err := chat.ParseID(userID)
	if err != nil {
		return err
	}
	var in openapi.SetRemarkRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	changed, err := a.Service.SetRemark(c.Request().Context(), callerOf(c), friend, in.Remark)
	return ok(c, changed, err)
}

// RemoveFriend serves DELETE /v1/friends/{user_id}.
func (a *api) RemoveFriend(c echo.Context, userID string) error {
	friend, err := chat.ParseID(userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.RemoveFriend(c.Request().Context(), callerOf(c), friend))
}

// ListBlocks serves GET /v1/blocks.
func (a *api) ListBlocks(c echo.Context, params openapi.ListBlocksParams) error {
	blocks, err := a.Service.Blocks(c.Request().Context(), callerOf(c), pageOf(params.Limit, params.After))
	return ok(c, blocks, err)
}

// BlockUser serves PUT /v1/blocks/{user_id}.
func (a *api) BlockUser(c echo.Context, userID string) error {
	user, err := chat.ParseID(userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.Block(c.Request().Context(), callerOf(c), user))
}

// UnblockUser serves DELETE /v1/blocks/{user_id}.
func (a *api) UnblockUser(c echo.Context, userID string) error {
	user, err := chat.ParseID(userID)
	if err != nil {
		return err
	}
	return done(c, a.Service.Unblock(c.Request().Context(), callerOf(c), user))
}

// bodyID reads an id out of a body, where a text that never was an id is a
// fault of the request.
func bodyID(field, text string) (chat.ID, error) {
	id, err := chat.ParseID(text)
	if err != nil {
		return 0, chat.Invalid(field, "must be an id")
	}
	return id, nil
}

// bodyIDs is bodyID for a list; nil is an empty one.
func bodyIDs(field string, texts *[]string) ([]chat.ID, error) {
	if texts == nil {
		return nil, nil
	}
	ids := make([]chat.ID, 0, len(*texts))
	for i, text := range *texts {
		id, err := bodyID(field+"."+strconv.Itoa(i), text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
