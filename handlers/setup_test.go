package handlers

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"longwire/chat"
	"longwire/realtime"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// Whom the tests know.
var (
	ada     = chat.ID(9_000_000_000 << 22)
	bob     = chat.ID(9_086_400_000 << 22)
	laptop  = chat.ID(9_172_800_000 << 22)
	someone = chat.Caller{User: ada, Session: laptop}
	then    = chat.Time(1_788_256_800_000)
)

const (
	accessToken = "access.token.of-ada"
	inboxToken  = "inbox.token.of-ada"
	epoch       = "e1"
)

// double is a Service whose answers the test sets; what it does not set panics,
// which the API answers with 500.
type double struct {
	Service

	mu    sync.Mutex
	calls []string // names of the calls that were made; guarded by mu

	err       error // what every recorded call returns
	replayed  bool
	draft     chat.Draft
	patch     chat.ProfilePatch
	page      chat.Page
	ref       chat.MessageRef
	edit      chat.MessagePatch
	emoji     string
	on        bool
	search    chat.MessageSearch
	filter    chat.ConversationFilter
	change    chat.ConversationPatch
	expiresAt time.Time

	exportLonger int        // how often each list is repeated
	exportFails  error      // how each list of an export ends
	seen         []sighting // guarded by mu
	sessionEnded error      // what is found when a reader has been attached
}

func (d *double) called(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, name)
	return d.err
}

// Seen is called with every request.
func (d *double) Seen(caller chat.Caller, from chat.ClientOrigin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, sighting{caller, from})
}

// sighting is what Seen was told.
type sighting struct {
	caller chat.Caller
	from   chat.ClientOrigin
}

func (d *double) identity() chat.Identity {
	return chat.Identity{Caller: someone, ExpiresAt: d.expiresAt}
}

func (d *double) Authenticate(_ context.Context, token string) (chat.Identity, error) {
	if token != accessToken {
		return chat.Identity{}, unauthenticated("This token is not good.")
	}
	return d.identity(), nil
}

func (d *double) AuthenticateInbox(_ context.Context, token string) (chat.Identity, error) {
	if token != inboxToken {
		return chat.Identity{}, unauthenticated("This token is not good.")
	}
	return d.identity(), nil
}

// SessionLives says what the test wants.
func (d *double) SessionLives(context.Context, chat.Caller) error { return d.sessionEnded }

// readerDouble is a Reader that gives what the test feeds it.
type readerDouble struct {
	batches chan realtime.Batch
	failing error // what Try returns when there is no batch
	cold    bool  // everything must be read

	gone chan struct{} // closed by Close

	mu  sync.Mutex
	seq int64
}

func newReaderDouble(seq int64, batches ...realtime.Batch) *readerDouble {
	r := &readerDouble{seq: seq, batches: make(chan realtime.Batch, 16), gone: make(chan struct{})}
	for _, b := range batches {
		r.batches <- b
	}
	return r
}

func (r *readerDouble) took(b realtime.Batch) realtime.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(b.Events); n > 0 {
		r.seq = b.Events[n-1].Seq
	}
	if b.Reset != nil {
		r.seq = b.Reset.Seq
	}
	return b
}

func (r *readerDouble) Next(ctx context.Context) (realtime.Batch, error) {
	select {
	case b := <-r.batches:
		return r.took(b), nil
	case <-ctx.Done():
		return realtime.Batch{}, ctx.Err()
	}
}

func (r *readerDouble) Try(context.Context) (realtime.Batch, error) {
	select {
	case b := <-r.batches:
		return r.took(b), nil
	default:
		return realtime.Batch{}, r.failing
	}
}

// TryWindow knows everything, but for what the test says must be read.
func (r *readerDouble) TryWindow() (realtime.Batch, bool) {
	if r.cold {
		return realtime.Batch{}, false
	}
	batch, _ := r.Try(context.Background())
	return batch, true
}

func (r *readerDouble) Seq() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

func (r *readerDouble) CursorPrefix() string { return chat.CursorPrefix(epoch, ada) }

func (r *readerDouble) Close() { close(r.gone) }

func (r *readerDouble) isClosed() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}

// inboxesDouble is Inboxes over one reader.
type inboxesDouble struct {
	reader *readerDouble
	err    error

	mu      sync.Mutex
	request realtime.Request // the last one
	saved   []int64
}

func (i *inboxesDouble) Attach(_ context.Context, request realtime.Request) (Reader, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.request = request
	if i.err != nil {
		return nil, i.err
	}
	return i.reader, nil
}

// give has something come in.
func (i *inboxesDouble) give(batch realtime.Batch) {
	i.reader.batches <- batch
	i.wake()
}

// wake tells a reader that has no goroutine that something came in.
func (i *inboxesDouble) wake() {
	i.mu.Lock()
	wake := i.request.OnWake
	i.mu.Unlock()
	if wake != nil {
		wake()
	}
}

func (i *inboxesDouble) Save(_, _ chat.ID, seq int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.saved = append(i.saved, seq)
}

func (i *inboxesDouble) CurrentCursor(context.Context, chat.ID) (string, error) {
	return cursorAt(50), i.err
}

// limiterDouble answers what the test wants and remembers what it was asked.
type limiterDouble struct {
	decision realtime.Decision

	mu   sync.Mutex
	keys []string
}

func (l *limiterDouble) Allow(_ context.Context, key string, limit realtime.Limit) (realtime.Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, key)
	d := l.decision
	d.Limit = limit.Burst
	return d, nil
}

func cursorAt(seq int64) string { return chat.Cursor{Epoch: epoch, Seq: seq}.String(ada) }

// bundle is an API with everything around it in the test's hand.
type bundle struct {
	service  *double
	inboxes  *inboxesDouble
	limiter  *limiterDouble
	log      *lockedBuilder
	registry *prometheus.Registry
	config   Config
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t *testing.T, adjust ...func(*bundle)) (http.Handler, *bundle) {
	t.Helper()
	b := &bundle{
		service: &double{}, inboxes: &inboxesDouble{reader: newReaderDouble(41)}, limiter: &limiterDouble{},
		log: &lockedBuilder{}, registry: prometheus.NewRegistry(),
	}
	b.config = Config{
		Service: b.service, Inboxes: b.inboxes, Limiter: b.limiter, Registerer: b.registry,
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Random: func() float64 { return 0.5 }, MaxBodyBytes: 1024,
	}
	for _, change := range adjust {
		change(b)
	}
	handler, err := New(b.config)
	require.NoError(t, err)
	t.Cleanup(handler.Close)
	return handler, b
}

// option changes a request.
type option func(*http.Request)

func signedIn(r *http.Request) { r.Header.Set("Authorization", "Bearer "+accessToken) }

func with(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// do sends a request; a body is announced as JSON.
func do(t *testing.T, h http.Handler, method, target, body string, options ...option) *httptest.ResponseRecorder {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, change := range options {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// problemIn returns the problem that an answer holds, and checks what every problem has.
func problemIn(t *testing.T, w *httptest.ResponseRecorder) problem {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), w.Body.String())
	var p problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, w.Code, p.Status)
	require.Equal(t, "urn:longwire:problem:"+string(p.Code), p.Type)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	require.Equal(t, w.Header().Get("X-Request-ID"), p.RequestID)
	return p
}
