package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// The reference at /docs is Swagger UI (vendor/swagger-ui, of which only what is needed is here) over /openapi.json: offline,
// from the binary alone, and every operation can be tried.

// docsPolicy differs from the page's in one thing: Swagger UI sets styles on its elements. Scripts must be files, as everywhere.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsFiles says which file stands at which path.
var docsFiles = map[string]string{
	"/docs":                      "docs/index.html",
	"/docs/docs.css":             "docs/docs.css",
	"/docs/docs.js":              "docs/docs.js",
	"/docs/swagger-ui.css":       "vendor/swagger-ui/swagger-ui.css",
	"/docs/swagger-ui-bundle.js": "vendor/swagger-ui/swagger-ui-bundle.js",
}

// docsPaths are the patterns under which the handler finds docsFiles.
var docsPaths = []string{"/docs", "/docs/:file"}

// handleDocs serves the reference. Its files have tags, since one of them is large and a binary's files have no times.
func handleDocs(mux *http.ServeMux, static fs.FS) error {
	for address, name := range docsFiles {
		content, err := fs.ReadFile(static, name)
		if err != nil {
			return fmt.Errorf("reference: %w", err)
		}
		sum := sha256.Sum256(content)
		tag := `"` + hex.EncodeToString(sum[:16]) + `"`
		mux.HandleFunc("GET "+address, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", docsPolicy)
			w.Header().Set("ETag", tag)
			http.ServeContent(w, r, path.Base(name), time.Time{}, bytes.NewReader(content))
		})
	}
	return nil
}
