package client

import (
	"context"
	"net/http"
	"net/url"
)

// Me returns the user's own account.
func (c *Client) Me(ctx context.Context) (User, error) {
	return do[User](ctx, c, call{method: http.MethodGet, path: "/v1/me"})
}

// UpdateMe changes the fields that are not nil. An empty AvatarURL removes the picture.
func (c *Client) UpdateMe(ctx context.Context, change UpdateMeRequest) (User, error) {
	return do[User](ctx, c, call{method: http.MethodPatch, path: "/v1/me", body: change})
}

// User returns what anybody signed in may see of a user.
func (c *Client) User(ctx context.Context, id ID) (Profile, error) {
	return do[Profile](ctx, c, call{method: http.MethodGet, path: "/v1/users/" + url.PathEscape(id)})
}

// FindUsers lists users whose username or display name begins with prefix, in any case.
func (c *Client) FindUsers(ctx context.Context, prefix string, page Page) (List[Profile], error) {
	query := page.values()
	query.Set("q", prefix)
	return do[List[Profile]](ctx, c, call{method: http.MethodGet, path: "/v1/users", query: query})
}

// RequestFriend asks a user to become a friend. When the other has asked already, both are friends at once and the
// returned request is accepted.
func (c *Client) RequestFriend(ctx context.Context, request FriendRequestRequest, options ...CreateOption) (FriendRequest, error) {
	return do[FriendRequest](ctx, c, creating("/v1/friend-requests", request, options))
}

// FriendRequests lists pending requests, newest first.
func (c *Client) FriendRequests(ctx context.Context, direction Direction, page Page) (List[FriendRequest], error) {
	query := page.values()
	query.Set("direction", string(direction))
	return do[List[FriendRequest]](ctx, c, call{method: http.MethodGet, path: "/v1/friend-requests", query: query})
}

// CancelFriendRequest takes back a request that the user has sent.
func (c *Client) CancelFriendRequest(ctx context.Context, id ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/friend-requests/" + url.PathEscape(id)})
	return err
}

// AcceptFriendRequest accepts a request that the user has received.
func (c *Client) AcceptFriendRequest(ctx context.Context, id ID) (FriendRequest, error) {
	return do[FriendRequest](ctx, c, call{method: http.MethodPost, path: "/v1/friend-requests/" + url.PathEscape(id) + "/accept"})
}

// DeclineFriendRequest declines a request that the user has received.
func (c *Client) DeclineFriendRequest(ctx context.Context, id ID) (FriendRequest, error) {
	return do[FriendRequest](ctx, c, call{method: http.MethodPost, path: "/v1/friend-requests/" + url.PathEscape(id) + "/decline"})
}

// Friends lists the user's friends.
func (c *Client) Friends(ctx context.Context, page Page) (List[Friend], error) {
	return do[List[Friend]](ctx, c, call{method: http.MethodGet, path: "/v1/friends", query: page.values()})
}

// SetRemark sets the user's private note on a friend; an empty one removes it.
func (c *Client) SetRemark(ctx context.Context, friend ID, remark string) (Friend, error) {
	return do[Friend](ctx, c, call{method: http.MethodPatch, path: "/v1/friends/" + url.PathEscape(friend), body: SetRemarkRequest{Remark: remark}})
}

// RemoveFriend ends a friendship on both sides.
func (c *Client) RemoveFriend(ctx context.Context, friend ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/friends/" + url.PathEscape(friend)})
	return err
}

// Blocks lists whom the user blocks.
func (c *Client) Blocks(ctx context.Context, page Page) (List[Block], error) {
	return do[List[Block]](ctx, c, call{method: http.MethodGet, path: "/v1/blocks", query: page.values()})
}

// Block keeps a user from sending, inviting and asking. It ends a friendship.
func (c *Client) Block(ctx context.Context, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodPut, path: "/v1/blocks/" + url.PathEscape(user)})
	return err
}

// Unblock removes a block. What it ended does not come back.
func (c *Client) Unblock(ctx context.Context, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/blocks/" + url.PathEscape(user)})
	return err
}
