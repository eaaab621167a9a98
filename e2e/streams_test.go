package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

func TestStreamLifeEndsWithBye(t *testing.T) {
	onFresh(t, settings{"STREAM_LIFETIME": "1s", "HEARTBEAT": "1s"}, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		reader := bob.at(1).stream(client.Begin)
		sending := startTraffic(t, alice.toUser(1, bob))
		reader.until("three lives", func() bool { return len(reader.byes) >= 3 })
		sending.stop()
		assert.Empty(t, sending.failed())
		sending.arrived(bob, reader, conversationWith(t, alice, bob))
		for _, reason := range reader.byes[:3] {
			assert.Equal(t, client.ByeReasonLifetime, reason)
		}
	})
}

func TestQuietStreamHasAHeartbeatWithItsPosition(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"HEARTBEAT": "1s"})
	p := d.person(t, 0, "alice")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var hello client.HelloData
	var beats []time.Time
	trace := client.StreamTrace{Connected: func(h client.HelloData) { hello = h }, Heartbeat: func(beat client.HeartbeatData) {
		assert.Equal(t, hello.Cursor, beat.Cursor)
		if beats = append(beats, time.Now()); len(beats) == 3 {
			cancel()
		}
	}}
	for _, err := range p.Stream(ctx, client.StreamOptions{Trace: trace}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.Equal(t, p.id, hello.UserID)
	assert.Equal(t, p.session, hello.SessionID)
	assert.Equal(t, 1, hello.HeartbeatSeconds)
	require.Len(t, beats, 3)
	assert.Less(t, beats[2].Sub(beats[0]), 4*time.Second)
}

func TestDrain(t *testing.T) {
	onFresh(t, settings{"SHUTDOWN_GRACE": "4s"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		group := alice.group(bob, carol)
		reader := bob.at(0).stream(client.Begin)
		quiet := carol.at(0).stream(client.Now)
		idle := d.person(t, 0, "idle")
		polls := make(chan answer, 5)
		for range 5 {
			go func() {
				got, err := try(t.Context(), idle.http, raw{url: d.url(0, "/v1/inbox/poll?cursor=now&wait=50"), token: idle.Tokens().Access})
				assert.NoError(t, err)
				polls <- got
			}()
		}
		sending := startTraffic(t, alice.toUser(0, bob), carol.toGroup(0, group), alice.toGroup(0, group))
		sending.more(40)

		draining := time.Now()
		d.node(0).ask()
		for range 5 {
			select {
			case got := <-polls:
				assert.Equal(t, http.StatusOK, got.status, "%s", got.body)
				assert.Less(t, time.Since(draining), 3*time.Second, "a poll is answered at once")
			case <-time.NewTimer(patience).C:
				require.FailNow(t, "a poll was never answered")
			}
		}
		for _, i := range []*inbox{reader, quiet} {
			i.until("bye", func() bool { return len(i.byes) > 0 })
			assert.Equal(t, client.ByeReasonShutdown, i.byes[0], i.who)
		}
		code, err := d.node(0).terminate()
		require.NoError(t, err)
		assert.Zero(t, code)
		assert.Less(t, time.Since(draining), 20*time.Second)
		sending.stop()

		require.NoError(t, d.node(0).start())
		sending.arrived(bob, reader, conversationWith(t, alice, bob), group)
	})
}

// A node that drains says so to those who ask before they come.
func TestReadinessEndsWhenTheDrainBegins(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"SHUTDOWN_GRACE": "3s"})
	p := d.person(t, 0, "alice")
	p.stream(client.Now) // keeps the node busy draining
	d.node(0).ask()
	eventually(t, "the node says that it is not ready, or is gone", func() bool {
		status := d.node(0).ready(t.Context())
		return status == http.StatusServiceUnavailable || status == 0
	})
}

