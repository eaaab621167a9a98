package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Positions that are no cursor.
const (
	Begin Cursor = "begin" // the oldest event that is kept
	Now   Cursor = "now"   // only what comes from now on
)

// PollOptions says from where and how to poll.
type PollOptions struct {
	// Cursor is the last event that was seen, [Begin] or [Now]; "" = the position that the session saved. Presenting a
	// cursor saves it.
	Cursor Cursor
	// Wait is how long the server may wait for an event, in whole seconds; 0 = not at all.
	Wait time.Duration
	// Limit is how many events to return at most; 0 = 100.
	Limit int
	// Presence is what the poll says of its user; "" = active, and nothing when it does not wait.
	Presence Activity
}

// Poll returns what the inbox has after a position: at once when there is anything, otherwise when something comes or the
// wait ends. With Reset in the result the inbox could not continue from the cursor: what was missed is told by [Client.Sync],
// and the result's Cursor goes on.
func (c *Client) Poll(ctx context.Context, options PollOptions) (PollResult, error) {
	wait := options.Wait.Round(time.Second)
	query := url.Values{"wait": {strconv.Itoa(int(wait.Seconds()))}}
	if options.Cursor != "" {
		query.Set("cursor", options.Cursor)
	}
	if options.Limit != 0 {
		query.Set("limit", strconv.Itoa(options.Limit))
	}
	if options.Presence != "" {
		query.Set("presence", string(options.Presence))
	}
	return do[PollResult](ctx, c, call{method: http.MethodGet, path: "/v1/inbox/poll", query: query, wait: wait})
}

// Ack saves how far this session has read, for those who stay on one stream; polls and reconnects do it by themselves.
func (c *Client) Ack(ctx context.Context, cursor Cursor) error {
	_, err := do[done](ctx, c, call{method: http.MethodPost, path: "/v1/inbox/ack", body: AckRequest{Cursor: cursor}, repeatable: true})
	return err
}

// InboxToken returns a token that may read this inbox and nothing else, for URLs given to something that cannot set headers.
func (c *Client) InboxToken(ctx context.Context) (InboxToken, error) {
	return do[InboxToken](ctx, c, call{method: http.MethodPost, path: "/v1/inbox/tokens", repeatable: true})
}

// Sync returns everything a client starts with. Its Cursor was taken before the rest was read: a stream from there misses
// nothing, and applying an event that the snapshot already shows is harmless.
func (c *Client) Sync(ctx context.Context) (Snapshot, error) {
	return do[Snapshot](ctx, c, call{method: http.MethodGet, path: "/v1/sync"})
}

// Limits returns the limits that the server has in force.
func (c *Client) Limits(ctx context.Context) (Limits, error) {
	return do[Limits](ctx, c, call{method: http.MethodGet, path: "/v1/limits", anonymous: true})
}

// Ready returns nil when the server could take and deliver a message right now.
func (c *Client) Ready(ctx context.Context) error {
	_, err := do[Health](ctx, c, call{method: http.MethodGet, path: "/readyz", anonymous: true})
	return err
}
