package web

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/openapi"
)

// TestReferenceTellsTokensAndCodes: an operation that says nothing of its own about tokens wants the one that all want, and errors
// are listed with the codes that this operation gives.
func TestReferenceTellsTokensAndCodes(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	page, err := renderDocs(spec.Doc)
	require.NoError(t, err)
	article := func(id string) string {
		t.Helper()
		_, rest, found := strings.Cut(string(page), `<article id="`+id+`">`)
		require.True(t, found, id)
		text, _, _ := strings.Cut(rest, "</article>")
		return text
	}
	assert.Contains(t, article("getMe"), "authentication: bearerAuth")
	assert.Contains(t, article("register"), "authentication: none")
	assert.Contains(t, article("pollInbox"), "inboxToken")
	assert.Contains(t, article("register"), "<code>username_taken</code>")
	assert.NotContains(t, article("register"), "<code>already_friends</code>")
}
