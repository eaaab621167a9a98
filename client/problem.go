package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is the server's refusal, as RFC 9457 has it. Branch on Code, and show
// Detail to people.
type Problem struct { //nolint:errname // the name that RFC 9457 gives it
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Code      ProblemCode `json:"code"` // "" when the answer did not come from Longwire but from something in between
	Detail    string      `json:"detail"`
	RequestID string      `json:"request_id"`
	// Errors names each field that was not acceptable, with Code validation_failed.
	Errors []FieldError `json:"errors,omitempty"`
	// RetryAfter is when to come back, with Status 429 and 503; 0 = the server did not say.
	RetryAfter time.Duration `json:"-"`
}

// Error returns status, code, detail and fields on one line.
func (p *Problem) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s", p.Status, p.Code)
	if p.Code == "" {
		text.WriteString(p.Title)
	}
	if p.Detail != "" {
		text.WriteString(": " + p.Detail)
	}
	for _, field := range p.Errors {
		fmt.Fprintf(&text, " [%s: %s]", field.Field, field.Message)
	}
	if p.RequestID != "" {
		text.WriteString(" (request " + p.RequestID + ")")
	}
	return text.String()
}

// IsCode tells whether err is a problem with the given code.
func IsCode(err error, code ProblemCode) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Code == code
}

// problemOf makes a problem of an answer that is no success, whoever gave it.
func problemOf(status int, header http.Header, body []byte) *Problem {
	problem := &Problem{}
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) != "application/problem+json" || json.Unmarshal(body, problem) != nil {
		*problem = Problem{Type: "about:blank", Title: http.StatusText(status)}
	}
	problem.Status = status
	problem.RetryAfter = retryAfter(header.Get("Retry-After"), time.Now())
	return problem
}

// retryAfter reads Retry-After in both its forms (RFC 9110, section 10.2.3); 0 for none and for nonsense.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
