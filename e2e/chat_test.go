package e2e_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// The story of the README: two people meet, become friends, and one hears what the other says, by a stream of bare bytes.
func TestTwoPeopleChat(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		both := d.people(t, "alice", "bob")
		alice, bob := both[0], both[1]

		request, err := alice.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: bob.id, Note: new("It is me.")})
		require.NoError(t, err)
		assert.Equal(t, client.RequestStatePending, request.State)
		waiting, err := bob.FriendRequests(t.Context(), client.DirectionIncoming, client.Page{})
		require.NoError(t, err)
		require.Len(t, waiting.Items, 1)
		accepted, err := bob.AcceptFriendRequest(t.Context(), waiting.Items[0].ID)
		require.NoError(t, err)
		assert.Equal(t, client.RequestStateAccepted, accepted.State)

		stream := openBare(t, bob)
		assert.Less(t, stream.firstByte, 2*time.Second, "the first bytes leave at once")
		assert.Equal(t, "text/event-stream; charset=utf-8", stream.header.Get("Content-Type"))
		assert.Equal(t, "no-store, no-transform, private", stream.header.Get("Cache-Control"))
		assert.Equal(t, "no", stream.header.Get("X-Accel-Buffering"))

		var took []time.Duration
		for _, body := range []string{"Hello, Bob.", "Žluťoučký kůň 🐎", "two\nlines\r\nand more", " data: x\n\nevent: bye", "</script>\u2028\u2029"} {
			sent := time.Now()
			message := alice.say(bob, body)
			stream.until(`"message.created"`)
			took = append(took, time.Since(sent))
			history := bob.history(message.ConversationID)
			assert.Equal(t, body, history[len(history)-1].Body)
		}
		t.Logf("first byte after %v; from sending to the reader: median %v, longest %v", stream.firstByte, median(took), slices.Max(took))
		assert.Less(t, slices.Max(took), 5*time.Second)
		assert.Empty(t, stream.eventNames("hello", "heartbeat"), "inbox events have no event line")
	})
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// bare is a stream as `curl -N` shows it.
type bare struct {
	t         *testing.T
	header    http.Header
	firstByte time.Duration
	lines     chan string
	seen      []string
}

// openBare opens a stream from now on. A machine that is busy gets more tries to be quick.
func openBare(t *testing.T, p *person) *bare {
	t.Helper()
	var stream *bare
	for range 5 {
		began := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.BaseURL()+"/v1/inbox/stream?cursor=now", http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+p.Tokens().Access)
		response, err := p.http.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		require.Equal(t, http.StatusOK, response.StatusCode)
		reader := bufio.NewReader(response.Body)
		_, err = reader.Peek(1)
		require.NoError(t, err)
		lines := make(chan string, 1000)
		stream = &bare{t: t, header: response.Header, firstByte: time.Since(began), lines: lines}
		go func() {
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					close(lines)
					return
				}
				lines <- line
			}
		}()
		if stream.firstByte < 200*time.Millisecond {
			break
		}
	}
	return stream
}

// until reads lines until one has the text in it.
func (b *bare) until(text string) {
	b.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case line, open := <-b.lines:
			require.True(b.t, open, "the stream ended before %s", text)
			b.seen = append(b.seen, line)
			if strings.Contains(line, text) {
				return
			}
		case <-timer.C:
			require.FailNow(b.t, "there is no "+text, "%q", b.seen)
		}
	}
}

// eventNames returns the names of events that were seen, but for those that are expected.
func (b *bare) eventNames(but ...string) (names []string) {
	for _, line := range b.seen {
		if name, found := strings.CutPrefix(line, "event:"); found && !slices.Contains(but, strings.TrimSpace(name)) {
			names = append(names, name)
		}
	}
	return names
}

// What stands in the README is what a visitor tries first.
func TestReadmeQuickStartWorks(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal(program + " is not here; make test installs it")
		}
	}
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "<!-- quick start")
	require.True(t, found)
	_, rest, _ = strings.Cut(rest, "```sh\n")
	script, _, found := strings.Cut(rest, "```")
	require.True(t, found)

	d := fresh(t, embedded, nil)
	for _, time := range []string{"the first time", "pasted again"} {
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		command.Env = append(os.Environ(), "H="+d.node(0).url)
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		require.NoError(t, command.Run(), "%s: %s", time, output.String())
		said := output.String()
		assert.Contains(t, said, `"state":"accepted"`, time)
		assert.Contains(t, said, "event: hello", time)
		assert.Equal(t, 2, strings.Count(said, `"idempotency_key":"hello-1"`), "%s: sent twice, both with one answer: %s", time, said)
		assert.Equal(t, 2, strings.Count(said, `"type":"message.created"`), "%s: once by the stream and once by the poll: %s", time, said)
	}
}
