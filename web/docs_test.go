package web

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReferenceIsWholeAndOwesNothingToAnybodyElse: all it refers to is here, and nothing in it is a script but files.
func TestReferenceIsWholeAndOwesNothingToAnybodyElse(t *testing.T) {
	t.Parallel()
	page := get(t, "/docs")
	require.Equal(t, http.StatusOK, page.Code)
	assert.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"))
	text := page.Body.String()
	assert.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, text, "an inline script")
	assert.NotRegexp(t, `\son[a-z]+=`, text, "a script in an attribute")
	assert.NotContains(t, text, "://")
	links := regexp.MustCompile(`(?:src|href)="(/docs/[^"]+)"`).FindAllStringSubmatch(text, -1)
	require.Len(t, links, len(docsFiles)-1)
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
	for _, link := range links {
		w := get(t, link[1])
		require.Equal(t, http.StatusOK, w.Code, link[1])
		assert.Equal(t, kinds[link[1][strings.LastIndexByte(link[1], '.'):]], w.Header().Get("Content-Type"), link[1])
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		again := get(t, link[1], "If-None-Match", w.Header().Get("ETag"))
		assert.Equal(t, http.StatusNotModified, again.Code, "%s is not sent twice", link[1])
	}
	assert.Equal(t, http.StatusNotFound, get(t, "/docs/nothing").Code)
}

func TestReferenceHasAPolicyOfItsOwn(t *testing.T) {
	t.Parallel()
	policy := get(t, "/docs").Header().Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'; script-src 'self'; ")
	assert.NotContains(t, policy, "unsafe-eval")
	assert.NotContains(t, get(t, "/").Header().Get("Content-Security-Policy"), "unsafe", "the page's own is strict")
}

// TestVendoredFilesAreThoseOfThePackage: nobody has changed them here.
func TestVendoredFilesAreThoseOfThePackage(t *testing.T) {
	t.Parallel()
	const folder = "static/vendor/swagger-ui/"
	sums, err := files.ReadFile(folder + "SHA256SUMS")
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(sums))
	checked := map[string]bool{}
	for lines.Scan() {
		want, name, found := strings.Cut(lines.Text(), "  ")
		require.True(t, found)
		content, err := files.ReadFile(folder + name)
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		assert.Equal(t, want, hex.EncodeToString(sum[:]), name)
		checked[name] = true
	}
	entries, err := files.ReadDir(strings.TrimSuffix(folder, "/"))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.True(t, checked[entry.Name()] || entry.Name() == "README.md" || entry.Name() == "SHA256SUMS", entry.Name())
	}
	require.True(t, checked["LICENSE"] && checked["swagger-ui-bundle.js"])
}
