package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/realtime"
)

// sinkDouble remembers each write and when it came.
type sinkDouble struct {
	began time.Time

	mu      sync.Mutex
	written []string
	at      []time.Duration
	refusal error // what the next writes get
}

func (s *sinkDouble) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return s.refusal
	}
	s.written = append(s.written, string(b))
	s.at = append(s.at, time.Since(s.began))
	return nil
}

func (s *sinkDouble) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.written)
}

// times is when the writes came, after the stream began.
func (s *sinkDouble) times() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

func (s *sinkDouble) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

func last[T any](items []T) T { return items[len(items)-1] }

// live is a stream inside a synctest bubble.
type live struct {
	reader *readerDouble
	sink   *sinkDouble
	stream *stream
	first  *realtime.Batch // what onFirst was told
	ended  chan string
}

func identityUntil(expires time.Time) chat.Identity {
	return chat.Identity{Caller: someone, ExpiresAt: expires}
}

// begin runs a stream of at most 100 s with heartbeats of 10 s; all jitter is
// halfway: it lives for 90 s and beats after 9 s.
func begin(ctx context.Context, from start, expires time.Time, batches ...realtime.Batch) *live {
	l := &live{reader: newReaderDouble(41, batches...), sink: &sinkDouble{began: time.Now()}, ended: make(chan string, 1)}
	l.stream = &stream{
		reader: l.reader, out: l.sink, heartbeat: 10 * time.Second, random: func() float64 { return 0.5 },
		onFirst: func(b realtime.Batch) { l.first = &b },
	}
	go func() { l.ended <- l.stream.run(ctx, identityUntil(expires), from, 100*time.Second) }()
	synctest.Wait()
	return l
}

func TestStreamSaysHelloAtOnceAndThenWhatComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t.Context(), start{at: realtime.AtSaved}, time.Time{})
		require.Len(t, l.sink.writes(), 1)
		require.Zero(t, l.sink.times()[0])
		require.True(t, strings.HasPrefix(l.sink.writes()[0], "retry: 2000\nevent: hello\nid: "+cursorAt(41)+"\n"), l.sink.writes()[0])
		require.Contains(t, l.sink.writes()[0], `"heartbeat_seconds":10,"lifetime_seconds":90}`)

		l.reader.batches <- eventBatch(t, 42, 43)
		l.reader.batches <- endBatch()
		require.Equal(t, "shutdown", <-l.ended)
		require.Len(t, l.sink.writes(), 3, "one write for each batch")
		want := appendEvent(appendEvent(nil, l.reader.CursorPrefix(), 42, eventAt(t, 42).Body), l.reader.CursorPrefix(), 43, eventAt(t, 43).Body)
		require.Equal(t, string(want), l.sink.writes()[1])
		require.Equal(t, "retry: 3000\nevent: bye\ndata: {\"reason\":\"shutdown\",\"retry_ms\":3000}\n\n", l.sink.writes()[2])
	})
}

func TestStreamHeartbeatsOnlyInSilenceAndEndsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t.Context(), start{at: realtime.AtSaved}, time.Time{})
		time.Sleep(5 * time.Second)
		l.reader.batches <- eventBatch(t, 42)
		require.Equal(t, "lifetime", <-l.ended)
		require.Equal(t, 90*time.Second, last(l.sink.times()))
		require.Contains(t, last(l.sink.writes()), `data: {"reason":"lifetime","retry_ms":550}`)
		require.Equal(t, 5*time.Second, l.sink.times()[1])
		require.Equal(t, 14*time.Second, l.sink.times()[2], "the event put the heartbeat off")
		require.Equal(t, 23*time.Second, l.sink.times()[3])
		require.Equal(t, "event: heartbeat\nid: "+cursorAt(42)+"\ndata: {\"cursor\":\""+cursorAt(42)+"\"}\n\n", l.sink.writes()[2])
	})
}

func TestBusyStreamEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t.Context(), start{at: realtime.AtSaved}, time.Time{})
		var reason string
		for seq := int64(42); reason == ""; seq++ {
			time.Sleep(time.Second)
			l.reader.batches <- eventBatch(t, seq)
			synctest.Wait()
			select {
			case reason = <-l.ended:
			default:
			}
		}
		require.Equal(t, "lifetime", reason)
		require.Equal(t, 90*time.Second, last(l.sink.times()))
	})
}

func TestStreamEndsBeforeItsTokenDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t.Context(), start{at: realtime.AtSaved}, time.Now().Add(30*time.Second))
		require.Contains(t, l.sink.writes()[0], `"lifetime_seconds":25}`)
		require.Equal(t, "token_expiring", <-l.ended)
		require.Equal(t, 25*time.Second, last(l.sink.times()))

		l = begin(t.Context(), start{at: realtime.AtSaved}, time.Now().Add(2*time.Second))
		require.Equal(t, "token_expiring", <-l.ended)
		require.Equal(t, time.Second, last(l.sink.times()), "even so it says hello and lives for a moment")
	})
}

func TestStreamThatCannotContinueSaysResetAfterTheClientsOwnCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		from := start{at: realtime.AtCursor, text: cursorAt(7), cursor: chat.Cursor{Epoch: epoch, Seq: 7}}
		reset := realtime.Batch{Reset: &realtime.Reset{Reason: realtime.ResetTooOld, Seq: 50}}
		l := begin(t.Context(), from, time.Time{}, reset, realtime.Batch{End: realtime.EndRevoked})
		require.Equal(t, "revoked", <-l.ended)
		require.Contains(t, l.sink.writes()[0], "event: hello\nid: "+cursorAt(7)+"\n")
		require.Equal(t, "event: reset\nid: "+cursorAt(50)+"\ndata: {\"reason\":\"too_old\",\"cursor\":\""+cursorAt(50)+"\"}\n\n", l.sink.writes()[1])
		require.NotNil(t, l.first.Reset)
	})
}

func TestStreamStaysWhileTheDatabaseDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reader := newReaderDouble(41)
		reader.failing = chat.Unavailable(errors.New("gone"))
		sink := &sinkDouble{began: time.Now()}
		s := &stream{reader: reader, out: sink, heartbeat: 10 * time.Second, random: func() float64 { return 0.5 }}
		ended := make(chan string, 1)
		go func() {
			ended <- s.run(ctx, identityUntil(time.Time{}), start{at: realtime.AtSaved}, time.Hour)
		}()
		time.Sleep(10 * time.Second)
		require.Len(t, sink.writes(), 2, "hello and a heartbeat; onFirst, which is nil, was not called")
		cancel()
		require.Equal(t, "client_left", <-ended)
		require.Len(t, sink.writes(), 2, "nothing is said to who has left")
	})
}

func TestSlowReaderIsClosedWithoutAnotherWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t.Context(), start{at: realtime.AtSaved}, time.Time{})
		l.sink.refuse(os.ErrDeadlineExceeded)
		l.reader.batches <- eventBatch(t, 42)
		require.Equal(t, "slow_consumer", <-l.ended)
		require.Len(t, l.sink.writes(), 1)

		l = begin(t.Context(), start{at: realtime.AtSaved}, time.Time{})
		l.sink.refuse(net.ErrClosed)
		l.reader.batches <- eventBatch(t, 42)
		require.Equal(t, "client_left", <-l.ended)
	})
}

func TestStreamPositions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query, header string
		at            realtime.Start
		seq           int64
	}{
		"saved":               {at: realtime.AtSaved},
		"empty is none":       {query: "?cursor=&lastEventId=", at: realtime.AtSaved},
		"begin":               {query: "?cursor=begin", at: realtime.AtBegin},
		"now":                 {query: "?last_event_id=now", at: realtime.AtNow},
		"cursor":              {query: "?cursor=" + cursorAt(7), at: realtime.AtCursor, seq: 7},
		"last_event_id":       {query: "?last_event_id=" + cursorAt(8), at: realtime.AtCursor, seq: 8},
		"lastEventId":         {query: "?lastEventId=" + cursorAt(9), at: realtime.AtCursor, seq: 9},
		"the header is first": {query: "?cursor=begin", header: cursorAt(10), at: realtime.AtCursor, seq: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := setup(t)
			b.inboxes.reader = newReaderDouble(7, eventBatch(t, 42), endBatch())
			w := do(t, h, http.MethodGet, "/v1/inbox/stream"+test.query, "", signedIn, func(r *http.Request) {
				if test.header != "" {
					r.Header.Set("Last-Event-ID", test.header)
				}
			})
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "text/event-stream; charset=utf-8", w.Header().Get("Content-Type"))
			require.Equal(t, "no-store, no-transform, private", w.Header().Get("Cache-Control"))
			require.Equal(t, "no", w.Header().Get("X-Accel-Buffering"))
			require.Equal(t, test.at, b.inboxes.request.Start)
			require.Equal(t, test.seq, b.inboxes.request.Cursor.Seq)
			require.Equal(t, someone.User, b.inboxes.request.User)
			require.Equal(t, someone.Session, b.inboxes.request.Session)
			if test.at == realtime.AtCursor {
				require.Equal(t, []int64{test.seq}, b.inboxes.saved, "presenting a cursor acknowledges it")
			} else {
				require.Empty(t, b.inboxes.saved)
			}
			require.True(t, b.inboxes.reader.isClosed())
			names := []string{}
			for _, f := range parseFrames(w.Body.String()) {
				names = append(names, f.name)
			}
			require.Equal(t, []string{"hello", "", "bye"}, names)
		})
	}
}

