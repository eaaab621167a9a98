package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"longwire/client"
)

// chaosWorld is what people did and what they were told, which together is what must hold.
type chaosWorld struct {
	cluster  *chaosCluster
	options  chaosOptions
	progress func(format string, args ...any)
	settings settings
	http     *http.Client // for calls that end
	streams  *http.Client // for those that do not

	users  []*chaosPerson
	groups []*chaosGroup
	pairs  []*chaosPair
	recent chan *chaosEvent // of which somebody looks whether they are in the history

	settling atomic.Bool  // readers stay where they are
	broken   atomic.Int32 // faults under way other than those of Redis
	mended   atomic.Int64 // when the last of those ended, nanoseconds since the Unix epoch
	counts   chaosCounts
	began    time.Time

	mu         sync.Mutex
	events     map[string]*chaosEvent  // by what all see of them; guarded by mu
	messages   map[place2]*chaosEvent  // guarded by mu
	sends      map[string]*chaosSend   // by body; guarded by mu
	acked      map[string][]*chaosSend // by conversation, those acknowledged; guarded by mu
	violations []string                // guarded by mu
	hidden     int                     // violations beyond those kept; guarded by mu
}

// place2 names a message.
type place2 struct {
	conversation string
	seq          int64
}

// chaosCounts is what is printed at the end.
type chaosCounts struct {
	sent, acked, retried, replayed, refused, twins atomic.Int64
	keyless                                        atomic.Int64
	deliveries, connections, resets, looked        atomic.Int64
	closedSilent, byes                             atomic.Int64
	joins, leaves, marks                           atomic.Int64
	slowest, slowestRedis                          atomic.Int64 // from the acknowledgement to a reader that was connected, nanoseconds
	silence                                        atomic.Int64 // the longest on an open stream, nanoseconds
}

// atLeast raises a maximum.
func atLeast(most *atomic.Int64, d int64) {
	for {
		was := most.Load()
		if d <= was || most.CompareAndSwap(was, d) {
			return
		}
	}
}

// chaosPerson is a user and the one true order of the user's inbox.
type chaosPerson struct {
	index   int
	id      string
	token   string
	readers []*chaosReader

	mu    sync.Mutex
	inbox []*chaosEvent    // inbox[i] has seq i+1; nil = no reader has come there yet; guarded by mu
	marks map[string]int64 // acknowledged read positions; guarded by mu
}

// chaosGroup is a group, of which the first member is the owner, and neither the owner nor the core ever leaves.
type chaosGroup struct {
	id      string
	first   []*chaosPerson // who was a member from the beginning
	core    []*chaosPerson
	others  []*chaosPerson // come and go
	changes []chaosChange  // owned by who changes; read when that is over
}

// chaosChange is a change of membership that was acknowledged.
type chaosChange struct {
	who         *chaosPerson
	joined      bool
	began, done time.Time
}

// chaosPair is two friends; who knows the conversation's id learns it from the first answer.
type chaosPair struct {
	a, b *chaosPerson
	mu   sync.Mutex
	id   string // guarded by mu
}

// chaosEvent is one event as all who see it must see it.
type chaosEvent struct {
	text         string // without cursor and key
	kind         client.EventType
	conversation string
	seq          int64 // of a message, or how far somebody has read
	who          string
	send         *chaosSend // nil = no message
	unread       *int64     // in the reader's own copy of conversation.read
	body         string     // of a message
	system       *client.SystemEvent
}

// bySystem tells whether it is a message that nobody sent.
func (e *chaosEvent) bySystem() bool { return e.system != nil }

// chaosSend is a message that somebody wants to be sent, once.
type chaosSend struct {
	key          string // "" = none: it is tried one time, and may be stored then or not
	body         string
	from         *chaosPerson
	path         string
	conversation string // "" until it is known
	began        time.Time
	acked        atomic.Int64 // nanoseconds since the Unix epoch; 0 = not yet
	refused      atomic.Bool
	unclear      bool  // a try had no clear answer
	seq          int64 // as acknowledged
	stored       place2
}

// violate notes what must not be.
func (w *chaosWorld) violate(format string, args ...any) {
	text := fmt.Sprintf("%7.2f s: ", time.Since(w.began).Seconds()) + fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.violations) >= 40 {
		w.hidden++
		return
	}
	w.violations = append(w.violations, text)
}

func (w *chaosWorld) violated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.violations) > 0
}

var (
	cursorEnd = []byte(`","type":`)
	keyBegin  = []byte(`,"idempotency_key":"`)
)

// read takes an event apart as a user got it: its place in the inbox, what all see of it, and the key that only its sender does.
func (w *chaosWorld) read(raw []byte) (seq int64, event *chaosEvent, key string, err error) {
	at := bytes.Index(raw, cursorEnd)
	if at < 11 || !bytes.HasPrefix(raw, []byte(`{"cursor":"`)) {
		return 0, nil, "", fmt.Errorf("no event: %.200s", raw)
	}
	seq = place(string(raw[11:at]))
	common := raw[at+2:]
	if i := bytes.Index(common, keyBegin); i >= 0 {
		its, rest, closed := bytes.Cut(common[i+len(keyBegin):], []byte(`"`))
		if !closed {
			return 0, nil, "", fmt.Errorf("no event: %.200s", raw)
		}
		key = string(its)
		common = append(append(make([]byte, 0, len(common)), common[:i]...), rest...)
	}
	w.mu.Lock()
	event = w.events[string(common)]
	w.mu.Unlock()
	if event != nil {
		return seq, event, key, nil
	}
	if event, err = parseEvent(common); err != nil {
		return 0, nil, "", err
	}
	return seq, w.add(event), key, nil
}

