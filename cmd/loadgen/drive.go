package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is messages to be sent, so many at the same time.
type load struct {
	address  string
	inFlight int
	// count and time bound it; whichever comes first.
	count int64
	time  time.Duration
	pace  time.Duration // that each sender waits before a message
	// request appends the request that sends message n.
	request func(b []byte, n int64) []byte
}

// driven is what became of a load.
type driven struct {
	sent    int64         // and acknowledged
	elapsed time.Duration // from the first request to the last answer
	ack     *histogram
}

// drive sends a load. A sender stops at its first failure; the error is that of
// the first sender.
func drive(ctx context.Context, l load) (driven, error) {
	connections := make([]*conn, l.inFlight)
	for i := range connections {
		c, err := newConn(ctx, l.address, i)
		if err != nil {
			return driven{}, err
		}
		defer c.close()
		connections[i] = c
	}
	var (
		workers  sync.WaitGroup
		next     atomic.Int64
		sent     atomic.Int64
		failures = make(chan error, l.inFlight)
		ack      = new(histogram)
		began    = now()
		end      = began + int64(l.time)
	)
	for _, c := range connections {
		workers.Go(func() {
			var request []byte
			for ctx.Err() == nil {
				if l.pace > 0 && pause(ctx, l.pace) != nil {
					return
				}
				n := next.Add(1) - 1
				at := now()
				if n >= l.count || at >= end {
					return
				}
				request = l.request(request[:0], n)
				if err := c.send(request); err != nil {
					failures <- err
					return
				}
				ack.record(now() - at)
				sent.Add(1)
			}
		})
	}
	workers.Wait()
	result := driven{sent: sent.Load(), elapsed: time.Duration(now() - began), ack: ack}
	close(failures)
	if n := len(failures); n > 0 {
		return result, fmt.Errorf("%d of %d senders failed, the first with: %w", n, l.inFlight, <-failures)
	}
	return result, ctx.Err()
}

// send sends a message that must be new.
func (c *conn) send(request []byte) error {
	status, err := c.exchange(request)
	if err != nil {
		return err
	}
	if status != http.StatusCreated {
		return fmt.Errorf("a message was answered %d: %s", status, c.body)
	}
	return nil
}

// A message's body begins with a stamp: when it was sent and which it is.
const (
	stampDigits = 16
	bodyLength  = 200
)

var (
	stampMark = []byte(`"body":"t`)
	padding   = bytes.Repeat([]byte("longwire "), bodyLength)
)

// appendBody appends the text of message n, sent now: 200 bytes that need no
// escaping.
func appendBody(b []byte, n int64) []byte {
	begin := len(b)
	b = append(b, 't')
	b = appendHex(b, now())
	b = append(b, 'n')
	b = appendHex(b, n)
	b = append(b, ' ')
	return append(b, padding[:bodyLength-(len(b)-begin)]...)
}

func appendHex(b []byte, n int64) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (stampDigits - 1); shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

// readStamp returns when the message in an event was sent and which it is; ok
// is false for an event that is none of ours.
func readStamp(data []byte) (sent, n int64, ok bool) {
	at := bytes.Index(data, stampMark)
	if at < 0 || len(data) < at+len(stampMark)+2*stampDigits+1 {
		return 0, 0, false
	}
	data = data[at+len(stampMark):]
	sent, sentErr := strconv.ParseInt(string(data[:stampDigits]), 16, 64)
	n, nErr := strconv.ParseInt(string(data[stampDigits+1:2*stampDigits+1]), 16, 64)
	return sent, n, sentErr == nil && nErr == nil
}
