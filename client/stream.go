package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// StreamOptions says from where a stream begins.
type StreamOptions struct {
	// Cursor is the last event that was seen, [Begin] or [Now]; "" = the position that the session saved.
	Cursor Cursor
	// Presence is what the stream says of its user whenever it connects; "" = active. See [Client.SetPresence].
	Presence Activity
	// Trace is told what happens beside events; its functions may be nil.
	Trace StreamTrace
}

// StreamTrace is told what happens to a stream, between events and on the goroutine that reads them. All of it is for
// logs, status lights and tests: the stream helps itself.
type StreamTrace struct {
	Connected    func(HelloData)
	Heartbeat    func(HeartbeatData)
	Bye          func(ByeData)
	Disconnected func(cause error, wait time.Duration) // it connects again after wait
	// Repeated is told of events that came a second time. They are not given to the reader; a server that sends them is at fault.
	Repeated func(Event)
}

// ResetError comes as an error out of [Client.Stream] when the inbox cannot continue from where the reader was. What was missed
// is told by [Client.Sync]; the stream itself goes on behind Cursor, so a reader that has synchronized just keeps reading.
type ResetError struct {
	Reason ResetReason
	Cursor Cursor
}

// Error says that events were missed.
func (r *ResetError) Error() string {
	return "the inbox cannot continue (" + string(r.Reason) + "): synchronize, then go on"
}

func (o StreamOptions) query() string {
	if o.Presence == "" {
		return ""
	}
	return "?" + url.Values{"presence": {string(o.Presence)}}.Encode()
}

// Waits and patience of a stream.
const (
	firstReconnectWait   = time.Second
	longestReconnectWait = 30 * time.Second
	longestToldWait      = 5 * time.Minute // a server may ask for this much
	assumedHeartbeat     = 15 * time.Second
)

var (
	errSilent  = errors.New("the stream is silent for longer than its heartbeat allows")
	errStopped = errors.New("the reader stopped") // never seen by the user
)

// Stream reads the inbox as it grows, and the events that are there already. It never ends by itself: when the connection
// breaks, falls silent or the server says good-bye, it connects again behind the last event that the loop's body was done
// with, so that each event comes once and in order. Reconnecting saves that position for the session.
//
// An error comes with no event. After a [*ResetError] the loop may go on. Every other error is the last: a [*Problem] that trying
// again would not mend, such as the end of the session, or the end of ctx.
func (c *Client) Stream(ctx context.Context, options StreamOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := stream{client: c, options: options, position: options.Cursor, yield: yield, seen: newRecent()}
		if err := s.run(ctx); !errors.Is(err, errStopped) {
			yield(Event{}, err)
		}
	}
}

// stream is one loop over an inbox.
type stream struct {
	client   *Client
	options  StreamOptions
	yield    func(Event, error) bool
	seen     *recent
	position Cursor // behind which to connect again
	retry    time.Duration
	told     time.Duration // the wait that the server's bye asked for; 0 = none
	failures int           // connections in a row that brought nothing
	token    string        // the access token of the last connection
	renewed  bool          // the access token was renewed for this connection
}

