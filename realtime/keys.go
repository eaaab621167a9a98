package realtime

import (
	"strconv"
	"strings"

	"longwire/chat"
)

// era is the past that the data has, and what Redis is asked under. Every key
// and channel carries the epoch, so that what Redis remembers of another past
// is out of reach rather than believed.
type era struct {
	epoch  string
	prefix string // of every key and channel
}

func newEra(epoch string) *era {
	return &era{epoch: epoch, prefix: "lw:" + epoch + ":"}
}

// The keys of one user share a hash tag, so that a cluster keeps them together.

// inboxKey is the stream of a user's recent events.
func (e *era) inboxKey(user string) string { return e.prefix + "inbox:{" + user + "}" }

// nodesKey is the hash of the nodes that a user is connected to.
func (e *era) nodesKey(user string) string { return e.prefix + "nodes:{" + user + "}" }

// savedKey is the sorted set of a user's sessions by saved seq.
func (e *era) savedKey(user string) string { return e.prefix + "saved:{" + user + "}" }

// presenceKey is the hash of all running nodes.
func (e *era) presenceKey() string { return e.prefix + "nodes" }

// connectedKey is the sorted set of users and the nodes that have them, by when
// somebody must look whether that is still so, in Unix milliseconds.
func (e *era) connectedKey() string { return e.prefix + "connected" }

// nodeChannel carries what one node must hear.
func (e *era) nodeChannel(node string) string { return e.prefix + "node:" + node }

// everyChannel carries what all nodes must hear.
func (e *era) everyChannel() string { return e.prefix + "all" }

// entryID is the ID of an event's entry in a stream: its seq.
func entryID(seq int64) string { return strconv.FormatInt(seq, 10) + "-0" }

// entrySeq returns the seq of an entry's ID, 0 for an ID that is no event's.
func entrySeq(id string) int64 {
	text, ok := strings.CutSuffix(id, "-0")
	if !ok {
		return 0
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// warmID is the ID of the entry that makes a stream exist. It comes before
// every seq, so that no reader sees it.
const warmID = "0-1"

// connectedMember names a user on a node in connectedKey.
func connectedMember(user, node string) string { return user + ":" + node }

// registration is what a node notes of itself under a user's nodesKey.
type registration struct {
	expires  int64 // Unix milliseconds; the node renews it long before
	streams  int
	activity activity
	node     string
}

// heldNode stands in the place of a node where a user has been connected to one
// that is gone, until the user has had the time to come back. No node may be
// called so.
const heldNode = "~"

func (r registration) String() string {
	return strconv.FormatInt(r.expires, 10) + ":" + strconv.Itoa(r.streams) + ":" + strconv.Itoa(int(r.activity)) + ":" + r.node
}

func parseRegistration(text string) (registration, bool) {
	parts := strings.SplitN(text, ":", 4)
	if len(parts) != 4 {
		return registration{}, false
	}
	expires, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return registration{}, false
	}
	streams, err := strconv.Atoi(parts[1])
	if err != nil || streams < 0 {
		return registration{}, false
	}
	activity, err := parseActivity(parts[2])
	if err != nil {
		return registration{}, false
	}
	return registration{expires: expires, streams: streams, activity: activity, node: parts[3]}, true
}

// sessionMember names a session in a user's savedKey.
func sessionMember(session chat.ID) string { return session.String() }
