package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
)

// The codes that only HTTP knows.
const (
	codeMalformedJSON        chat.Code = "malformed_json"
	codeMethodNotAllowed     chat.Code = "method_not_allowed"
	codePayloadTooLarge      chat.Code = "payload_too_large"
	codeUnsupportedMediaType chat.Code = "unsupported_media_type"
)

// statusClientLeft is what the log and the metrics say of a request whose
// client did not wait for the answer; nothing is sent with it.
const statusClientLeft = 499

// answer is what a code is over HTTP.
type answer struct {
	status int
	title  string
}

// problems is the one map from error codes to answers.
var problems = map[chat.Code]answer{
	codeMalformedJSON:              {http.StatusBadRequest, "Malformed JSON"},
	chat.CodeUnauthenticated:       {http.StatusUnauthorized, "Not signed in"},
	chat.CodeInvalidCredentials:    {http.StatusUnauthorized, "Wrong username or password"},
	chat.CodeSessionEnded:          {http.StatusUnauthorized, "Session ended"},
	chat.CodeWrongPassword:         {http.StatusForbidden, "Wrong password"},
	chat.CodeForbidden:             {http.StatusForbidden, "Not allowed"},
	chat.CodeRecipientNotAccepting: {http.StatusForbidden, "Recipient does not accept this"},
	chat.CodeNotFound:              {http.StatusNotFound, "Not found"},
	codeMethodNotAllowed:           {http.StatusMethodNotAllowed, "Method not allowed"},
	chat.CodeUsernameTaken:         {http.StatusConflict, "Username taken"},
	chat.CodeIdempotencyConflict:   {http.StatusConflict, "Idempotency key reused"},
	chat.CodeAlreadyFriends:        {http.StatusConflict, "Already friends"},
	chat.CodeGroupFull:             {http.StatusConflict, "Group full"},
	chat.CodeConflict:              {http.StatusConflict, "Conflict"},
	codePayloadTooLarge:            {http.StatusRequestEntityTooLarge, "Body too large"},
	codeUnsupportedMediaType:       {http.StatusUnsupportedMediaType, "Unsupported media type"},
	chat.CodeValidation:            {http.StatusUnprocessableEntity, "Request not acceptable"},
	chat.CodeInvalidCursor:         {http.StatusUnprocessableEntity, "Not a cursor of this inbox"},
	chat.CodeRateLimited:           {http.StatusTooManyRequests, "Too many requests"},
	chat.CodeTooManyStreams:        {http.StatusTooManyRequests, "Too many streams"},
	chat.CodeInternal:              {http.StatusInternalServerError, "Internal error"},
	chat.CodeOverloaded:            {http.StatusServiceUnavailable, "Overloaded"},
	chat.CodeUnavailable:           {http.StatusServiceUnavailable, "Unavailable"},

	chat.CodeMuted:             {http.StatusForbidden, "Muted"},
	chat.CodeBanned:            {http.StatusForbidden, "Banned"},
	chat.CodeInvitationExpired: {http.StatusConflict, "Invitation expired"},
	chat.CodeTooManyGroups:     {http.StatusConflict, "In too many groups"},
	chat.CodeLimitReached:      {http.StatusConflict, "Limit reached"},
}

// problemTypePrefix makes a code a URI, as RFC 9457 wants it.
const problemTypePrefix = "urn:longwire:problem:"

// problem is RFC 9457's body.
type problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Code      chat.Code         `json:"code"`
	Detail    string            `json:"detail"`
	RequestID string            `json:"request_id"`
	Errors    []chat.FieldError `json:"errors,omitempty"`
}

// problemOf returns what goes out for an error. A code that the table lacks is
// internal: what we do not know is nobody else's business.
func problemOf(known *chat.Error, requestID string) problem {
	said, ok := problems[known.Code]
	if !ok {
		known = chat.AsError(errors.New("no status for " + string(known.Code)))
		said = problems[known.Code]
	}
	return problem{
		Type: problemTypePrefix + string(known.Code), Title: said.title, Status: said.status, Code: known.Code,
		Detail: known.Detail, RequestID: requestID, Errors: known.Fields,
	}
}

