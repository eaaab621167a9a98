package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"longwire/client"
)

// chaosReader follows one inbox for as long as the attack lasts, on all transports and nodes in turn, with one cursor.
type chaosReader struct {
	w     *chaosWorld
	p     *chaosPerson
	index int
	rng   *rand.Rand

	cursor  string       // of the last event that was taken; begin at first; owned by run
	place   atomic.Int64 // of that event
	settled atomic.Bool  // connected for good
	leave   atomic.Value // ends what it does: context.CancelFunc
	now     atomic.Value // what it does, for whom looks for a fault: string
	since   time.Time    // it has been connected in this way; owned by run
	calm    bool         // neither slow nor pausing; owned by run
}

func (r *chaosReader) name() string {
	now, _ := r.now.Load().(string)
	return fmt.Sprintf("reader %d (%s)", r.index, now)
}

// patienceOfReaders is how long an open stream may be silent: three times its heartbeat.
const patienceOfReaders = 6 * time.Second

// run reads until ctx ends.
func (r *chaosReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if !r.episode(ctx) {
			nap(ctx, time.Duration(50+r.rng.IntN(400))*time.Millisecond)
		}
	}
}

// episode reads in one way for a while, and tells whether that ended as it was to.
func (r *chaosReader) episode(ctx context.Context) bool {
	settling := r.w.settling.Load()
	r.calm = settling || r.rng.IntN(4) > 0
	var cancel context.CancelFunc
	if settling {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(200+r.rng.ExpFloat64()*float64(r.w.options.stay.Milliseconds()))*time.Millisecond)
	}
	defer cancel()
	r.leave.Store(cancel)
	address := r.w.url(r.rng)
	r.since = time.Now().Add(time.Hour) // until it is connected
	r.w.counts.connections.Add(1)
	switch n := r.rng.IntN(10); {
	case n < 6:
		r.now.Store("stream from " + address)
		return r.stream(ctx, cancel, address, settling)
	case n < 9 || settling:
		r.now.Store("long-poll of " + address)
		return r.poll(ctx, address, settling, true)
	default:
		r.now.Store("GET from " + address)
		return r.poll(ctx, address, settling, false)
	}
}

// request asks for the inbox. nil = there is none at the moment.
func (r *chaosReader) request(ctx context.Context, c *http.Client, address string, inHeader bool) *http.Response {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil
	}
	request.Header.Set("Authorization", "Bearer "+r.p.token)
	if inHeader {
		request.Header.Set("Last-Event-ID", r.cursor)
	}
	response, err := c.Do(request)
	if err != nil {
		return nil
	}
	if response.StatusCode == http.StatusOK {
		return response
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if !passing(response.StatusCode) {
		r.w.violate("%s, %s at %s: %d %s", r.p.name(), r.name(), r.cursor, response.StatusCode, body)
		nap(ctx, time.Second)
	}
	return nil
}

// stream reads Server-Sent Events.
func (r *chaosReader) stream(ctx context.Context, cancel context.CancelFunc, address string, settling bool) bool {
	address += "/v1/inbox/stream"
	inHeader := r.rng.IntN(2) == 0 && r.cursor != client.Begin
	if !inHeader {
		address += "?cursor=" + url.QueryEscape(r.cursor)
	}
	silent := atomic.Bool{}
	watchdog := time.AfterFunc(patienceOfReaders, func() { silent.Store(true); cancel() })
	defer watchdog.Stop()
	response := r.request(ctx, r.w.streams, address, inHeader)
	if response == nil {
		return false
	}
	defer response.Body.Close()
	r.since = time.Now()
	frames := client.NewFrameReader(response.Body)
	last, fast := time.Now(), r.calm
	for n := 0; ; n++ {
		watchdog.Reset(patienceOfReaders)
		frame, err := frames.Next()
		if err != nil {
			if silent.Load() {
				r.w.counts.closedSilent.Add(1)
				if settling && r.w.settling.Load() {
					r.w.violate("%s, %s: an open stream is silent for %v, and nothing is broken", r.p.name(), r.name(), patienceOfReaders)
				}
			}
			return false
		}
		now := time.Now()
		if n > 0 && fast {
			atLeast(&r.w.counts.silence, int64(now.Sub(last)))
		}
		last = now
		watchdog.Stop()
		if !r.frame(frame, n, settling) {
			return frame.Event == "bye"
		}
		if !r.calm {
			r.dawdle(ctx)
			last = time.Now()
		}
	}
}

// frame takes one frame; false = the stream is over.
func (r *chaosReader) frame(frame client.Frame, n int, settling bool) bool {
	if (frame.Event == "hello") != (n == 0) {
		r.w.violate("%s, %s: frame %d is %q: %s", r.p.name(), r.name(), n, frame.Event, frame.Data)
		return false
	}
	switch frame.Event {
	case "":
		return r.take(frame.Data, frame.ID)
	case "hello", "heartbeat":
		if at := place(frame.ID); at != r.place.Load() {
			r.w.violate("%s, %s: %s is at %s, and the reader at %d", r.p.name(), r.name(), frame.Event, frame.ID, r.place.Load())
			return false
		}
		r.cursor = frame.ID
		if settling {
			r.settled.Store(true)
		}
		return true
	case "bye":
		r.w.counts.byes.Add(1)
		return false
	default:
		r.reset(string(frame.Data))
		return false
	}
}

