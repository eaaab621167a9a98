package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/realtime"
)

// parkedStream is a stream whose handler has returned. Its connection was taken
// over from net/http, and whoever has it in hand writes to it: first the
// handler, then one of the parking place's goroutines at a time, as its state
// says. What is written and when is the same as for any other stream.
type parkedStream struct {
	stream

	place *parking
	fd    int // its socket, ours to close
	// quit is told why the stream ended, once.
	quit func(reason string, bytes int64)

	state atomic.Int32 // one of the states below
	left  atomic.Bool  // the peer has closed
	// due is when a heartbeat is to be sent if nothing else is. Unix nanoseconds.
	due atomic.Int64

	// Owned by whoever has the stream in hand.

	rest    []byte    // did not fit into the socket
	kept    int64     // the memory of rest, as the parking place counts it
	patient time.Time // until when rest may take; meaningful while there is rest
	written int64
}

// The states of a parked stream.
const (
	inHand  int32 = iota // somebody serves it
	again                // … and must look once more before letting go
	idle                 // nobody does, and nothing is to be done
	waiting              // it is in a lane
	over                 // it has ended
)

// parkedBatch bounds what is taken for a parked stream at once, and so what is
// kept for a reader that stops reading.
const parkedBatch = 64

// readPatience bounds one look into Redis and the database.
const readPatience = 10 * time.Second

// errFull says that the socket is full: the rest is kept and goes out later.
var errFull = errors.New("the socket is full")

// endFull is no end: the stream waits for room in its socket.
const endFull = "full"

// parkable tells whether the connection under an answer can be taken over:
// HTTP/1 without TLS, the two cases in which a socket carries one stream as it is.
func parkable(c echo.Context) bool {
	r := c.Request()
	if r.ProtoMajor != 1 || r.TLS != nil {
		return false
	}
	_, can := c.Response().Writer.(http.Hijacker)
	return can
}

// streamParked serves a stream that leaves its handler.
func (a *api) streamParked(c echo.Context, x *exchange, from start, says chat.Activity, padding int) error {
	s := &parkedStream{place: a.parking}
	s.heartbeat, s.random, s.out, s.padding = a.Heartbeat, a.Random, parkedSink{s, a.WriteTimeout}, padding
	s.onFirst = func(first realtime.Batch) { a.acknowledge(x.identity.Caller, from, first) }
	request := from.request(x.identity.Caller, realtime.Stream, says, parkedBatch)
	request.OnWake = s.raise
	var err error
	if s.reader, err = a.attach(c, request); err != nil {
		return err
	}
	streamHeaders(c.Response().Header())
	if err := s.takeOver(c.Response()); err != nil {
		s.reader.Close()
		return err
	}
	a.metrics.streams.Inc()
	x.parked = true
	s.quit = a.recorder(x)
	s.begin(x, from, a.StreamLifetime, appendHead(nil, c.Response().Header()))
	return nil
}

// recorder returns what writes the log line and the metrics of a parked stream
// when it has ended. It keeps of the exchange what that takes and no more.
func (a *api) recorder(x *exchange) func(reason string, bytes int64) {
	ended := &exchange{requestID: x.requestID, op: x.op, identity: x.identity, began: x.began}
	return func(reason string, bytes int64) {
		a.metrics.streams.Dec()
		a.metrics.ended.WithLabelValues(reason).Inc()
		ended.clientLeft, ended.ended = reason == endClientLeft, reason
		a.log(context.Background(), ended, slog.LevelInfo, entry{ended.op.route.Path, http.MethodGet, http.StatusOK, bytes})
	}
}

// takeOver takes the connection from net/http, which lifts all its deadlines.
func (s *parkedStream) takeOver(response *echo.Response) error {
	conn, _, err := response.Hijack()
	if err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	response.Committed, response.Status = true, http.StatusOK
	if s.fd, err = detach(conn); err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	if err := s.place.sockets.add(s.fd, s); err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	return nil
}

