package web

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLongwireJS runs the tests of longwire.js, in Node.
func TestLongwireJS(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "longwire.js is tested in Node.js: run `make test`, or install it")
	suites, err := filepath.Glob("tests/*.test.mjs")
	require.NoError(t, err)
	require.NotEmpty(t, suites)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, suite := range suites {
		output, err := exec.CommandContext(ctx, node, "--test", "--test-reporter=tap", suite).CombinedOutput()
		require.NoError(t, err, "%s", output)
		require.NotContains(t, string(output), "\n# pass 0\n", "%s has no tests", suite)
	}
}

// TestLongwireJSIsServed: the module, everything that it imports, and its types are there, as what they are.
func TestLongwireJSIsServed(t *testing.T) {
	t.Parallel()
	imports := regexp.MustCompile(`from "\./([^"]+)"`)
	seen := map[string]bool{}
	var follow func(path string)
	follow = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		w := get(t, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		assert.Contains(t, w.Header().Get("Content-Type"), "text/javascript", path)
		assert.Less(t, strings.Count(w.Body.String(), "\n"), 600, path)
		for _, found := range imports.FindAllStringSubmatch(w.Body.String(), -1) {
			follow(path[:strings.LastIndexByte(path, '/')+1] + found[1])
		}
	}
	follow("/longwire.js")
	assert.Len(t, seen, 6)
	for path := range seen {
		assert.True(t, path == "/longwire.js" || strings.HasPrefix(path, "/longwire/"), path)
	}
	types := get(t, "/longwire.d.ts")
	assert.Contains(t, types.Header().Get("Content-Type"), "text/plain")
	assert.Contains(t, types.Body.String(), "export function createClient(")
}
