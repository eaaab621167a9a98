package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"longwire/repo"
)

// crowd is many connections that take a place and hardly use it.
type crowd struct {
	sys     *system
	members sync.WaitGroup
	kinds   []*slowKind
}

// slowKind is one way to be slow.
type slowKind struct {
	name string
	// visit is one connection's life; it returns when the connection has ended.
	visit func(ctx context.Context, k *slowKind, conn *net.TCPConn, number int) error

	here, came atomic.Int64 // connections now, and in all
}

const (
	// slowPairs are pairs whose inboxes are read slowly: the first of the world.
	slowPairs = 25
	// briskPairs are those after them, who want to be served meanwhile.
	briskPairs = 64
	// slowHistory is what each slow inbox holds when its readers come: more than
	// all buffers between the node and one of them.
	slowHistory = 400
	// keptDescriptors is what the node and we need beside the crowd: the brisk
	// people, the database, Redis.
	keptDescriptors = 500
)

// slowSettings let slow readers stay as long as a node ever lets them, so that
// they are all there at once, and let few people have many streams.
var slowSettings = []string{"LONGWIRE_STREAM_WRITE_TIMEOUT=1m", "LONGWIRE_MAX_STREAMS_PER_USER=10000", "LONGWIRE_LOG_LEVEL=warn"}

// crowdSize is how many connections fit, of those that were asked for: the node
// has one descriptor for each, and so have we.
func crowdSize(asked int) (int, error) {
	var limit syscall.Rlimit
	// The soft limit is the hard one in a Go program, and in those it starts.
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur < uint64(asked)+keptDescriptors {
		return max(int(limit.Cur)-keptDescriptors, 0), nil
	}
	return asked, nil
}

// slow measures the same load without and with a crowd of slow and dead
// connections, and once more after it has left.
func (b *bench) slow(ctx context.Context, sys *system, asked int) ([]figure, error) {
	size, err := crowdSize(asked)
	if err != nil {
		return nil, err
	}
	if err := b.fillSlowInboxes(ctx); err != nil {
		return nil, err
	}
	brisk, err := b.openBrisk(ctx, sys)
	if err != nil {
		return nil, err
	}
	defer brisk.fleet.close()
	if _, err := brisk.send(ctx, b.measure/3); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	without, err := brisk.send(ctx, b.measure)
	if err != nil {
		return nil, err
	}
	rest, err := resident(sys.processes, "node")
	if err != nil {
		return nil, err
	}
	crowd, leave := startCrowd(ctx, sys, size)
	defer leave()
	coming, err := brisk.send(ctx, b.measure)
	if err != nil {
		return nil, fmt.Errorf("while the crowd comes: %w", err)
	}
	if err := crowd.settle(ctx, size); err != nil {
		return nil, err
	}
	var with phase
	cost, err := b.measured(ctx, sys, func() (err error) {
		with, err = brisk.send(ctx, b.measure)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("with the crowd: %w", err)
	}
	figures, err := b.crowdFigures(ctx, sys, crowd, rest)
	if err != nil {
		return nil, err
	}
	leave()
	if err := calm(ctx, sys); err != nil {
		return nil, err
	}
	after, err := brisk.send(ctx, b.measure)
	if err != nil {
		return nil, fmt.Errorf("after the crowd: %w", err)
	}
	figures = append(figures, costs("message with the crowd", cost, with.sent)...)
	figures = append(figures, compare(without, coming, with, after)...)
	return figures, errors.Join(brisk.fleet.check(), excess(brisk.fleet, brisk.expected))
}

// crowdFigures tells what a crowd is like, and what the node has because of it.
func (b *bench) crowdFigures(ctx context.Context, sys *system, c *crowd, rest int64) ([]figure, error) {
	var figures []figure
	total := int64(0)
	for _, k := range c.kinds {
		total += k.here.Load()
		figures = append(figures, figure{k.name, "connections", float64(k.here.Load())}, figure{"… and came", "in all", float64(k.came.Load())})
	}
	memory, err := resident(sys.processes, "node")
	if err != nil {
		return nil, err
	}
	figures = append(
		figures, figure{"slow or dead connections at the same time", "connections", float64(total)},
		figure{"resident memory of the node", "KiB for each of them", float64(memory-rest) / 1024 / float64(total)},
	)
	for metric, name := range map[string]string{"process_open_fds": "descriptors of the node", "longwire_http_streams": "streams of the node"} {
		value, err := metricOf(ctx, sys, metric)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{name, "open", value})
	}
	return figures, nil
}

