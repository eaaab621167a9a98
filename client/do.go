package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// maxAnswerBytes bounds what is read of one answer.
const maxAnswerBytes = 64 << 20

// The waits between tries grow from the first to the longest.
const (
	firstRetryWait   = 100 * time.Millisecond
	longestRetryWait = 5 * time.Second
)

// call is one request to the API.
type call struct {
	method string
	path   string // with escaped ids
	query  url.Values
	body   any           // nil = none
	key    string        // Idempotency-Key; "" = none
	wait   time.Duration // how long the server may keep the answer back
	// anonymous calls carry no access token.
	anonymous bool
	// repeatable calls do no harm when they are done twice.
	repeatable bool
}

// done is the answer to calls that have none.
type done struct{}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a call, again if need be, and returns the decoded answer. What the server refuses is a [*Problem].
func do[T any](ctx context.Context, c *Client, call call) (T, error) {
	var result T
	got, err := c.exchange(ctx, call)
	if err != nil {
		return result, err
	}
	if _, nothing := any(result).(done); nothing || got.status == http.StatusNoContent {
		return result, nil
	}
	if err := json.Unmarshal(got.body, &result); err != nil {
		return result, fmt.Errorf("%s %s: read the answer: %w", call.method, call.path, err)
	}
	return result, nil
}

// exchange makes a call until it is answered with success or there is no point in trying again.
func (c *Client) exchange(ctx context.Context, call call) (answer, error) {
	var body []byte
	if call.body != nil {
		var err error
		if body, err = json.Marshal(call.body); err != nil {
			return answer{}, fmt.Errorf("%s %s: write the request: %w", call.method, call.path, err)
		}
	}
	renewed := false
	for try := 1; ; try++ {
		token := ""
		if !call.anonymous {
			token = c.Tokens().Access
		}
		got, err := c.once(ctx, call, body, token)
		if err == nil && got.status < 300 {
			return got, nil
		}
		if err == nil {
			problem := problemOf(got.status, got.header, got.body)
			if !renewed && !call.anonymous && c.mayRenew(problem) {
				renewed = true
				if err := c.renew(ctx, token); err != nil {
					return answer{}, err
				}
				try--
				continue
			}
			err = problem
		}
		wait, again := c.again(call, err, try)
		if !again || ctx.Err() != nil {
			return answer{}, err
		}
		if err := sleep(ctx, wait); err != nil {
			return answer{}, err
		}
	}
}

// once tries a call one time.
func (c *Client) once(ctx context.Context, call call, body []byte, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout+call.wait)
	defer cancel()
	address := c.base + call.path
	if len(call.query) > 0 {
		address += "?" + call.query.Encode()
	}
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, call.method, address, content)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if call.key != "" {
		request.Header.Set("Idempotency-Key", call.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it has been read to its end, or is given up
	read, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: read the answer: %w", call.method, call.path, err)
	}
	if len(read) > maxAnswerBytes {
		return answer{}, &Problem{Status: response.StatusCode, Title: "Answer too large"}
	}
	return answer{status: response.StatusCode, header: response.Header, body: read}, nil
}

// mayRenew tells whether a refusal may be for an access token that has merely expired.
func (c *Client) mayRenew(problem *Problem) bool {
	return problem.Status == http.StatusUnauthorized && problem.Code == ProblemCodeUnauthenticated && c.Tokens().Refresh != ""
}

// again tells whether a failed call is to be tried again, and after which wait.
func (c *Client) again(call call, err error, try int) (time.Duration, bool) {
	if try >= c.options.Tries {
		return 0, false
	}
	harmless := call.repeatable || call.key != "" || call.method != http.MethodPost
	var problem *Problem
	if !errors.As(err, &problem) {
		return backoff(firstRetryWait, longestRetryWait, try), harmless
	}
	switch {
	case problem.Status == http.StatusTooManyRequests, problem.Code == ProblemCodeOverloaded:
		// Nothing was done.
	case problem.Status >= http.StatusInternalServerError:
		if !harmless {
			return 0, false
		}
	default:
		return 0, false
	}
	if problem.RetryAfter > c.options.MaxRetryWait {
		return 0, false
	}
	return problem.RetryAfter + backoff(firstRetryWait, longestRetryWait, try), true
}

// backoff returns a random wait that doubles with each try: everybody who failed in one moment must not come back in one.
func backoff(first, longest time.Duration, try int) time.Duration {
	wait := min(first<<min(try-1, 20), longest)
	return wait/2 + rand.N(wait/2+1) //nolint:gosec // jitter, no secret
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
