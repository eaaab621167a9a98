package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
	"longwire/realtime"
)

// Why a stream ended, in `bye` and in the metrics; the hub has more of them,
// see [realtime.EndReason].
const (
	endLifetime      = "lifetime"
	endTokenExpiring = "token_expiring" //nolint:gosec // a reason, not a credential
	endSlowConsumer  = "slow_consumer"  // said to nobody: the reader does not read
	endClientLeft    = "client_left"    // neither
)

// expiryMargin is how long before its token's end a stream ends, so that no
// byte leaves for a token that has expired.
const expiryMargin = 5 * time.Second

// StreamInbox serves GET /v1/inbox/stream.
func (a *api) StreamInbox(c echo.Context, params openapi.StreamInboxParams) error {
	x := exchangeOf(c)
	from, err := startOf(
		x.identity.User,
		given{"Last-Event-ID", valueOf(params.LastEventID)}, given{"cursor", valueOf(params.Cursor)},
		given{"last_event_id", valueOf(params.LastEventIDSnake)}, given{"lastEventId", valueOf(params.LastEventIDCamel)},
	)
	if err != nil {
		return err
	}
	if x.head {
		streamHeaders(c.Response().Header())
		return c.NoContent(http.StatusOK)
	}
	says := activityOf(params.Presence, chat.ActivityActive)
	if a.parking != nil && parkable(c) {
		return a.streamParked(c, x, from, says, valueOf(params.Padding))
	}
	reader, err := a.attach(c, from.request(x.identity.Caller, realtime.Stream, says, 0))
	if err != nil {
		return err
	}
	defer reader.Close()

	a.metrics.streams.Inc()
	defer a.metrics.streams.Dec()
	streamHeaders(c.Response().Header())
	s := &stream{
		reader: reader, out: newHTTPSink(c.Response(), a.WriteTimeout), heartbeat: a.Heartbeat, random: a.Random,
		onFirst: func(first realtime.Batch) { a.acknowledge(x.identity.Caller, from, first) },
		padding: valueOf(params.Padding),
	}
	reason := s.run(c.Request().Context(), x.identity, from, a.StreamLifetime)
	a.metrics.ended.WithLabelValues(reason).Inc()
	x.clientLeft, x.ended = reason == endClientLeft, reason
	return nil
}

// streamHeaders is what every event stream is sent with: not stored, not
// changed, not held back on its way.
func streamHeaders(header http.Header) {
	header.Set(echo.HeaderContentType, "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store, no-transform, private")
	header.Set("X-Accel-Buffering", "no")
}

// sink is where a stream's bytes go. An error means that the stream is over.
type sink interface {
	// write sends all of b on its way within the sink's deadline.
	write(b []byte) error
}

// stream writes one inbox to one client until one of them ends it.
type stream struct {
	reader    Reader
	out       sink
	heartbeat time.Duration // the longest silence
	random    func() float64
	onFirst   func(first realtime.Batch) // told what the first read gave
	padding   int                        // bytes of nothing behind hello

	ends    time.Time // when bye is due
	why     string    // and why
	closing string    // why bye was said; "" = it was not
	buffer  []byte
}

// run says hello, then sends what the reader gives, and returns why the stream
// ended. It returns when ctx ends, the reader ends, a write fails, or the
// stream's time is over, whichever comes first.
func (s *stream) run(ctx context.Context, who chat.Identity, from start, lifetime time.Duration) string {
	if reason := s.open(who, from, lifetime); reason != "" {
		return reason
	}
	// Without waiting, to learn whether the inbox goes on from where the
	// client was. An error shows again in Next, which waits for better times.
	if first, err := s.reader.Try(ctx); err == nil {
		s.onFirst(first)
		if reason := s.give(first); reason != "" {
			return reason
		}
	}
	for {
		if reason := s.step(ctx); reason != "" {
			return reason
		}
	}
}

// open plans the stream's life and says hello, behind what is in the buffer.
func (s *stream) open(who chat.Identity, from start, lifetime time.Duration) string {
	s.plan(lifetime, who.ExpiresAt)
	hello := greeting{caller: who.Caller, heartbeat: s.heartbeat, lifetime: time.Until(s.ends), padding: s.padding}
	hello.cursor = from.text
	if from.at != realtime.AtCursor {
		hello.cursor = string(chat.AppendCursor(nil, s.reader.CursorPrefix(), s.reader.Seq()))
	}
	// In one block with hello: some clients take a block of nothing but retry for an event.
	return s.send(appendHello(appendRetry(s.buffer, between(s.random, time.Second, 3*time.Second)), hello))
}

