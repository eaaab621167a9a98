package openapi_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/openapi"
	"longwire/openapi/openapitest"
)

var update = flag.Bool("update", false, "add new operations to testdata/operations.txt")

func strict(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapitest.Strict()
	require.NoError(t, err)
	return doc
}

// sentence is what summaries and descriptions are: they begin with a capital letter, a digit or code.
var sentence = regexp.MustCompile("^[A-Z0-9`]")

func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	doc := strict(t)
	tags := map[string]bool{}
	for _, tag := range doc.Tags {
		tags[tag.Name] = true
		assert.NotEmpty(t, tag.Description, tag.Name)
	}
	for _, op := range openapitest.Operations(doc) {
		name := op.Method + " " + op.Path + " " + op.OperationID
		assert.Regexp(t, `^[a-z][A-Za-z]+$`, op.OperationID, name)
		assert.Regexp(t, sentence, op.Summary, name)
		assert.False(t, strings.HasSuffix(op.Summary, "."), "%s: a summary is a title", name)
		assert.Regexp(t, sentence, op.Description, name)
		require.Len(t, op.Tags, 1, name)
		assert.True(t, tags[op.Tags[0]], "%s: the tag %s is not described", name, op.Tags[0])
		for _, parameter := range op.Parameters {
			assert.NotEmpty(t, parameter.Value.Description, "%s: %s", name, parameter.Value.Name)
			assert.NotNil(t, parameter.Value.Schema, "%s: %s", name, parameter.Value.Name)
		}
		if op.RequestBody != nil {
			assert.NotEmpty(t, openapitest.BodyExamples(op.Operation), "%s: the body has no example", name)
		}
		for status, response := range op.Responses.Map() {
			assert.NotEmpty(t, *response.Value.Description, "%s: %s", name, status)
			for kind, media := range response.Value.Content {
				assert.NotEmpty(t, openapitest.Examples(media), "%s: %s as %s has no example", name, status, kind)
			}
		}
		assert.Less(t, openapitest.Statuses(op.Operation)[0], 300, "%s: no success", name)
	}
}

// TestErrorAnswersAreDocumented derives from what an operation takes which errors it must have, and
// holds its list of codes against its answers: each code has its answer, and each answer at least one code.
func TestErrorAnswersAreDocumented(t *testing.T) {
	t.Parallel()
	doc := strict(t)
	used := map[string]bool{"method_not_allowed": true} // any address may answer so
	for _, op := range openapitest.Operations(doc) {
		name := op.OperationID
		codes, err := openapitest.Codes(op.Operation)
		require.NoError(t, err)
		for _, code := range mustHave(doc, op) {
			assert.Contains(t, codes, code, "%s: %s; begin with %s", name, openapitest.CodesExtension, suggestion(doc, op))
		}
		explained := map[int]bool{}
		for i, code := range codes {
			used[code] = true
			assert.NotContains(t, codes[:i], code, name)
			status := openapitest.StatusOf(doc, code)
			require.NotZero(t, status, "%s: there is no code %s", name, code)
			explained[status] = true
			response := openapitest.Response(op.Operation, status)
			if assert.NotNil(t, response, "%s: %s is a %d, which is not among its answers", name, code, status) {
				assert.Contains(t, response.Content["application/problem+json"].Examples, code, "%s: the %d shows no %s", name, status, code)
			}
		}
		assert.True(t, slices.IsSortedFunc(codes, func(a, b string) int { return openapitest.StatusOf(doc, a) - openapitest.StatusOf(doc, b) }),
			"%s: the codes are ordered by status", name)
		for _, status := range openapitest.Statuses(op.Operation) {
			if status >= http.StatusBadRequest {
				assert.True(t, explained[status], "%s: %d has no code in %s; begin with %s", name, status, openapitest.CodesExtension, suggestion(doc, op))
			}
		}
	}
	for _, code := range doc.Components.Schemas["ProblemCode"].Value.Enum {
		assert.True(t, used[fmt.Sprint(code)], "no operation answers with %s", code)
	}
}

