package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// SetTyping says that the user is writing in a conversation, or has stopped. Call it while the user types as often as is handy:
// the server passes on one in [Limits].TypingIntervalSeconds. It is not tried twice, as it is of no use later.
func (c *Client) SetTyping(ctx context.Context, conversation ID, state TypingState) error {
	_, err := do[done](ctx, c, call{
		method: http.MethodPost, path: "/v1/conversations/" + url.PathEscape(conversation) + "/typing", body: SetTypingRequest{State: state},
	})
	return err
}

// SetPresence changes what the open streams and waiting polls of this session say of the user. The next ones say it for
// themselves, see [StreamOptions] and [PollOptions].
func (c *Client) SetPresence(ctx context.Context, activity Activity) error {
	_, err := do[done](ctx, c, call{
		method: http.MethodPut, path: "/v1/me/presence", body: SetPresenceRequest{State: activity}, repeatable: true,
	})
	return err
}

// Presences returns how friends are connected, and when those who are offline were last. Others are left out.
func (c *Client) Presences(ctx context.Context, users ...ID) ([]Presence, error) {
	list, err := do[List[Presence]](ctx, c, call{
		method: http.MethodGet, path: "/v1/presence", query: url.Values{"user_ids": {strings.Join(users, ",")}},
	})
	return list.Items, err
}