func parseEvent(common []byte) (*chaosEvent, error) {
	var parsed struct {
		Type client.EventType `json:"type"`
		Data json.RawMessage  `json:"data"`
	}
	text := string(common)
	if err := json.Unmarshal([]byte("{"+text), &parsed); err != nil {
		return nil, fmt.Errorf("no event: %.200s: %w", text, err)
	}
	var data struct {
		ID             string               `json:"id"`
		ConversationID string               `json:"conversation_id"`
		GroupID        string               `json:"group_id"`
		Seq            int64                `json:"seq"`
		ReadSeq        int64                `json:"read_seq"`
		UnreadCount    *int64               `json:"unread_count"`
		UserID         string               `json:"user_id"`
		SenderID       string               `json:"sender_id"`
		Group          *struct{ ID string } `json:"group"`
		User           *struct{ ID string } `json:"user"`
		Body           string               `json:"body"`
		Kind           client.MessageKind   `json:"kind"`
		System         *client.SystemEvent  `json:"system"`
	}
	if err := json.Unmarshal(parsed.Data, &data); err != nil {
		return nil, fmt.Errorf("no event: %.200s: %w", text, err)
	}
	event := &chaosEvent{text: text, kind: parsed.Type, conversation: data.ConversationID, seq: data.Seq, who: data.UserID}
	switch parsed.Type {
	case client.EventMessageCreated:
		event.who, event.body, event.system = data.SenderID, data.Body, data.System
		if (data.Kind == client.MessageKindSystem) != (data.System != nil) {
			return nil, fmt.Errorf("a message of the system that says nothing, or the reverse: %.200s", text)
		}
	case client.EventConversationRead:
		event.seq, event.unread = data.ReadSeq, data.UnreadCount
	case client.EventGroupCreated:
		event.conversation = data.ID
	case client.EventMemberLeft:
		event.conversation = data.GroupID
	case client.EventMemberJoined:
		if data.Group == nil || data.User == nil {
			return nil, fmt.Errorf("no event: %.200s", text)
		}
		event.conversation, event.who = data.Group.ID, data.User.ID
	default:
	}
	return event, nil
}

// add notes the first sight of an event. A message must be one that somebody sent, in one place only.
func (w *chaosWorld) add(event *chaosEvent) *chaosEvent {
	at := place2{event.conversation, event.seq}
	var wrong string
	w.mu.Lock()
	if known := w.events[event.text]; known != nil {
		w.mu.Unlock()
		return known
	}
	if event.kind == client.EventMessageCreated {
		if !event.bySystem() {
			event.send = w.sends[event.body]
		}
		other := w.messages[at]
		w.messages[at] = event
		switch {
		case other != nil:
			wrong = "it is seen in another form too: " + other.text
		case event.bySystem():
		case event.send == nil:
			wrong = "it was sent by nobody"
		case event.send.from.id != event.who:
			wrong = "it is not from who sent it"
		case event.send.stored.seq == 0:
			event.send.stored = at
		case event.send.stored != at:
			wrong = fmt.Sprintf("under its key there is %v too", event.send.stored)
		}
	}
	w.events[event.text] = event
	w.mu.Unlock()
	if wrong != "" {
		w.violate("message %v: %s\n  %s", at, wrong, event.text)
	}
	return event
}

// got notes that a reader has an event at a place of the inbox; it must be the one that every other reader has there.
func (w *chaosWorld) got(p *chaosPerson, r string, seq int64, event *chaosEvent, key string) (first bool) {
	want := ""
	if event.send != nil && event.who == p.id {
		want = event.send.key
	}
	if key != want {
		w.violate("%s, %s at %d: the key is %q and must be %q: %s", p.name(), r, seq, key, want, event.text)
	}
	if seq < 1 || seq > 1<<26 {
		w.violate("%s, %s: place %d: %s", p.name(), r, seq, event.text)
		return false
	}
	p.mu.Lock()
	for int64(len(p.inbox)) < seq {
		p.inbox = append(p.inbox, nil)
	}
	known := p.inbox[seq-1]
	if known == nil {
		p.inbox[seq-1] = event
	}
	p.mu.Unlock()
	if known != nil && known != event {
		w.violate("%s: the inbox has two events at %d; %s got the second:\n  %s\n  %s", p.name(), seq, r, known.text, event.text)
	}
	return known == nil
}

func (p *chaosPerson) name() string { return fmt.Sprintf("user %d (%s)", p.index, p.id) }

// head is how far any reader has come.
func (p *chaosPerson) head() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.inbox))
}

func (p *chaosPerson) events() []*chaosEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*chaosEvent(nil), p.inbox...)
}

// random returns a source of one's own, which the seed and who one is decide.
func (w *chaosWorld) random(kind, index int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(w.options.seed), uint64(kind)<<32|uint64(index)))
}

// url is where a request goes: any node, half of the time through its cable.
func (w *chaosWorld) url(rng *rand.Rand) string {
	n := w.cluster.nodes[rng.IntN(len(w.cluster.nodes))]
	if rng.IntN(2) == 0 {
		return "http://" + n.front.address()
	}
	return n.url
}
