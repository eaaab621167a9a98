package openapi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/openapi/openapitest"
)

// documentedRequest finds a call in a document, and the JSON behind it if there is some.
var documentedRequest = regexp.MustCompile("(GET|POST|PUT|PATCH|DELETE) (/v1/[^\\s`?]*)[^\\s`{]*(?: +(\\{[^`]*\\}))?")

// TestDocumentedRequestsAreTrue holds every call that a document shows against the specification: that there is such an operation,
// and that it takes such a body.
func TestDocumentedRequestsAreTrue(t *testing.T) {
	t.Parallel()
	operations := openapitest.Operations(strict(t))
	documents, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, document := range append(documents, "../README.md") {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			for _, call := range documentedRequest.FindAllStringSubmatch(line, -1) {
				found++
				op := operationAt(operations, call[1], strings.TrimRight(call[2], ".,;:"))
				if !assert.NotNil(t, op, "%s: there is no %s %s", document, call[1], call[2]) {
					continue
				}
				checkDocumentedBody(t, document, op, call[3])
			}
		}
	}
	assert.Greater(t, found, 20)
}

// checkDocumentedBody holds what stands behind a call against the operation's body, if it is JSON without anything left out.
func checkDocumentedBody(t *testing.T, document string, op *openapitest.Operation, text string) {
	t.Helper()
	if text == "" || strings.Contains(text, "…") {
		return
	}
	var body any
	require.NoError(t, json.Unmarshal([]byte(text), &body), "%s: %s", document, text)
	require.NotNil(t, op.RequestBody, "%s: %s takes no body", document, op.OperationID)
	schema := op.RequestBody.Value.Content["application/json"].Schema.Value
	assert.NoError(t, schema.VisitJSON(body, openapi3.VisitAsRequest()), "%s: %s %s", document, op.OperationID, text)
}

// operationAt returns the operation of an address whose ids may be called anything; nil = there is none.
func operationAt(operations []openapitest.Operation, method, path string) *openapitest.Operation {
	asked := strings.Split(path, "/")
	for i, op := range operations {
		parts := strings.Split(op.Path, "/")
		if op.Method != method || len(parts) != len(asked) {
			continue
		}
		same := true
		for n, part := range parts {
			same = same && (part == asked[n] || strings.HasPrefix(part, "{") && strings.HasPrefix(asked[n], "{"))
		}
		if same {
			return &operations[i]
		}
	}
	return nil
}
