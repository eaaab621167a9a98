package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

const password = "correct horse"

// person is somebody with one device, which talks to one node.
type person struct {
	*client.Client

	t       *testing.T
	d       *deployment
	http    *http.Client
	id      string
	name    string
	session string
}

// on returns a client on the nth node. It tries again where a client should.
func (d *deployment) on(t *testing.T, h *http.Client, n int, options client.Options) *client.Client {
	t.Helper()
	options.HTTPClient = h
	c, err := client.New(d.node(n).url, options)
	require.NoError(t, err)
	return c
}

// person registers somebody on the nth node. The name is nobody else's, and begins with the given one.
func (d *deployment) person(t *testing.T, n int, name string) *person {
	t.Helper()
	h := d.http(t)
	p := &person{t: t, d: d, http: h, Client: d.on(t, h, n, client.Options{}), name: name + "-" + strings.ToLower(rand.Text()[:10])}
	signIn, err := p.Register(t.Context(), client.RegisterRequest{Username: p.name, Password: password, DisplayName: &name})
	require.NoError(t, err)
	p.id, p.session = signIn.User.ID, signIn.SessionID
	return p
}

// people registers several at once, on all nodes in turn.
func (d *deployment) people(t *testing.T, names ...string) []*person {
	t.Helper()
	all := make([]*person, len(names))
	var registering sync.WaitGroup
	for i, name := range names {
		registering.Go(func() { all[i] = d.person(t, i, name) })
	}
	registering.Wait()
	for _, p := range all {
		require.NotNil(t, p, "somebody could not register")
	}
	return all
}

// at returns the same session on another node.
func (p *person) at(n int) *person {
	p.t.Helper()
	other := *p
	other.Client = p.d.on(p.t, p.http, n, client.Options{Tokens: p.Tokens()})
	return &other
}

// impatient returns the same session with a client that tries nothing twice.
func (p *person) impatient(n int) *person {
	p.t.Helper()
	other := *p
	other.Client = p.d.on(p.t, p.http, n, client.Options{Tokens: client.Tokens{Access: p.Tokens().Access}, Tries: 1})
	return &other
}

// device signs the same user in again, on the nth node.
func (p *person) device(n int) *person {
	p.t.Helper()
	other := *p
	other.Client = p.d.on(p.t, p.http, n, client.Options{})
	signIn, err := other.Login(p.t.Context(), client.LoginRequest{Username: p.name, Password: password, DeviceName: new("another")})
	require.NoError(p.t, err)
	other.session = signIn.SessionID
	return &other
}

// ask makes a request by hand, with the person's token.
func (p *person) ask(method, path, body string) answer {
	p.t.Helper()
	return ask(p.t, p.http, raw{method: method, url: p.BaseURL() + path, body: body, token: p.Tokens().Access})
}

// befriend makes two people friends.
func befriend(t *testing.T, a, b *person) {
	t.Helper()
	request, err := a.RequestFriend(t.Context(), client.FriendRequestRequest{UserID: b.id})
	require.NoError(t, err)
	_, err = b.AcceptFriendRequest(t.Context(), request.ID)
	require.NoError(t, err)
}

// friends registers two people who are friends, each on a node.
func (d *deployment) friends(t *testing.T) (alice, bob *person) {
	t.Helper()
	both := d.people(t, "alice", "bob")
	befriend(t, both[0], both[1])
	return both[0], both[1]
}

// say sends a private message.
func (p *person) say(to *person, body string) client.Message {
	p.t.Helper()
	message, err := p.SendToUser(p.t.Context(), to.id, client.SendMessageRequest{Body: body})
	require.NoError(p.t, err)
	return message
}

// tell sends a message to a group.
func (p *person) tell(group, body string) client.Message {
	p.t.Helper()
	message, err := p.SendToGroup(p.t.Context(), group, client.SendMessageRequest{Body: body})
	require.NoError(p.t, err)
	return message
}

// group makes a group with members.
func (p *person) group(members ...*person) string {
	p.t.Helper()
	var ids []string
	for _, member := range members {
		ids = append(ids, member.id)
	}
	group, err := p.CreateGroup(p.t.Context(), client.CreateGroupRequest{
		Name: "A group of " + p.name, Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyInvite, Members: ids,
	})
	require.NoError(p.t, err)
	return group.ID
}