func TestSlowReaderIsClosedAndResumes(t *testing.T) {
	onFresh(t, settings{"STREAM_WRITE_TIMEOUT": "1s"}, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		// A reader with a small window that reads the beginning and then stops reading.
		dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}}
		connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(d.node(0).url, "http://"))
		require.NoError(t, err)
		defer connection.Close()
		_, err = fmt.Fprintf(connection, "GET /v1/inbox/stream?cursor=begin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", bob.Tokens().Access)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReaderSize(connection, 16), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		frames := client.NewFrameReader(response.Body)
		hello, err := frames.Next()
		require.NoError(t, err)
		require.Equal(t, "hello", hello.Event)

		// Much more than all buffers between the two can hold.
		var sending sync.WaitGroup
		text := strings.Repeat("🐎", 7900)
		const each, senders = 50, 4
		for n := range senders {
			sending.Go(func() {
				sender := alice.at(n)
				for range each {
					_, err := sender.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: text})
					assert.NoError(t, err)
				}
			})
		}
		sending.Wait()
		witness := bob.at(1).stream(client.Begin) // who reads is not held up by who does not
		head := bob.everything(500)
		witness.until("everything", func() bool { return len(witness.events) == len(head) })
		all := witness.all()

		// Now it reads again, and no longer with a straw: what was under way is still good, then the stream is over.
		require.NoError(t, connection.(*net.TCPConn).SetReadBuffer(1<<20))
		var got []client.Event
		cursor := client.Begin
		_ = connection.SetReadDeadline(time.Now().Add(patience))
		for {
			frame, err := frames.Next()
			if err != nil {
				var late net.Error
				require.False(t, errors.As(err, &late) && late.Timeout(), "the slow reader is still connected")
				break
			}
			if frame.Event == "" {
				var event client.Event
				require.NoError(t, json.Unmarshal(frame.Data, &event))
				got, cursor = append(got, event), event.Cursor
			}
		}
		require.Less(t, len(got), len(all), "it was not slow enough")
		t.Logf("the slow reader got %d of %d events before it was closed", len(got), len(all))

		rest := bob.at(1).stream(cursor)
		rest.until("the rest", func() bool { return len(rest.events) == len(all)-len(got) })
		assert.Equal(t, all, append(got, rest.all()...))
	})
}

func TestStreamsPerUserAreLimited(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		var open []*inbox
		for n := range 8 {
			open = append(open, bob.at(n).stream(client.Now))
		}
		for n := range 2 {
			got := ask(t, bob.http, raw{url: d.url(n, "/v1/inbox/stream?cursor=now"), token: bob.Tokens().Access})
			assert.Equal(t, http.StatusTooManyRequests, got.status)
			assert.Equal(t, client.ProblemCodeTooManyStreams, got.problem().Code)
			assert.NotEmpty(t, got.header.Get("Retry-After"))

			inband := ask(t, bob.http, raw{url: d.url(n, "/v1/inbox/stream?cursor=now&errors=inband"), token: bob.Tokens().Access})
			assert.Equal(t, http.StatusOK, inband.status, "EventSource gives up for ever on anything else")
			frames := client.NewFrameReader(strings.NewReader(string(inband.body)))
			frame, err := frames.Next()
			require.NoError(t, err)
			assert.Equal(t, "error", frame.Event)
			assert.Contains(t, string(frame.Data), `"too_many_streams"`)
			assert.GreaterOrEqual(t, frames.Retry(), 5*time.Second, "it must not come back at once")
			_, err = frames.Next()
			require.ErrorIs(t, err, io.EOF)
		}
		alice.say(bob, "Are you all there?")
		for _, i := range open {
			i.hasMessages("", 1)
			assert.Empty(t, i.byes, "who was there first is left alone")
		}

		open[0].stop()
		eventually(t, "there is room again", func() bool {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url(1, "/v1/inbox/stream?cursor=now"), http.NoBody)
			require.NoError(t, err)
			request.Header.Set("Authorization", "Bearer "+bob.Tokens().Access)
			response, err := bob.http.Do(request)
			require.NoError(t, err)
			defer response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	})
}

