package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// fleet is many event streams. An idle one costs a goroutine and no buffer.
type fleet struct {
	// onEvent is told each inbox event's data and when it came; nil = events
	// are counted only. It is called by many goroutines.
	onEvent func(s *stream, data []byte, at int64)

	streams  []*stream
	readers  sync.WaitGroup
	closing  atomic.Bool
	received atomic.Int64 // inbox events
	last     atomic.Int64 // when the newest of them came, see now
	gaps     atomic.Int64 // events that did not follow the one before
	ended    atomic.Int64 // streams that ended without being closed

	mu     sync.Mutex
	reason error // why the first of them ended; guarded by mu
}

// stream is one of them.
type stream struct {
	fleet *fleet
	index int
	conn  *net.TCPConn
	seen  eventReader
	ready chan struct{} // closed at the hello
	began int64         // when it was dialled, see now

	// Owned by the reading goroutine; read by others after fleet.close.

	cursor   string // of the hello
	seq      int64  // of the last event
	events   int64
	greeted  bool
	numbered bool  // ids end in a seq that grows by one
	met      int64 // when it had its hello, see now
}

// opening is how a stream is opened.
type opening struct {
	address string
	request []byte
}

// dialling is how many connections are under way at the same time: fewer than
// a listener lets wait.
const dialling = 512

// buffers are what streams read into.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 64<<10)
	return &b
}}

// openFleet opens streams, all at once, and returns when each has had its
// hello. numbered says that ids end in a seq that grows by one.
func openFleet(ctx context.Context, openings []opening, numbered bool, onEvent func(s *stream, data []byte, at int64)) (*fleet, error) {
	f := &fleet{onEvent: onEvent, streams: make([]*stream, len(openings))}
	slots := make(chan struct{}, dialling)
	for i, o := range openings {
		s := &stream{fleet: f, index: i, ready: make(chan struct{}), numbered: numbered}
		f.streams[i] = s
		f.readers.Go(func() { s.run(ctx, o, slots) })
	}
	for _, s := range f.streams {
		select {
		case <-s.ready:
		case <-ctx.Done():
			f.close()
			return nil, errors.Join(fmt.Errorf("opening streams: %w", ctx.Err()), f.why())
		}
	}
	if failed := f.ended.Load(); failed > 0 || ctx.Err() != nil {
		f.close()
		return nil, fmt.Errorf("opening streams: %d failed: %w", failed, errors.Join(f.why(), ctx.Err()))
	}
	return f, nil
}

// run is one stream's life.
func (s *stream) run(ctx context.Context, o opening, slots chan struct{}) {
	met := sync.OnceFunc(func() {
		close(s.ready)
		<-slots
	})
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		close(s.ready)
		return
	}
	defer met()
	s.seen = eventReader{onHead: checkStreamHead, onEvent: func(event []byte) {
		if s.event(event) {
			met()
		}
	}}
	if err := s.follow(ctx, o); err != nil && !s.fleet.closing.Load() {
		s.fleet.ended.Add(1)
		s.fleet.mu.Lock()
		defer s.fleet.mu.Unlock()
		if s.fleet.reason == nil {
			s.fleet.reason = err
		}
	}
}

func checkStreamHead(h head) error {
	if h.status != http.StatusOK {
		return fmt.Errorf("a stream was answered %d", h.status)
	}
	return nil
}

// follow connects, asks, and reads until the stream ends.
func (s *stream) follow(ctx context.Context, o opening) error {
	s.began = now()
	conn, err := dial(ctx, o.address, s.index)
	if err != nil {
		return err
	}
	s.fleet.mu.Lock()
	s.conn = conn
	closing := s.fleet.closing.Load()
	s.fleet.mu.Unlock()
	defer func() { _ = conn.Close() }()
	if closing {
		return nil
	}
	if _, err := conn.Write(o.request); err != nil {
		return err
	}
	return s.read(conn)
}

// read takes what arrives into a buffer that is borrowed for as long as there
// is something to read.
func (s *stream) read(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		buffer, ok := buffers.Get().(*[]byte)
		if !ok {
			return true
		}
		defer buffers.Put(buffer)
		var more bool
		more, failed = s.drain(int(fd), *buffer)
		return !more
	})
	return errors.Join(failed, err)
}

// drain reads until nothing is there; more tells that the stream goes on.
func (s *stream) drain(fd int, buffer []byte) (more bool, err error) {
	for {
		n, err := syscall.Read(fd, buffer)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return true, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return false, err
		case n == 0:
			return false, io.ErrUnexpectedEOF
		}
		before := s.events
		err = s.seen.feed(buffer[:n])
		if came := s.events - before; came > 0 {
			s.fleet.received.Add(came)
			s.fleet.last.Store(now())
		}
		if err != nil {
			return false, err
		}
	}
}

var (
	fieldID    = []byte("id: ")
	fieldEvent = []byte("event: ")
	fieldRetry = []byte("retry: ")
	fieldData  = []byte("\ndata: ")
	helloEvent = []byte("hello")
	resetEvent = []byte("reset")
)

// event takes one event; the result tells that it was the hello.
func (s *stream) event(event []byte) (hello bool) {
	if bytes.HasPrefix(event, fieldID) {
		s.inboxEvent(event)
		return false
	}
	if bytes.HasPrefix(event, fieldRetry) {
		_, event, _ = bytes.Cut(event, []byte("\n"))
	}
	rest, named := bytes.CutPrefix(event, fieldEvent)
	switch {
	case !named:
	case bytes.HasPrefix(rest, helloEvent) && !s.greeted:
		s.greeted, s.met = true, now()
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		id, _, _ := bytes.Cut(bytes.TrimPrefix(rest, fieldID), []byte("\n"))
		s.cursor, s.seq = string(id), seqOf(id)
		return true
	case bytes.HasPrefix(rest, resetEvent):
		s.fleet.gaps.Add(1)
	}
	return false
}

func (s *stream) inboxEvent(event []byte) {
	id, data, _ := bytes.Cut(event[len(fieldID):], fieldData)
	s.events++
	if s.numbered {
		seq := seqOf(id)
		if seq != s.seq+1 {
			s.fleet.gaps.Add(1)
		}
		s.seq = seq
	}
	if s.fleet.onEvent != nil {
		s.fleet.onEvent(s, data, now())
	}
}

// seqOf returns the number that a cursor of Longwire ends in. A client must not
// look at it; this one does, to count what is missing.
func seqOf(cursor []byte) int64 {
	seq, _ := strconv.ParseInt(string(cursor[bytes.LastIndexByte(cursor, '.')+1:]), 10, 64)
	return seq
}

// await returns when so many events have come, or with what went wrong.
func (f *fleet) await(ctx context.Context, events int64) error {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for f.received.Load() < events {
		if f.ended.Load() > 0 {
			return fmt.Errorf("%d streams ended: %w", f.ended.Load(), f.why())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for events: %d of %d came: %w", f.received.Load(), events, ctx.Err())
		case <-look.C:
		}
	}
	return nil
}

// check tells whether everything came in order so far.
func (f *fleet) check() error {
	if gaps := f.gaps.Load(); gaps > 0 {
		return fmt.Errorf("%d events did not follow the one before", gaps)
	}
	return nil
}

// why returns the reason of the first stream that ended.
func (f *fleet) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason
}

// close ends all streams and returns when nobody reads any more.
func (f *fleet) close() {
	f.mu.Lock()
	f.closing.Store(true)
	for _, s := range f.streams {
		if s.conn != nil {
			_ = s.conn.Close()
		}
	}
	f.mu.Unlock()
	f.readers.Wait()
}
