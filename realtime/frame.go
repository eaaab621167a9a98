package realtime

import (
	"encoding/binary"
	"errors"
	"fmt"

	"longwire/chat"
)

// A frame is what nodes publish to each other: a version, a kind, and what the
// kind has, integers as unsigned varints. An events frame holds each body once
// and then where it stands: a node serves a thousand members from one copy.
type frame struct {
	kind       frameKind
	bodies     []chat.Body       // frameEvents
	deliveries []chat.Delivery   // frameEvents
	ended      []chat.SessionRef // frameEnded
	forgotten  []chat.Forgotten  // frameForgotten
	nonce      uint64            // frameProbe
	ephemerals []chat.Ephemeral  // frameEphemeral
	activities []said            // frameEphemeral
}

// said is what a session says of its user from now on.
type said struct {
	ref      chat.SessionRef
	activity activity
}

type frameKind byte

const (
	frameEvents    frameKind = iota + 1 // to one node: these inboxes grew
	frameEnded                          // to all: these sessions ended
	frameProbe                          // to oneself
	frameLost                           // to all: announcements were lost, look at the database
	frameEphemeral                      // to one node: this is for who is connected, and kept nowhere
	frameForgotten                      // to all: copies of these inboxes are not to be believed
)

const frameVersion = 1

// maxFrameBytes is where a frame is closed and the next begins, about. Redis
// disconnects subscribers that have some 8 to 32 MiB waiting.
const maxFrameBytes = 512 << 10

var errFrame = errors.New("realtime: malformed frame")

// encode returns the frame as it is published.
func (f *frame) encode() []byte {
	b := []byte{frameVersion, byte(f.kind)}
	switch f.kind {
	case frameEvents:
		size := 16
		for _, body := range f.bodies {
			size += len(body) + 4
		}
		b = append(make([]byte, 0, size+len(f.deliveries)*16), b...)
		b = binary.AppendUvarint(b, uint64(len(f.bodies)))
		for _, body := range f.bodies {
			b = binary.AppendUvarint(b, uint64(len(body)))
			b = append(b, body...)
		}
		b = binary.AppendUvarint(b, uint64(len(f.deliveries)))
		for _, d := range f.deliveries {
			b = binary.AppendUvarint(b, uint64(d.User))
			b = binary.AppendUvarint(b, uint64(d.Seq))
			b = binary.AppendUvarint(b, uint64(d.Event))
		}
	case frameEnded:
		b = binary.AppendUvarint(b, uint64(len(f.ended)))
		for _, ref := range f.ended {
			b = binary.AppendUvarint(b, uint64(ref.User))
			b = binary.AppendUvarint(b, uint64(ref.Session))
		}
	case frameForgotten:
		b = binary.AppendUvarint(b, uint64(len(f.forgotten)))
		for _, forgotten := range f.forgotten {
			b = binary.AppendUvarint(b, uint64(forgotten.User))
			b = binary.AppendUvarint(b, uint64(forgotten.Seq))
		}
	case frameProbe:
		b = binary.AppendUvarint(b, f.nonce)
	case frameEphemeral:
		b = f.appendEphemerals(b)
	case frameLost:
	}
	return b
}

func (f *frame) appendEphemerals(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.ephemerals)))
	for _, e := range f.ephemerals {
		b = binary.AppendUvarint(b, uint64(e.Topic.Conversation))
		b = binary.AppendUvarint(b, uint64(e.Topic.User))
		b = binary.AppendUvarint(b, uint64(e.At))
		b = binary.AppendUvarint(b, uint64(len(e.Body)))
		b = append(b, e.Body...)
		b = binary.AppendUvarint(b, uint64(len(e.Users)))
		for _, user := range e.Users {
			b = binary.AppendUvarint(b, uint64(user))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(f.activities)))
	for _, s := range f.activities {
		b = binary.AppendUvarint(b, uint64(s.ref.User))
		b = binary.AppendUvarint(b, uint64(s.ref.Session))
		b = append(b, byte(s.activity))
	}
	return b
}