// everything reads an inbox from its beginning to where it stands now, by plain GETs. How it stands is asked of the database, because a
// node may hear of what another has just committed a moment later than the one who committed it.
func (p *person) everything(limit int) []client.Event {
	p.t.Helper()
	snapshot, err := p.Sync(p.t.Context())
	require.NoError(p.t, err)
	var all []client.Event
	options := client.PollOptions{Cursor: client.Begin, Limit: limit}
	for {
		part, err := p.Poll(p.t.Context(), options)
		require.NoError(p.t, err)
		require.Nil(p.t, part.Reset)
		require.LessOrEqual(p.t, len(part.Events), limit)
		all, options.Cursor = append(all, part.Events...), part.Cursor
		if place(part.Cursor) >= place(snapshot.Cursor) && !part.HasMore {
			return all
		}
		require.True(p.t, len(part.Events) > 0 || options.Wait == 0, "the inbox ends before its end")
		if options.Wait = 0; !part.HasMore {
			options.Wait = 10 * time.Second
		}
	}
}

// history reads what people said in a conversation, from its beginning.
func (p *person) history(conversation string) []client.Message {
	p.t.Helper()
	return byPeople(p.wholeHistory(conversation))
}

// byPeople leaves out what the system says.
func byPeople(all []client.Message) []client.Message {
	return slices.DeleteFunc(all, func(message client.Message) bool { return message.Kind == client.MessageKindSystem })
}

// wholeHistory reads a conversation from its beginning.
func (p *person) wholeHistory(conversation string) []client.Message {
	p.t.Helper()
	var all []client.Message
	after := int64(0)
	for {
		part, err := p.Messages(p.t.Context(), conversation, client.HistoryQuery{AfterSeq: &after, Limit: 200})
		require.NoError(p.t, err)
		all = append(all, part.Items...)
		if !part.HasMoreAfter {
			return all
		}
		after = all[len(all)-1].Seq
	}
}

// place is where a cursor stands in its inbox. Clients must not look into cursors; a test of the promise that an inbox has no
// holes has to.
func place(cursor client.Cursor) int64 {
	n, err := strconv.ParseInt(cursor[strings.LastIndexByte(cursor, '.')+1:], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// inbox is a reader of somebody's inbox, and what it got. It fails the test when an event is missing, comes twice or comes in
// another order.
type inbox struct {
	t      *testing.T
	who    string
	cancel context.CancelFunc
	done   chan struct{} // closed when it reads no more

	mu     sync.Mutex
	events []client.Event
	passed []client.Event // ephemeral ones
	hellos int
	byes   []client.ByeReason
	resets []client.ResetReason
	cursor client.Cursor // of the last event, or where it began
	err    error         // why it ended
}

// stream reads the person's inbox by SSE, from a position.
func (p *person) stream(from client.Cursor) *inbox {
	p.t.Helper()
	return p.read("stream", from, func(ctx context.Context, i *inbox) error {
		for event, err := range p.Stream(ctx, client.StreamOptions{Cursor: from, Trace: client.StreamTrace{
			Connected: func(hello client.HelloData) { i.note(func() { i.hellos++; i.cursor = hello.Cursor }) },
			Bye:       func(bye client.ByeData) { i.note(func() { i.byes = append(i.byes, bye.Reason) }) },
			Repeated:  func(event client.Event) { i.t.Errorf("%s got %s twice", i.who, event.Cursor) },
		}}) {
			var reset *client.ResetError
			switch {
			case errors.As(err, &reset):
				i.note(func() { i.resets = append(i.resets, reset.Reason); i.cursor = reset.Cursor })
			case err != nil:
				return err
			default:
				i.take(event)
			}
		}
		return nil
	})
}

// poll reads the person's inbox by long-poll, from its beginning.
func (p *person) poll() *inbox {
	p.t.Helper()
	from := client.Begin
	return p.read("poll", from, func(ctx context.Context, i *inbox) error {
		for ctx.Err() == nil {
			result, err := p.Poll(ctx, client.PollOptions{Cursor: from, Wait: 3 * time.Second, Limit: 50})
			if err != nil {
				var problem *client.Problem
				if errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable {
					return err
				}
				continue // the client has waited already; a node that is away comes back
			}
			if result.Reset != nil {
				i.note(func() { i.resets = append(i.resets, result.Reset.Reason); i.cursor = result.Reset.Cursor })
			}
			for _, event := range result.Events {
				i.take(event)
			}
			i.note(func() {
				i.hellos++
				if len(result.Events) > 0 && !result.Events[0].Ephemeral() {
					assert.Equal(i.t, i.cursor, result.Cursor, "a poll's cursor is that of its last event")
				}
				i.cursor = result.Cursor
			})
			from = result.Cursor
		}
		return ctx.Err()
	})
}

func (p *person) read(how string, from client.Cursor, read func(ctx context.Context, i *inbox) error) *inbox {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	i := &inbox{t: p.t, who: fmt.Sprintf("%s (%s at %s)", p.name, how, p.BaseURL()), cancel: cancel, done: make(chan struct{}), cursor: from}
	go func() {
		defer close(i.done)
		err := read(ctx, i)
		i.note(func() { i.err = err })
	}()
	p.t.Cleanup(i.stop)
	if how == "stream" {
		i.until("the stream is open", func() bool { return i.hellos > 0 || i.err != nil })
	}
	return i
}

// note changes what the inbox knows.
func (i *inbox) note(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// take adds an event; ephemeral ones have no place in the order.
func (i *inbox) take(event client.Event) {
	if event.Ephemeral() {
		i.note(func() { i.passed = append(i.passed, event) })
		return
	}
	i.note(func() {
		last := i.cursor
		if len(i.events) > 0 || last != client.Begin && last != client.Now && last != "" {
			assert.Equal(i.t, place(last)+1, place(event.Cursor), "%s: after %s came %s", i.who, last, event.Cursor)
		}
		i.events = append(i.events, event)
		i.cursor = event.Cursor
	})
}

// until waits until something is so, which may look at the fields of the inbox.
func (i *inbox) until(what string, so func() bool) {
	i.t.Helper()
	i.untilWithin(patience, what, so)
}

func (i *inbox) untilWithin(limit time.Duration, what string, so func() bool) {
	i.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		var yes bool
		i.note(func() { yes = so() })
		if yes {
			return
		}
		if time.Now().After(deadline) {
			i.note(func() {
				require.FailNow(i.t, "it never came to be: "+what, "%s has %d events, the last at %q; hellos %d, byes %v, resets %v, err %v",
					i.who, len(i.events), i.cursor, i.hellos, i.byes, i.resets, i.err)
			})
		}
		<-tick()
	}
}

// stop ends the reading.
func (i *inbox) stop() {
	i.cancel()
	<-i.done
}

// all returns what came so far.
func (i *inbox) all() []client.Event {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]client.Event(nil), i.events...)
}