// compare puts the same figure without the crowd, while it comes, with it and
// after it beside each other.
func compare(without, coming, with, after phase) []figure {
	var figures []figure
	for _, part := range []struct {
		what string
		of   func(phase) *histogram
	}{
		{"send → acknowledged", func(p phase) *histogram { return p.ack }},
		{"send → at the reader", func(p phase) *histogram { return p.delivery }},
	} {
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			in := func(p phase) float64 { return part.of(p).quantile(q.at) / 1e6 }
			name := part.what + " " + q.name
			figures = append(
				figures, figure{name + " without the crowd", "ms", in(without)}, figure{name + " while it comes", "ms", in(coming)},
				figure{name + " with it", "ms", in(with)}, figure{name + " with it", "times that without", in(with) / in(without)},
				figure{name + " after it", "ms", in(after)},
			)
		}
	}
	return figures
}

// fillSlowInboxes gives the slow readers something to be slow about.
func (b *bench) fillSlowInboxes(ctx context.Context) error {
	for _, node := range b.nodes {
		node.stop()
	}
	err := b.servers.withStore(ctx, func(db *repo.DB) error { return b.world.remember(ctx, db, slowPairs*slowHistory, slowPairs) })
	if err != nil {
		return err
	}
	return b.startNodes(ctx, b.nodeCount)
}

// brisk is people who send and read as fast as they can be served.
type brisk struct {
	sys      *system
	fleet    *fleet
	delivery atomic.Pointer[histogram]
	expected int64 // events that the fleet must have
}

// phase is what a while of it was like.
type phase struct {
	sent          int64
	ack, delivery *histogram
}

func (b *bench) openBrisk(ctx context.Context, sys *system) (*brisk, error) {
	p := &brisk{sys: sys}
	p.delivery.Store(new(histogram))
	readers := recipients(slowPairs + briskPairs)[slowPairs:]
	var err error
	p.fleet, err = openFleet(ctx, sys.openings(readers, none, nil), sys.numbered, func(_ *stream, data []byte, at int64) {
		if sent, _, ok := readStamp(data); ok {
			p.delivery.Load().record(at - sent)
		}
	})
	return p, err
}

// send sends at a pace for a while, nine messages to a brisk pair for each to a
// slow one, whose readers are woken by that, and waits until all have come.
func (p *brisk) send(ctx context.Context, long time.Duration) (phase, error) {
	p.delivery.Store(new(histogram))
	var slow atomic.Int64
	d, err := drive(ctx, load{
		address: p.sys.sending(), inFlight: 8, count: maxMessages, time: long, pace: 20 * time.Millisecond,
		request: func(buffer []byte, n int64) []byte {
			pair := slowPairs + int(n%briskPairs)
			if n%10 == 0 {
				pair = int(n/10) % slowPairs
				slow.Add(1)
			}
			return p.sys.api.toUser(buffer, 2*pair, 2*pair+1, n)
		},
	})
	p.expected += d.sent - slow.Load()
	err = errors.Join(err, p.fleet.await(ctx, p.expected))
	return phase{sent: d.sent, ack: d.ack, delivery: p.delivery.Load()}, err
}

// startCrowd lets connections come, each kind from addresses of its own. Who is
// shown the door comes again. The returned function ends them all.
func startCrowd(ctx context.Context, sys *system, size int) (*crowd, context.CancelFunc) {
	c := &crowd{sys: sys}
	c.kinds = []*slowKind{
		{name: "readers of a byte a second", visit: c.sips},
		{name: "readers that stop reading", visit: c.stops},
		{name: "streams that nobody is behind", visit: c.dead},
		{name: "requests whose head comes a byte a second", visit: c.slowHead},
		{name: "requests whose body comes a byte a second", visit: c.slowBody},
	}
	ctx, cancel := context.WithCancel(ctx)
	slots := make(chan struct{}, dialling)
	for number := range size {
		kind := number % len(c.kinds)
		c.members.Go(func() { c.member(ctx, c.kinds[kind], kind, number, slots) })
	}
	return c, func() {
		cancel()
		c.members.Wait()
	}
}

