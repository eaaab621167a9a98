// Package openapitest reads the specification the way tests want it: as a list
// of operations with their examples and error codes. Only tests import it.
package openapitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"longwire/openapi"
)

// CodesExtension is where an operation lists every error code that it may answer with.
const CodesExtension = "x-error-codes"

// Operation is one operation of a specification.
type Operation struct {
	*openapi3.Operation

	Method, Path string
	Item         *openapi3.PathItem
}

// Strict returns a copy of the specification that is the caller's own, with
// every object closed, so that a field that it does not know is an error in an
// answer, an event or an example too.
func Strict() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.YAML())
	if err == nil {
		Close(doc)
	}
	return doc, err
}

// Close makes every object of a specification refuse fields that it does not name.
func Close(doc *openapi3.T) {
	no := false
	for _, ref := range doc.Components.Schemas {
		if ref.Value.Type.Is(openapi3.TypeObject) && ref.Value.AdditionalProperties.Has == nil && ref.Value.AdditionalProperties.Schema == nil {
			ref.Value.AdditionalProperties = openapi3.BoolSchema{Has: &no}
		}
	}
}

// Operations returns all operations, ordered by operationId.
func Operations(doc *openapi3.T) []Operation {
	var all []Operation
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			all = append(all, Operation{Operation: operation, Method: method, Path: path, Item: item})
		}
	}
	slices.SortFunc(all, func(a, b Operation) int { return cmp.Compare(a.OperationID, b.OperationID) })
	return all
}

// Codes returns the error codes that an operation lists, in its order.
func Codes(operation *openapi3.Operation) ([]string, error) {
	listed, there := operation.Extensions[CodesExtension]
	if !there {
		return nil, nil
	}
	values, isList := listed.([]any)
	if !isList {
		return nil, fmt.Errorf("%s of %s is no list", CodesExtension, operation.OperationID)
	}
	codes := make([]string, 0, len(values))
	for _, value := range values {
		code, isText := value.(string)
		if !isText {
			return nil, fmt.Errorf("%s of %s has %v, which is no text", CodesExtension, operation.OperationID, value)
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// StatusOf returns the status of an error code, which its example tells; 0 = there is no such code.
func StatusOf(doc *openapi3.T, code string) int {
	example := doc.Components.Examples[code]
	if example == nil || example.Value == nil {
		return 0
	}
	problem, _ := example.Value.Value.(map[string]any)
	switch status := problem["status"].(type) {
	case float64:
		return int(status)
	case int:
		return status
	default:
		return 0
	}
}

// Statuses returns the statuses that an operation documents, ascending.
func Statuses(operation *openapi3.Operation) []int {
	var all []int
	for text := range operation.Responses.Map() {
		if status, err := strconv.Atoi(text); err == nil {
			all = append(all, status)
		}
	}
	slices.Sort(all)
	return all
}

// Response returns what an operation says of a status; nil = nothing.
func Response(operation *openapi3.Operation, status int) *openapi3.Response {
	ref := operation.Responses.Status(status)
	if ref == nil {
		return nil
	}
	return ref.Value
}

// Example is one example of a body.
type Example struct {
	Name  string // "" = it is the only one
	Value any
}

// Examples returns the examples of a body, be there one or several, ordered by name.
func Examples(media *openapi3.MediaType) []Example {
	if media == nil {
		return nil
	}
	if media.Example != nil {
		return []Example{{Value: media.Example}}
	}
	var all []Example
	for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
		if example := media.Examples[name].Value; example != nil {
			all = append(all, Example{Name: name, Value: example.Value})
		}
	}
	return all
}

// BodyExamples returns the examples of an operation's JSON body.
func BodyExamples(operation *openapi3.Operation) []Example {
	if operation.RequestBody == nil {
		return nil
	}
	return Examples(operation.RequestBody.Value.Content[jsonType])
}

const jsonType = "application/json"

// JSON returns a value of the specification as JSON. Its texts that are no
// JSON, such as those of a stream, stay as they are.
func JSON(value any) (string, error) {
	encoded, err := json.Marshal(value)
	return string(encoded), err
}

// Names returns the names of path parameters, in the order of the path.
func Names(path string) []string {
	var names []string
	for _, part := range strings.Split(path, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		names = append(names, name)
	}
	return names
}