// mustHave returns the codes that an operation cannot but have.
func mustHave(doc *openapi3.T, op openapitest.Operation) []string {
	var codes []string
	security := doc.Security
	if op.Security != nil {
		security = *op.Security
	}
	if strings.HasPrefix(op.Path, "/v1/") {
		codes = append(codes, "internal")
	}
	if len(security) > 0 {
		codes = append(codes, "unauthenticated", "session_ended", "unavailable")
	}
	if len(openapitest.Names(op.Path)) > 0 {
		codes = append(codes, "not_found")
	}
	if op.RequestBody != nil {
		codes = append(codes, "malformed_json", "payload_too_large", "unsupported_media_type", "validation_failed")
	}
	if op.Method != http.MethodGet {
		codes = append(codes, "rate_limited")
	}
	for _, parameter := range op.Parameters {
		switch {
		case parameter.Value.In != openapi3.ParameterInPath:
			codes = append(codes, "validation_failed")
		}
		if parameter.Value.Name == "Idempotency-Key" {
			codes = append(codes, "idempotency_conflict")
		}
	}
	return codes
}

// suggestion is a line to begin with: what the operation must have, and all that its other answers show.
func suggestion(doc *openapi3.T, op openapitest.Operation) string {
	codes := mustHave(doc, op)
	has := func(status int) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return openapitest.StatusOf(doc, code) == status })
	}
	for _, status := range openapitest.Statuses(op.Operation) {
		if status < http.StatusBadRequest || has(status) {
			continue
		}
		for code := range openapitest.Response(op.Operation, status).Content["application/problem+json"].Examples {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	slices.SortStableFunc(codes, func(a, b string) int { return openapitest.StatusOf(doc, a) - openapitest.StatusOf(doc, b) })
	return openapitest.CodesExtension + ": [" + strings.Join(codes, ", ") + "]"
}

// TestLimitedOperationsTellTheirBudget: what may be refused for being too many says in every success where the budget stands.
func TestLimitedOperationsTellTheirBudget(t *testing.T) {
	t.Parallel()
	headers := []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
	for _, op := range openapitest.Operations(strict(t)) {
		codes, err := openapitest.Codes(op.Operation)
		require.NoError(t, err)
		for _, status := range openapitest.Statuses(op.Operation) {
			if status >= 300 && status != http.StatusTooManyRequests {
				continue
			}
			for _, header := range headers {
				told := openapitest.Response(op.Operation, status).Headers[header] != nil
				limited := slices.Contains(codes, "rate_limited") || status == http.StatusTooManyRequests
				assert.Equal(t, limited, told, "%s: %d and the header %s", op.OperationID, status, header)
			}
		}
	}
}

func TestEverySchemaAndPropertyIsDescribed(t *testing.T) {
	t.Parallel()
	for name, schema := range strict(t).Components.Schemas {
		assert.Regexp(t, sentence, schema.Value.Description, name)
		for property, its := range schema.Value.Properties {
			// A reference is described by what it refers to.
			assert.Regexp(t, sentence, described(its), "%s.%s", name, property)
		}
	}
}

func described(ref *openapi3.SchemaRef) string {
	if ref.Value.Description == "" && len(ref.Value.AllOf) == 1 {
		return described(ref.Value.AllOf[0])
	}
	return ref.Value.Description
}

// TestExamplesAreValid holds every example against its schema, closed: a field
// that the schema does not know is an error.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	eachExample(strict(t), func(where string, schema *openapi3.Schema, value any, request bool) {
		side := openapi3.VisitAsResponse()
		if request {
			side = openapi3.VisitAsRequest()
		}
		if text, isText := value.(string); isText && schema.Type.Is(openapi3.TypeString) {
			value = text
		}
		assert.NoError(t, schema.VisitJSON(value, side, openapi3.MultiErrors(), openapi3.EnableFormatValidation()), where)
	})
}

