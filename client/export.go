package client

import (
	"context"
	"io"
	"net/http"
)

// Export opens all that is kept of the user: one JSON document, an [Export],
// which may be too large to be read into memory. The caller must close it. An
// error while reading means that what was read is not all.
func (c *Client) Export(ctx context.Context) (io.ReadCloser, error) {
	const path = "/v1/me/export"
	for renewed := false; ; renewed = true {
		token := c.Tokens().Access
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := c.http.Do(request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode < http.StatusMultipleChoices {
			return response.Body, nil
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
		_ = response.Body.Close() // it has been read to its end, or is given up
		if err != nil {
			return nil, err
		}
		problem := problemOf(response.StatusCode, response.Header, body)
		if renewed || !c.mayRenew(problem) {
			return nil, problem
		}
		if err := c.renew(ctx, token); err != nil {
			return nil, err
		}
	}
}
