package e2e_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

const secret = "a-secret-that-is-taken-back"

// silent requires that the person gets the secret by no way of reading, on any node.
func (p *person) silent(conversation string) {
	p.t.Helper()
	for n := range p.d.nodes {
		there := p.at(n)
		for _, path := range []string{
			"/v1/inbox/poll?cursor=begin&wait=0&limit=500", "/v1/conversations", "/v1/sync", "/v1/conversations/" + conversation + "/messages",
			"/v1/conversations/" + conversation + "/messages/1", "/v1/conversations/" + conversation + "/messages/1/edits",
			"/v1/conversations/" + conversation + "/pins",
		} {
			got := there.ask(http.MethodGet, path, "")
			require.Equal(p.t, http.StatusOK, got.status, "%s: %s", path, got.body)
			assert.NotContains(p.t, string(got.body), secret, "%s on node %d", path, n)
		}
	}
}

// inRedis tells whether any value in a Redis has the text.
func inRedis(t *testing.T, url, text string) bool {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	rdb := redis.NewClient(options)
	defer rdb.Close()
	keys := rdb.Scan(t.Context(), 0, "*inbox:*", 1000).Iterator()
	for keys.Next(t.Context()) {
		entries, err := rdb.XRange(t.Context(), keys.Val(), "-", "+").Result()
		require.NoError(t, err)
		for _, entry := range entries {
			for _, value := range entry.Values {
				if body, ok := value.(string); ok && strings.Contains(body, text) {
					return true
				}
			}
		}
	}
	require.NoError(t, keys.Err())
	return false
}

func TestRecalledTextIsGoneEverywhere(t *testing.T) {
	onFresh(t, nil, func(t *testing.T, d *deployment) {
		alice, bob := d.friends(t)
		ctx := t.Context()
		streams := []*inbox{bob.at(0).stream(client.Now), bob.at(1).stream(client.Now), alice.at(1).stream(client.Now)}
		message := alice.say(bob, secret)
		id := message.ConversationID
		_, err := alice.EditMessage(ctx, id, message.Seq, client.EditMessageRequest{Body: new(secret + "!")})
		require.NoError(t, err)
		_, err = bob.PinMessage(ctx, id, message.Seq)
		require.NoError(t, err)
		for _, stream := range streams {
			stream.first(client.EventPinChanged)
		}
		_, err = alice.RecallMessage(ctx, id, message.Seq)
		require.NoError(t, err)
		alice.silent(id)
		bob.silent(id)
		for _, stream := range streams {
			event := stream.first(client.EventMessageRecalled)
			assert.NotContains(t, string(event.Data), secret)
		}
		if d.backend == cluster {
			assert.False(t, inRedis(t, d.node(0).env["LONGWIRE_REDIS_URL"], secret))
		}
	})
}

// Redis is cut off while the message is recalled, and comes back with all that it had.
func TestRecallHoldsWhenRedisIsAwayAndComesBackWithOldStreams(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	d := fresh(t, cluster, settings{"REDIS_URL": server.url()})
	alice, bob := d.friends(t)
	streams := []*inbox{bob.at(0).stream(client.Now), bob.at(1).stream(client.Now)}
	message := alice.at(0).say(bob, secret)
	for _, stream := range streams {
		stream.first(client.EventMessageCreated)
	}
	eventually(t, "the text is in Redis", func() bool { return inRedis(t, server.url(), secret) })

	server.signal(syscall.SIGSTOP)
	_, err := alice.at(0).RecallMessage(t.Context(), message.ConversationID, message.Seq)
	require.NoError(t, err)
	bob.silent(message.ConversationID)
	server.signal(syscall.SIGCONT)
	for range 3 {
		bob.silent(message.ConversationID)
	}
	for _, stream := range streams {
		stream.first(client.EventMessageRecalled)
	}
	for _, n := range d.nodes {
		eventually(t, "the node is ready again", func() bool { return n.ready(t.Context()) == http.StatusOK })
	}
	bob.silent(message.ConversationID)
	alice.silent(message.ConversationID)
	eventually(t, "the text has gone from Redis", func() bool { return !inRedis(t, server.url(), secret) })
}

// A node is stopped while the message is recalled through another, with the text in its memory, and asked before it goes on.
func TestRecallHoldsOnANodeThatWasPaused(t *testing.T) {
	t.Parallel()
	d := fresh(t, cluster, nil)
	alice, bob := d.friends(t)
	stream := bob.at(1).stream(client.Now)
	message := alice.at(0).say(bob, secret)
	stream.first(client.EventMessageCreated)

	paused := d.node(1)
	paused.signal(syscall.SIGSTOP)
	_, err := alice.at(0).RecallMessage(t.Context(), message.ConversationID, message.Seq)
	require.NoError(t, err)
	answers := make(chan answer, 4)
	for range cap(answers) {
		go func() {
			got, err := try(t.Context(), bob.http, raw{
				method: http.MethodGet, url: paused.url + "/v1/inbox/poll?cursor=begin&wait=1&limit=500", token: bob.Tokens().Access,
			})
			assert.NoError(t, err)
			answers <- got
		}()
	}
	<-time.NewTimer(4 * time.Second).C // longer than a node trusts what it heard last: the pause is what is tested
	paused.signal(syscall.SIGCONT)
	for range cap(answers) {
		got := <-answers
		assert.Equal(t, http.StatusOK, got.status, "%s", got.body)
		assert.NotContains(t, string(got.body), secret)
	}
	stream.first(client.EventMessageRecalled)
	bob.silent(message.ConversationID)
}