func TestResetWhenCursorCannotContinue(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		for i := range 3 {
			alice.say(bob, fmt.Sprint(i))
		}
		all := bob.everything(500)
		mine, hers := all[len(all)-1].Cursor, alice.everything(500)[0].Cursor

		for name, cursor := range map[string]string{
			"garbage": "no-cursor", "another's": hers, "cut": mine[:len(mine)-1] + "x", "negative": strings.Replace(mine, mine[strings.LastIndexByte(mine, '.')+1:], "-1", 1),
			"too long": strings.Repeat("1", 513),
		} {
			for _, path := range []string{"/v1/inbox/poll?wait=0&cursor=", "/v1/inbox/stream?cursor=", "/v1/inbox/stream?last_event_id=", "/v1/inbox/stream?lastEventId="} {
				got := ask(t, bob.http, raw{url: d.url(0, path+cursor), token: bob.Tokens().Access, wrong: name == "too long"})
				assert.Equal(t, http.StatusUnprocessableEntity, got.status, "%s %s", name, path)
				if name != "too long" {
					assert.Equal(t, client.ProblemCodeInvalidCursor, got.problem().Code, "%s %s", name, path)
				}
			}
			got := ask(t, bob.http, raw{url: d.url(0, "/v1/inbox/stream"), token: bob.Tokens().Access, headers: map[string]string{"Last-Event-ID": cursor}, wrong: name == "too long"})
			assert.Equal(t, http.StatusUnprocessableEntity, got.status, name)
			if name != "too long" {
				refused(t, bob.Ack(t.Context(), cursor), http.StatusUnprocessableEntity, client.ProblemCodeInvalidCursor)
			}
		}

		// A cursor from a future that this server does not know is a true one that cannot be continued.
		future := mine[:strings.LastIndexByte(mine, '.')+1] + "1000000"
		result, err := bob.at(1).Poll(t.Context(), client.PollOptions{Cursor: future, Wait: 20 * time.Second})
		require.NoError(t, err)
		require.NotNil(t, result.Reset)
		assert.Equal(t, client.ResetReasonUnknownFuture, result.Reset.Reason)
		assert.Equal(t, mine, result.Reset.Cursor)
		assert.Equal(t, result.Reset.Cursor, result.Cursor)
		stream := bob.at(1).stream(future)
		stream.until("reset", func() bool { return len(stream.resets) == 1 })
		assert.Equal(t, client.ResetReasonUnknownFuture, stream.resets[0])
		alice.say(bob, "after the reset")
		assert.Equal(t, []string{"after the reset"}, bodies(stream.hasMessages("", 1)), "the stream goes on from the reset's cursor")

		// A true cursor of another past.
		parts := strings.Split(mine, ".")
		parts[1] = "another"
		result, err = bob.Poll(t.Context(), client.PollOptions{Cursor: strings.Join(parts, ".")})
		require.NoError(t, err)
		require.NotNil(t, result.Reset)
		assert.Equal(t, client.ResetReasonEpoch, result.Reset.Reason)
	})
}

func TestPositionsWithoutACursor(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		alice.say(bob, "before")
		phone := bob.device(0)
		first := alice.say(bob, "1")
		alice.say(bob, "2")

		saved := func(n int) []string {
			part, err := phone.at(n).Poll(t.Context(), client.PollOptions{})
			require.NoError(t, err)
			return bodies(messages(part.Events, ""))
		}
		for n := range 3 {
			assert.Equal(t, []string{"1", "2"}, saved(n), "a session that acknowledged nothing begins where it logged in")
		}
		stream := phone.at(1).stream("")
		assert.Equal(t, []string{"1", "2"}, bodies(stream.hasMessages("", 2)))
		stream.stop()

		var at client.Cursor
		for _, event := range bob.everything(500) {
			if message, ok := event.Value().(client.Message); ok && message.Seq == first.Seq {
				at = event.Cursor
			}
		}
		require.NoError(t, phone.Ack(t.Context(), at))
		for n := range 3 {
			assert.Equal(t, []string{"2"}, saved(n), "on every node")
		}
		part, err := phone.Poll(t.Context(), client.PollOptions{})
		require.NoError(t, err)
		_, err = phone.at(1).Poll(t.Context(), client.PollOptions{Cursor: part.Cursor})
		require.NoError(t, err)
		assert.Empty(t, saved(0), "presenting a cursor acknowledges it")
		require.NoError(t, phone.at(1).Ack(t.Context(), at))
		assert.Empty(t, saved(0), "it only moves forward")

		assert.NotEmpty(t, messages(bob.everything(500), ""), "another session has a position of its own")
		now := phone.at(0).stream(client.Now)
		alice.say(bob, "3")
		assert.Equal(t, []string{"3"}, bodies(now.hasMessages("", 1)))
		begin := phone.at(1).stream(client.Begin)
		assert.Equal(t, []string{"before", "1", "2", "3"}, bodies(begin.hasMessages("", 4)))
	})
}

// What is too old is told, not skipped. Pruning takes its time: the node does it once a minute.
func TestPrunedInboxResets(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"RETENTION": "1s"})
	_, bob := d.friends(t)
	old := bob.everything(500)[0].Cursor
	stream := bob.stream(client.Now)
	var result client.PollResult
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); result.Reset == nil && time.Since(began) < 90*time.Second; <-look.C {
		var err error
		result, err = bob.Poll(t.Context(), client.PollOptions{Cursor: old})
		require.NoError(t, err)
	}
	require.NotNil(t, result.Reset, "the inbox was not pruned")
	assert.Empty(t, stream.resets, "who has read everything misses nothing")
	assert.Equal(t, client.ResetReasonTooOld, result.Reset.Reason)
	_, err := bob.Poll(t.Context(), client.PollOptions{Cursor: result.Cursor})
	require.NoError(t, err)
}
