package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOtherMachinesAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, address := range []string{"127.0.0.1:80", "127.3.2.1:80", "[::1]:80", "localhost:80", "[::ffff:127.0.0.1]:80"} {
		require.NoError(t, hosts{}.check(ctx, "target", address), address)
	}
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80", "[::ffff:192.0.2.1]:80"} {
		require.ErrorContains(t, hosts{}.check(ctx, "target", address), "--allow-host", address)
	}
	require.NoError(t, hosts{allowed: []string{"192.0.2.1"}}.check(ctx, "target", "192.0.2.1:80"))
	require.Equal(t, 1, run(ctx, []string{"bench", "--target", "http://192.0.2.1:8080"}))
	require.Equal(t, 1, run(ctx, []string{"bare", "--listen", "0.0.0.0:0"}))
}

func TestQuantilesAreOffByLessThanTwoPercent(t *testing.T) {
	t.Parallel()
	h := new(histogram)
	require.Zero(t, h.quantile(0.5))
	for i := range 100_000 {
		h.record(int64(i+1) * 1000)
	}
	require.InEpsilon(t, 50e6, h.quantile(0.5), 0.02)
	require.InEpsilon(t, 99e6, h.quantile(0.99), 0.02)
	require.InEpsilon(t, 100e6, h.quantile(1), 0.02)
	h.record(-1)
	h.record(1 << 62)
	require.EqualValues(t, 100_002, h.count())
}

func TestABodyTellsWhenItWasSentAndWhichItIs(t *testing.T) {
	t.Parallel()
	before := now()
	body := appendBody(nil, 1234)
	require.Len(t, body, bodyLength)
	sent, n, ok := readStamp([]byte(`{"kind":"text","body":"` + string(body) + `"}`))
	require.True(t, ok)
	require.EqualValues(t, 1234, n)
	require.GreaterOrEqual(t, sent, before)
	require.LessOrEqual(t, sent, now())
	_, _, ok = readStamp([]byte(`{"body":"true"}`))
	require.False(t, ok)
}

func TestFiguresStandBesideThoseOfTheBareLoop(t *testing.T) {
	t.Parallel()
	r := newReport("servers", false, map[string]string{"redis": "7"})
	r.add("one", []figure{{"a", "ms", 2}}, []figure{{"a", "ms", 3}, {"b", "ms", 12345.6}})
	r.fail("two", nameLongwire, context.Canceled)
	var text bytes.Buffer
	r.print(&text)
	require.Regexp(t, `a, ms +2\.00 +3\.00 +1\.50\n`, text.String())
	require.Regexp(t, `b, ms +– +12,346 +–\n`, text.String())
	require.Contains(t, text.String(), "FAILED: two, longwire: context canceled")
}

func TestTheMiddleRoundIsShown(t *testing.T) {
	t.Parallel()
	round := func(bare, longwire float64) pair {
		return pair{{{"other", "ms", 1}, {allCPU, "µs", bare}}, {{allCPU, "µs", longwire}}}
	}
	found := []pair{round(10, 90), round(10, 30), round(10, 40)}
	require.Equal(t, round(10, 40), middleOf(found))
	require.Equal(t, round(5, 20), middleOf([]pair{round(5, 20)}))
	failed := pair{nil, nil} // of which nothing is known
	require.Equal(t, round(10, 30), middleOf([]pair{round(10, 40), failed, round(10, 30)}))
	b := &bench{options: options{measure: 6 * time.Second}, scenario: &scenario{rounds: true}}
	require.Equal(t, 2*time.Second, b.phase())
	b.scenario.alone = true
	require.Equal(t, 6*time.Second, b.phase())
}

// TestScenariosOnTheBareLoop runs what can be run without a node, briefly: what
// is sent arrives, and the figures are there.
func TestScenariosOnTheBareLoop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processor time is read from /proc")
	}
	server := httptest.NewServer(newBareLoop().handler())
	t.Cleanup(server.Close)
	sys := &system{
		name: nameBare, addresses: []string{strings.TrimPrefix(server.URL, "http://")}, api: bareDialect{},
		processes: []process{{part: "bare", pid: os.Getpid()}},
	}
	w := &world{people: make([]person, strangers+20), groups: []group{{members: 10}, {members: 20}}}
	b := &bench{options: options{measure: 50 * time.Millisecond}, world: w, scenario: &scenario{}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, run := range map[string]func() ([]figure, error){
		"private": func() ([]figure, error) { return b.private(ctx, sys, 4, 8) },
		"group":   func() ([]figure, error) { return b.group(ctx, sys, 10, 10, 2) },
		"large":   func() ([]figure, error) { return b.largeGroup(ctx, sys, 20, 5) },
		"polls":   func() ([]figure, error) { return b.polls(ctx, sys, 8, 4) },
		"attach":  func() ([]figure, error) { return b.attach(ctx, sys) },
		"cut":     func() ([]figure, error) { return b.cut(ctx, sys, 20, false) },
	} {
		t.Run(name, func(t *testing.T) {
			figures, err := run()
			require.NoError(t, err)
			require.NotEmpty(t, figures)
			for _, f := range figures {
				require.GreaterOrEqual(t, f.value, 0.0, f.metric)
			}
		})
	}
}

func TestWhatIsLostIsNoticed(t *testing.T) {
	t.Parallel()
	s := &stream{fleet: &fleet{}, numbered: true}
	s.seen = eventReader{onEvent: func(event []byte) { s.event(event) }, begun: true}
	require.NoError(t, s.seen.feed([]byte("event: hello\nid: 1.e.u.7\ndata: {}\n\nid: 1.e.u.8\ndata: {}\n\n")))
	require.NoError(t, s.fleet.check())
	require.Equal(t, "1.e.u.7", s.cursor)
	require.NoError(t, s.seen.feed([]byte("id: 1.e.u.10\ndata: {}\n\n")))
	require.Error(t, s.fleet.check())
}
