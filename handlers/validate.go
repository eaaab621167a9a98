package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"longwire/chat"
)

// filterOptions: who may call has been settled, and defaults are the handlers'.
var filterOptions = &openapi3filter.Options{
	MultiError:          true,
	SkipSettingDefaults: true,
	AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc,
}

// validate holds the request against the specification.
func (a *api) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		if x.op == nil {
			return next(c)
		}
		params, err := readPath(c)
		if err != nil {
			return err
		}
		query := url.Values{}
		if x.op.hasQuery {
			var err error
			if query, err = readQuery(c.Request().URL); err != nil {
				return err
			}
		}
		if err := a.readBody(c, x); err != nil {
			return err
		}
		if x.plain != "" {
			return next(c)
		}
		// A copy: the filter reads the body and would put another in its place.
		r := *c.Request()
		r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, int64(len(x.body))
		if len(x.body) > 0 {
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
			r.Body, _ = r.GetBody()
		}
		err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: &r, PathParams: params, QueryParams: query, Route: x.op.route, Options: filterOptions,
		})
		if err != nil {
			return specificationError(err)
		}
		return next(c)
	}
}

// readPath reads the path parameters. Nearly every one is an id, and what never
// was one cannot name anything; neither can what never was a seq.
func readPath(c echo.Context) (map[string]string, error) {
	params := make(map[string]string, 3)
	for _, name := range c.ParamNames() {
		params[name] = c.Param(name)
		switch name {
		case "emoji":
			// Echo leaves it encoded when somebody encodes more than needed.
			text, err := url.PathUnescape(params[name])
			if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return nil, invalid([]chat.FieldError{{Field: name, Message: messageBadText}})
			}
			params[name] = text
		case "code":
			// The service finds out whether it is one.
		case "seq":
			if seq, err := strconv.ParseInt(params[name], 10, 64); err != nil || seq < 1 || strconv.FormatInt(seq, 10) != params[name] {
				return nil, chat.NotFound("There is no such message.")
			}
		default:
			if _, err := chat.ParseID(params[name]); err != nil {
				return nil, err
			}
		}
	}
	return params, nil
}

// readQuery parses the query strictly: what net/http would drop in silence is
// an error here, and so is text that is none.
func readQuery(u *url.URL) (url.Values, error) {
	if u.RawQuery == "" {
		return url.Values{}, nil
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid([]chat.FieldError{{Field: "query", Message: "must be percent-encoded name=value pairs"}})
	}
	for name, values := range query {
		for _, value := range values {
			if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
				return nil, invalid([]chat.FieldError{{Field: strings.ToValidUTF8(name, "?"), Message: messageBadText}})
			}
		}
	}
	return query, nil
}

const messageBadText = "must be valid UTF-8 without NUL"

// readBody reads the body of an operation that has one into the exchange, and
// makes sure that it is JSON.
func (a *api) readBody(c echo.Context, x *exchange) error {
	r := c.Request()
	if !x.op.hasBody {
		return nil // what comes all the same is not looked at
	}
	if r.ContentLength > a.MaxBodyBytes {
		return errTooLarge(a.MaxBodyBytes)
	}
	if r.Body == nil || r.Body == http.NoBody {
		return requireBody(x)
	}
	var memory bytes.Buffer
	memory.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // which is what it takes to find the end
	_, err := memory.ReadFrom(http.MaxBytesReader(c.Response(), r.Body, a.MaxBodyBytes))
	body := memory.Bytes()
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return errMalformedJSON("The body ended too early.")
	}
	x.body = body
	if len(body) == 0 {
		return requireBody(x)
	}
	if !isJSON(r.Header.Values(echo.HeaderContentType)) {
		return &chat.Error{Code: codeUnsupportedMediaType, Detail: "Send JSON with Content-Type: application/json."}
	}
	if x.isPlain(r) {
		return nil
	}
	if !json.Valid(body) {
		return errMalformedJSON("The body is not JSON.")
	}
	if faults := textFaults(body); len(faults) > 0 {
		return invalid(faults)
	}
	return nil
}

func requireBody(x *exchange) error {
	if x.op.route.Operation.RequestBody.Value.Required {
		return errMalformedJSON("The body is empty; JSON is wanted.")
	}
	return nil
}

// isJSON tells whether the body is announced as JSON, in UTF-8 if at all.
func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	if contentTypes[0] == echo.MIMEApplicationJSON {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || mediaType != echo.MIMEApplicationJSON {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// decode reads the body into the generated type. The specification has let it
// pass; what still fails is a number beyond what Go's integers hold.
func decode(c echo.Context, into any) error {
	body := exchangeOf(c).body
	if len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, into)
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return chat.Invalid(mistyped.Field, "must be a whole number within 64 bits")
	}
	if err != nil {
		return errMalformedJSON("The body is not JSON.")
	}
	return nil
}
