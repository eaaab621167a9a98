package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"sync"
	"time"

	"longwire/client"
)

// liveness is how long anything may take to be well again when nothing is broken any more.
const liveness = 30 * time.Second

// awaitReadiness checks that every node says that it is ready, by itself.
func (w *chaosWorld) awaitReadiness(ctx context.Context) {
	for _, n := range w.cluster.nodes {
		if !n.awaitReady(ctx, liveness) && ctx.Err() == nil {
			w.violate("node %d is not ready %v after the last fault was mended", n.index, liveness)
		}
	}
}

// level checks that every reader comes to where the database says that its inbox stands now.
func (w *chaosWorld) level(ctx context.Context, kind int) {
	rng := w.random(5, kind)
	heads := map[*chaosPerson]int64{}
	for _, p := range w.users {
		var snapshot struct{ Cursor string }
		if w.get(ctx, rng, p, "/v1/sync", &snapshot) {
			heads[p] = place(snapshot.Cursor)
		}
	}
	deadline := time.Now().Add(liveness)
	for p, head := range heads {
		for _, r := range p.readers {
			for r.place.Load() < head && time.Now().Before(deadline) && nap(ctx, 5*time.Millisecond) {
			}
			if at := r.place.Load(); at < head && ctx.Err() == nil {
				w.violate("%s, %s: silent stall: it is at %d, and the inbox stood at %d %v ago, with nothing broken", p.name(), r.name(), at, head, liveness)
			}
		}
	}
}

// settle makes all readers stay on one connection each, and waits until they do.
func (w *chaosWorld) settle(ctx context.Context) {
	w.settling.Store(true)
	deadline := time.Now().Add(liveness)
	for _, p := range w.users {
		for _, r := range p.readers {
			if leave, ok := r.leave.Load().(context.CancelFunc); ok {
				leave()
			}
			for !r.settled.Load() && time.Now().Before(deadline) && nap(ctx, 5*time.Millisecond) {
			}
			if !r.settled.Load() && ctx.Err() == nil {
				w.violate("%s, %s: it cannot connect, with nothing broken", p.name(), r.name())
			}
		}
	}
}

// lastWords sends single messages after which nothing comes: who is not told of one of them is told by nothing else.
func (w *chaosWorld) lastWords(ctx context.Context) {
	rng := w.random(6, 0)
	for round := range w.options.lastWords {
		for i, g := range w.groups {
			w.sendTo(ctx, rng, g.core[rng.IntN(len(g.core))], target{path: "/v1/groups/" + g.id + "/messages", group: g}, fmt.Sprintf("last-%d-g%d", round, i))
		}
		for i, p := range w.pairs {
			w.sendTo(ctx, rng, p.a, target{path: "/v1/users/" + p.b.id + "/messages", pair: p}, fmt.Sprintf("last-%d-p%d", round, i))
		}
		w.level(ctx, 100+round)
		if w.violated() {
			return
		}
	}
}

// audit checks everything when all is quiet.
func (w *chaosWorld) audit(ctx context.Context) {
	var checks sync.WaitGroup
	gate := make(chan struct{}, 4)
	check := func(f func(index int), index int) {
		checks.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			f(index)
		})
	}
	histories := make([][]client.Message, len(w.groups)+len(w.pairs))
	for i := range w.users {
		check(func(i int) { w.auditInbox(ctx, i) }, i)
	}
	for i := range histories {
		check(func(i int) { histories[i] = w.auditHistory(ctx, i) }, i)
	}
	checks.Wait()
	byID := map[string][]client.Message{}
	stored := 0
	for i, h := range histories {
		byID[w.conversation(i)] = h
		stored += len(h)
	}
	for i := range w.users {
		check(func(i int) { w.auditCounts(ctx, i, byID) }, i)
	}
	check(func(int) { w.auditReplays(ctx) }, 0)
	checks.Wait()
	for _, g := range w.groups {
		w.auditOrder(g)
		w.auditMembership(g)
		w.auditSystem(g)
	}
	for i, p := range w.pairs {
		for _, side := range []*chaosPerson{p.a, p.b} {
			w.compareHistory(side, w.conversation(len(w.groups)+i), histories[len(w.groups)+i])
		}
	}
	for i, g := range w.groups {
		w.compareHistory(g.core[0], g.id, histories[i])
	}
	w.auditSends(stored)
}

