package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
	"longwire/openapi/openapitest"
)

// checked is a transport that holds every request and every answer against the specification that the deployment serves.
type checked struct {
	t    *testing.T
	d    *deployment
	next http.RoundTripper
}

type wrongRequest struct{}

// onPurpose marks a request that breaks the specification because the test wants it to; its answer is checked all the same.
func onPurpose(ctx context.Context) context.Context {
	return context.WithValue(ctx, wrongRequest{}, true)
}

// http returns a client for the deployment, with connections that end with the test.
func (d *deployment) http(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: &checked{t: t, d: d, next: transport}}
}

func (c *checked) RoundTrip(request *http.Request) (*http.Response, error) {
	route, params, err := c.d.router.FindRoute(request)
	if err != nil {
		route = nil
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, Route: route, PathParams: params,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if request.Context().Value(wrongRequest{}) == nil {
		if assert.NotNil(c.t, route, "%s %s is not in the specification", request.Method, request.URL.Path) {
			copied := request.Clone(request.Context())
			if request.GetBody != nil {
				copied.Body, _ = request.GetBody()
			}
			input.Request = copied
			assert.NoError(c.t, openapi3filter.ValidateRequest(request.Context(), input))
			input.Request = request
		}
	}
	response, err := c.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	assert.NotEmpty(c.t, response.Header.Get("X-Request-ID"), "%s %s", request.Method, request.URL.Path)
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind == "text/event-stream" {
		assert.NotNil(c.t, route, "a stream that is not in the specification")
		response.Body = c.checkStream(route, response.Body)
		input.Options.ExcludeResponseBody = true
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// The checker reads YAML as what it says, while the specification promises a text.
	input.Options.ExcludeResponseBody = kind == "application/yaml"
	c.checkAnswer(request.Context(), route, input, response, body)
	return response, nil
}

// checkAnswer holds an answer that has an end against the specification.
func (c *checked) checkAnswer(ctx context.Context, route *routers.Route, input *openapi3filter.RequestValidationInput, response *http.Response, body []byte) {
	where := response.Request.Method + " " + response.Request.URL.Path
	if response.StatusCode >= http.StatusBadRequest {
		var problem map[string]any
		require.NoError(c.t, json.Unmarshal(body, &problem), "%s: %s", where, body)
		assert.Equal(c.t, "application/problem+json", response.Header.Get("Content-Type"), where)
		c.checkSchema("Problem", problem, body)
		assert.EqualValues(c.t, response.StatusCode, problem["status"], where)
		assert.Equal(c.t, response.Header.Get("X-Request-ID"), problem["request_id"], where)
		c.checkCode(route, problem, where)
	}
	if route == nil {
		assert.GreaterOrEqual(c.t, response.StatusCode, http.StatusBadRequest, "%s is answered, and it is not in the specification", where)
		return
	}
	c.checkBudget(route, response, where)
	err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: response.StatusCode, Header: response.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: input.Options,
	})
	assert.NoError(c.t, err, "%s: %d %s", where, response.StatusCode, body)
}

// checkCode makes sure that an operation lists the code of a problem that it answers with.
func (c *checked) checkCode(route *routers.Route, problem map[string]any, where string) {
	if route == nil {
		return
	}
	codes, err := openapitest.Codes(route.Operation)
	if err != nil {
		c.t.Error(err)
	}
	assert.Contains(c.t, codes, problem["code"], "%s: %s of %s", where, openapitest.CodesExtension, route.Operation.OperationID)
}

// checkBudget makes sure that an answer tells of a budget only where the specification says so. That it does where it
// must is tested where limits are on.
func (c *checked) checkBudget(route *routers.Route, response *http.Response, where string) {
	if response.Header.Get("RateLimit-Limit") == "" || response.StatusCode >= http.StatusBadRequest {
		return
	}
	if documented := openapitest.Response(route.Operation, response.StatusCode); documented != nil {
		assert.Contains(c.t, documented.Headers, "RateLimit-Limit", where)
	}
}

// checkSchema holds a value against one of the specification's schemas.
func (c *checked) checkSchema(name string, value any, text []byte) {
	schema := c.d.doc.Components.Schemas[name]
	if assert.NotNil(c.t, schema, "there is no schema %s", name) {
		err := schema.Value.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation())
		assert.NoError(c.t, err, "%s: %s", name, text)
	}
}

// checkStream holds each event of a stream against the specification while somebody else reads it.
func (c *checked) checkStream(route *routers.Route, body io.ReadCloser) io.ReadCloser {
	from, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		frames := client.NewFrameReader(from)
		for {
			frame, err := frames.Next()
			if err != nil {
				_, _ = io.Copy(io.Discard, from) // the reader must never wait for us
				return
			}
			c.checkFrame(route, frame)
		}
	}()
	return &checkedStream{ReadCloser: body, copy: to, done: done}
}

