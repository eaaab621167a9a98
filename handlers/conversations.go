package handlers

import (
	"context"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// conversations is the part of [Service] for lists of conversations, and for
// what users set for them.
type conversations interface {
	Conversations(ctx context.Context, caller chat.Caller, filter chat.ConversationFilter, page chat.Page) (chat.List[chat.Conversation], error)
	UpdateConversation(ctx context.Context, caller chat.Caller, id chat.ID, patch chat.ConversationPatch) (chat.Conversation, error)
	ClearConversation(ctx context.Context, caller chat.Caller, id chat.ID) error
	Receipts(ctx context.Context, caller chat.Caller, conversation chat.ID, seq int64) (chat.Receipts, error)
}

// ListConversations serves GET /v1/conversations.
func (a *api) ListConversations(c echo.Context, params openapi.ListConversationsParams) error {
	filter := chat.ConversationFilter{
		Archived: chat.ArchivedFilter(valueOf(params.Archived)), Pinned: valueOf(params.Pinned), Unread: valueOf(params.Unread),
	}
	found, err := a.Service.Conversations(c.Request().Context(), callerOf(c), filter, pageOf(params.Limit, params.After))
	return ok(c, found, err)
}

// UpdateConversation serves PATCH /v1/conversations/{id}.
func (a *api) UpdateConversation(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.UpdateConversationRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	patch := chat.ConversationPatch{Pinned: in.Pinned, Archived: in.Archived, MarkedUnread: in.MarkedUnread}
	null := in.MutedUntil == nil && isNull(exchangeOf(c).body, "muted_until")
	switch {
	case in.Muted != nil && (in.MutedUntil != nil || null):
		return chat.Invalid("muted", "must not be given together with muted_until")
	case in.MutedUntil != nil:
		patch.MutedUntil = new(chat.TimeOf(*in.MutedUntil))
	case in.Muted != nil && *in.Muted:
		patch.MutedUntil = new(chat.MutedForever)
	case null || in.Muted != nil:
		patch.MutedUntil = new(chat.Time)
	}
	updated, err := a.Service.UpdateConversation(c.Request().Context(), callerOf(c), conversation, patch)
	return ok(c, updated, err)
}

// ClearConversation serves DELETE /v1/conversations/{id}.
func (a *api) ClearConversation(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.ClearConversation(c.Request().Context(), callerOf(c), conversation))
}

// GetReceipts serves GET /v1/conversations/{id}/messages/{seq}/receipts.
func (a *api) GetReceipts(c echo.Context, id string, seq int64) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	receipts, err := a.Service.Receipts(c.Request().Context(), callerOf(c), conversation, seq)
	return ok(c, receipts, err)
}
