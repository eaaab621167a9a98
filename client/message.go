package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

func messagePath(conversation ID, seq Seq) string {
	return conversationPath(conversation) + "/messages/" + strconv.FormatInt(seq, 10)
}

// Message returns one message as it is now.
func (c *Client) Message(ctx context.Context, conversation ID, seq Seq) (Message, error) {
	return do[Message](ctx, c, call{method: http.MethodGet, path: messagePath(conversation, seq)})
}

// EditMessage changes what the user's own message says. What is not given stays.
func (c *Client) EditMessage(ctx context.Context, conversation ID, seq Seq, change EditMessageRequest) (Message, error) {
	return do[Message](ctx, c, call{method: http.MethodPatch, path: messagePath(conversation, seq), body: change})
}

// MessageVersions returns all that a message has said, oldest first; the last is what it says now.
func (c *Client) MessageVersions(ctx context.Context, conversation ID, seq Seq) (List[MessageVersion], error) {
	return do[List[MessageVersion]](ctx, c, call{method: http.MethodGet, path: messagePath(conversation, seq) + "/edits"})
}

// RecallMessage takes a message back: what it said is gone everywhere. For its sender within the limit of time, for those who
// manage a group at any time.
func (c *Client) RecallMessage(ctx context.Context, conversation ID, seq Seq) (Message, error) {
	return do[Message](ctx, c, call{method: http.MethodPost, path: messagePath(conversation, seq) + "/recall", repeatable: true})
}

// DeleteMessage takes a message out of what the user sees, on all devices. For others it stays.
func (c *Client) DeleteMessage(ctx context.Context, conversation ID, seq Seq) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: messagePath(conversation, seq)})
	return err
}

// AddReaction reacts to a message with an emoji, or a name such as ":party:". It returns all reactions there are.
func (c *Client) AddReaction(ctx context.Context, conversation ID, seq Seq, emoji string) (ReactionChangedData, error) {
	return do[ReactionChangedData](ctx, c, call{method: http.MethodPut, path: messagePath(conversation, seq) + "/reactions/" + url.PathEscape(emoji)})
}

// RemoveReaction takes a reaction back. It returns all reactions there are.
func (c *Client) RemoveReaction(ctx context.Context, conversation ID, seq Seq, emoji string) (ReactionChangedData, error) {
	return do[ReactionChangedData](ctx, c, call{method: http.MethodDelete, path: messagePath(conversation, seq) + "/reactions/" + url.PathEscape(emoji)})
}

// Reactions lists who reacted to a message.
func (c *Client) Reactions(ctx context.Context, conversation ID, seq Seq, page Page) (List[Reactor], error) {
	return do[List[Reactor]](ctx, c, call{method: http.MethodGet, path: messagePath(conversation, seq) + "/reactions", query: page.values()})
}

// PinMessage pins a message for everybody. It returns all that is pinned.
func (c *Client) PinMessage(ctx context.Context, conversation ID, seq Seq) (PinChangedData, error) {
	return do[PinChangedData](ctx, c, call{method: http.MethodPut, path: messagePath(conversation, seq) + "/pin"})
}

// UnpinMessage unpins a message for everybody. It returns all that is pinned.
func (c *Client) UnpinMessage(ctx context.Context, conversation ID, seq Seq) (PinChangedData, error) {
	return do[PinChangedData](ctx, c, call{method: http.MethodDelete, path: messagePath(conversation, seq) + "/pin"})
}

// Pins returns the pinned messages of a conversation, the last pinned first.
func (c *Client) Pins(ctx context.Context, conversation ID) (List[PinnedMessage], error) {
	return do[List[PinnedMessage]](ctx, c, call{method: http.MethodGet, path: conversationPath(conversation) + "/pins"})
}
