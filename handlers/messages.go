package handlers

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// SendToUser serves POST /v1/users/{id}/messages.
func (a *api) SendToUser(c echo.Context, id string, params openapi.SendToUserParams) error {
	to, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	draft, err := draftOf(c, params.IdempotencyKey)
	if err != nil {
		return err
	}
	outcome, err := a.Service.SendToUser(c.Request().Context(), callerOf(c), to, draft)
	return sent(c, outcome, err)
}

// SendToGroup serves POST /v1/groups/{id}/messages.
func (a *api) SendToGroup(c echo.Context, id string, params openapi.SendToGroupParams) error {
	group, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	draft, err := draftOf(c, params.IdempotencyKey)
	if err != nil {
		return err
	}
	outcome, err := a.Service.SendToGroup(c.Request().Context(), callerOf(c), group, draft)
	return sent(c, outcome, err)
}

// sent answers with a message, in the bytes that are in its sender's inbox.
func sent(c echo.Context, outcome chat.Outcome, err error) error {
	if err != nil {
		return err
	}
	if outcome.Body == nil {
		return created(c, outcome.Message, outcome.Replayed)
	}
	data := outcome.Body.Data()
	// With a line break behind it, as all answers that are encoded here.
	return c.JSONBlob(http.StatusCreated, append(slices.Clip(data), '\n'))
}

// draftOf reads a message as its sender wrote it.
func draftOf(c echo.Context, key *string) (chat.Draft, error) {
	if text := exchangeOf(c).plain; text != "" {
		return chat.Draft{Body: text, IdempotencyKey: valueOf(key)}, nil
	}
	var in openapi.SendMessageRequest
	if err := decode(c, &in); err != nil {
		return chat.Draft{}, err
	}
	mentions, err := bodyIDs("mentions", in.Mentions)
	if err != nil {
		return chat.Draft{}, err
	}
	draft := chat.Draft{
		Kind: chat.MessageKind(valueOf(in.Kind)), Body: in.Body, Payload: chat.CompactPayload(in.Payload), ReplyTo: in.ReplyTo,
		Mentions: mentions, IdempotencyKey: valueOf(key),
	}
	if in.Forward != nil {
		source, err := chat.ParseID(in.Forward.ConversationId)
		if err != nil {
			return chat.Draft{}, chat.Invalid("forward.conversation_id", "must be an id")
		}
		draft.Forward = &chat.MessageRef{ConversationID: source, Seq: in.Forward.Seq}
	}
	return draft, nil
}

// GetConversation serves GET /v1/conversations/{id}.
func (a *api) GetConversation(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	found, err := a.Service.Conversation(c.Request().Context(), callerOf(c), conversation)
	return ok(c, found, err)
}

// ListMessages serves GET /v1/conversations/{id}/messages.
func (a *api) ListMessages(c echo.Context, id string, params openapi.ListMessagesParams) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	history, err := a.Service.History(c.Request().Context(), callerOf(c), conversation, chat.HistoryQuery{
		BeforeSeq: params.BeforeSeq, AfterSeq: params.AfterSeq, AroundSeq: params.AroundSeq,
		BeforeTime: timeOf(params.BeforeTime), AfterTime: timeOf(params.AfterTime), AroundTime: timeOf(params.AroundTime),
		Limit: valueOf(params.Limit),
	})
	return ok(c, history, err)
}

// MarkRead serves PUT /v1/conversations/{id}/read.
func (a *api) MarkRead(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.MarkReadRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	state, err := a.Service.MarkRead(c.Request().Context(), callerOf(c), conversation, in.Seq)
	return ok(c, state, err)
}

// Sync serves GET /v1/sync.
func (a *api) Sync(c echo.Context) error {
	snapshot, err := a.Service.Sync(c.Request().Context(), callerOf(c))
	return ok(c, snapshot, err)
}
