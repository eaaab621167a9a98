package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client is one session with a server. It is safe for concurrent use.
type Client struct {
	base    string // without a slash at its end
	http    *http.Client
	options Options

	refreshing chan struct{} // holds one token while somebody renews the access token

	mu     sync.Mutex
	tokens Tokens // guarded by mu
}

// Options is how a client behaves. The zero value is good.
type Options struct {
	// HTTPClient sends the requests; nil = one like http.DefaultClient. It must have no Timeout, which would cut streams.
	HTTPClient *http.Client
	// Tokens continues a session that an earlier program signed in.
	Tokens Tokens
	// OnTokens is told of every change of the tokens, so that they can be kept; nil = nobody is. It must not call the client.
	OnTokens func(Tokens)
	// Timeout bounds one try of a call, beside the context; 0 = 30 s. Streams and the wait of polls do not count.
	Timeout time.Duration
	// Tries is how often a call is tried at most where trying again is harmless; 0 = 5, 1 = never again.
	Tries int
	// MaxRetryWait is the longest Retry-After that is waited for; a longer one is returned as the problem it is. 0 = 30 s.
	MaxRetryWait time.Duration
}

// Tokens is what stands for a session.
type Tokens struct {
	Access  string
	Refresh string // "" = the access token cannot be renewed
}

// New returns a client of the server at baseURL, such as https://chat.example.com. It sends nothing yet.
func New(baseURL string, options Options) (*Client, error) {
	parsed, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return nil, fmt.Errorf("base URL %q: want http(s)://host", baseURL)
	}
	if options.HTTPClient == nil {
		options.HTTPClient = &http.Client{}
	}
	if options.Timeout == 0 {
		options.Timeout = 30 * time.Second
	}
	if options.Tries == 0 {
		options.Tries = 5
	}
	if options.MaxRetryWait == 0 {
		options.MaxRetryWait = 30 * time.Second
	}
	return &Client{
		base: strings.TrimRight(baseURL, "/"), http: options.HTTPClient, options: options,
		refreshing: make(chan struct{}, 1), tokens: options.Tokens,
	}, nil
}

// BaseURL returns where the server is.
func (c *Client) BaseURL() string {
	return c.base
}

// Tokens returns the tokens as they are now.
func (c *Client) Tokens() Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

// setTokens replaces the tokens if they are still those that were known when the request for new ones left; nil = whatever they are.
func (c *Client) setTokens(tokens Tokens, known *Tokens) {
	c.mu.Lock()
	changed := c.tokens != tokens && (known == nil || c.tokens == *known)
	if changed {
		c.tokens = tokens
	}
	c.mu.Unlock()
	if changed && c.options.OnTokens != nil {
		c.options.OnTokens(tokens)
	}
}

// Refresh renews the access token now. There is seldom a reason to call it: calls that hear of an expired token do it by
// themselves. The refresh token rotates; the old one stays good until the new one is first used, so a lost answer does no harm.
func (c *Client) Refresh(ctx context.Context) (SignIn, error) {
	known := c.Tokens()
	signIn, err := do[SignIn](ctx, c, call{
		method: http.MethodPost, path: "/v1/auth/refresh", body: RefreshRequest{RefreshToken: known.Refresh}, anonymous: true, repeatable: true,
	})
	if err == nil {
		c.setTokens(tokensOf(signIn), &known)
	}
	return signIn, err
}

// renew makes sure that the access token is not stale any more. Of many that call it at once, one asks the server.
func (c *Client) renew(ctx context.Context, stale string) error {
	select {
	case c.refreshing <- struct{}{}:
		defer func() { <-c.refreshing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.Tokens().Access != stale {
		return nil // somebody was faster
	}
	_, err := c.Refresh(ctx)
	return err
}

func tokensOf(s SignIn) Tokens {
	return Tokens{Access: s.AccessToken, Refresh: s.RefreshToken}
}
