// Package web is what people see in a browser: the page at / and the API's
// reference at /docs, both served from the binary and working offline.
package web

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
)

//go:embed static
var files embed.FS

// contentSecurityPolicy allows what the binary serves and nothing else: no
// inline script, so that text from users can never become one.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Paths are what New's handler answers.
var Paths = paths()

// New returns the handler of / and of everything the pages refer to.
func New() (http.Handler, error) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("embedded pages: %w", err)
	}
	served, err := newAssets(static)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", served)
	handleDocs(mux, served)
	return secured(mux), nil
}

// secured adds the headers that every page gets.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