// eachExample calls fn with every example of a body and of a schema.
func eachExample(doc *openapi3.T, fn func(where string, schema *openapi3.Schema, value any, request bool)) {
	for _, op := range openapitest.Operations(doc) {
		if op.RequestBody != nil {
			for kind, media := range op.RequestBody.Value.Content {
				for _, example := range openapitest.Examples(media) {
					fn(fmt.Sprintf("%s takes %s %s", op.OperationID, kind, example.Name), media.Schema.Value, example.Value, true)
				}
			}
		}
		for status, response := range op.Responses.Map() {
			for kind, media := range response.Value.Content {
				for _, example := range openapitest.Examples(media) {
					fn(fmt.Sprintf("%s answers %s %s %s", op.OperationID, status, kind, example.Name), media.Schema.Value, example.Value, false)
				}
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		if schema.Value.Example != nil {
			fn("schema "+name, schema.Value, schema.Value.Example, false)
		}
	}
}

// TestEveryFieldStandsInAnExample: what a field looks like is to be seen somewhere.
func TestEveryFieldStandsInAnExample(t *testing.T) {
	t.Parallel()
	doc := strict(t)
	seen := map[string]bool{}
	eachExample(doc, func(_ string, schema *openapi3.Schema, value any, _ bool) { see(doc, seen, schema, value) })
	for name, schema := range doc.Components.Schemas {
		for property, its := range schema.Value.Properties {
			if its.Value.Example == nil {
				assert.True(t, seen[name+"."+property], "no example has %s.%s", name, property)
			}
		}
	}
}

// see notes the fields of schemas that an example shows.
func see(doc *openapi3.T, seen map[string]bool, schema *openapi3.Schema, value any) {
	if schema.Discriminator != nil {
		object, _ := value.(map[string]any)
		kind, _ := object[schema.Discriminator.PropertyName].(string)
		ref := schema.Discriminator.Mapping[kind].Ref
		if its := doc.Components.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]]; its != nil {
			see(doc, seen, its.Value, value)
		}
		return
	}
	for _, part := range schema.AllOf {
		see(doc, seen, part.Value, value)
	}
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			see(doc, seen, schema.Items.Value, item)
		}
	case map[string]any:
		for name, its := range doc.Components.Schemas {
			if its.Value != schema {
				continue
			}
			for property, inner := range value {
				seen[name+"."+property] = true
				if described := schema.Properties[property]; described != nil {
					see(doc, seen, described.Value, inner)
				}
			}
		}
	}
}

// TestEveryEventTypeIsDescribed: each type that the inbox may hold has a schema of its own, with an example, and one name for its data.
func TestEveryEventTypeIsDescribed(t *testing.T) {
	t.Parallel()
	doc := strict(t)
	event := doc.Components.Schemas["Event"].Value
	assert.Len(t, event.OneOf, len(event.Discriminator.Mapping))
	for kind, mapped := range event.Discriminator.Mapping {
		name := mapped.Ref[strings.LastIndexByte(mapped.Ref, '/')+1:]
		schema := doc.Components.Schemas[name]
		require.NotNil(t, schema, "%s: there is no schema %s", kind, name)
		assert.Equal(t, []any{kind}, schema.Value.Properties["type"].Value.Enum, name)
		assert.NotEmpty(t, schema.Value.Properties["data"].Ref, "%s: its data has no name", kind)
		assert.NotNil(t, schema.Value.Example, "%s: no example", kind)
		assert.True(t, slices.ContainsFunc(event.OneOf, func(ref *openapi3.SchemaRef) bool { return ref.Ref == mapped.Ref }), "%s is not among the events", name)
		assert.NoError(t, event.VisitJSON(schema.Value.Example), kind)
	}
}

const operationsFile = "testdata/operations.txt"

// TestOperationsKeepTheirNames: generated clients call operations by these names. One that is there may neither go nor change;
// a new one is added to the file by `go test ./openapi -update`.
func TestOperationsKeepTheirNames(t *testing.T) {
	t.Parallel()
	now := map[string]string{}
	for _, op := range openapitest.Operations(strict(t)) {
		require.NotContains(t, now, op.OperationID, "two operations have this name")
		now[op.OperationID] = op.OperationID + " " + op.Method + " " + op.Path
	}
	text, err := os.ReadFile(operationsFile)
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		known[name] = true
		assert.Equal(t, strings.TrimSpace(line), now[name], "an operation that clients know has gone or changed")
	}
	if *update && !t.Failed() {
		all := strings.Join(slices.Sorted(maps.Values(now)), "\n") + "\n"
		require.NoError(t, os.WriteFile(operationsFile, []byte(all), 0o644))
		return
	}
	for name := range now {
		assert.True(t, known[name], "%s is new: run `go test ./openapi -update`", name)
	}
}

func TestServedSpecificationKeepsTheCodes(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	served, err := openapi3.NewLoader().LoadFromData(spec.JSON)
	require.NoError(t, err)
	for _, op := range openapitest.Operations(served) {
		codes, err := openapitest.Codes(op.Operation)
		require.NoError(t, err)
		assert.Equal(t, len(codes) > 0, openapitest.Statuses(op.Operation)[len(openapitest.Statuses(op.Operation))-1] >= 400, op.OperationID)
	}
}
