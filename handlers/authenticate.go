package handlers

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"longwire/chat"
)

// inboxCookie holds an inbox token. It is sent with requests to cookiePath only,
// and there it is good for reading the inbox.
const (
	inboxCookie = "longwire_inbox"
	cookiePath  = "/v1/inbox"
)

// tokenParameter carries an inbox token where headers cannot be set.
const tokenParameter = "access_token"

// authenticate finds out who asks, as far as the operation wants to know.
func (a *api) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		if x.op == nil || x.op.access == accessPublic {
			return next(c)
		}
		var err error
		if x.identity, err = a.identify(c, x.op.access); err != nil {
			return err
		}
		a.Service.Seen(x.identity.Caller, originOf(c))
		return next(c)
	}
}

// originOf tells where a request comes from, for the list of sessions.
func originOf(c echo.Context) chat.ClientOrigin {
	return chat.ClientOrigin{Address: c.RealIP(), UserAgent: c.Request().UserAgent()}
}

// identify takes the header, else (for reading the inbox) the query, else the
// cookie. Whatever comes first decides: a bad token is not saved by a good cookie.
func (a *api) identify(c echo.Context, who access) (chat.Identity, error) {
	ctx, r := c.Request().Context(), c.Request()
	inURL := ""
	if strings.Contains(r.URL.RawQuery, tokenParameter) {
		inURL = c.QueryParam(tokenParameter)
	}
	if err := a.refuseFull(ctx, inURL); err != nil {
		return chat.Identity{}, err
	}
	if values := r.Header.Values(echo.HeaderAuthorization); len(values) > 0 {
		token, ok := parseBearer(values)
		if !ok {
			return chat.Identity{}, unauthenticated("The Authorization header must be Bearer and one token.")
		}
		identity, err := a.Service.Authenticate(ctx, token)
		if who == accessInbox && chat.CodeOf(err) == chat.CodeUnauthenticated {
			return a.Service.AuthenticateInbox(ctx, token)
		}
		return identity, err
	}
	if who == accessInbox {
		if inURL != "" {
			return a.Service.AuthenticateInbox(ctx, inURL)
		}
		if cookie, err := r.Cookie(inboxCookie); err == nil && cookie.Value != "" {
			return a.Service.AuthenticateInbox(ctx, cookie.Value)
		}
	}
	return chat.Identity{}, unauthenticated("Send an access token as Authorization: Bearer.")
}

// refuseFull refuses an access token in a URL, whatever stands in the header: an
// URL ends up in logs and histories, and must not carry what can do more than
// read the inbox.
func (a *api) refuseFull(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	if _, err := a.Service.Authenticate(ctx, token); err == nil {
		return unauthenticated("An access token must not stand in a URL. Get an inbox token from POST /v1/inbox/tokens.")
	}
	return nil
}

func unauthenticated(detail string) *chat.Error {
	return &chat.Error{Code: chat.CodeUnauthenticated, Detail: detail}
}

// maxTokenLength bounds what is looked at as a token.
const maxTokenLength = 4096

// parseBearer returns the token of the Authorization header: exactly one value,
// the scheme in any case, one or more spaces, and a token68 (RFC 6750, 2.1;
// RFC 9110, 11.2).
func parseBearer(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenLength {
		return "", false
	}
	body := strings.TrimRight(token, "=")
	if body == "" {
		return "", false
	}
	for _, b := range []byte(body) {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', strings.IndexByte("-._~+/", b) >= 0:
		default:
			return "", false
		}
	}
	return token, true
}

// setInboxCookie gives a browser what its EventSource needs. That the page can
// do without it is why a failure is only logged.
func (a *api) setInboxCookie(c echo.Context, caller chat.Caller) {
	token, err := a.Service.NewInboxToken(c.Request().Context(), caller)
	if err != nil {
		a.Logger.WarnContext(c.Request().Context(), "no inbox cookie", "request_id", exchangeOf(c).requestID, "cause", err.Error())
		return
	}
	c.SetCookie(a.cookie(c, token.Token, token.ExpiresIn))
}

// cookie returns the inbox cookie; maxAge in seconds, negative to delete it.
func (a *api) cookie(c echo.Context, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure would keep the cookie from pages served over plain HTTP, such as on localhost
		Name: inboxCookie, Value: value, Path: cookiePath, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: a.overTLS(c.Request()),
	}
}

// overTLS tells whether the client came by TLS, to us or to a proxy we trust.
func (a *api) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, trusted := range a.TrustedProxies {
		if trusted.Contains(peer.Addr().Unmap()) {
			proto, _, _ := strings.Cut(r.Header.Get(echo.HeaderXForwardedProto), ",")
			return strings.EqualFold(strings.TrimSpace(proto), "https")
		}
	}
	return false
}
