package chat

import "sync"

// Refusal says whose share of the queue is used up.
type Refusal string

// The refusals; values of a metric.
const (
	RefusedQueue        Refusal = "queue"
	RefusedSender       Refusal = "sender"
	RefusedConversation Refusal = "conversation"
)

var refusals = map[Refusal]string{
	RefusedQueue:        "More messages are waiting to be stored than we take on. Nothing was sent; try again shortly.",
	RefusedSender:       "Too many of your messages are waiting to be stored. Nothing was sent; try again shortly.",
	RefusedConversation: "Too many messages to this conversation are waiting to be stored. Nothing was sent; try again shortly.",
}

// shares sees to it that whoever floods the backlog of a [Sender] fills a part
// of it only. One sender, and one conversation, may have no more messages
// waiting than there are places free: one that floods gets half of them, two
// get a third each, and others always find a place. And one conversation may
// have only so many inbox rows waiting, so that a large group keeps nobody
// waiting for long. Whoever has it guards it.
type shares struct {
	most          int // inbox rows of one conversation that may wait, unless it is a single message
	conversations map[ID]waiting
	senders       map[ID]int // messages
}

// waiting is what is queued for a conversation.
type waiting struct {
	messages, rows int
}

// rowsShare is how many full transactions of one conversation may wait.
const rowsShare = 16

// newShares returns the shares for transactions of so many rows.
func newShares(rows int) shares {
	return shares{most: rowsShare * rows, conversations: make(map[ID]waiting), senders: make(map[ID]int)}
}

// claim counts a message that is to be queued, of which so many more would fit.
// The result is "" unless its sender or its conversation has its share already.
func (s *shares) claim(item *sending, free int) Refusal {
	m := &item.message
	c, mine := s.conversations[m.ConversationID], s.senders[m.SenderID]
	switch {
	case mine > free:
		return RefusedSender
	case c.messages > free, c.messages > 0 && c.rows+item.weight > s.most:
		return RefusedConversation
	}
	s.conversations[m.ConversationID] = waiting{c.messages + 1, c.rows + item.weight}
	s.senders[m.SenderID] = mine + 1
	return ""
}

// release counts that a message waits no more.
func (s *shares) release(item *sending) {
	m := &item.message
	if c := s.conversations[m.ConversationID]; c.messages > 1 {
		s.conversations[m.ConversationID] = waiting{c.messages - 1, c.rows - item.weight}
	} else {
		delete(s.conversations, m.ConversationID)
	}
	if mine := s.senders[m.SenderID]; mine > 1 {
		s.senders[m.SenderID] = mine - 1
	} else {
		delete(s.senders, m.SenderID)
	}
}

// weights remembers how many inbox rows a message of a conversation costs.
type weights struct {
	unknown int // what a message to a group is taken to cost before the first was stored

	mu    sync.Mutex
	known map[ID]int // what the last one cost; guarded by mu
}

const (
	// maxWeights bounds what is remembered of conversations.
	maxWeights = 50_000
	// pairWeight is what a private message costs.
	pairWeight = 2
)

// newWeights returns the weights for transactions of so many rows: of groups
// that nobody knows, a few make one transaction.
func newWeights(rows int) weights {
	return weights{unknown: max(rows/16, pairWeight), known: make(map[ID]int)}
}

// of returns how many inbox rows a message costs, as far as is known.
func (w *weights) of(m *Outgoing) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, known := w.known[m.ConversationID]
	switch {
	case known:
		return max(rows, pairWeight)
	case m.Target == KindGroup:
		return w.unknown
	default:
		return pairWeight
	}
}

// learn remembers what a message cost, where that is not what a pair's costs;
// 0 is a message that was not stored.
func (w *weights) learn(m *Outgoing, rows int) {
	if rows == 0 || rows <= pairWeight && m.Target != KindGroup {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.known[m.ConversationID]; !known && len(w.known) >= maxWeights {
		clear(w.known)
	}
	w.known[m.ConversationID] = rows
}
