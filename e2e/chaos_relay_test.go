package e2e_test

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay is a cable between two programs: it can be cut, slowed, and made to take everything and bring nothing.
type relay struct {
	listener net.Listener
	target   atomic.Value // string
	delay    atomic.Int64 // nanoseconds for each piece of what goes through
	mode     atomic.Int32

	mu    sync.Mutex
	pairs map[*pair]struct{} // guarded by mu
}

// The modes of a relay.
const (
	relayPasses   int32 = iota
	relayRefuses        // new connections are closed at once
	relayHoles          // connections are taken, and nothing ever comes through
	relayTrickles       // a byte a second comes from who is behind
)

// pair is one connection through the relay.
type pair struct {
	near, far net.Conn // far is nil while nobody is behind
	closed    chan struct{}
	once      sync.Once
}

func (p *pair) close() {
	p.once.Do(func() {
		close(p.closed)
		_ = p.near.Close()
		if p.far != nil {
			_ = p.far.Close()
		}
	})
}

func newRelay(target string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+freePort())
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, pairs: map[*pair]struct{}{}}
	r.target.Store(target)
	go r.accept()
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		if r.mode.Load() == relayRefuses {
			_ = near.Close()
			continue
		}
		go r.join(near)
	}
}

// join connects somebody with who is behind the relay, until one of the two leaves.
func (r *relay) join(near net.Conn) {
	p := &pair{near: near, closed: make(chan struct{})}
	if r.mode.Load() != relayHoles {
		far, err := net.DialTimeout("tcp", r.target.Load().(string), 5*time.Second)
		if err != nil {
			_ = near.Close()
			return
		}
		p.far = far
	}
	r.mu.Lock()
	r.pairs[p] = struct{}{}
	r.mu.Unlock()
	defer func() {
		p.close()
		r.mu.Lock()
		delete(r.pairs, p)
		r.mu.Unlock()
	}()
	if p.far == nil {
		<-p.closed
		return
	}
	go r.pump(p, p.near, p.far)
	r.pump(p, p.far, p.near)
}

// pump brings bytes from one side to the other.
func (r *relay) pump(p *pair, from, to net.Conn) {
	defer p.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if delay := r.delay.Load(); delay > 0 {
				time.Sleep(time.Duration(delay))
			}
			if r.mode.Load() == relayHoles {
				<-p.closed // it was cut when the hole was mended
				return
			}
			sent := 0
			for from == p.far && sent < n && r.mode.Load() == relayTrickles {
				if _, err := to.Write(buffer[sent : sent+1]); err != nil {
					return
				}
				sent++
				select {
				case <-p.closed:
					return
				case <-time.NewTimer(time.Second).C:
				}
			}
			if _, err := to.Write(buffer[sent:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes every connection there is.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pairs {
		p.close()
	}
}

// turn changes the mode. Connections that hung in a hole do not come back to life.
func (r *relay) turn(mode int32) {
	if was := r.mode.Swap(mode); was == relayHoles || mode == relayRefuses {
		r.cut()
	}
}

// lead is what a failover does to a cable: it ends somewhere else.
func (r *relay) lead(target string) {
	r.target.Store(target)
	r.cut()
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.cut()
}
