package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxMessages and maxDeliveries bound a scenario that is not bounded by time.
	maxMessages   = 2_000_000
	maxDeliveries = 20_000_000
)

// private sends private messages between pairs, whose second has a stream.
func (b *bench) private(ctx context.Context, sys *system, inFlight, pairs int) ([]figure, error) {
	var latency atomic.Pointer[histogram]
	latency.Store(new(histogram))
	f, err := openFleet(ctx, sys.openings(recipients(pairs), none, nil), sys.numbered, func(_ *stream, data []byte, at int64) {
		if sent, _, ok := readStamp(data); ok {
			latency.Load().record(at - sent)
		}
	})
	if err != nil {
		return nil, err
	}
	defer f.close()
	l := load{
		address: sys.sending(), inFlight: inFlight, count: maxMessages, time: b.phase() / 3,
		request: func(buffer []byte, n int64) []byte {
			pair := int(n % int64(pairs))
			return sys.api.toUser(buffer, 2*pair, 2*pair+1, n)
		},
	}
	warm, err := drive(ctx, l)
	if err = errors.Join(err, f.await(ctx, warm.sent)); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	latency.Store(new(histogram))
	l.time = b.phase()
	var d driven
	cost, err := b.measured(ctx, sys, func() (err error) {
		d, err = drive(ctx, l)
		return errors.Join(err, f.await(ctx, warm.sent+d.sent))
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		[]figure{{"messages", "per second", float64(d.sent) / d.elapsed.Seconds()}},
		latencies("send → acknowledged", d.ack), latencies("send → at the reader", latency.Load()),
		costs("message", cost, d.sent),
	), errors.Join(f.check(), excess(f, warm.sent+d.sent))
}

// excess tells whether more came than was sent.
func excess(f *fleet, expected int64) error {
	if n := f.received.Load(); n != expected {
		return fmt.Errorf("%d events came, %d were expected", n, expected)
	}
	return nil
}

// group sends messages of one sender to a group, of whose members the first are online.
func (b *bench) group(ctx context.Context, sys *system, members, online, inFlight int) ([]figure, error) {
	const sample = 50 // of the streams, one in so many tells how long an event took
	var latency atomic.Pointer[histogram]
	latency.Store(new(histogram))
	group := b.world.groupOf(members)
	f, err := openFleet(ctx, sys.openings(firstPeople(online), group, nil), sys.numbered, func(s *stream, data []byte, at int64) {
		if s.index%sample != 0 {
			return
		}
		if sent, _, ok := readStamp(data); ok {
			latency.Load().record(at - sent)
		}
	})
	if err != nil {
		return nil, err
	}
	defer f.close()
	l := load{
		address: sys.sending(), inFlight: inFlight, count: maxDeliveries / int64(online), time: b.phase() / 3,
		request: func(buffer []byte, n int64) []byte { return sys.api.toGroup(buffer, 0, group, n) },
	}
	warm, err := drive(ctx, l)
	if err = errors.Join(err, f.await(ctx, warm.sent*int64(online))); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	latency.Store(new(histogram))
	l.time = b.phase()
	var d driven
	began := now()
	cost, err := b.measured(ctx, sys, func() (err error) {
		d, err = drive(ctx, l)
		return errors.Join(err, f.await(ctx, (warm.sent+d.sent)*int64(online)))
	})
	if err != nil {
		return nil, err
	}
	deliveries := d.sent * int64(online)
	took := time.Duration(f.last.Load() - began)
	figures := []figure{{"deliveries", "per second", float64(deliveries) / took.Seconds()}}
	figures = append(figures, figure{"messages", "per second", float64(d.sent) / took.Seconds()})
	figures = slices.Concat(figures, latencies("send → acknowledged", d.ack), latencies("send → at a reader", latency.Load()))
	if online == members {
		figures = append(figures, costs("delivery", cost, deliveries)...)
	} else {
		figures = append(figures, costs("message", cost, d.sent)...)
	}
	return figures, errors.Join(f.check(), excess(f, (warm.sent+d.sent)*int64(online)))
}

// largeGroup sends one message after the other to a group of which few are
// online, and waits each time until the last of them has it.
func (b *bench) largeGroup(ctx context.Context, sys *system, members, online int) ([]figure, error) {
	const most, warm = 2000, 3
	group := b.world.groupOf(members)
	var (
		last    histogram
		arrived = make([]atomic.Int64, most)
		all     = make(chan struct{}, 1)
	)
	f, err := openFleet(ctx, sys.openings(firstPeople(online), group, nil), sys.numbered, func(_ *stream, data []byte, at int64) {
		sent, n, ok := readStamp(data)
		if !ok || n >= most || arrived[n].Add(1) != int64(online) {
			return
		}
		if n >= warm {
			last.record(at - sent)
		}
		all <- struct{}{}
	})
	if err != nil {
		return nil, err
	}
	defer f.close()
	c, err := newConn(ctx, sys.sending(), 0)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var (
		request []byte
		ack     histogram
		n       int64
	)
	sendUntil := func(end, count int64) error {
		for ; n < count && now() < end; n++ {
			request = sys.api.toGroup(request[:0], 0, group, n)
			at := now()
			if err := c.send(request); err != nil {
				return err
			}
			if n >= warm {
				ack.record(now() - at)
			}
			select {
			case <-all:
			case <-ctx.Done():
				return fmt.Errorf("message %d did not reach everybody: %w", n, ctx.Err())
			}
		}
		return nil
	}
	if err := sendUntil(now()+int64(time.Minute), warm); err != nil {
		return nil, err
	}
	cost, err := b.measured(ctx, sys, func() error { return sendUntil(now()+int64(b.phase()), most) })
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		latencies("send → acknowledged", &ack), latencies("send → at the last reader", &last), costs("message", cost, n-warm),
	), f.check()
}

