package web

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func served(t *testing.T) assets {
	t.Helper()
	static, err := fs.Sub(files, "static")
	require.NoError(t, err)
	all, err := newAssets(static)
	require.NoError(t, err)
	return all
}

// TestEveryFileOfThePageIsServedWithItsType: a browser that is told nosniff runs no script and takes no style of another type.
func TestEveryFileOfThePageIsServedWithItsType(t *testing.T) {
	t.Parallel()
	all, err := New()
	require.NoError(t, err)
	for _, path := range Paths {
		answer := ask(t, all, path)
		assert.Equal(t, http.StatusOK, answer.Code, path)
		kind := answer.Header().Get("Content-Type")
		switch {
		case strings.HasSuffix(path, ".js"):
			assert.Equal(t, "text/javascript; charset=utf-8", kind, path)
		case strings.HasSuffix(path, ".css"):
			assert.Equal(t, "text/css; charset=utf-8", kind, path)
		case strings.HasSuffix(path, ".svg"):
			assert.Equal(t, "image/svg+xml", kind, path)
		}
	}
	assert.Equal(t, "text/html; charset=utf-8", ask(t, all, "/").Header().Get("Content-Type"))
	assert.Equal(t, http.StatusNotFound, ask(t, all, "/app/").Code, "folders are not listed")
}

// TestUnchangedFilesAreNotSentAgain, in either form, and the two forms are not taken for each other.
func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	t.Parallel()
	all := served(t)
	plain, packed := ask(t, all, "/app/app.js"), ask(t, all, "/app/app.js", "Accept-Encoding", "br, gzip")
	assert.Empty(t, plain.Header().Get("Content-Encoding"))
	assert.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	assert.Equal(t, "Accept-Encoding", packed.Header().Get("Vary"))
	unpacked, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	same, err := io.ReadAll(plain.Body)
	require.NoError(t, err)
	assert.Equal(t, string(same), string(text))
	assert.NotEqual(t, plain.Header().Get("ETag"), packed.Header().Get("ETag"))
	again := ask(t, all, "/app/app.js", "Accept-Encoding", "gzip", "If-None-Match", packed.Header().Get("ETag"))
	assert.Equal(t, http.StatusNotModified, again.Code)
	assert.Equal(t, http.StatusOK, ask(t, all, "/app/app.js", "If-None-Match", packed.Header().Get("ETag")).Code)
	assert.Empty(t, ask(t, all, "/app/app.js", "Accept-Encoding", "gzip;q=0, br").Header().Get("Content-Encoding"))
	assert.Equal(t, "gzip", ask(t, all, "/app/app.js", "Accept-Encoding", "br;q=1, gzip; q=0.5").Header().Get("Content-Encoding"))
}

// TestThePageLoadsOnlyWhatIsThere: what the page and its modules import is embedded, index.html asks for every module at once, nothing comes
// from elsewhere, and together it is small.
func TestThePageLoadsOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	all := served(t)
	index := string(all["/"].plain)
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(index, -1) {
		if found[1] != "/docs" && !strings.HasPrefix(found[1], "data:") {
			assert.Contains(t, all, found[1])
		}
	}
	imports := regexp.MustCompile(`(?m)(?:\bfrom|^import)\s*"([^"]+)"`)
	seen, waiting := map[string]bool{}, []string{"/app/main.js"}
	for len(waiting) > 0 {
		path := waiting[0]
		waiting = waiting[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		module, known := all[path]
		require.True(t, known, path)
		assert.Contains(t, index, `"`+path+`"`, "is it preloaded?")
		for _, found := range imports.FindAllStringSubmatch(string(module.plain), -1) {
			require.True(t, strings.HasPrefix(found[1], "."), "%s imports %s: a browser does not know names of packages", path, found[1])
			waiting = append(waiting, resolve(path, found[1]))
		}
		if strings.HasPrefix(path, "/app/") {
			assert.NotContains(t, string(module.plain), "innerHTML", path)
			assert.NotContains(t, string(module.plain), "dangerouslySet", path)
			assert.LessOrEqual(t, strings.Count(string(module.plain), "\n"), 600, path)
		}
	}
	for path := range all {
		if strings.HasPrefix(path, "/app/") && strings.HasSuffix(path, ".js") {
			assert.True(t, seen[path], "%s is loaded by nobody", path)
		}
	}
	sent := 0
	for path := range seen {
		sent += len(all[path].gz)
	}
	assert.Less(t, sent, 120_000, "bytes of script, as sent")
}

func resolve(from, to string) string {
	parts := strings.Split(from, "/")
	parts = parts[:len(parts)-1]
	for step := range strings.SplitSeq(to, "/") {
		switch step {
		case ".":
		case "..":
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, step)
		}
	}
	return strings.Join(parts, "/")
}
