package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// get asks the pages for something.
func get(t *testing.T, address string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	pages, err := New()
	require.NoError(t, err)
	return ask(t, pages, address, header...)
}

// ask asks a handler for something.
func ask(t *testing.T, pages http.Handler, address string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, r)
	return w
}