// domainError turns any error that reaches HTTP into one with a code.
func domainError(err error) *chat.Error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge(tooLarge.Limit)
	}
	routed, ok := errors.AsType[*echo.HTTPError](err)
	if !ok {
		known := chat.AsError(err)
		if known.Code == chat.CodeInternal && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			return chat.Unavailable(err)
		}
		return known
	}
	switch routed.Code {
	case http.StatusNotFound:
		return chat.NotFound("There is nothing at this address.")
	case http.StatusMethodNotAllowed:
		return &chat.Error{Code: codeMethodNotAllowed, Detail: "This address does not take this method."}
	case http.StatusBadRequest: // the generated code, on a parameter it cannot read
		return unreadable(routed)
	default:
		return &chat.Error{Code: chat.CodeInternal, Detail: chat.AsError(err).Detail, Err: err}
	}
}

// unread is how the generated code names a parameter or a header that it cannot read.
var unread = regexp.MustCompile(`(?:format for parameter|value for) ([\w-]+)`)

// unreadable is about a parameter or a header that fits its schema, as far as that
// was looked at, and cannot be read all the same: it was given twice.
func unreadable(routed *echo.HTTPError) *chat.Error {
	known := &chat.Error{Code: chat.CodeValidation, Detail: "A parameter cannot be read.", Err: routed}
	if name := unread.FindStringSubmatch(fmt.Sprint(routed.Message)); name != nil {
		known.Fields = []chat.FieldError{{Field: name[1], Message: "cannot be read; it may be given once"}}
	}
	return known
}

// fail answers an error. It is echo's HTTPErrorHandler, and the only place that
// writes problems, but for streams that report them in band.
func (a *api) fail(err error, c echo.Context) {
	x := exchangeOf(c)
	x.err = err
	if c.Response().Committed {
		return
	}
	// The answer goes out all the same: a context also ends when the server
	// stops, and then the client is there to read it.
	x.clientLeft = c.Request().Context().Err() != nil
	known := domainError(err)
	said := problemOf(known, x.requestID)
	if errorsInBand(c, x) {
		x.clientLeft = a.failInBand(c, said) != nil || x.clientLeft
		return
	}
	header := c.Response().Header()
	switch said.Status {
	case http.StatusUnauthorized:
		header.Set(echo.HeaderWWWAuthenticate, "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfterSeconds(known.RetryAfter)))
	case http.StatusMethodNotAllowed:
		allowHead(header)
	}
	body, err := json.Marshal(said)
	if err != nil { // strings and numbers: cannot happen
		c.Response().WriteHeader(http.StatusInternalServerError)
		return
	}
	if err := c.Blob(said.Status, "application/problem+json", body); err != nil {
		x.clientLeft = true
	}
}

// allowHead adds to what echo says is allowed what it does not know of, see [headAsGet].
func allowHead(header http.Header) {
	allowed := strings.Split(header.Get(echo.HeaderAllow), ", ")
	if at := slices.Index(allowed, http.MethodGet); at >= 0 {
		header.Set(echo.HeaderAllow, strings.Join(slices.Insert(allowed, at+1, http.MethodHead), ", "))
	}
}

// retryAfterSeconds rounds up; a client that is told 0 comes back at once.
func retryAfterSeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

func errTooLarge(limit int64) *chat.Error {
	return &chat.Error{Code: codePayloadTooLarge, Detail: "The body is larger than " + strconv.FormatInt(limit, 10) + " bytes."}
}

func errMalformedJSON(detail string) *chat.Error {
	return &chat.Error{Code: codeMalformedJSON, Detail: detail}
}

// invalid says which fields cannot be accepted.
func invalid(fields []chat.FieldError) *chat.Error {
	return &chat.Error{Code: chat.CodeValidation, Detail: "The request has fields that cannot be accepted.", Fields: fields}
}