func (r *chaosReader) reset(what string) {
	r.w.counts.resets.Add(1)
	r.w.violate("%s, %s: at %s the inbox cannot go on: %s", r.p.name(), r.name(), r.cursor, what)
}

// take takes one event: it must be the one that follows the last.
func (r *chaosReader) take(raw []byte, id string) bool {
	if cursorOf(raw) == "" {
		return true // ephemeral: it has no place
	}
	seq, event, key, err := r.w.read(raw)
	if err != nil {
		r.w.violate("%s, %s: %v", r.p.name(), r.name(), err)
		return false
	}
	if id != "" && place(id) != seq {
		r.w.violate("%s, %s: the id is %s: %s", r.p.name(), r.name(), id, raw)
		return false
	}
	if was := r.place.Load(); seq != was+1 {
		r.w.violate("%s, %s: after %d comes %d: %s", r.p.name(), r.name(), was, seq, raw)
		return false
	}
	r.w.counts.deliveries.Add(1)
	first := r.w.got(r.p, r.name(), seq, event, key)
	r.place.Store(seq)
	if id != "" {
		r.cursor = id
	} else {
		r.cursor = cursorOf(raw)
	}
	if event.kind == client.EventMessageCreated && event.send != nil {
		if acked := event.send.acked.Load(); r.calm && acked > r.since.UnixNano() {
			r.prompt(event, acked)
		}
		if first && r.rng.Float64() < r.w.options.look {
			select {
			case r.w.recent <- event:
			default: // others are looked at already
			}
		}
	}
	return true
}

// delay is how long delivery to a reader that is connected may take while at most Redis is broken. It goes on from the database
// then: each second once a node knows, and every LONGWIRE_HEAD_CHECK before. The rest is for a busy machine.
const delay = 12 * time.Second

// prompt checks how long a message was on its way to a reader that was there all the time.
func (r *chaosReader) prompt(event *chaosEvent, acked int64) {
	took := time.Now().UnixNano() - acked
	atLeast(&r.w.counts.slowest, took)
	if r.w.broken.Load() > 0 || r.w.mended.Load() > acked {
		return
	}
	atLeast(&r.w.counts.slowestRedis, took)
	if took > int64(delay) {
		r.w.violate("%s, %s: message %d of %s came %v after it was acknowledged, with nothing broken but perhaps Redis",
			r.p.name(), r.name(), event.seq, event.conversation, time.Duration(took))
	}
}

func cursorOf(raw []byte) string {
	var event struct{ Cursor string }
	_ = json.Unmarshal(raw, &event)
	return event.Cursor
}

// dawdle reads slowly, or not at all for a while.
func (r *chaosReader) dawdle(ctx context.Context) {
	switch r.rng.IntN(200) {
	case 0:
		nap(ctx, time.Duration(500+r.rng.IntN(3500))*time.Millisecond)
	default:
		nap(ctx, time.Duration(r.rng.IntN(4))*time.Millisecond)
	}
}

// poll reads by long-polls, or by plain GETs.
func (r *chaosReader) poll(ctx context.Context, address string, settling, long bool) bool {
	for ctx.Err() == nil {
		wait := 0
		if long {
			wait = 1 + r.rng.IntN(4)
		}
		limit := 1 + r.rng.IntN(150)
		asked, cancel := context.WithTimeout(ctx, time.Duration(wait)*time.Second+10*time.Second)
		response := r.request(asked, r.w.http, fmt.Sprintf("%s/v1/inbox/poll?cursor=%s&wait=%d&limit=%d", address, url.QueryEscape(r.cursor), wait, limit), false)
		if response == nil {
			cancel()
			return false
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		cancel()
		if err != nil || !settling && r.rng.IntN(30) == 0 { // the answer is lost on its way
			return false
		}
		if !r.answer(body, limit) {
			return false
		}
		if r.since.After(time.Now()) {
			r.since = time.Now()
		}
		if settling {
			r.settled.Store(true)
		}
		if !long {
			nap(ctx, time.Duration(20+r.rng.IntN(300))*time.Millisecond)
		} else if !r.calm {
			r.dawdle(ctx)
		}
	}
	return true
}

var errPoll = errors.New("the poll's answer is not what it should be")

// answer takes what a poll brought.
func (r *chaosReader) answer(body []byte, limit int) bool {
	var result struct {
		Events []json.RawMessage `json:"events"`
		Cursor string            `json:"cursor"`
		Reset  json.RawMessage   `json:"reset"`
	}
	err := json.Unmarshal(body, &result)
	if err == nil && len(result.Events) > limit {
		err = errPoll
	}
	if err != nil {
		r.w.violate("%s, %s at %s: %v: %.500s", r.p.name(), r.name(), r.cursor, err, body)
		return false
	}
	if len(result.Reset) > 0 && string(result.Reset) != "null" {
		r.reset(string(result.Reset))
		return false
	}
	for _, raw := range result.Events {
		if !r.take(raw, "") {
			return false
		}
	}
	if place(result.Cursor) != r.place.Load() {
		r.w.violate("%s, %s: the poll's cursor is %s, and its events end at %d", r.p.name(), r.name(), result.Cursor, r.place.Load())
		return false
	}
	r.cursor = result.Cursor
	return true
}