// TestControlEventsAreWhatTheSpecificationSays holds the data of named events
// against their schemas.
func TestControlEventsAreWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	schemas := strictSpec(t).Components.Schemas
	b := appendHello(nil, greeting{cursor: cursorAt(1), caller: someone, heartbeat: time.Second, lifetime: time.Minute})
	b = appendHeartbeat(b, chat.CursorPrefix(epoch, ada), 1)
	for _, reason := range []realtime.ResetReason{realtime.ResetTooOld, realtime.ResetUnknownFuture, realtime.ResetEpoch} {
		b = appendReset(b, chat.CursorPrefix(epoch, ada), 1, string(reason))
	}
	for _, reason := range []string{endLifetime, endTokenExpiring, endSlowConsumer, string(realtime.EndShutdown), string(realtime.EndRevoked)} {
		b = appendBye(b, reason, time.Second)
	}
	data := map[string]string{"hello": "HelloData", "heartbeat": "HeartbeatData", "reset": "ResetData", "bye": "ByeData"}
	frames := parseFrames(string(b))
	require.Len(t, frames, 10)
	for _, f := range frames {
		value, err := valueOfJSON([]byte(f.data))
		require.NoError(t, err)
		require.NoError(t, schemas[data[f.name]].Value.VisitJSON(value), f.data)
		require.Equal(t, f.name != "bye", f.hasID, f.name)
	}
}

func TestStreamErrorsComeInBandWhenAskedFor(t *testing.T) {
	t.Parallel()
	h, b := setup(t)
	b.inboxes.err = &chat.Error{Code: chat.CodeTooManyStreams, Detail: "You have too many open streams.", RetryAfter: 4 * time.Second}
	w := do(t, h, http.MethodGet, "/v1/inbox/stream", "", signedIn)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, chat.CodeTooManyStreams, problemIn(t, w).Code)
	require.Equal(t, "4", w.Header().Get("Retry-After"))
	limits := b.service.Limits()
	for target, most := range map[string]int{"/v1/inbox/stream": limits.MaxStreamsPerUser, "/v1/inbox/poll?wait=1": limits.MaxPollsPerUser} {
		w := do(t, h, http.MethodGet, target, "", signedIn)
		require.Equal(t, strconv.Itoa(most), w.Header().Get("RateLimit-Limit"), target)
		require.Equal(t, "0", w.Header().Get("RateLimit-Remaining"), target)
		require.Equal(t, "4", w.Header().Get("RateLimit-Reset"), target)
	}

	for name, test := range map[string]struct {
		query   string
		options []option
		code    chat.Code
	}{
		"too many":   {options: []option{signedIn}, code: chat.CodeTooManyStreams},
		"no token":   {code: chat.CodeUnauthenticated},
		"bad cursor": {query: "&cursor=x", options: []option{signedIn}, code: chat.CodeInvalidCursor},
		"bad query":  {query: "&cursor=%00", options: []option{signedIn}, code: chat.CodeValidation},
	} {
		w := do(t, h, http.MethodGet, "/v1/inbox/stream?errors=inband"+test.query, "", test.options...)
		require.Equal(t, http.StatusOK, w.Code, name)
		require.Equal(t, "text/event-stream; charset=utf-8", w.Header().Get("Content-Type"))
		require.True(t, strings.HasPrefix(w.Body.String(), "retry: 37500\nevent: error\n"), w.Body.String())
		frames := parseFrames(w.Body.String())
		require.Len(t, frames, 1)
		var p problem
		require.NoError(t, json.Unmarshal([]byte(frames[0].data), &p))
		require.Equal(t, test.code, p.Code, name)
	}
	require.Equal(t, http.StatusUnprocessableEntity, do(t, h, http.MethodGet, "/v1/inbox/stream?errors=loud", "", signedIn).Code)
}

