package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// Who sends more than anybody may is told to wait, and nobody else notices.
func TestAFloodOfOneUserIsTheirOwnProblem(t *testing.T) {
	onFresh(t, settings{"RATE_LIMIT": "on"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol")
		alice, bob, carol := people[0], people[1], people[2]
		befriend(t, alice, bob)
		befriend(t, bob, carol)
		reader := bob.stream(client.Now)
		done := make(chan struct{})
		var flood sync.WaitGroup
		var limited atomic.Int64
		for n := range 8 {
			flood.Go(func() {
				token, to := alice.Tokens().Access, []string{bob.id, carol.id}[min(n, 1)] // who is no friend is refused, which is fast
				for {
					select {
					case <-done:
						return
					default:
					}
					got, err := try(t.Context(), alice.http, raw{
						method: http.MethodPost, url: d.url(n, "/v1/users/"+to+"/messages"), token: token, body: `{"body":"flood"}`,
					})
					if err != nil {
						t.Errorf("no answer: %v", err)
						return
					}
					if got.status == http.StatusTooManyRequests {
						limited.Add(1)
						assert.NotEmpty(t, got.header.Get("Retry-After"))
					} else {
						assert.Contains(t, []int{http.StatusCreated, http.StatusForbidden}, got.status)
					}
				}
			})
		}
		eventually(t, "the flood is told to wait", func() bool { return limited.Load() > 20 })
		calm := carol.impatient(1) // one try each
		for n := range 20 {
			_, err := calm.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: fmt.Sprint("calm ", n)})
			require.NoError(t, err)
		}
		close(done)
		flood.Wait()
		reader.hasMessages(conversationWith(t, bob, carol), 20)
	})
}

// Who guesses passwords from one address is stopped there; others log in.
func TestAFloodFromOneAddressIsItsOwnProblem(t *testing.T) {
	onFresh(t, settings{"RATE_LIMIT": "on", "TRUSTED_PROXIES": "127.0.0.0/8"}, func(t *testing.T, d *deployment) {
		alice := d.person(t, 0, "alice")
		login := func(n int, address, name, secret string) answer {
			return ask(t, alice.http, raw{
				method: http.MethodPost, url: d.url(n, "/v1/auth/login"), headers: map[string]string{"X-Forwarded-For": address},
				body: fmt.Sprintf(`{"username":%q,"password":%q}`, name, secret),
			})
		}
		stopped := false
		for n := 0; n < 60 && !stopped; n++ {
			got := login(n, "192.0.2.1", fmt.Sprintf("nobody-%d", n), "wrong horse")
			stopped = got.status == http.StatusTooManyRequests
			if stopped {
				assert.NotEmpty(t, got.header.Get("Retry-After"))
			} else {
				require.Equal(t, http.StatusUnauthorized, got.status)
			}
		}
		assert.True(t, stopped, "one address may try for ever")
		for n := range 2 {
			// A try comes back every three seconds, and a slow machine may take that long for one.
			refused := false
			for range 20 {
				refused = refused || login(n, "192.0.2.1", alice.name, password).status == http.StatusTooManyRequests
			}
			assert.True(t, refused, "the right password is no way around it")
			assert.Equal(t, http.StatusOK, login(n, "192.0.2.2", alice.name, password).status)
		}
	})
}

// A group that everybody writes to at once fills its part of the queue of writes, is told to come again, and pairs never are.
func TestAFloodOfOneGroupIsItsOwnProblem(t *testing.T) {
	onFresh(t, settings{"WRITERS": "1", "WRITER_BATCH": "1", "WRITER_QUEUE": "8"}, func(t *testing.T, d *deployment) {
		people := d.people(t, "alice", "bob", "carol", "dave", "erin")
		alice, bob := people[0], people[1]
		befriend(t, alice, bob)
		group := alice.group(people[1:]...)
		done := make(chan struct{})
		var flood sync.WaitGroup
		var refusals, stored atomic.Int64
		for n := range 40 {
			member := people[2+n%3]
			flood.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					got, err := try(t.Context(), member.http, raw{
						method: http.MethodPost, url: d.url(0, "/v1/groups/"+group+"/messages"), token: member.Tokens().Access, body: `{"body":"flood"}`,
					})
					if err != nil {
						t.Errorf("no answer: %v", err)
						return
					}
					if got.status == http.StatusServiceUnavailable {
						refusals.Add(1)
						assert.NotEmpty(t, got.header.Get("Retry-After"))
						assert.Equal(t, client.ProblemCodeOverloaded, got.problem().Code)
					} else if assert.Equal(t, http.StatusCreated, got.status) {
						stored.Add(1)
					}
				}
			})
		}
		eventually(t, "the flood is refused", func() bool { return refusals.Load() > 20 })
		calm := alice.impatient(0) // one try each
		for n := range 20 {
			_, err := calm.SendToUser(t.Context(), bob.id, client.SendMessageRequest{Body: fmt.Sprint("calm ", n)})
			require.NoError(t, err)
		}
		close(done)
		flood.Wait()
		assert.Positive(t, stored.Load())
		assert.Len(t, bob.history(group), int(stored.Load()), "what was refused is not there, and the rest is")
	})
}
