package handlers

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// nowhere takes a finished log line, so that making it is measured.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkSend is what HTTP costs on top of the domain: middleware,
// validation, decoding, encoding, the log line.
func BenchmarkSend(b *testing.B) {
	h, err := New(Config{Service: &silentService{}, Inboxes: &inboxesDouble{}, Logger: slog.New(slog.NewJSONHandler(nowhere{}, nil))})
	if err != nil {
		b.Fatal(err)
	}
	body := `{"body":"` + strings.Repeat("x", 200) + `"}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, sendPath, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "3f0c9a52-7d1b-4f0e-9a53-0e7f5c1b2a10")
		signedIn(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			b.Fatal(w.Code)
		}
	}
}