// A session that ends between the look at its token and the attaching of its reader is noticed by nobody else.
func TestReaderOfASessionThatHasJustEndedIsRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/v1/inbox/stream", "/v1/inbox/poll?wait=5"} {
		h, b := setup(t)
		b.service.sessionEnded = &chat.Error{Code: chat.CodeSessionEnded, Detail: "This session has ended."}
		w := do(t, h, http.MethodGet, target, "", signedIn)
		require.Equal(t, http.StatusUnauthorized, w.Code, target)
		require.Equal(t, chat.CodeSessionEnded, problemIn(t, w).Code, target)
		require.True(t, b.inboxes.reader.isClosed(), target)
	}
}

// bothWays runs a test over a stream that keeps its handler and over one that is parked.
func bothWays(t *testing.T, test func(t *testing.T, park func(*bundle))) {
	t.Helper()
	for name, park := range map[string]bool{"in its handler": false, "parked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(b *bundle) { b.config.ParkStreams = park })
		})
	}
}

// shows waits until the metrics have a line.
func (b *bundle) shows(t *testing.T, line string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(do(t, NewOps(b.registry), http.MethodGet, "/metrics", "").Body.String(), line+"\n")
	}, 10*time.Second, 5*time.Millisecond, line)
}

func TestStreamOverASocket(t *testing.T) {
	t.Parallel()
	bothWays(t, testStreamOverASocket)
}

func testStreamOverASocket(t *testing.T, park func(*bundle)) {
	h, b := setup(t, park)
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/inbox/stream?access_token="+inboxToken, http.NoBody)
	require.NoError(t, err)
	answer, err := server.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	require.True(t, lines.Scan(), "the first bytes leave while nothing happens")
	require.Equal(t, "retry: 2000", lines.Text())
	b.inboxes.give(eventBatch(t, 42))
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: {\"cursor\":\""+cursorAt(42)) {
		continue
	}
	require.NoError(t, lines.Err())
	leave()
	b.shows(t, "longwire_http_streams 0")
	server.Close() // returns when the handler has
	require.Contains(t, b.log.String(), "route=/v1/inbox/stream status=499")
	require.True(t, b.inboxes.reader.isClosed())
}

func TestOldHTTPGetsAStreamToo(t *testing.T) {
	t.Parallel()
	bothWays(t, testOldHTTP)
}

func testOldHTTP(t *testing.T, park func(*bundle)) {
	h, b := setup(t, park)
	b.inboxes.reader = newReaderDouble(41, eventBatch(t, 42), endBatch())
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET /v1/inbox/stream HTTP/1.0\r\nAuthorization: Bearer " + accessToken + "\r\n\r\n"))
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Empty(t, answer.TransferEncoding, "HTTP/1.0 knows no chunks")
	var text strings.Builder
	_, err = bufio.NewReader(answer.Body).WriteTo(&text)
	require.NoError(t, err)
	require.Len(t, parseFrames(text.String()), 3)
}

func TestReaderThatStopsReadingIsClosedByTheDeadline(t *testing.T) {
	t.Parallel()
	bothWays(t, testReaderThatStopsReading)
}

func testReaderThatStopsReading(t *testing.T, park func(*bundle)) {
	h, b := setup(t, park, func(b *bundle) { b.config.WriteTimeout = 50 * time.Millisecond })
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET /v1/inbox/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + accessToken + "\r\n\r\n"))
	require.NoError(t, err)

	large := realtime.Batch{Events: []chat.InboxEvent{{Body: append(chat.Body(`"x":"`), strings.Repeat("x", 1<<20)+`"}`...)}}}
	for seq := int64(42); !b.inboxes.reader.isClosed(); seq++ {
		batch := realtime.Batch{Events: slices.Clone(large.Events)}
		batch.Events[0].Seq = seq
		select {
		case b.inboxes.reader.batches <- batch: // until no buffer on the way takes more
			b.inboxes.wake()
		case <-b.inboxes.reader.gone:
		}
	}
	b.shows(t, `longwire_http_streams_ended_total{reason="slow_consumer"} 1`)
	b.shows(t, "longwire_http_streams 0")
	server.Close()
}
