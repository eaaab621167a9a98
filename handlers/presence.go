package handlers

import (
	"context"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

type presence interface {
	SetTyping(ctx context.Context, caller chat.Caller, conversation chat.ID, state chat.TypingState) error
	SetPresence(ctx context.Context, caller chat.Caller, activity chat.Activity) error
	Presences(ctx context.Context, caller chat.Caller, users []chat.ID) ([]chat.Presence, error)
}

// activityOf returns what a stream or a poll says of its user.
func activityOf(said *openapi.Activity, otherwise chat.Activity) chat.Activity {
	if said == nil {
		return otherwise
	}
	return chat.Activity(*said)
}

// SetTyping serves POST /v1/conversations/{id}/typing.
func (a *api) SetTyping(c echo.Context, id string) error {
	conversation, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	var in openapi.SetTypingRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	return done(c, a.Service.SetTyping(c.Request().Context(), callerOf(c), conversation, chat.TypingState(in.State)))
}

// SetPresence serves PUT /v1/me/presence.
func (a *api) SetPresence(c echo.Context) error {
	var in openapi.SetPresenceRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	return done(c, a.Service.SetPresence(c.Request().Context(), callerOf(c), chat.Activity(in.State)))
}

// GetPresence serves GET /v1/presence.
func (a *api) GetPresence(c echo.Context, params openapi.GetPresenceParams) error {
	users := make([]chat.ID, 0, len(params.UserIds))
	for _, text := range params.UserIds {
		// What never was an id is nobody's friend.
		if id, err := chat.ParseID(text); err == nil {
			users = append(users, id)
		}
	}
	if len(users) == 0 && len(params.UserIds) > 0 {
		return ok(c, chat.List[chat.Presence]{Items: []chat.Presence{}}, nil)
	}
	items, err := a.Service.Presences(c.Request().Context(), callerOf(c), users)
	return ok(c, chat.List[chat.Presence]{Items: items}, err)
}
