package chat

import (
	"errors"
	"strings"
	"time"
)

// Code tells a program what went wrong. Codes are part of the API: stable,
// documented, and mapped to an HTTP status in one table in handlers.
type Code string

// The codes that the domain gives. Those that only HTTP knows (media types,
// routes) are declared in handlers.
const (
	CodeValidation            Code = "validation_failed"
	CodeInvalidCursor         Code = "invalid_cursor"
	CodeUnauthenticated       Code = "unauthenticated"
	CodeInvalidCredentials    Code = "invalid_credentials" //nolint:gosec // the name of an error, no credential
	CodeSessionEnded          Code = "session_ended"
	CodeWrongPassword         Code = "wrong_password"
	CodeForbidden             Code = "forbidden"
	CodeRecipientNotAccepting Code = "recipient_not_accepting"
	CodeNotFound              Code = "not_found"
	CodeUsernameTaken         Code = "username_taken"
	CodeIdempotencyConflict   Code = "idempotency_conflict"
	CodeAlreadyFriends        Code = "already_friends"
	CodeConflict              Code = "conflict"
	CodeGroupFull             Code = "group_full"
	CodeRateLimited           Code = "rate_limited"
	CodeTooManyStreams        Code = "too_many_streams"
	CodeOverloaded            Code = "overloaded"
	CodeUnavailable           Code = "unavailable"
	CodeInternal              Code = "internal"

	CodeMuted             Code = "muted"
	CodeBanned            Code = "banned"
	CodeInvitationExpired Code = "invitation_expired"
	CodeTooManyGroups     Code = "too_many_groups"
	CodeLimitReached      Code = "limit_reached"
)

// Error is the one error type of the domain. What the user sees (Code, Detail,
// Fields, RetryAfter) and what the log gets (Err) are separate fields; a
// foreign error is [CodeInternal] by construction, see [AsError].
type Error struct {
	Code       Code
	Detail     string        // one sentence for people, nothing internal
	Fields     []FieldError  // for CodeValidation: what to mend
	RetryAfter time.Duration // for 429 and 503: when to come back; 0 = unknown
	Err        error         // the cause, for the log only; may be nil
}

// FieldError names one bad field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error returns code, detail and cause for the log.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(string(e.Code) + ": " + e.Detail)
	for _, f := range e.Fields {
		text.WriteString(" [" + f.Field + ": " + f.Message + "]")
	}
	if e.Err != nil {
		text.WriteString(": " + e.Err.Error())
	}
	return text.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	return e.Err
}

// AsError returns err as the domain's error: itself when it is one, otherwise
// CodeInternal with a fixed sentence and err as the cause. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return &Error{Code: CodeInternal, Detail: "Something went wrong on our side.", Err: err}
}

// CodeOf returns the code of err, CodeInternal for foreign errors and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// Errorf-like constructors for what is said often.

// NotFound says that something is not there, or not the caller's to know.
func NotFound(detail string) *Error {
	return &Error{Code: CodeNotFound, Detail: detail}
}

// Forbidden says that the caller is known and may not.
func Forbidden(detail string) *Error {
	return &Error{Code: CodeForbidden, Detail: detail}
}

// Conflict says that the present state does not allow it.
func Conflict(detail string) *Error {
	return &Error{Code: CodeConflict, Detail: detail}
}

// Invalid names one bad field.
func Invalid(field, message string) *Error {
	return &Error{
		Code: CodeValidation, Detail: "The request has fields that cannot be accepted.",
		Fields: []FieldError{{Field: field, Message: message}},
	}
}

// Unavailable says that a part we need does not answer just now; cause is for the log.
func Unavailable(cause error) *Error {
	return &Error{
		Code: CodeUnavailable, Detail: "A part of the service does not answer right now. Try again; with the same Idempotency-Key nothing is doubled.",
		RetryAfter: 2 * time.Second, Err: cause,
	}
}
