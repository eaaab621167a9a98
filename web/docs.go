package web

import "net/http"

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

// handleDocs serves the reference from the files that are served anyway.
func handleDocs(mux *http.ServeMux, served assets) {
	for address, name := range docsFiles {
		file := served["/"+name]
		mux.HandleFunc("GET "+address, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", docsPolicy)
			file.ServeHTTP(w, r)
		})
	}
}
