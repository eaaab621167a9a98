package handlers

import (
	"bytes"
	"strconv"
	"time"

	"longwire/chat"
)

// This file composes what goes over an inbox's transports. It appends to byte
// slices and knows no connection, so that every way of writing shares it.
//
// Server-Sent Events are specified in WHATWG HTML, section 9.2: fields are
// lines, an empty line ends an event. All data here is JSON without line
// breaks, so that one data line always holds it.

// The named events of a stream. Inbox events have no name, so that
// EventSource.onmessage gets them all.
const (
	eventHello     = "hello"
	eventHeartbeat = "heartbeat"
	eventReset     = "reset"
	eventBye       = "bye"
	eventError     = "error"
	eventTick      = "tick" // of the stream that is a probe only
)

// appendRetry appends the time after which a client that lost us comes back.
func appendRetry(b []byte, retry time.Duration) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, retry.Milliseconds(), 10)
	return append(b, '\n')
}

// appendEvent appends one inbox event; its id is the cursor after it.
func appendEvent(b []byte, prefix string, seq int64, body chat.Body) []byte {
	b = append(b, "id: "...)
	b = chat.AppendCursor(b, prefix, seq)
	b = append(b, "\ndata: "...)
	b = appendEnvelope(b, prefix, seq, body)
	return append(b, "\n\n"...)
}

// appendEphemeral appends an event that is kept nowhere: it has no id, so that
// the position stays.
func appendEphemeral(b []byte, body chat.Body) []byte {
	b = append(b, "data: {"...)
	b = append(b, body...)
	return append(b, "\n\n"...)
}

// appendEnvelope appends the event itself, the same bytes on every transport.
func appendEnvelope(b []byte, prefix string, seq int64, body chat.Body) []byte {
	b = append(b, `{"cursor":"`...)
	b = chat.AppendCursor(b, prefix, seq)
	b = append(b, `",`...)
	return append(b, body...)
}

// appendNamed opens a named event.
func appendNamed(b []byte, name string) []byte {
	b = append(b, "event: "...)
	b = append(b, name...)
	return append(b, '\n')
}

// greeting is what a stream says first.
type greeting struct {
	cursor    string // where the stream begins; as the client gave it, if it did
	caller    chat.Caller
	heartbeat time.Duration
	lifetime  time.Duration // that this stream will have
	padding   int           // bytes of nothing behind it
}

// appendHello appends the stream's first event. Its id lets a client that sees
// nothing else resume exactly here; before a reset it is the client's own
// cursor, so that a reset that got lost is told again.
func appendHello(b []byte, g greeting) []byte {
	b = append(appendNamed(b, eventHello), "id: "...)
	b = append(b, g.cursor...)
	b = append(b, "\ndata: {\"cursor\":\""...)
	b = append(b, g.cursor...)
	b = append(b, `","user_id":"`...)
	b = append(b, g.caller.User.String()...)
	b = append(b, `","session_id":"`...)
	b = append(b, g.caller.Session.String()...)
	b = append(b, `","heartbeat_seconds":`...)
	b = strconv.AppendInt(b, seconds(g.heartbeat), 10)
	b = append(b, `,"lifetime_seconds":`...)
	b = strconv.AppendInt(b, seconds(g.lifetime), 10)
	return appendPadding(append(b, "}\n\n"...), g.padding)
}

// appendPadding appends a comment, which readers pass over, of size bytes with
// the lines' ends; of fewer than 3 it appends nothing.
func appendPadding(b []byte, size int) []byte {
	const frame = len(":\n\n")
	if size < frame {
		return b
	}
	b = append(b, ':')
	b = append(b, bytes.Repeat([]byte{' '}, size-frame)...)
	return append(b, "\n\n"...)
}

// appendTick appends one event of a probe.
func appendTick(b []byte, n, of int, interval time.Duration, now time.Time) []byte {
	b = append(appendNamed(b, eventTick), `data: {"n":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `,"of":`...)
	b = strconv.AppendInt(b, int64(of), 10)
	b = append(b, `,"sent_at":"`...)
	b = append(b, chat.TimeOf(now).String()...)
	b = append(b, `","interval_ms":`...)
	b = strconv.AppendInt(b, interval.Milliseconds(), 10)
	return append(b, "}\n\n"...)
}

// seconds rounds up, so that what is promised is never less than what is kept.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// appendHeartbeat appends a sign of life that carries the position.
func appendHeartbeat(b []byte, prefix string, seq int64) []byte {
	b = append(appendNamed(b, eventHeartbeat), "id: "...)
	b = chat.AppendCursor(b, prefix, seq)
	b = append(b, "\ndata: {\"cursor\":\""...)
	b = chat.AppendCursor(b, prefix, seq)
	return append(b, "\"}\n\n"...)
}

// appendReset appends that the inbox goes on from seq, and not from where the client was.
func appendReset(b []byte, prefix string, seq int64, reason string) []byte {
	b = append(appendNamed(b, eventReset), "id: "...)
	b = chat.AppendCursor(b, prefix, seq)
	b = append(b, "\ndata: "...)
	b = appendResetData(b, prefix, seq, reason)
	return append(b, "\n\n"...)
}

func appendResetData(b []byte, prefix string, seq int64, reason string) []byte {
	b = append(b, `{"reason":"`...)
	b = append(b, reason...)
	b = append(b, `","cursor":"`...)
	b = chat.AppendCursor(b, prefix, seq)
	return append(b, `"}`...)
}

// appendBye appends a stream's last event. It has no id: the position stays.
func appendBye(b []byte, reason string, retry time.Duration) []byte {
	b = appendNamed(appendRetry(b, retry), eventBye)
	b = append(b, `data: {"reason":"`...)
	b = append(b, reason...)
	b = append(b, `","retry_ms":`...)
	b = strconv.AppendInt(b, retry.Milliseconds(), 10)
	return append(b, "}\n\n"...)
}

// appendError appends a problem in band, for clients that give up for good on
// any status but 200.
func appendError(b []byte, retry time.Duration, problem []byte) []byte {
	b = appendNamed(appendRetry(b, retry), eventError)
	b = append(b, "data: "...)
	b = append(b, problem...)
	return append(b, "\n\n"...)
}
