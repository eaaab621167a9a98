package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// Register serves POST /v1/auth/register.
func (a *api) Register(c echo.Context) error {
	var in openapi.RegisterRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	signIn, err := a.Service.Register(c.Request().Context(), chat.RegisterInput{
		Username: in.Username, Password: in.Password,
		DisplayName: valueOf(in.DisplayName), DeviceName: valueOf(in.DeviceName), From: originOf(c),
	})
	return a.signedIn(c, http.StatusCreated, signIn, err)
}

// Login serves POST /v1/auth/login.
func (a *api) Login(c echo.Context) error {
	var in openapi.LoginRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	// Guessing one account's password is limited wherever the guesses come from.
	if err := a.draw(c, loginUsernameBudget, usernameKey(in.Username)); err != nil {
		return err
	}
	signIn, err := a.Service.Login(c.Request().Context(), chat.LoginInput{
		Username: in.Username, Password: in.Password, DeviceName: valueOf(in.DeviceName), From: originOf(c),
	})
	return a.signedIn(c, http.StatusOK, signIn, err)
}

// Refresh serves POST /v1/auth/refresh.
func (a *api) Refresh(c echo.Context) error {
	var in openapi.RefreshRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	signIn, err := a.Service.Refresh(c.Request().Context(), in.RefreshToken)
	return a.signedIn(c, http.StatusOK, signIn, err)
}

// signedIn answers with the tokens of a session.
func (a *api) signedIn(c echo.Context, status int, signIn chat.SignIn, err error) error {
	if err != nil {
		return err
	}
	caller := chat.Caller{User: signIn.User.ID, Session: signIn.SessionID}
	exchangeOf(c).identity.Caller = caller // for the log
	a.Service.Seen(caller, originOf(c))
	a.setInboxCookie(c, caller)
	return c.JSON(status, signIn)
}

// Logout serves POST /v1/auth/logout.
func (a *api) Logout(c echo.Context) error {
	err := a.Service.Logout(c.Request().Context(), callerOf(c))
	if err == nil {
		c.SetCookie(a.cookie(c, "", -1))
	}
	return done(c, err)
}

// ListSessions serves GET /v1/sessions.
func (a *api) ListSessions(c echo.Context) error {
	sessions, err := a.Service.Sessions(c.Request().Context(), callerOf(c))
	if sessions == nil {
		sessions = []chat.Session{}
	}
	return ok(c, chat.List[chat.Session]{Items: sessions}, err)
}

// EndSession serves DELETE /v1/sessions/{id}.
func (a *api) EndSession(c echo.Context, id string) error {
	session, err := chat.ParseID(id)
	if err != nil {
		return err
	}
	return done(c, a.Service.EndSession(c.Request().Context(), callerOf(c), session))
}

// GetMe serves GET /v1/me.
func (a *api) GetMe(c echo.Context) error {
	me, err := a.Service.Me(c.Request().Context(), callerOf(c))
	return ok(c, me, err)
}

// UpdateMe serves PATCH /v1/me.
func (a *api) UpdateMe(c echo.Context) error {
	var in openapi.UpdateMeRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	patch := chat.ProfilePatch{
		DisplayName: in.DisplayName, AvatarURL: in.AvatarUrl, StatusText: in.StatusText,
		AcceptMessagesFrom:       cast[chat.Acceptance](in.AcceptMessagesFrom),
		AcceptFriendRequestsFrom: cast[chat.Acceptance](in.AcceptFriendRequestsFrom),
		AcceptGroupInvitesFrom:   cast[chat.Acceptance](in.AcceptGroupInvitesFrom),
		PresenceVisibility:       cast[chat.PresenceVisibility](in.PresenceVisibility),
	}
	if in.AvatarUrl == nil && isNull(exchangeOf(c).body, "avatar_url") {
		patch.AvatarURL = new(string) // null removes it, as in a merge patch (RFC 7396)
	}
	me, err := a.Service.UpdateMe(c.Request().Context(), callerOf(c), patch)
	return ok(c, me, err)
}

// isNull tells whether a JSON object has the field, and it is null; the
// generated types do not tell that from absent.
func isNull(body []byte, field string) bool {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return false
	}
	return string(fields[field]) == "null"
}