// appendHead appends the head of the answer. There is no length and no chunks:
// the stream ends with the connection (RFC 9112, section 6.3).
func appendHead(b []byte, header http.Header) []byte {
	b = append(b, "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\n"...)
	for name, values := range header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// begin says hello and what there is already, then parks the stream.
func (s *parkedStream) begin(x *exchange, from start, lifetime time.Duration, head []byte) {
	s.buffer = head
	reason := s.open(x.identity, from, lifetime)
	if reason == "" {
		ctx, cancel := context.WithTimeout(context.Background(), readPatience)
		// An error shows again at the next look, for which the hub wakes us.
		if first, err := s.reader.Try(ctx); err == nil {
			s.heed(first)
			reason = s.give(first)
		}
		cancel()
	}
	s.buffer = nil
	if reason != endFull {
		s.onFirst = nil // after an error too: what is first then may be long after hello
	}
	s.place.wheel.add(turn{stream: s}, time.Until(s.nextDue()))
	if reason == "" {
		s.state.Store(again) // there may be more than the first batch
	}
	s.letGo(reason)
}

// heed tells who wants to know what the first read gave.
func (s *parkedStream) heed(first realtime.Batch) {
	if s.onFirst != nil {
		s.onFirst(first)
		s.onFirst = nil
	}
}

// raise has the stream looked at. It may be called at any time, from anywhere.
func (s *parkedStream) raise() {
	for {
		switch s.state.Load() {
		case idle:
			if s.state.CompareAndSwap(idle, waiting) {
				s.place.ready.add(s)
				return
			}
		case inHand:
			if s.state.CompareAndSwap(inHand, again) {
				return
			}
		default:
			return
		}
	}
}

func (s *parkedStream) peerLeft() {
	s.left.Store(true)
	s.raise()
}

func (s *parkedStream) writable() { s.raise() }

func (s *parkedStream) gone() bool { return s.state.Load() == over }

// nextDue is when the stream must be looked at if nothing happens before.
func (s *parkedStream) nextDue() time.Time {
	due := time.Unix(0, s.due.Load())
	if s.ends.Before(due) {
		return s.ends
	}
	return due
}

// write serves the stream out of memory; when that does not reach, it goes on
// to those who read.
func (s *parkedStream) write(buffer []byte) []byte {
	s.state.Store(inHand)
	s.buffer = buffer
	reason, known := s.look(func() (realtime.Batch, bool) {
		batch, known := s.reader.TryWindow()
		if known {
			s.heed(batch)
		}
		return batch, known
	})
	buffer, s.buffer = s.buffer, nil
	if !known {
		s.place.reading.add(s) // still in hand: of the lane
		return buffer
	}
	s.letGo(reason)
	return buffer
}

// read does the same with Redis and the database.
func (s *parkedStream) read(buffer []byte) []byte {
	s.buffer = buffer
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	reason, _ := s.look(func() (realtime.Batch, bool) {
		// After an error the hub wakes us when it is worth another try.
		batch, err := s.reader.Try(ctx)
		if err == nil {
			s.heed(batch)
		}
		return batch, true
	})
	buffer, s.buffer = s.buffer, nil
	s.letGo(reason)
	return buffer
}

// look does what is to be done and returns why the stream has ended, "" when it
// goes on; false when next does not know what there is.
func (s *parkedStream) look(next func() (realtime.Batch, bool)) (reason string, known bool) {
	if s.left.Load() {
		return endClientLeft, true
	}
	if reason := s.flush(); reason != "" {
		return reason, true
	}
	if !time.Now().Before(s.ends) {
		return s.bye(s.why), true
	}
	for range maxLooks {
		batch, known := next()
		if !known {
			return "", false
		}
		if batch.Empty() {
			return s.beat(), true
		}
		if reason := s.give(batch); reason != "" {
			return reason, true
		}
	}
	s.raise() // others want to be served too
	return "", true
}

// maxLooks bounds how many batches a stream gets in one turn.
const maxLooks = 8

// beat sends a heartbeat if one is due.
func (s *parkedStream) beat() string {
	if time.Now().UnixNano() < s.due.Load() {
		return ""
	}
	return s.send(appendHeartbeat(s.buffer, s.reader.CursorPrefix(), s.reader.Seq()))
}

// flush sends what did not fit before.
func (s *parkedStream) flush() string {
	if len(s.rest) == 0 {
		return s.closing // said completely, if it was said
	}
	n, err := tryWrite(s.fd, s.rest)
	s.written += int64(n)
	s.rest = s.rest[n:]
	switch {
	case err != nil:
		return endClientLeft
	case len(s.rest) == 0:
		s.forgetRest()
		s.rearm()
		return s.closing
	case !time.Now().Before(s.patient):
		return endSlowConsumer
	default:
		return endFull
	}
}

// rearm sets when the next heartbeat is due.
func (s *parkedStream) rearm() {
	s.due.Store(time.Now().Add(between(s.random, s.heartbeat*8/10, s.heartbeat)).UnixNano())
}

// letGo ends the stream, or leaves it to whatever happens next.
func (s *parkedStream) letGo(reason string) {
	if reason != "" && reason != endFull {
		s.end(reason)
		return
	}
	if s.state.CompareAndSwap(inHand, idle) {
		return
	}
	s.state.Store(waiting)
	s.place.ready.add(s)
}

// end closes the stream. Whoever has it in hand calls it.
func (s *parkedStream) end(reason string) {
	s.state.Store(over)
	s.place.sockets.release(s.fd)
	s.reader.Close()
	s.forgetRest()
	s.quit(reason, s.written)
}

// keepRest keeps what did not fit, unless the node keeps so much already that
// this reader has to come again.
func (s *parkedStream) keepRest(rest []byte) bool {
	size := int64(len(rest))
	if s.place.kept.Add(size) > maxKeptRest {
		s.place.kept.Add(-size)
		return false
	}
	s.rest, s.kept = slices.Clone(rest), size
	return true
}

func (s *parkedStream) forgetRest() {
	s.place.kept.Add(-s.kept)
	s.rest, s.kept = nil, 0
}

// parkedSink writes to the socket without ever waiting for it.
type parkedSink struct {
	stream  *parkedStream
	timeout time.Duration // for what does not fit
}

func (k parkedSink) write(b []byte) error {
	s := k.stream
	n, err := tryWrite(s.fd, b)
	s.written += int64(n)
	if err != nil {
		return err
	}
	if n < len(b) {
		if !s.keepRest(b[n:]) {
			return os.ErrDeadlineExceeded // it is too slow for this moment
		}
		s.patient = time.Now().Add(k.timeout)
		// Sooner than the stream's own turn, which is at its next heartbeat.
		s.place.wheel.add(turn{stream: s, once: true}, k.timeout)
		return errFull
	}
	s.rearm()
	return nil
}
