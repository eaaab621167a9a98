package client

import (
	"context"
	"net/http"
	"net/url"
)

// Register makes an account and signs the client in.
func (c *Client) Register(ctx context.Context, account RegisterRequest) (SignIn, error) {
	return c.signIn(ctx, "/v1/auth/register", account)
}

// Login signs the client in: a new session, whose inbox position is where the inbox stands now.
func (c *Client) Login(ctx context.Context, login LoginRequest) (SignIn, error) {
	return c.signIn(ctx, "/v1/auth/login", login)
}

func (c *Client) signIn(ctx context.Context, path string, body any) (SignIn, error) {
	signIn, err := do[SignIn](ctx, c, call{method: http.MethodPost, path: path, body: body, anonymous: true})
	if err == nil {
		c.setTokens(tokensOf(signIn), nil)
	}
	return signIn, err
}

// Logout ends this session. Its tokens are refused from then on, and its streams end.
func (c *Client) Logout(ctx context.Context) error {
	_, err := do[done](ctx, c, call{method: http.MethodPost, path: "/v1/auth/logout"})
	if err == nil {
		c.setTokens(Tokens{}, nil)
	}
	return err
}

// Sessions lists the live sessions of the user, newest first.
func (c *Client) Sessions(ctx context.Context) (List[Session], error) {
	return do[List[Session]](ctx, c, call{method: http.MethodGet, path: "/v1/sessions"})
}

// EndOtherSessions ends all sessions of the user but this one.
func (c *Client) EndOtherSessions(ctx context.Context) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/sessions"})
	return err
}

// ChangePassword changes the user's password and ends all other sessions.
func (c *Client) ChangePassword(ctx context.Context, current, replacement string) error {
	body := ChangePasswordRequest{CurrentPassword: current, NewPassword: replacement}
	_, err := do[done](ctx, c, call{method: http.MethodPut, path: "/v1/me/password", body: body})
	return err
}

// DeleteMe deletes the user's account for good. This session ends too.
func (c *Client) DeleteMe(ctx context.Context, password string) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/me", body: DeleteMeRequest{Password: password}})
	if err == nil {
		c.setTokens(Tokens{}, nil)
	}
	return err
}

// EndSession ends a session of the same user, for instance that of a lost phone.
func (c *Client) EndSession(ctx context.Context, id ID) error {
	_, err := do[done](ctx, c, call{method: http.MethodDelete, path: "/v1/sessions/" + url.PathEscape(id)})
	return err
}