// conversation returns the id of the ith conversation: first the groups, then the pairs.
func (w *chaosWorld) conversation(i int) string {
	if i < len(w.groups) {
		return w.groups[i].id
	}
	p := w.pairs[i-len(w.groups)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// auditInbox reads a whole inbox again, by plain GETs from any node, and compares it with what readers got.
func (w *chaosWorld) auditInbox(ctx context.Context, i int) {
	p, rng := w.users[i], w.random(7, i)
	for at, event := range p.events() {
		if event == nil {
			w.violate("%s: no reader has the event at %d", p.name(), at+1)
			return
		}
	}
	cursor, at := client.Begin, int64(0)
	for more := true; more; {
		var result struct {
			Events  []json.RawMessage `json:"events"`
			Cursor  string            `json:"cursor"`
			HasMore bool              `json:"has_more"`
			Reset   json.RawMessage   `json:"reset"`
		}
		if !w.get(ctx, rng, p, fmt.Sprintf("/v1/inbox/poll?cursor=%s&wait=0&limit=500", cursor), &result) {
			return
		}
		for _, raw := range result.Events {
			seq, event, key, err := w.read(raw)
			if err != nil || seq != at+1 {
				w.violate("%s: a new reading: after %d comes %d, %v: %s", p.name(), at, seq, err, raw)
				return
			}
			if at++; w.got(p, "a new reading", seq, event, key) {
				w.violate("%s: readers did not get the event at %d, and the inbox has it: %s", p.name(), seq, event.text)
			}
		}
		cursor, more = result.Cursor, len(result.Events) > 0
		if result.HasMore && !more {
			w.violate("%s: a new reading: there is more after %d, and nothing comes", p.name(), at)
			return
		}
	}
	if head := p.head(); at != head {
		w.violate("%s: a new reading ends at %d, and readers were at %d", p.name(), at, head)
	}
}

// auditHistory reads a conversation, a part from any node, and compares it with what was acknowledged.
func (w *chaosWorld) auditHistory(ctx context.Context, i int) (all []client.Message) {
	id, rng := w.conversation(i), w.random(8, i)
	reader := w.constantMember(id)
	if reader == nil {
		return nil
	}
	for more := true; more; {
		var part client.History
		if !w.get(ctx, rng, reader, fmt.Sprintf("/v1/conversations/%s/messages?after_seq=%d&limit=200", id, len(all)), &part) {
			return all
		}
		for _, m := range part.Items {
			if m.Seq != int64(len(all)+1) {
				w.violate("history of %s: after %d comes %d", id, len(all), m.Seq)
				return all
			}
			all = append(all, m)
		}
		if more = part.HasMoreAfter; more && len(part.Items) == 0 {
			w.violate("history of %s: there is more after %d, and nothing comes", id, len(all))
			return all
		}
	}
	w.mu.Lock()
	acked := append([]*chaosSend(nil), w.acked[id]...)
	w.mu.Unlock()
	sort.Slice(acked, func(i, j int) bool { return acked[i].seq < acked[j].seq })
	started := time.Time{} // the latest beginning of all messages before
	for i, s := range acked {
		if s.seq > int64(len(all)) || all[s.seq-1].Body != s.body || all[s.seq-1].SenderID != s.from.id {
			w.violate("history of %s: seq %d was acknowledged for key %s, and is not there", id, s.seq, s.key)
		}
		if i > 0 && acked[i-1].seq == s.seq {
			w.violate("history of %s: seq %d was acknowledged twice: %s and %s", id, s.seq, acked[i-1].key, s.key)
		}
		if time.Unix(0, s.acked.Load()).Before(started) {
			w.violate("history of %s: seq %d was acknowledged before one that has a lower seq was sent", id, s.seq)
		}
		if s.began.After(started) {
			started = s.began
		}
	}
	return all
}

// compareHistory checks that an inbox has exactly the messages of the history, in its order.
func (w *chaosWorld) compareHistory(p *chaosPerson, id string, history []client.Message) {
	n := 0
	for at, event := range p.events() {
		if event == nil || event.kind != client.EventMessageCreated || event.conversation != id {
			continue
		}
		if n >= len(history) || event.seq != int64(n+1) || event.body != history[n].Body || event.bySystem() != (history[n].System != nil) {
			w.violate("%s: at %d comes message %d of %s, and the history goes on with %d of %d: %s", p.name(), at+1, event.seq, id, n+1, len(history), event.text)
			return
		}
		n++
	}
	if n != len(history) {
		w.violate("%s: the inbox has %d messages of %s, and the history %d", p.name(), n, id, len(history))
	}
}

// auditSends checks that everything sent is stored once, or was refused.
func (w *chaosWorld) auditSends(stored int) {
	w.mu.Lock()
	sends := make([]*chaosSend, 0, len(w.sends))
	for _, s := range w.sends {
		sends = append(sends, s)
	}
	known := len(w.messages)
	w.mu.Unlock()
	for _, s := range sends {
		switch {
		case s.acked.Load() == 0 && !s.refused.Load() && (s.key != "" || !s.unclear):
			w.violate("key %s has never had a clear answer", s.key)
		case s.refused.Load() && !s.unclear && s.stored.seq != 0:
			w.violate("key %s was refused and is stored at %v", s.key, s.stored)
		}
	}
	if known != stored {
		w.violate("%d messages were delivered, and %d are in the histories", known, stored)
	}
}

// auditReplays sends again what was acknowledged: the answer must be the first one.
func (w *chaosWorld) auditReplays(ctx context.Context) {
	rng := w.random(9, 0)
	for i := range len(w.groups) + len(w.pairs) {
		id := w.conversation(i)
		w.mu.Lock()
		acked := append([]*chaosSend(nil), w.acked[id]...)
		w.mu.Unlock()
		for range min(20, len(acked)) {
			s := acked[rng.IntN(len(acked))]
			if s.key == "" {
				continue
			}
			status, header, answer, _ := w.ask(ctx, rng, http.MethodPost, s.path, s.from.token, s.key, s.request())
			var message client.Message
			_ = json.Unmarshal(answer, &message)
			if status != http.StatusOK || header.Get("Idempotency-Replayed") != "true" || message.Seq != s.seq || message.Body != s.body {
				w.violate("key %s was acknowledged as %s %d; sent again it is answered %d %s", s.key, id, s.seq, status, answer)
			}
		}
	}
}

// mostUnread is where the server stops counting.
const mostUnread = 1000

// auditCounts checks what the server says of a user's conversations, now and in events.
func (w *chaosWorld) auditCounts(ctx context.Context, i int, histories map[string][]client.Message) {
	p, rng := w.users[i], w.random(10, i)
	w.auditMarks(p)
	p.mu.Lock()
	marks := p.marks
	p.mu.Unlock()
	var list client.List[client.Conversation]
	if !w.get(ctx, rng, p, "/v1/conversations?limit=200", &list) {
		return
	}
	for _, c := range list.Items {
		history := histories[c.ID]
		unread := int64(0)
		for _, m := range history[min(c.ReadSeq, int64(len(history))):] {
			if m.SenderID != p.id && m.System == nil {
				unread++
			}
		}
		counted := int64(len(history))-c.ReadSeq <= 4*mostUnread // beyond, not all messages are looked at
		if c.LastSeq != int64(len(history)) || counted && c.UnreadCount != min(unread, mostUnread) || c.ReadSeq < marks[c.ID] {
			w.violate("%s: conversation %s: last_seq %d, read_seq %d, unread_count %d; by the history %d, at least %d, %d",
				p.name(), c.ID, c.LastSeq, c.ReadSeq, c.UnreadCount, len(history), marks[c.ID], unread)
		}
	}
}

// auditMarks checks the unread counts in a user's own events of reading: others' messages that come before the event in the
// inbox, and after the read position. Who was away for a while has not all messages in the inbox, and is not looked at.
func (w *chaosWorld) auditMarks(p *chaosPerson) {
	away := map[string]bool{}
	for _, g := range w.groups {
		away[g.id] = true
		for _, m := range g.core {
			away[g.id] = away[g.id] && m != p
		}
	}
	others := map[string][]int64{} // seqs of others' messages so far, ascending
	for at, event := range p.events() {
		switch {
		case event == nil || away[event.conversation]:
		case event.kind == client.EventMessageCreated && event.who != p.id && !event.bySystem():
			others[event.conversation] = append(others[event.conversation], event.seq)
		case event.kind == client.EventConversationRead && event.who == p.id:
			seqs := others[event.conversation]
			want := int64(len(seqs) - sort.Search(len(seqs), func(i int) bool { return seqs[i] > event.seq }))
			if event.unread == nil || *event.unread != min(want, mostUnread) {
				w.violate("%s: at %d the unread count must be %d: %s", p.name(), at+1, want, event.text)
			}
		}
	}
}

// auditOrder checks a group: everybody has the owner's events, in the owner's order, from joining to leaving and nothing else.
func (w *chaosWorld) auditOrder(g *chaosGroup) {
	reference := groupEvents(g.core[0], g.id)
	for _, p := range w.users {
		inside := false
		for _, m := range g.first {
			inside = inside || m == p
		}
		var want []*chaosEvent
		for _, event := range reference {
			its := event.who == p.id && event.kind != client.EventMessageCreated
			if its && event.kind == client.EventMemberJoined {
				inside = true
			}
			if inside {
				want = append(want, event)
			}
			if its && event.kind == client.EventMemberLeft {
				inside = false
			}
		}
		got := groupEvents(p, g.id)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				w.violate("%s: event %d of group %s is not the one that membership and order give (of %d, and %d are expected):\n  got:      %s\n  expected: %s",
					p.name(), i, g.id, len(got), len(want), textAt(got, i), textAt(want, i))
				break
			}
		}
	}
}

