package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"longwire/client"
)

// soak is a deployment under load for a long time.
type soak struct {
	t         *testing.T
	d         *deployment
	redis     *chaosRedis
	ops       []string // of the nodes
	transport *http.Transport
	people    []*person // who stay
	group     string    // of all who stay
	witnesses []*inbox  // of them, one each, which stay too

	sent, cut, polled, dawdled, left atomic.Int64

	mu       sync.Mutex
	acked    map[string]map[int64]string // body by conversation and seq; guarded by mu
	problems []string                    // guarded by mu

	hashing sync.Mutex // held while a password is hashed, which takes more memory than all the rest, and while sample looks
	moments []moment   // owned by sample until the load has ended
	rows    []string   // what came of comparing them
}

func newSoakTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: 10 * time.Second}
}

// forwarded is a transport for somebody with an address of their own, as a proxy tells it.
type forwarded struct {
	from string
	next http.RoundTripper
}

func (f forwarded) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("X-Forwarded-For", f.from)
	return f.next.RoundTrip(request)
}

// register makes somebody, on the nth node.
func (s *soak) register(ctx context.Context, n int) *person {
	h := &http.Client{Transport: forwarded{from: fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), rand.IntN(256)), next: s.transport}}
	p := &person{t: s.t, d: s.d, http: h, name: fmt.Sprintf("soak_%d_%d", n, rand.Int64())}
	var err error
	if p.Client, err = client.New(s.d.node(n).url, client.Options{HTTPClient: h}); err != nil {
		s.failed(ctx, "a client", err)
		return nil
	}
	signIn, err := p.Register(ctx, client.RegisterRequest{Username: p.name, Password: password})
	if err != nil {
		s.failed(ctx, "registering", err)
		return nil
	}
	p.id, p.session = signIn.User.ID, signIn.SessionID
	return p
}

// talk sends to the neighbour and, sometimes, to the group.
func (s *soak) talk(ctx context.Context, i int, p *person) {
	to := s.people[(i^1)%len(s.people)]
	elsewhere := p.at(i + 1)
	for n := 0; nap(ctx, *soakPace/2+rand.N(*soakPace)); n++ {
		from, text := p, fmt.Sprintf("%s %d", p.name, n)
		if n%2 == 1 {
			from = elsewhere
		}
		var message client.Message
		var err error
		if n%10 == 9 {
			message, err = from.SendToGroup(context.WithoutCancel(ctx), s.group, client.SendMessageRequest{Body: text})
		} else {
			message, err = from.SendToUser(context.WithoutCancel(ctx), to.id, client.SendMessageRequest{Body: text})
		}
		if err != nil {
			s.failed(ctx, "sending", err)
			continue
		}
		s.sent.Add(1)
		s.mu.Lock()
		if s.acked[message.ConversationID] == nil {
			s.acked[message.ConversationID] = map[int64]string{}
		}
		s.acked[message.ConversationID][message.Seq] = text
		s.mu.Unlock()
	}
}

// comeAndGo reads an inbox with one cursor, for a moment here and a moment there.
func (s *soak) comeAndGo(ctx context.Context, i int, p *person) {
	devices := []*person{p.at(i), p.at(i + 1)}
	cursor := client.Begin
	take := func(events ...client.Event) {
		for _, event := range events {
			if event.Ephemeral() {
				continue
			}
			if cursor != client.Begin {
				assert.Equal(s.t, place(cursor)+1, place(event.Cursor), "%s: after %s came %s", p.name, cursor, event.Cursor)
			}
			cursor = event.Cursor
		}
	}
	for nap(ctx, rand.N(50*time.Millisecond)) {
		stint, cancel := context.WithTimeout(ctx, 20*time.Millisecond+rand.N(time.Second))
		device := devices[rand.IntN(len(devices))]
		if rand.IntN(3) == 0 {
			result, err := device.Poll(stint, client.PollOptions{Cursor: cursor, Wait: 2 * time.Second, Limit: 1 + rand.IntN(100)})
			s.failed(stint, "a poll", err)
			take(result.Events...)
			s.polled.Add(1)
		} else {
			for event, err := range device.Stream(stint, client.StreamOptions{Cursor: cursor}) {
				if err != nil {
					s.failed(stint, "a stream", err)
					break
				}
				take(event)
			}
		}
		cancel()
		s.cut.Add(1)
	}
}

