package handlers

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// finding is what is asked of the service for searching.
type finding interface {
	SearchMessages(ctx context.Context, caller chat.Caller, search chat.MessageSearch, page chat.Page) (chat.List[chat.FoundMessage], error)
}

// SearchMessages serves GET /v1/search/messages.
func (a *api) SearchMessages(c echo.Context, params openapi.SearchMessagesParams) error {
	search := chat.MessageSearch{Query: params.Q, BeforeTime: timeOf(params.BeforeTime), AfterTime: timeOf(params.AfterTime)}
	if params.ConversationId != nil {
		conversation, err := chat.ParseID(*params.ConversationId)
		if err != nil {
			return err
		}
		search.Conversation = &conversation
	}
	if params.SenderId != nil {
		sender, err := bodyID("sender_id", *params.SenderId)
		if err != nil {
			return err
		}
		search.Sender = &sender
	}
	found, err := a.Service.SearchMessages(c.Request().Context(), callerOf(c), search, pageOf(params.Limit, params.After))
	return ok(c, found, err)
}

// timeOf returns the domain's time. What is between two milliseconds counts as
// the later one: no message of a time given exactly is lost by it.
func timeOf(t *time.Time) *chat.Time {
	if t == nil {
		return nil
	}
	return new(chat.TimeOf(t.Add(time.Millisecond - time.Nanosecond)))
}
