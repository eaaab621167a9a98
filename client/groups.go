package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

func groupPath(id ID) string {
	return "/v1/groups/" + url.PathEscape(id)
}

func memberPath(group, user ID) string {
	return groupPath(group) + "/members/" + url.PathEscape(user)
}

// CreateGroup makes a group that the user owns. Its id is the id of its conversation too.
func (c *Client) CreateGroup(ctx context.Context, group CreateGroupRequest, options ...CreateOption) (Group, error) {
	return do[Group](ctx, c, creating("/v1/groups", group, options))
}

// MyGroups lists the groups of which the user is a member.
func (c *Client) MyGroups(ctx context.Context, page Page) (List[Group], error) {
	return do[List[Group]](ctx, c, call{method: http.MethodGet, path: "/v1/me/groups", query: page.values()})
}

// FindGroups searches the directory of public groups; "" lists all of them.
func (c *Client) FindGroups(ctx context.Context, text string, page Page) (List[Group], error) {
	query := page.values()
	if text != "" {
		query.Set("q", text)
	}
	return do[List[Group]](ctx, c, call{method: http.MethodGet, path: "/v1/groups", query: query})
}

// Group returns a group; a private one is not found by those who are no members.
func (c *Client) Group(ctx context.Context, id ID) (Group, error) {
	return do[Group](ctx, c, call{method: http.MethodGet, path: groupPath(id)})
}

// UpdateGroup changes the fields that are not nil. For the owner and admins.
func (c *Client) UpdateGroup(ctx context.Context, id ID, change UpdateGroupRequest) (Group, error) {
	return do[Group](ctx, c, call{method: http.MethodPatch, path: groupPath(id), body: change})
}

// DissolveGroup ends a group for everybody. For the owner.
func (c *Client) DissolveGroup(ctx context.Context, id ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: groupPath(id)})
	return err
}

// Joined is what asking to join led to: one of the two is set.
type Joined struct {
	Group   *Group       // the user is a member
	Request *JoinRequest // an admin must approve first
}

// JoinGroup joins an open group, or asks the admins of one that takes members by approval.
func (c *Client) JoinGroup(ctx context.Context, id ID) (Joined, error) {
	return c.join(ctx, call{method: http.MethodPost, path: groupPath(id) + "/join", repeatable: true})
}

func (c *Client) join(ctx context.Context, ask call) (Joined, error) {
	got, err := c.exchange(ctx, ask)
	if err != nil {
		return Joined{}, err
	}
	var joined Joined
	if got.status == http.StatusAccepted {
		err = json.Unmarshal(got.body, &joined.Request)
	} else {
		err = json.Unmarshal(got.body, &joined.Group)
	}
	if err != nil {
		return Joined{}, fmt.Errorf("%s %s: read the answer: %w", ask.method, ask.path, err)
	}
	return joined, nil
}

// LeaveGroup ends the user's membership. An owner hands the group over first.
func (c *Client) LeaveGroup(ctx context.Context, id ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodPost, path: groupPath(id) + "/leave"})
	return err
}

// Members lists the members of a group, for members.
func (c *Client) Members(ctx context.Context, group ID, page Page) (List[Member], error) {
	return do[List[Member]](ctx, c, call{method: http.MethodGet, path: groupPath(group) + "/members", query: page.values()})
}

// PutMember adds a user or changes a member's role. Without a role, "", a new member becomes a plain one and a present
// one stays what it is. Giving the role of owner hands the group over.
func (c *Client) PutMember(ctx context.Context, group, user ID, role Role) (Member, error) {
	put := call{method: http.MethodPut, path: memberPath(group, user)}
	if role != "" {
		put.body = PutMemberRequest{Role: &role}
	}
	return do[Member](ctx, c, put)
}

// RemoveMember ends another's membership. For the owner and, over plain members, for admins.
func (c *Client) RemoveMember(ctx context.Context, group, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: memberPath(group, user)})
	return err
}

// JoinRequests lists who asks to join, for the owner and admins.
func (c *Client) JoinRequests(ctx context.Context, group ID, page Page) (List[JoinRequest], error) {
	return do[List[JoinRequest]](ctx, c, call{method: http.MethodGet, path: groupPath(group) + "/join-requests", query: page.values()})
}

// DeclineJoinRequest removes a waiting request to join. For the owner, admins, and the user who asked.
func (c *Client) DeclineJoinRequest(ctx context.Context, group, user ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: joinRequestPath(group, user)})
	return err
}