// dawdle reads an inbox from its beginning, a byte now and then, until it is closed or has enough of that.
func (s *soak) dawdle(ctx context.Context, i int, p *person) {
	for nap(ctx, rand.N(time.Second)) {
		connection, err := dawdler(ctx, s.d.node(i).url)
		if err != nil {
			s.failed(ctx, "a slow reader", err)
			continue
		}
		_, _ = fmt.Fprintf(connection, "GET /v1/inbox/stream?cursor=begin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", p.Tokens().Access)
		one := make([]byte, 1)
		for end := time.Now().Add(rand.N(5 * time.Second)); time.Now().Before(end) && nap(ctx, 100*time.Millisecond); {
			if _, err := connection.Read(one); err != nil {
				break
			}
		}
		_ = connection.Close()
		s.dawdled.Add(1)
	}
}

// dawdler connects with a window that hardly anything fits into.
func dawdler(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	return dialer.DialContext(ctx, "tcp", strings.TrimPrefix(address, "http://"))
}

// registerAndLeave lets people come who look, and log out; their streams must end.
func (s *soak) registerAndLeave(ctx context.Context) {
	for n := 0; nap(ctx, time.Second+rand.N(time.Second)); n++ {
		s.hashing.Lock()
		p := s.register(ctx, n)
		s.hashing.Unlock()
		if p == nil {
			continue
		}
		reading, enough := context.WithTimeout(context.WithoutCancel(ctx), patience)
		other := p.at(n + 1)
		met := sync.OnceFunc(func() { s.failed(ctx, "logging out", p.Logout(context.WithoutCancel(ctx))) })
		for _, err := range other.Stream(reading, client.StreamOptions{Cursor: client.Begin, Trace: client.StreamTrace{
			Connected: func(client.HelloData) { met() },
		}}) {
			var problem *client.Problem
			if err != nil && !errors.As(err, &problem) {
				s.failed(ctx, "the stream of a session that has ended", err)
			}
		}
		enough()
		s.left.Add(1)
	}
}

// vitals is what one node has.
type vitals struct {
	heap, resident, goroutines, descriptors float64
}

// moment is what all of them had.
type moment struct {
	at     time.Time
	left   int64 // who had left by then
	values map[string]float64
}

// soakSeries names what a moment has.
func soakSeries(nodes int) []string {
	names := []string{"redis"}
	for n := range nodes {
		for _, kind := range []string{"heap", "resident", "goroutines", "descriptors"} {
			names = append(names, fmt.Sprintf("%s of node %d", kind, n))
		}
	}
	return names
}

// sample looks at everything again and again.
func (s *soak) sample(ctx context.Context, every time.Duration) {
	for nap(ctx, every) {
		m, err := s.lookAround(ctx)
		if err != nil {
			s.failed(ctx, "looking at Redis and the nodes", err)
			continue
		}
		s.moments = append(s.moments, m)
	}
}

// lookAround looks at everything once, while nobody registers.
func (s *soak) lookAround(ctx context.Context) (m moment, err error) {
	s.hashing.Lock()
	defer s.hashing.Unlock()
	m = moment{at: time.Now(), left: s.left.Load(), values: map[string]float64{}}
	if m.values["redis"], err = s.redis.memory(); err != nil {
		return moment{}, err
	}
	for n := range s.d.nodes {
		v, err := s.look(ctx, n)
		if err != nil {
			return moment{}, err
		}
		for kind, value := range map[string]float64{"heap": v.heap, "resident": v.resident, "goroutines": v.goroutines, "descriptors": v.descriptors} {
			m.values[fmt.Sprintf("%s of node %d", kind, n)] = value
		}
	}
	return m, nil
}

// look collects a node's garbage and reads what it has then.
func (s *soak) look(ctx context.Context, n int) (v vitals, err error) {
	if _, err := s.fetch(ctx, s.ops[n]+"/debug/pprof/heap?gc=1"); err != nil {
		return v, err
	}
	text, err := s.fetch(ctx, s.ops[n]+"/metrics")
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_memstats_heap_inuse_bytes":
			v.heap = number
		case "process_resident_memory_bytes":
			v.resident = number
		case "go_goroutines":
			v.goroutines = number
		case "process_open_fds":
			v.descriptors = number
		}
	}
	if v.heap == 0 || v.resident == 0 || v.goroutines == 0 || v.descriptors == 0 {
		return v, fmt.Errorf("the metrics lack something: %+v", v)
	}
	return v, nil
}

func (s *soak) fetch(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// memory returns what Redis uses, in bytes.
func (r *chaosRedis) memory() (float64, error) {
	used, err := r.info("memory", "used_memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(used, 64)
}