func (c *crowd) member(ctx context.Context, k *slowKind, kind, number int, slots chan struct{}) {
	for ctx.Err() == nil {
		slots <- struct{}{}
		conn, err := dialSlow(ctx, c.sys.reading(), net.IPv4(127, 0, byte(1+kind), byte(1+number%200)))
		<-slots
		if err == nil {
			k.came.Add(1)
			k.here.Add(1)
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			_ = k.visit(ctx, k, conn, number) // however it ended, it comes again
			stop()
			_ = conn.Close()
			k.here.Add(-1)
		}
		_ = pause(ctx, 200*time.Millisecond)
	}
}

// dialSlow connects from an address of this machine, with a window and packets
// so small that hardly anything is under way.
func dialSlow(ctx context.Context, address string, from net.IP) (*net.TCPConn, error) {
	dialer := net.Dialer{
		Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: from},
		Control: func(_, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) {
				failed = errors.Join(
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 2048),
					unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536),
				)
			})
			return errors.Join(err, failed)
		},
	}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("dialled a %T", raw), raw.Close())
	}
	return conn, nil
}

// settle returns when nearly all are there, as some are always on their way,
// and the node has done what they asked for when they came.
func (c *crowd) settle(ctx context.Context, size int) error {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		here := int64(0)
		for _, k := range c.kinds {
			here += k.here.Load()
		}
		streams, err := metricOf(limited, c.sys, "longwire_http_streams")
		if err == nil && here >= int64(size)*97/100 && int(streams) >= size*3/5*98/100 {
			return calm(ctx, c.sys)
		}
		if pause(limited, 100*time.Millisecond) != nil {
			return errors.Join(fmt.Errorf("only %d of %d slow connections came, and %.0f streams", here, size, streams), err)
		}
	}
}

// calm returns when the node does little, or after a while.
func calm(ctx context.Context, sys *system) error {
	const little, most = 200 * time.Millisecond, 30
	for range most {
		before, err := spent(sys.processes)
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		after, err := spent(sys.processes)
		if err != nil {
			return err
		}
		if after.since(before)["node"] < little {
			return nil
		}
	}
	return nil
}

// slowReader is whose inbox a connection reads, with messages or from now on.
func (c *crowd) slowReader(conn *net.TCPConn, number int, cursor string) error {
	_, err := conn.Write(c.sys.api.stream(number%(2*slowPairs), none, cursor))
	return err
}

func (c *crowd) sips(ctx context.Context, _ *slowKind, conn *net.TCPConn, number int) error {
	if err := c.slowReader(conn, number, "begin"); err != nil {
		return err
	}
	var one [1]byte
	for {
		if _, err := conn.Read(one[:]); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (c *crowd) stops(ctx context.Context, _ *slowKind, conn *net.TCPConn, number int) error {
	err := c.slowReader(conn, number, "begin")
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 200)) // of its hello
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (c *crowd) dead(ctx context.Context, _ *slowKind, conn *net.TCPConn, number int) error {
	if err := c.slowReader(conn, number, ""); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (c *crowd) slowHead(ctx context.Context, _ *slowKind, conn *net.TCPConn, _ int) error {
	return trickle(ctx, conn, "GET /v1/limits HTTP/1.1\r\nHost: longwire\r\nX-Slow: "+strings.Repeat("x", 1000))
}

func (c *crowd) slowBody(ctx context.Context, _ *slowKind, conn *net.TCPConn, number int) error {
	request := string(c.sys.api.toUser(nil, number%slowPairs*2, number%slowPairs*2+1, 0))
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	if _, err := io.WriteString(conn, head+"\r\n\r\n"); err != nil {
		return err
	}
	return trickle(ctx, conn, body[:len(body)-1]) // the last byte never comes: nothing is sent
}

// trickle writes a byte a second until the other side has enough of that.
func trickle(ctx context.Context, conn *net.TCPConn, text string) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = conn.Read(make([]byte, 1)) // the end, or an answer, which is the end too
	}()
	defer func() {
		_ = conn.Close()
		<-ended
	}()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return nil
		case <-every.C:
		}
	}
	return nil
}

// metricOf reads one of the first node's metrics.
func metricOf(ctx context.Context, sys *system, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+sys.ops[0]+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the node has no metric %s", name)
}

// slowScenario is the one of the crowd.
func (b *bench) slowScenario() scenario {
	const asked = 20_000
	return scenario{
		name: "slow", title: fmt.Sprintf("%d slow or dead connections beside others", asked), alone: true, fresh: true, restarts: true,
		needs: population{pairs: slowPairs + briskPairs}, settings: slices.Clone(slowSettings),
		run: func(ctx context.Context, sys *system) ([]figure, error) { return b.slow(ctx, sys, asked) },
	}
}