// decodeFrame reads a frame. Whoever can publish on our Redis can send
// anything: it allocates no more than the payload's size allows, and refuses
// what it does not know in full.
func decodeFrame(payload string) (frame, error) {
	r := frameReader{rest: payload}
	if version := r.byte(); version != frameVersion {
		return frame{}, fmt.Errorf("%w: version %d", errFrame, version)
	}
	f := frame{kind: frameKind(r.byte())}
	switch f.kind {
	case frameEvents:
		f.bodies = make([]chat.Body, r.count(1))
		for i := range f.bodies {
			f.bodies[i] = r.body()
		}
		f.deliveries = make([]chat.Delivery, r.count(3))
		for i := range f.deliveries {
			f.deliveries[i] = chat.Delivery{User: r.id(), Seq: r.positive(), Event: r.index(len(f.bodies))}
		}
	case frameEnded:
		f.ended = make([]chat.SessionRef, r.count(2))
		for i := range f.ended {
			f.ended[i] = chat.SessionRef{User: r.id(), Session: r.id()}
		}
	case frameForgotten:
		f.forgotten = make([]chat.Forgotten, r.count(2))
		for i := range f.forgotten {
			f.forgotten[i] = chat.Forgotten{User: r.id(), Seq: r.positive()}
		}
	case frameProbe:
		f.nonce = r.uvarint()
	case frameEphemeral:
		r.ephemerals(&f)
	case frameLost:
	default:
		return frame{}, fmt.Errorf("%w: kind %d", errFrame, f.kind)
	}
	if r.failed || r.rest != "" {
		return frame{}, errFrame
	}
	return f, nil
}

// frameReader reads a payload from the front; after the first failure it
// returns zeros.
type frameReader struct {
	rest   string
	failed bool
}

func (r *frameReader) fail() {
	r.rest, r.failed = "", true
}

func (r *frameReader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *frameReader) uvarint() uint64 {
	var value uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		if r.failed || shift == 63 && b > 1 {
			break
		}
		value |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return value
		}
	}
	r.fail()
	return 0
}

// count reads how many items of at least the given size follow.
func (r *frameReader) count(itemSize int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/itemSize) {
		r.fail()
		return 0
	}
	return int(n)
}

// natural reads an integer that is at least 0.
func (r *frameReader) natural() int64 {
	n := r.uvarint()
	if n > 1<<63-1 {
		r.fail()
		return 0
	}
	return int64(n)
}

// positive reads an integer that is at least 1.
func (r *frameReader) positive() int64 {
	n := r.uvarint()
	if n == 0 || n > 1<<63-1 {
		r.fail()
		return 0
	}
	return int64(n)
}

func (r *frameReader) id() chat.ID { return chat.ID(r.positive()) }

// index reads an index into something of the given length.
func (r *frameReader) index(length int) int {
	n := r.uvarint()
	if n >= uint64(length) {
		r.fail()
		return 0
	}
	return int(n)
}

// ephemerals reads what appendEphemerals wrote.
func (r *frameReader) ephemerals(f *frame) {
	f.ephemerals = make([]chat.Ephemeral, r.count(5))
	for i := range f.ephemerals {
		e := chat.Ephemeral{Topic: chat.EphemeralTopic{Conversation: chat.ID(r.natural()), User: r.id()}, At: chat.Time(r.natural())}
		e.Body = r.body()
		e.Users = make([]chat.ID, r.count(1))
		for j := range e.Users {
			e.Users[j] = r.id()
		}
		f.ephemerals[i] = e
	}
	f.activities = make([]said, r.count(3))
	for i := range f.activities {
		f.activities[i] = said{ref: chat.SessionRef{User: r.id(), Session: r.id()}, activity: activity(r.byte())}
		if f.activities[i].activity > active {
			r.fail()
		}
	}
}

// body copies a body out, so that one event that is kept does not keep the
// whole frame.
func (r *frameReader) body() chat.Body {
	n := r.count(1)
	body := chat.Body(r.rest[:n])
	r.rest = r.rest[n:]
	return body
}