func (c *checked) checkFrame(route *routers.Route, frame client.Frame) {
	schema, found := map[string]string{
		"": "Event", "hello": "HelloData", "heartbeat": "HeartbeatData", "reset": "ResetData", "bye": "ByeData", "error": "Problem", "tick": "TickData",
	}[frame.Event]
	if !assert.True(c.t, found, "an event that the specification does not name: %s", frame.Event) {
		return
	}
	var data map[string]any
	if err := json.Unmarshal(frame.Data, &data); err != nil {
		assert.Fail(c.t, "an event that is no JSON", "%s: %s", frame.Event, frame.Data)
		return
	}
	c.checkSchema(schema, data, frame.Data)
	if frame.Event == "error" {
		c.checkCode(route, data, "a problem in a stream")
	}
	switch frame.Event {
	case "", "hello", "heartbeat", "reset":
		if cursor, ok := data["cursor"]; ok || frame.Event != "" {
			assert.True(c.t, frame.HasID, "%s: %s", frame.Event, frame.Data)
			assert.Equal(c.t, frame.ID, cursor, "%s: %s", frame.Event, frame.Data)
		}
	default:
		assert.False(c.t, frame.HasID, "%s has an id", frame.Event)
	}
}

type checkedStream struct {
	io.ReadCloser

	copy *io.PipeWriter
	done chan struct{}
	once sync.Once
}

func (s *checkedStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		_, _ = s.copy.Write(p[:n])
	}
	return n, err
}

func (s *checkedStream) Close() error {
	s.once.Do(func() {
		_ = s.copy.Close()
		<-s.done
	})
	return s.ReadCloser.Close()
}

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem reads the answer as a problem; its Code is "" when it is none.
func (a answer) problem() (problem client.Problem) {
	_ = json.Unmarshal(a.body, &problem)
	return problem
}

// raw is a request as somebody without a library would make it.
type raw struct {
	method, url, body string
	token             string // "" = none
	headers           map[string]string
	host              string // "" = that of the URL
	wrong             bool   // it breaks the specification on purpose
}

// ask makes a request and returns the whole answer.
func ask(t *testing.T, c *http.Client, r raw) answer {
	t.Helper()
	got, err := try(t.Context(), c, r)
	require.NoError(t, err)
	return got
}

// try does the same where the test must not end at once, as on a goroutine of its own.
func try(ctx context.Context, c *http.Client, r raw) (answer, error) {
	if r.wrong {
		ctx = onPurpose(ctx)
	}
	var body io.Reader
	if r.body != "" {
		body = bytes.NewReader([]byte(r.body))
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return answer{}, err
	}
	if r.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	for name, value := range r.headers {
		request.Header.Set(name, value)
	}
	request.Host = r.host
	response, err := c.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: read}, err
}

// The check must itself be checked: a transport that approves of everything would go unnoticed.
func TestAnswersAreHeldAgainstTheSpecification(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	const nothing = "nothing is wrong"
	exampleUser, err := openapitest.JSON(openapitest.Examples(openapitest.Response(d.operationsByID()["getMe"].Operation, http.StatusOK).Content["application/json"])[0].Value)
	require.NoError(t, err)
	for name, answer := range map[string]func(w http.ResponseWriter){
		nothing: func(w http.ResponseWriter) { _, _ = io.WriteString(w, exampleUser) },
		"a field is not described": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, strings.TrimSuffix(exampleUser, "}")+`,"password_hash":"x"}`)
		},
		"a code is not listed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"type":"urn:longwire:problem:invalid_credentials","title":"x","status":401,"code":"invalid_credentials","detail":"x","request_id":"x"}`)
		},
		"a field is missing":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id":"023pbqc03ztkt"}`) },
		"a status is not listed": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot); _, _ = io.WriteString(w, `{}`) },
		"a problem is none": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":404}`)
		},
	} {
		var failed bool
		done := make(chan struct{})
		go func() { // FailNow ends the goroutine, not the test
			defer close(done)
			inner := &testing.T{}
			defer func() { failed = inner.Failed() }()
			recorder := httptest.NewRecorder()
			recorder.Header().Set("Content-Type", "application/json")
			recorder.Header().Set("X-Request-ID", "x")
			answer(recorder)
			transport := &checked{t: inner, d: d, next: fixed{recorder.Result()}}
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url(0, "/v1/me"), http.NoBody)
			response, err := transport.RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
			}
		}()
		<-done
		assert.Equal(t, name != nothing, failed, name)
	}
}

func TestEventsAreHeldAgainstTheSpecification(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t, embedded)
	event := func(data string) string {
		return `{"cursor":"1.a.b.3","type":"session.revoked","at":"2026-09-01T10:12:00.000Z","data":` + data + `}`
	}
	for text, good := range map[string]bool{
		event(`{"session_id":"024zj2w004r88"}`):            true,
		event(`{"session_id":"024zj2w004r88","user":"x"}`): false,
		event(`{}`): false,
		strings.Replace(event(`{"session_id":"024zj2w004r88"}`), "session.revoked", "session.born", 1): false,
	} {
		inner := &testing.T{}
		c := &checked{t: inner, d: d}
		c.checkFrame(nil, client.Frame{ID: "1.a.b.3", HasID: true, Data: []byte(text)})
		assert.Equal(t, good, !inner.Failed(), text)
	}
}

type fixed struct{ response *http.Response }

func (f fixed) RoundTrip(request *http.Request) (*http.Response, error) {
	if f.response == nil {
		return nil, errors.New("no answer")
	}
	f.response.Request = request
	return f.response, nil
}
