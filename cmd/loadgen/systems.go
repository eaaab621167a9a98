package main

import "strconv"

// system is one of the two that are driven.
type system struct {
	name      string   // nameBare or nameLongwire
	addresses []string // of its nodes
	ops       []string // where the nodes' profiles are; empty = nowhere
	processes []process
	api       dialect
	numbered  bool // cursors end in a number that grows by one in each inbox
}

const (
	nameBare     = "bare"
	nameLongwire = "longwire"
)

// sending is the node that is sent to, reading the one that is read from: two
// where there are two.
func (s *system) sending() string { return s.addresses[0] }

func (s *system) reading() string { return s.addresses[len(s.addresses)-1] }

// dialect is how a system is spoken to. Users and groups are those of the world.
type dialect interface {
	// toUser and toGroup append a whole request that sends message n.
	toUser(b []byte, from, to int, n int64) []byte
	toGroup(b []byte, from, group int, n int64) []byte
	// stream and poll append a whole request that reads from a cursor, "" being
	// what comes from now on. The group is one that the user is to hear, none
	// for nobody's.
	stream(user, group int, cursor string) []byte
	poll(b []byte, user int, cursor string, wait int) []byte
}

// none is no group.
const none = -1

// bareDialect speaks to the bare loop.
type bareDialect struct{}

func (bareDialect) toUser(b []byte, _, to int, n int64) []byte {
	return bareSend(b, "u", to, n)
}

func (bareDialect) toGroup(b []byte, _, group int, n int64) []byte {
	return bareSend(b, "g", group, n)
}

func bareSend(b []byte, kind string, to int, n int64) []byte {
	topic := kind + strconv.Itoa(to)
	b = append(b, "POST /send HTTP/1.1\r\nHost: bare\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(`{"to":"","body":""}`)+len(topic)+bodyLength), 10)
	b = append(b, "\r\n\r\n{\"to\":\""...)
	b = append(b, topic...)
	b = append(b, `","body":"`...)
	b = appendBody(b, n)
	return append(b, `"}`...)
}

func (bareDialect) stream(user, group int, _ string) []byte {
	b := append([]byte("GET /stream?topics=u"), strconv.Itoa(user)...)
	if group != none {
		b = append(append(b, ",g"...), strconv.Itoa(group)...)
	}
	return append(b, " HTTP/1.1\r\nHost: bare\r\nAccept: text/event-stream\r\n\r\n"...)
}

func (bareDialect) poll(b []byte, user int, _ string, wait int) []byte {
	b = append(b, "GET /poll?topics=u"...)
	b = strconv.AppendInt(b, int64(user), 10)
	b = append(b, "&wait="...)
	b = strconv.AppendInt(b, int64(wait), 10)
	return append(b, " HTTP/1.1\r\nHost: bare\r\n\r\n"...)
}

// longwireDialect speaks to Longwire.
type longwireDialect struct {
	world *world
}

func (d *longwireDialect) toUser(b []byte, from, to int, n int64) []byte {
	return d.message(b, "users", d.world.people[to].name, from, n)
}

func (d *longwireDialect) toGroup(b []byte, from, group int, n int64) []byte {
	return d.message(b, "groups", d.world.groups[group].name, from, n)
}

func (d *longwireDialect) message(b []byte, kind, to string, from int, n int64) []byte {
	b = append(b, "POST /v1/"...)
	b = append(b, kind...)
	b = append(b, '/')
	b = append(b, to...)
	b = append(b, "/messages HTTP/1.1\r\nHost: longwire\r\nContent-Type: application/json\r\nIdempotency-Key: "...)
	b = append(b, d.world.run...)
	b = append(b, '-')
	b = strconv.AppendInt(b, d.world.keys.Add(1), 36)
	b = d.authorize(b, from)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(`{"body":""}`)+bodyLength), 10)
	b = append(b, "\r\n\r\n{\"body\":\""...)
	b = appendBody(b, n)
	return append(b, `"}`...)
}

func (d *longwireDialect) authorize(b []byte, user int) []byte {
	b = append(b, "\r\nAuthorization: Bearer "...)
	b = append(b, d.world.people[user].token...)
	return append(b, "\r\n"...)
}

func (d *longwireDialect) stream(user, _ int, cursor string) []byte {
	var b []byte
	if cursor == "" {
		b = append(b, "GET /v1/inbox/stream?cursor=now HTTP/1.1\r\nHost: longwire"...)
	} else {
		b = append(b, "GET /v1/inbox/stream HTTP/1.1\r\nHost: longwire\r\nLast-Event-ID: "...)
		b = append(b, cursor...)
	}
	b = append(b, "\r\nAccept: text/event-stream"...)
	return append(d.authorize(b, user), "\r\n"...)
}

func (d *longwireDialect) poll(b []byte, user int, cursor string, wait int) []byte {
	if cursor == "" {
		cursor = "now"
	}
	b = append(b, "GET /v1/inbox/poll?cursor="...)
	b = append(b, cursor...)
	b = append(b, "&wait="...)
	b = strconv.AppendInt(b, int64(wait), 10)
	b = append(b, " HTTP/1.1\r\nHost: longwire"...)
	return append(d.authorize(b, user), "\r\n"...)
}
