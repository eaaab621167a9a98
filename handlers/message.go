package handlers

import (
	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// refOf returns the message that a path names.
func refOf(id string, seq int64) (chat.MessageRef, error) {
	conversation, err := chat.ParseID(id)
	return chat.MessageRef{ConversationID: conversation, Seq: seq}, err
}

// GetMessage serves GET /v1/conversations/{id}/messages/{seq}.
func (a *api) GetMessage(c echo.Context, id string, seq int64) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	message, err := a.Service.Message(c.Request().Context(), callerOf(c), ref)
	return ok(c, message, err)
}

// EditMessage serves PATCH /v1/conversations/{id}/messages/{seq}.
func (a *api) EditMessage(c echo.Context, id string, seq int64) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	var in openapi.EditMessageRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	patch := chat.MessagePatch{Body: in.Body, Payload: chat.CompactPayload(in.Payload)}
	if in.Mentions != nil {
		mentions, err := bodyIDs("mentions", in.Mentions)
		if err != nil {
			return err
		}
		patch.Mentions = &mentions
	}
	message, err := a.Service.EditMessage(c.Request().Context(), callerOf(c), ref, patch)
	return ok(c, message, err)
}

// DeleteMessage serves DELETE /v1/conversations/{id}/messages/{seq}.
func (a *api) DeleteMessage(c echo.Context, id string, seq int64) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	return done(c, a.Service.DeleteMessage(c.Request().Context(), callerOf(c), ref))
}

// ListMessageVersions serves GET /v1/conversations/{id}/messages/{seq}/edits.
func (a *api) ListMessageVersions(c echo.Context, id string, seq int64) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	versions, err := a.Service.MessageVersions(c.Request().Context(), callerOf(c), ref)
	return ok(c, versions, err)
}

// RecallMessage serves POST /v1/conversations/{id}/messages/{seq}/recall.
func (a *api) RecallMessage(c echo.Context, id string, seq int64) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	message, err := a.Service.RecallMessage(c.Request().Context(), callerOf(c), ref)
	return ok(c, message, err)
}

// ListReactions serves GET /v1/conversations/{id}/messages/{seq}/reactions.
func (a *api) ListReactions(c echo.Context, id string, seq int64, params openapi.ListReactionsParams) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	reactors, err := a.Service.Reactors(c.Request().Context(), callerOf(c), ref, pageOf(params.Limit, params.After))
	return ok(c, reactors, err)
}

// AddReaction serves PUT /v1/conversations/{id}/messages/{seq}/reactions/{emoji}.
func (a *api) AddReaction(c echo.Context, id string, seq int64, emoji string) error {
	return a.setReaction(c, id, seq, emoji, true)
}

// RemoveReaction serves DELETE /v1/conversations/{id}/messages/{seq}/reactions/{emoji}.
func (a *api) RemoveReaction(c echo.Context, id string, seq int64, emoji string) error {
	return a.setReaction(c, id, seq, emoji, false)
}

func (a *api) setReaction(c echo.Context, id string, seq int64, emoji string, on bool) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	now, err := a.Service.SetReaction(c.Request().Context(), callerOf(c), ref, emoji, on)
	return ok(c, now, err)
}

// PinMessage serves PUT /v1/conversations/{id}/messages/{seq}/pin.
func (a *api) PinMessage(c echo.Context, id string, seq int64) error {
	return a.setPin(c, id, seq, true)
}

// UnpinMessage serves DELETE /v1/conversations/{id}/messages/{seq}/pin.
func (a *api) UnpinMessage(c echo.Context, id string, seq int64) error {
	return a.setPin(c, id, seq, false)
}

func (a *api) setPin(c echo.Context, id string, seq int64, on bool) error {
	ref, err := refOf(id, seq)
	if err != nil {
		return err
	}
	now, err := a.Service.SetPin(c.Request().Context(), callerOf(c), ref, on)
	return ok(c, now, err)
}

// ListPins serves GET /v1/conversations/{id}/pins.
func (a *api) ListPins(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	pins, err := a.Service.Pins(c.Request().Context(), callerOf(c), conversation)
	return ok(c, pins, err)
}