// pollers is many users who long-poll.
type pollers struct {
	sys      *system
	latency  atomic.Pointer[histogram]
	received atomic.Int64
	answers  atomic.Int64
}

// polls sends private messages to users who long-poll.
func (b *bench) polls(ctx context.Context, sys *system, count, inFlight int) ([]figure, error) {
	p := &pollers{sys: sys}
	p.latency.Store(new(histogram))
	var (
		running  sync.WaitGroup
		ready    = make(chan error, count)
		failures = make(chan error, count)
	)
	polling, stop := context.WithCancel(ctx)
	defer running.Wait()
	defer stop()
	for i, user := range recipients(count) {
		running.Go(func() { failures <- p.run(polling, i, user, ready) })
	}
	for range count {
		if err := <-ready; err != nil {
			return nil, err
		}
	}
	l := load{
		address: sys.sending(), inFlight: inFlight, count: maxMessages, time: b.phase() / 3,
		request: func(buffer []byte, n int64) []byte {
			pair := int(n*37) % count // neighbours in time are none in number
			return sys.api.toUser(buffer, 2*pair, 2*pair+1, n)
		},
	}
	warm, err := drive(ctx, l)
	if err = errors.Join(err, p.await(ctx, warm.sent, failures)); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	p.latency.Store(new(histogram))
	l.time = b.phase()
	var d driven
	before := p.answers.Load()
	cost, err := b.measured(ctx, sys, func() (err error) {
		d, err = drive(ctx, l)
		return errors.Join(err, p.await(ctx, warm.sent+d.sent, failures))
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		[]figure{
			{"messages", "per second", float64(d.sent) / d.elapsed.Seconds()},
			{"events in one answer", "mean", float64(d.sent) / float64(max(1, p.answers.Load()-before))},
		},
		latencies("send → acknowledged", d.ack), latencies("send → at the poller", p.latency.Load()), costs("message", cost, d.sent),
	), nil
}

// await returns when so many events have come, or with what went wrong.
func (p *pollers) await(ctx context.Context, events int64, failures <-chan error) error {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for p.received.Load() < events {
		select {
		case err := <-failures:
			return fmt.Errorf("polling: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for events: %d of %d came: %w", p.received.Load(), events, ctx.Err())
		case <-look.C:
		}
	}
	return nil
}

var (
	cursorBegin = []byte(`],"cursor":"`)
	eventBegin  = []byte(`"type":"message.created"`)
)

// run polls for one user until ctx ends. The first answer tells from where.
func (p *pollers) run(ctx context.Context, number, user int, ready chan<- error) error {
	c, err := newConn(ctx, p.sys.reading(), number)
	if err != nil {
		ready <- err
		return err
	}
	defer c.close()
	unblock := context.AfterFunc(ctx, c.close)
	defer unblock()
	var request []byte
	cursor, err := p.ask(c, p.sys.api.poll(request, user, "", 0))
	ready <- err
	for err == nil {
		request = p.sys.api.poll(request[:0], user, cursor, 25)
		cursor, err = p.ask(c, request)
		p.answers.Add(1)
	}
	if ctx.Err() != nil {
		return nil // that is how it ends
	}
	return err
}

// ask polls once and returns the cursor to go on from.
func (p *pollers) ask(c *conn, request []byte) (cursor string, err error) {
	status, err := c.exchange(request)
	if err != nil {
		return "", err
	}
	at := now()
	if status != http.StatusOK {
		return "", fmt.Errorf("a poll was answered %d: %s", status, c.body)
	}
	end := bytes.LastIndex(c.body, cursorBegin)
	if end < 0 {
		return "", fmt.Errorf("a poll was answered without a cursor: %s", c.body)
	}
	id, _, _ := bytes.Cut(c.body[end+len(cursorBegin):], []byte(`"`))
	events := int64(0)
	for rest := c.body[:end]; ; {
		begin := bytes.Index(rest, eventBegin)
		if begin < 0 {
			break
		}
		rest = rest[begin+len(eventBegin):]
		if sent, _, ok := readStamp(rest); ok {
			p.latency.Load().record(at - sent)
			events++
		}
	}
	p.received.Add(events)
	return string(id), nil
}
