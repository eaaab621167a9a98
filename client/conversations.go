package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

func conversationPath(id ID) string {
	return "/v1/conversations/" + url.PathEscape(id)
}

// ConversationFilter selects among the user's conversations. The zero value is all that are not archived.
type ConversationFilter struct {
	Archived Archived // "" = those that are not archived
	Pinned   bool     // only pinned ones, the latest pinned first
	Unread   bool     // only those with unread messages, or marked unread
}

// Archived says what to do with archived conversations.
type Archived string

// The choices: to leave them out, to list nothing else, to list all.
const (
	ArchivedNo  Archived = "false"
	ArchivedYes Archived = "true"
	ArchivedAny Archived = "any"
)

// FindConversations lists those of the user's conversations that fit a filter. With Unread a part may be short, and have a
// Next all the same.
func (c *Client) FindConversations(ctx context.Context, filter ConversationFilter, page Page) (List[Conversation], error) {
	query := page.values()
	if filter.Archived != "" {
		query.Set("archived", string(filter.Archived))
	}
	for name, on := range map[string]bool{"pinned": filter.Pinned, "unread": filter.Unread} {
		if on {
			query.Set(name, "true")
		}
	}
	return do[List[Conversation]](ctx, c, call{method: http.MethodGet, path: "/v1/conversations", query: query})
}

// UpdateConversation pins, mutes, archives or marks a conversation, for the user alone. Fields that are nil stay as they are.
func (c *Client) UpdateConversation(ctx context.Context, id ID, change UpdateConversationRequest) (Conversation, error) {
	return do[Conversation](ctx, c, call{method: http.MethodPatch, path: conversationPath(id), body: change})
}

// ClearConversation hides what a conversation has so far from the user, for good; the others keep it. A private one leaves
// the user's list until something new comes.
func (c *Client) ClearConversation(ctx context.Context, id ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: conversationPath(id)})
	return err
}

// Receipts says who has got and read one of the user's own messages.
func (c *Client) Receipts(ctx context.Context, conversation ID, seq Seq) (Receipts, error) {
	path := conversationPath(conversation) + "/messages/" + strconv.FormatInt(seq, 10) + "/receipts"
	return do[Receipts](ctx, c, call{method: http.MethodGet, path: path})
}