// position returns the cursor to go on from.
func (i *inbox) position() client.Cursor {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cursor
}

// first waits for the first event of a type and returns it.
func (i *inbox) first(kind client.EventType) client.Event {
	i.t.Helper()
	return i.nth(kind, 1)
}

// nth waits for the nth event of a type, counted from 1, and returns it.
func (i *inbox) nth(kind client.EventType, n int) (found client.Event) {
	i.t.Helper()
	i.until(fmt.Sprintf("%s number %d", kind, n), func() bool {
		seen := 0
		for _, event := range i.events {
			if event.Type == kind {
				if seen++; seen == n {
					found = event
					return true
				}
			}
		}
		return false
	})
	return found
}

// messages returns what people said of what came, in one conversation or, with "", in all.
func messages(events []client.Event, conversation string) []client.Message {
	return byPeople(everyMessage(events, conversation))
}

// everyMessage returns what the system said, too.
func everyMessage(events []client.Event, conversation string) []client.Message {
	var all []client.Message
	for _, event := range events {
		if message, ok := event.Value().(client.Message); ok && (conversation == "" || message.ConversationID == conversation) {
			all = append(all, message)
		}
	}
	return all
}

// hasMessages waits until so many messages of a conversation came, "" for any, and returns them.
func (i *inbox) hasMessages(conversation string, n int) []client.Message {
	i.t.Helper()
	var got []client.Message
	i.until(fmt.Sprintf("%d messages", n), func() bool {
		if len(i.events) < n {
			return false
		}
		got = messages(i.events, conversation)
		return len(got) >= n
	})
	return got
}

// bodies returns what messages say.
func bodies(all []client.Message) []string {
	var texts []string
	for _, message := range all {
		texts = append(texts, message.Body)
	}
	return texts
}

// refused checks that something was refused with a status and a code.
func refused(t *testing.T, err error, status int, code client.ProblemCode) {
	t.Helper()
	var problem *client.Problem
	require.ErrorAs(t, err, &problem)
	assert.Equal(t, status, problem.Status, "%v", err)
	assert.Equal(t, code, problem.Code, "%v", err)
}