func textAt(events []*chaosEvent, i int) string {
	if i < len(events) {
		return events[i].text
	}
	return "nothing"
}

// groupEvents returns what an inbox has of a group.
func groupEvents(p *chaosPerson, id string) (all []*chaosEvent) {
	for _, event := range p.events() {
		if event == nil || event.conversation != id {
			continue
		}
		switch event.kind {
		case client.EventMessageCreated, client.EventMemberJoined, client.EventMemberLeft, client.EventGroupCreated:
			all = append(all, event)
		default:
		}
	}
	return all
}

// auditMembership checks that changes of membership are where they were acknowledged: no message that was sent after a removal
// was acknowledged comes before it, and none that was acknowledged before the removal was asked for comes after it.
func (w *chaosWorld) auditMembership(g *chaosGroup) {
	reference := groupEvents(g.core[0], g.id)
	next := map[string]int{} // where to look for the next change of a member
	for _, change := range g.changes {
		kind := client.EventMemberLeft
		if change.joined {
			kind = client.EventMemberJoined
		}
		at := next[change.who.id]
		for at < len(reference) && (reference[at].kind == client.EventMessageCreated || reference[at].kind == client.EventGroupCreated || reference[at].who != change.who.id) {
			at++
		}
		if at == len(reference) || reference[at].kind != kind {
			w.violate("group %s: %s of %s was acknowledged, and the inboxes go on with: %s", g.id, kind, change.who.name(), textAt(reference, at))
			return
		}
		next[change.who.id] = at + 1
		for i, event := range reference {
			if event.send == nil || event.send.acked.Load() == 0 {
				continue
			}
			if i < at && event.send.began.After(change.done) || i > at && time.Unix(0, event.send.acked.Load()).Before(change.began) {
				w.violate("group %s: message %d is on the wrong side of %s of %s", g.id, event.seq, kind, change.who.name())
			}
		}
	}
}

// auditSystem checks that the conversation tells of each change right after the event that does, and of nothing else.
func (w *chaosWorld) auditSystem(g *chaosGroup) {
	said := map[client.EventType]client.SystemType{
		client.EventGroupCreated: client.SystemTypeGroupCreated, client.EventMemberJoined: client.SystemTypeMemberJoined,
		client.EventMemberLeft: client.SystemTypeMemberRemoved,
	}
	reference := groupEvents(g.core[0], g.id)
	for i, event := range reference {
		want, changes := said[event.kind]
		switch {
		case changes && (i+1 == len(reference) || !reference[i+1].bySystem() || reference[i+1].system.Type != want):
			w.violate("group %s: after %s comes: %s", g.id, event.text, textAt(reference, i+1))
		case changes && event.kind != client.EventGroupCreated && (len(reference[i+1].system.UserIds) != 1 || reference[i+1].system.UserIds[0] != event.who):
			w.violate("group %s: %s is told as: %s", g.id, event.text, reference[i+1].text)
		case event.bySystem() && (i == 0 || said[reference[i-1].kind] == ""):
			w.violate("group %s: the system tells of nothing: %s", g.id, event.text)
		}
	}
}
