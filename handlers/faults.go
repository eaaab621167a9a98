package handlers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"longwire/chat"
)

// maxFaults bounds how much is said about one request.
const maxFaults = 20

// specificationError turns what the filter found into one error that names
// every field. What it says of values stays here: messages are our own.
func specificationError(err error) error {
	var faults []chat.FieldError
	collectFaults(err, "", &faults)
	if len(faults) == 0 {
		return &chat.Error{Code: chat.CodeValidation, Detail: "The request does not fit the specification.", Err: err}
	}
	// One message for each field, the first: what is empty need not hear that
	// it does not fit the pattern either.
	slices.SortStableFunc(faults, func(a, b chat.FieldError) int { return strings.Compare(a.Field, b.Field) })
	faults = slices.CompactFunc(faults, func(a, b chat.FieldError) bool { return a.Field == b.Field })
	return invalid(faults[:min(len(faults), maxFaults)])
}

// collectFaults walks the filter's errors; field is the parameter they are about.
func collectFaults(err error, field string, faults *[]chat.FieldError) {
	switch e := err.(type) { //nolint:errorlint // a walk over the filter's own types, level by level
	case nil:
	case openapi3.MultiError:
		for _, one := range e {
			collectFaults(one, field, faults)
		}
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			field = e.Parameter.Name
		}
		if e.Err == nil {
			*faults = append(*faults, chat.FieldError{Field: field, Message: "cannot be accepted"})
			return
		}
		collectFaults(e.Err, field, faults)
	case *openapi3.SchemaError:
		*faults = append(*faults, schemaFault(e, field))
	case *openapi3filter.ParseError:
		*faults = append(*faults, chat.FieldError{Field: field, Message: "must be a whole number"})
	default:
		message := "cannot be accepted"
		switch {
		case errors.Is(err, openapi3filter.ErrInvalidRequired):
			message = "is required"
		case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
			message = "must not be empty"
		}
		*faults = append(*faults, chat.FieldError{Field: field, Message: message})
	}
}

// schemaFault says in plain words what a schema did not accept, and where.
func schemaFault(e *openapi3.SchemaError, field string) chat.FieldError {
	path := e.JSONPointer()
	if field != "" {
		path = append([]string{field}, path...)
	}
	name := strings.Join(path, ".")
	if e.SchemaField == "properties" || e.SchemaField == "additionalProperties" {
		if unknown := unknownField(e); unknown != "" {
			name = strings.TrimPrefix(name+"."+unknown, ".")
		}
		return chat.FieldError{Field: name, Message: "is not known"}
	}
	if name == "" {
		name = "body"
	}
	return chat.FieldError{Field: name, Message: schemaMessage(e)}
}

// unknownField finds the name of a field that the schema does not have; the
// filter says it in its reason only, in quotes.
func unknownField(e *openapi3.SchemaError) string {
	_, rest, ok := strings.Cut(e.Reason, `property "`)
	if !ok {
		return ""
	}
	end := strings.LastIndex(rest, `"`)
	if end < 0 {
		return ""
	}
	name, err := strconv.Unquote(`"` + rest[:end] + `"`)
	if err != nil {
		name = rest[:end]
	}
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	return name
}

func schemaMessage(e *openapi3.SchemaError) string {
	schema := e.Schema
	switch e.SchemaField {
	case "required":
		return "is required"
	case "type":
		return "must be " + kindName(schema)
	case "nullable":
		return "must not be null"
	case "enum":
		return "must be one of: " + enumNames(schema)
	case "minLength":
		if schema.MinLength == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", schema.MinLength)
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *schema.MaxLength)
	case "maxItems":
		return fmt.Sprintf("must have at most %d items", *schema.MaxItems)
	case "minimum":
		return fmt.Sprintf("must be at least %v", *schema.Min)
	case "maximum":
		return fmt.Sprintf("must be at most %v", *schema.Max)
	case "pattern":
		return patternMessage(schema)
	case "format":
		if schema.Format == "date-time" {
			return "must be a time as in 2026-11-26T12:00:00Z (RFC 3339)"
		}
	}
	return "cannot be accepted"
}

func patternMessage(schema *openapi3.Schema) string {
	if schema.Pattern == "^[!-~]+$" {
		return "must be printable ASCII without spaces"
	}
	return "must be an id"
}

func kindName(schema *openapi3.Schema) string {
	switch {
	case schema.Type.Is(openapi3.TypeString):
		return "a text"
	case schema.Type.Is(openapi3.TypeInteger):
		return "a whole number"
	case schema.Type.Is(openapi3.TypeArray):
		return "a list"
	case schema.Type.Is(openapi3.TypeObject):
		return "an object"
	case schema.Type.Is(openapi3.TypeBoolean):
		return "true or false"
	default:
		return "of another type"
	}
}

func enumNames(schema *openapi3.Schema) string {
	names := make([]string, 0, len(schema.Enum))
	for _, value := range schema.Enum {
		names = append(names, fmt.Sprint(value))
	}
	return strings.Join(names, ", ")
}

// textFaults finds strings of a valid JSON text that are no text: bytes that
// are not UTF-8, half a surrogate pair, NUL. encoding/json would mend the first
// two in silence, and then what is stored is not what was sent; the third is
// more than some databases and clients bear.
func textFaults(body []byte) []chat.FieldError {
	if utf8.Valid(body) && !bytes.Contains(body, []byte(`\u0000`)) && !bytes.Contains(bytes.ToLower(body), []byte(`\ud`)) {
		return nil
	}
	var faults []chat.FieldError
	walkText(body, "", maxTextDepth, &faults)
	return faults
}

// maxTextDepth is deeper than any schema of ours; what lies below is refused by
// the schema, so that it need not be walked, which costs a scan for each level.
const maxTextDepth = 8

// walkText visits every string under a value that is known to be valid JSON.
func walkText(value json.RawMessage, path string, depth int, faults *[]chat.FieldError) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || depth == 0 || len(*faults) >= maxFaults {
		return
	}
	switch value[0] {
	case '"':
		if !isText(value) {
			*faults = append(*faults, chat.FieldError{Field: cmp.Or(path, "body"), Message: messageBadText})
		}
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(value, &items) == nil {
			for i, item := range items {
				walkText(item, join(path, strconv.Itoa(i)), depth-1, faults)
			}
		}
	case '{':
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) == nil {
			for name, field := range fields {
				walkText(field, join(path, name), depth-1, faults)
			}
		}
	}
}

func join(path, name string) string {
	return strings.TrimPrefix(path+"."+name, ".")
}

// isText tells whether a JSON string, in its quotes, is text.
func isText(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	for i := 1; i < len(quoted)-1; i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++
		if quoted[i] != 'u' {
			continue
		}
		unit := hexUnit(quoted[i+1:])
		i += 4
		switch {
		case unit == 0:
			return false
		case unit >= 0xDC00 && unit <= 0xDFFF: // a second half without a first
			return false
		case unit >= 0xD800 && unit <= 0xDBFF:
			rest := quoted[i+1:]
			if !bytes.HasPrefix(rest, []byte(`\u`)) {
				return false
			}
			if low := hexUnit(rest[2:]); low < 0xDC00 || low > 0xDFFF {
				return false
			}
			i += 6
		}
	}
	return true
}

// hexUnit reads the four hexadecimal digits that valid JSON has after \u.
func hexUnit(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 32)
	if err != nil {
		return 0
	}
	return unit
}