// run connects again and again, and returns why there is no point any more.
func (s *stream) run(ctx context.Context) error {
	for {
		s.told = 0
		cause := s.connect(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(cause, errStopped) {
			return cause
		}
		wait, err := s.after(ctx, cause)
		if err != nil {
			return err
		}
		if s.options.Trace.Disconnected != nil {
			s.options.Trace.Disconnected(cause, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// after returns how long to wait before the next connection, or the error that ends the stream.
func (s *stream) after(ctx context.Context, cause error) (time.Duration, error) {
	var problem *Problem
	if errors.As(cause, &problem) {
		switch {
		case s.client.mayRenew(problem) && !s.renewed:
			s.renewed = true
			err := s.client.renew(ctx, s.token)
			if errors.As(err, &problem) && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusTooManyRequests {
				return 0, err
			}
			if err == nil {
				return 0, nil
			}
		case problem.Status != http.StatusTooManyRequests && problem.Status < http.StatusInternalServerError:
			return 0, problem
		}
	}
	if s.told > 0 {
		return min(s.told, longestToldWait), nil
	}
	s.failures++
	first := firstReconnectWait
	if s.retry > 0 {
		first = min(s.retry, longestReconnectWait)
	}
	wait := backoff(first, longestReconnectWait, s.failures)
	if problem != nil {
		wait += min(problem.RetryAfter, longestToldWait)
	}
	return wait, nil
}

// connect reads one connection to its end and returns why it ended.
func (s *stream) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := &watchdog{patience: patience(assumedHeartbeat)}
	watchdog.timer = time.AfterFunc(watchdog.patience, func() { cancel(errSilent) })
	defer watchdog.timer.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.client.base+"/v1/inbox/stream"+s.options.query(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Cache-Control", "no-store")
	s.token = s.client.Tokens().Access
	request.Header.Set("Authorization", "Bearer "+s.token)
	if s.position != "" {
		request.Header.Set("Last-Event-ID", s.position)
	}
	response, err := s.client.http.Do(request)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer func() { _ = response.Body.Close() }() // it has ended, or is given up
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10)) // what can be read of a refusal
		return problemOf(response.StatusCode, response.Header, body)
	}
	watchdog.from = response.Body
	return causeOf(ctx, s.read(watchdog))
}

// read hands the events of one connection to the loop.
func (s *stream) read(from *watchdog) error {
	frames := NewFrameReader(from)
	for {
		frame, err := frames.Next()
		s.retry = frames.Retry()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // a stream ends with bye
		}
		if err != nil {
			return err
		}
		over, err := s.take(frame, from)
		if err != nil {
			return err
		}
		if frame.HasID {
			s.position = frame.ID
		}
		if over != nil {
			return over
		}
	}
}

// take acts on one frame. The first result is why the connection is over after it, nil while it is not.
func (s *stream) take(frame Frame, from *watchdog) (over, failed error) {
	switch frame.Event {
	case "":
		return nil, s.event(frame)
	case "hello":
		var hello HelloData
		if err := json.Unmarshal(frame.Data, &hello); err != nil {
			return nil, fmt.Errorf("read hello: %w", err)
		}
		s.failures, s.renewed = 0, false
		from.set(time.Duration(hello.HeartbeatSeconds) * time.Second)
		tell(s.options.Trace.Connected, hello)
	case "heartbeat":
		var heartbeat HeartbeatData
		if err := json.Unmarshal(frame.Data, &heartbeat); err != nil {
			return nil, fmt.Errorf("read heartbeat: %w", err)
		}
		tell(s.options.Trace.Heartbeat, heartbeat)
	case "reset":
		var reset ResetData
		if err := json.Unmarshal(frame.Data, &reset); err != nil {
			return nil, fmt.Errorf("read reset: %w", err)
		}
		s.seen = newRecent()
		if !s.yield(Event{}, &ResetError{Reason: reset.Reason, Cursor: reset.Cursor}) {
			return nil, errStopped
		}
	case "bye":
		var bye ByeData
		if err := json.Unmarshal(frame.Data, &bye); err != nil {
			return nil, fmt.Errorf("read bye: %w", err)
		}
		s.told = max(time.Duration(bye.RetryMs)*time.Millisecond, time.Millisecond)
		tell(s.options.Trace.Bye, bye)
		return fmt.Errorf("the server said good-bye: %s", bye.Reason), nil
	}
	return nil, nil
}

// event hands one event to the loop, unless it came before.
func (s *stream) event(frame Frame) error {
	var event Event
	if err := json.Unmarshal(frame.Data, &event); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	if frame.HasID && frame.ID != event.Cursor {
		return fmt.Errorf("an event has the id %q and the cursor %q", frame.ID, event.Cursor)
	}
	if event.Cursor != "" && !s.seen.add(event.Cursor) {
		tell(s.options.Trace.Repeated, event)
		return nil
	}
	if !s.yield(event, nil) {
		return errStopped
	}
	return nil
}

func tell[T any](hook func(T), what T) {
	if hook != nil {
		hook(what)
	}
}

// causeOf returns why ctx was cancelled in place of the error that this caused.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// watchdog ends a connection that is silent: a dead link looks like an inbox in which nothing happens.
type watchdog struct {
	from     io.Reader
	timer    *time.Timer
	patience time.Duration
}

// patience is one and a half heartbeats.
func patience(heartbeat time.Duration) time.Duration {
	return heartbeat + heartbeat/2
}

func (w *watchdog) set(heartbeat time.Duration) {
	if heartbeat > 0 {
		w.patience = patience(heartbeat)
	}
}

// Read reads on under the watch. While the loop's body is at work nobody reads, and the silence is its own.
func (w *watchdog) Read(p []byte) (int, error) {
	w.timer.Reset(w.patience)
	defer w.timer.Stop()
	return w.from.Read(p)
}

// recent remembers the last cursors, to tell when one comes again. Cursors are opaque: it cannot tell a hole.
type recent struct {
	ring [512]Cursor
	next int
	has  map[Cursor]struct{}
}

func newRecent() *recent {
	return &recent{has: make(map[Cursor]struct{})}
}

// add notes a cursor and tells whether it is new.
func (r *recent) add(cursor Cursor) bool {
	if _, found := r.has[cursor]; found {
		return false
	}
	delete(r.has, r.ring[r.next])
	r.ring[r.next] = cursor
	r.has[cursor] = struct{}{}
	r.next = (r.next + 1) % len(r.ring)
	return true
}