// plan draws the stream's life: jittered, so that streams that began together
// do not end together, and over before the token is.
func (s *stream) plan(lifetime time.Duration, expires time.Time) {
	now := time.Now()
	s.ends, s.why = now.Add(between(s.random, lifetime*8/10, lifetime)), endLifetime
	if expires.IsZero() {
		return
	}
	last := expires.Add(-expiryMargin)
	if soonest := now.Add(time.Second); last.Before(soonest) {
		last = soonest
	}
	if last.Before(s.ends) {
		s.ends, s.why = last, endTokenExpiring
	}
}

// step waits for the next thing to send and sends it. It returns why the stream
// ended, "" while it goes on.
func (s *stream) step(ctx context.Context) string {
	if !time.Now().Before(s.ends) {
		return s.bye(s.why)
	}
	until := time.Now().Add(between(s.random, s.heartbeat*8/10, s.heartbeat))
	if s.ends.Before(until) {
		until = s.ends
	}
	waiting, cancel := context.WithDeadline(ctx, until)
	batch, err := s.reader.Next(waiting)
	cancel()
	switch {
	case err == nil:
		return s.give(batch)
	case ctx.Err() != nil:
		return endClientLeft
	case !time.Now().Before(s.ends):
		return s.bye(s.why)
	default:
		return s.send(appendHeartbeat(s.buffer, s.reader.CursorPrefix(), s.reader.Seq()))
	}
}

// give sends a batch in one write.
func (s *stream) give(batch realtime.Batch) string {
	prefix := s.reader.CursorPrefix()
	switch {
	case batch.End != "":
		return s.bye(string(batch.End))
	case batch.Reset != nil:
		return s.send(appendReset(s.buffer, prefix, batch.Reset.Seq, string(batch.Reset.Reason)))
	case batch.Empty():
		return ""
	}
	b := s.buffer
	for _, event := range batch.Events {
		b = appendEvent(b, prefix, event.Seq, event.Body)
	}
	for _, body := range batch.Ephemeral {
		b = appendEphemeral(b, body)
	}
	return s.send(b)
}

// bye says why the stream ends and when to come back.
func (s *stream) bye(reason string) string {
	least, most := 100*time.Millisecond, time.Second
	if reason == string(realtime.EndShutdown) || reason == string(realtime.EndRevoked) {
		least, most = time.Second, 5*time.Second
	}
	s.closing = reason
	if failed := s.send(appendBye(s.buffer, reason, between(s.random, least, most))); failed != "" {
		return failed
	}
	return reason
}

// maxKeptBuffer is how much memory a stream keeps between writes.
const maxKeptBuffer = 4 << 10

// send writes b, which was built on s.buffer, and keeps its memory if it is
// small. A reader that is too slow is not told: it does not read.
func (s *stream) send(b []byte) string {
	err := s.out.write(b)
	if s.buffer = nil; cap(b) <= maxKeptBuffer {
		s.buffer = b[:0]
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errFull):
		return endFull
	case errors.Is(err, os.ErrDeadlineExceeded):
		return endSlowConsumer
	default:
		return endClientLeft
	}
}

// between draws from [least, most].
func between(random func() float64, least, most time.Duration) time.Duration {
	return least + time.Duration(random()*float64(most-least))
}

// httpSink writes to an HTTP response.
type httpSink struct {
	response http.ResponseWriter
	conn     *http.ResponseController
	timeout  time.Duration // for one write
}

// newHTTPSink lifts the server's deadlines, which are for requests.
func newHTTPSink(response http.ResponseWriter, timeout time.Duration) *httpSink {
	conn := http.NewResponseController(response)
	_ = conn.SetReadDeadline(time.Time{}) // a writer that has no deadlines needs none lifted
	return &httpSink{response: response, conn: conn, timeout: timeout}
}

// write sends b and flushes, so that one batch is one write on the socket.
func (s *httpSink) write(b []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.response.Write(b); err != nil {
		return err
	}
	if err := s.conn.Flush(); err != nil {
		return err
	}
	// The connection may idle, or serve another request, for longer than this.
	if err := s.conn.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// errorsInBand tells whether a failed stream is to be told of as an event:
// EventSource gives up for good on any answer but 200 (WHATWG HTML, 9.2.3).
func errorsInBand(c echo.Context, x *exchange) bool {
	return x.op != nil && x.op.id == "streamInbox" && c.QueryParam("errors") == "inband"
}

// failInBand answers a stream that cannot be served with 200, one event, and a
// long time to wait, which a page that understands the event will shorten.
func (a *api) failInBand(c echo.Context, said problem) error {
	encoded, err := json.Marshal(said)
	if err != nil {
		return err
	}
	streamHeaders(c.Response().Header())
	c.Response().WriteHeader(http.StatusOK)
	_, err = c.Response().Write(appendError(nil, between(a.Random, 30*time.Second, 45*time.Second), encoded))
	return err
}
