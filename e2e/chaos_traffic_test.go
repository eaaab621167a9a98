package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"longwire/client"
)

// try makes one request; status 0 = no answer.
func (w *chaosWorld) try(ctx context.Context, rng *rand.Rand, method, path, token, key, body string) (status int, header http.Header, answer []byte) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, w.url(rng)+path, content)
	if err != nil {
		return 0, nil, nil
	}
	request.GetBody = nil // or net/http would repeat a request with a key by itself, and we would not know
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return 0, nil, nil
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil
	}
	return response.StatusCode, response.Header, answer
}

// passing tells whether a status says that another try may be answered otherwise.
func passing(status int) bool {
	return status == 0 || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// ask makes a request until it is answered for good, on any node.
func (w *chaosWorld) ask(ctx context.Context, rng *rand.Rand, method, path, token, key, body string) (status int, header http.Header, answer []byte, tries int) {
	for tries = 1; ; tries++ {
		status, header, answer = w.try(ctx, rng, method, path, token, key, body)
		if !passing(status) || ctx.Err() != nil {
			return status, header, answer, tries
		}
		if !nap(ctx, time.Duration(20+rng.IntN(200*min(tries, 5)))*time.Millisecond) {
			return 0, nil, nil, tries
		}
	}
}

// get asks for something and decodes it; what cannot be had is a violation.
func (w *chaosWorld) get(ctx context.Context, rng *rand.Rand, p *chaosPerson, path string, into any) bool {
	limited, cancel := context.WithTimeout(ctx, liveness)
	defer cancel()
	status, _, answer, _ := w.ask(limited, rng, http.MethodGet, path, p.token, "", "")
	if status != http.StatusOK {
		w.violate("%s: GET %s: %d %s", p.name(), path, status, answer)
		return false
	}
	if err := json.Unmarshal(answer, into); err != nil {
		w.violate("%s: GET %s: %v: %.300s", p.name(), path, err, answer)
		return false
	}
	return true
}

// send sends one message until the answer is clear.
func (w *chaosWorld) send(ctx context.Context, rng *rand.Rand, s *chaosSend) {
	w.mu.Lock()
	w.sends[s.body] = s
	w.mu.Unlock()
	w.counts.sent.Add(1)
	if s.key == "" {
		w.counts.keyless.Add(1)
	}
	if s.key != "" && rng.IntN(40) == 0 { // a twin, on any node, whose answer nobody hears
		w.counts.twins.Add(1)
		s.unclear = true
		twin := rand.New(rand.NewPCG(rng.Uint64(), 1))
		go w.try(ctx, twin, http.MethodPost, s.path, s.from.token, s.key, s.request())
	}
	for tries := 1; ; tries++ {
		status, header, answer := w.try(ctx, rng, http.MethodPost, s.path, s.from.token, s.key, s.request())
		if passing(status) {
			s.unclear = true
			w.counts.retried.Add(1)
			if s.key == "" || !nap(ctx, time.Duration(20+rng.IntN(200*min(tries, 5)))*time.Millisecond) {
				return
			}
			continue
		}
		switch status {
		case http.StatusCreated, http.StatusOK:
			w.acknowledged(s, status, header, answer)
		case http.StatusForbidden, http.StatusNotFound: // no member any more
			s.refused.Store(true)
			w.counts.refused.Add(1)
		default:
			w.violate("%s: POST %s under key %s: %d %s", s.from.name(), s.path, s.key, status, answer)
		}
		return
	}
}

func (s *chaosSend) request() string {
	body, _ := json.Marshal(map[string]string{"body": s.body})
	return string(body)
}

// acknowledged notes an answer of success.
func (w *chaosWorld) acknowledged(s *chaosSend, status int, header http.Header, answer []byte) {
	now := time.Now()
	var message client.Message
	if err := json.Unmarshal(answer, &message); err != nil || message.Body != s.body || message.Seq < 1 || message.SenderID != s.from.id {
		w.violate("%s: the answer to key %s is not its message: %s", s.from.name(), s.key, answer)
		return
	}
	replayed := header.Get("Idempotency-Replayed") == "true"
	if replayed != (status == http.StatusOK) || replayed && !s.unclear {
		w.violate("%s: key %s was answered %d, replayed: %v, and tries without answer: %v", s.from.name(), s.key, status, replayed, s.unclear)
	}
	if replayed {
		w.counts.replayed.Add(1)
	}
	w.counts.acked.Add(1)
	at := place2{message.ConversationID, message.Seq}
	s.seq = message.Seq
	s.acked.Store(now.UnixNano())
	w.mu.Lock()
	elsewhere := s.stored
	s.stored, s.conversation = at, message.ConversationID
	w.acked[at.conversation] = append(w.acked[at.conversation], s)
	w.mu.Unlock()
	if elsewhere.seq != 0 && elsewhere != at {
		w.violate("%s: key %s is acknowledged at %v and was delivered at %v", s.from.name(), s.key, at, elsewhere)
	}
}

// target is where somebody sends to.
type target struct {
	path  string
	group *chaosGroup // or
	pair  *chaosPair
}

// targets are the places where somebody may send to.
func (w *chaosWorld) targets(p *chaosPerson) (all []target) {
	for _, g := range w.groups {
		for _, members := range [][]*chaosPerson{g.core, g.others} {
			for _, m := range members {
				if m == p {
					all = append(all, target{path: "/v1/groups/" + g.id + "/messages", group: g})
				}
			}
		}
	}
	for _, pair := range w.pairs {
		switch p {
		case pair.a:
			all = append(all, target{path: "/v1/users/" + pair.b.id + "/messages", pair: pair})
		case pair.b:
			all = append(all, target{path: "/v1/users/" + pair.a.id + "/messages", pair: pair})
		}
	}
	return all
}

// sendTo sends one message and remembers where it went.
func (w *chaosWorld) sendTo(ctx context.Context, rng *rand.Rand, p *chaosPerson, to target, name string) {
	body := name
	if rng.IntN(4) == 0 {
		body += " " + strings.Repeat("long ", rng.IntN(300))
	}
	s := &chaosSend{key: "k-" + name, body: body, from: p, path: to.path, began: time.Now()}
	if rng.IntN(10) == 0 {
		s.key = ""
	}
	w.send(ctx, rng, s)
	if to.pair != nil && s.acked.Load() != 0 {
		to.pair.mu.Lock()
		to.pair.id = s.conversation
		to.pair.mu.Unlock()
	}
}

// talk sends until ctx ends; a message under way is brought to its end.
func (w *chaosWorld) talk(ctx context.Context, index int, p *chaosPerson) {
	rng := w.random(1, index)
	all := w.targets(p)
	if len(all) == 0 {
		return
	}
	for n := 0; nap(ctx, time.Duration(float64(w.options.pace)*(0.2+1.6*rng.Float64()))); n++ {
		to := all[rng.IntN(len(all))]
		w.sendTo(context.WithoutCancel(ctx), rng, p, to, fmt.Sprintf("s%d-%d", index, n))
	}
}

// change lets people come and go until ctx ends.
func (w *chaosWorld) change(ctx context.Context, index int, g *chaosGroup) {
	rng := w.random(2, index)
	inside := map[*chaosPerson]bool{}
	for _, p := range g.first {
		inside[p] = true
	}
	for nap(ctx, time.Duration(100+rng.IntN(900))*time.Millisecond) {
		p := g.others[rng.IntN(len(g.others))]
		change := chaosChange{who: p, joined: !inside[p], began: time.Now()}
		method := http.MethodDelete
		if change.joined {
			method = http.MethodPut
		}
		status, _, answer, tries := w.ask(context.WithoutCancel(ctx), rng, method, "/v1/groups/"+g.id+"/members/"+p.id, g.core[0].token, "", "")
		switch {
		case status/100 == 2:
		case status == http.StatusNotFound && !change.joined && tries > 1: // an answer was lost
		default:
			w.violate("group %s: %s %s: %d %s", g.id, method, p.name(), status, answer)
			continue
		}
		change.done = time.Now()
		inside[p] = change.joined
		g.changes = append(g.changes, change)
		if change.joined {
			w.counts.joins.Add(1)
		} else {
			w.counts.leaves.Add(1)
		}
	}
}

// mark moves read positions until ctx ends.
func (w *chaosWorld) mark(ctx context.Context, index int, p *chaosPerson) {
	rng := w.random(3, index)
	for nap(ctx, time.Duration(500+rng.IntN(2500))*time.Millisecond) {
		p.mu.Lock()
		var event *chaosEvent
		if len(p.inbox) > 0 {
			event = p.inbox[rng.IntN(len(p.inbox))]
		}
		p.mu.Unlock()
		if event == nil || event.kind != client.EventMessageCreated {
			continue
		}
		status, _, answer, _ := w.ask(context.WithoutCancel(ctx), rng, http.MethodPut, "/v1/conversations/"+event.conversation+"/read",
			p.token, "", fmt.Sprintf(`{"seq":%d}`, event.seq))
		switch status {
		case http.StatusOK:
			w.counts.marks.Add(1)
			p.mu.Lock()
			p.marks[event.conversation] = max(p.marks[event.conversation], event.seq)
			p.mu.Unlock()
		case http.StatusForbidden, http.StatusNotFound: // no member at the moment
		default:
			w.violate("%s: read %s up to %d: %d %s", p.name(), event.conversation, event.seq, status, answer)
		}
	}
}

// look fetches, from any node, events that were just seen: what is announced is committed.
func (w *chaosWorld) look(ctx context.Context, index int) {
	rng := w.random(4, index)
	for {
		var event *chaosEvent
		select {
		case <-ctx.Done():
			return
		case event = <-w.recent:
		}
		reader := w.constantMember(event.conversation)
		if reader == nil {
			continue
		}
		status, _, answer := w.try(ctx, rng, http.MethodGet,
			fmt.Sprintf("/v1/conversations/%s/messages?after_seq=%d&limit=1", event.conversation, event.seq-1), reader.token, "", "")
		if status != http.StatusOK {
			continue // the node or its database is not there: nothing was learned
		}
		var history client.History
		if err := json.Unmarshal(answer, &history); err != nil {
			w.violate("history: %v: %s", err, answer)
			continue
		}
		w.counts.looked.Add(1)
		if len(history.Items) != 1 || history.Items[0].Seq != event.seq || history.Items[0].Body != event.body {
			w.violate("event %s %d was delivered, and the history does not have it: %s\n  delivered: %s", event.conversation, event.seq, bytes.TrimSpace(answer), event.text)
		}
	}
}

// constantMember returns somebody who belongs to a conversation all the time, nil when nobody is known.
func (w *chaosWorld) constantMember(conversation string) *chaosPerson {
	for _, g := range w.groups {
		if g.id == conversation {
			return g.core[0]
		}
	}
	for _, p := range w.pairs {
		p.mu.Lock()
		id := p.id
		p.mu.Unlock()
		if id == conversation {
			return p.a
		}
	}
	return nil
}
