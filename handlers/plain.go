package handlers

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// Nearly every message is {"body": "some text"} and nothing else. Such a request
// is seen at a glance to fit the specification, which otherwise takes three
// readings of the body and most of the time that a message spends in this
// package. What is not seen at a glance goes the way of all requests, so that
// errors are told in one place.

// isPlain tells whether the request, whose body has been read, is such a message.
func (x *exchange) isPlain(r *http.Request) bool {
	if x.op.plainLimit == 0 || len(x.body) > x.op.plainLimit {
		return false
	}
	if keys := r.Header.Values("Idempotency-Key"); len(keys) > 1 || len(keys) == 1 && !isPlainKey(keys[0]) {
		return false
	}
	text, ok := plainText(x.body)
	x.plain = text
	return ok
}

// maxPlainKey is shorter than the specification's limit or equal to it.
const maxPlainKey = 128

// isPlainKey accepts what the specification says of an Idempotency-Key.
func isPlainKey(key string) bool {
	for _, b := range []byte(key) {
		if b < '!' || b > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxPlainKey
}

// plainText returns the text of a JSON body that has one member, body, and in
// it a text that is not empty; false for all else and for escapes that may
// stand for no character.
func plainText(body []byte) (string, bool) {
	s := scanner{rest: body, good: true}
	s.expect('{')
	if name := s.quoted(); string(name) != `"body"` {
		return "", false
	}
	s.expect(':')
	quoted := s.quoted()
	s.expect('}')
	s.space()
	if !s.good || len(s.rest) > 0 || len(quoted) <= len(`""`) || !utf8.Valid(quoted) {
		return "", false
	}
	if !s.escapes {
		return string(quoted[1 : len(quoted)-1]), true
	}
	var text string
	err := json.Unmarshal(quoted, &text)
	return text, err == nil
}

// scanner reads JSON from the front. After the first thing that it does not
// expect it is not good, and stays so.
type scanner struct {
	rest    []byte
	good    bool
	escapes bool // a string had some
}

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// expect skips space and one character.
func (s *scanner) expect(c byte) {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		s.good, s.rest = false, nil
		return
	}
	s.rest = s.rest[1:]
}

// quoted skips space and returns a string in its quotes.
func (s *scanner) quoted() []byte {
	s.space()
	begin := s.rest
	s.expect('"')
	for i, c := range s.rest {
		switch {
		case c == '"' && !escaped(s.rest[:i]):
			s.rest = s.rest[i+1:]
			return begin[:i+2]
		case c == '\\':
			s.escapes = true
		case c < ' ', c == 'u' && escaped(s.rest[:i]):
			s.good, s.rest = false, nil
			return nil
		}
	}
	s.good, s.rest = false, nil
	return nil
}

// escaped tells whether what comes after text has an odd number of backslashes before it.
func escaped(text []byte) bool {
	odd := false
	for i := len(text) - 1; i >= 0 && text[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// plainLimitOf returns how long the body of a plain message may be, in bytes:
// as many as the specification allows characters. 0 = the operation sends no
// message.
func plainLimitOf(op *operation) int {
	if op.id != "sendToUser" && op.id != "sendToGroup" {
		return 0
	}
	schema := op.route.Operation.RequestBody.Value.Content.Get(echo.MIMEApplicationJSON).Schema.Value
	limit := schema.Properties["body"].Value.MaxLength
	if limit == nil {
		return 0
	}
	return int(*limit)
}
