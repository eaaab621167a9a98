package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

// conn is one connection that is kept for requests one after the other. It
// knows as much of HTTP/1.1 as its servers speak, so that it costs little
// beside them.
type conn struct {
	tcp    *net.TCPConn
	reader *bufio.Reader
	body   []byte // of the last response; good until the next request
}

// perSource is how many connections come from one address of this machine: the
// ports of an address are fewer than 28,232 (ip_local_port_range).
const perSource = 25_000

// sourceOf returns which loopback address a connection of that number comes
// from: nil, which is 127.0.0.1, for the first many, then 127.0.0.2, and so on.
func sourceOf(number int) net.Addr {
	if source := number / perSource; source > 0 {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+source))}
	}
	return nil
}

// dial connects, from the address that belongs to the number of the connection.
func dial(ctx context.Context, address string, number int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: 20 * time.Second, LocalAddr: sourceOf(number)}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("dialled a %T", raw), raw.Close())
	}
	return tcp, nil
}

// newConn connects for requests that are all to be over at the deadline of ctx.
func newConn(ctx context.Context, address string, number int) (*conn, error) {
	tcp, err := dial(ctx, address, number)
	if err != nil {
		return nil, err
	}
	c := &conn{tcp: tcp, reader: bufio.NewReaderSize(tcp, 4<<10)}
	if deadline, ok := ctx.Deadline(); ok {
		if err := tcp.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
	}
	return c, nil
}

func (c *conn) close() {
	_ = c.tcp.Close()
}

// exchange sends a whole request and reads the response: its status, and its
// body into c.body.
func (c *conn) exchange(request []byte) (status int, err error) {
	if _, err := c.tcp.Write(request); err != nil {
		return 0, err
	}
	head, err := readHead(c.reader)
	if err != nil {
		return 0, err
	}
	c.body = c.body[:0]
	if head.chunked {
		return head.status, c.readChunks()
	}
	return head.status, c.readBody(head.length)
}

// head is what is wanted of a response's head.
type head struct {
	status  int
	length  int
	chunked bool
}

var (
	headerLength  = []byte("content-length:")
	headerChunked = []byte("transfer-encoding: chunked")
)

func readHead(r *bufio.Reader) (h head, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
				return h, fmt.Errorf("no response of HTTP/1.1: %q", line)
			}
			if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return h, err
			}
		case len(line) == 0:
			return h, nil
		case hasPrefixFold(line, headerLength):
			if h.length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(headerLength):]))); err != nil {
				return h, err
			}
		case hasPrefixFold(line, headerChunked):
			h.chunked = true
		}
	}
}

// hasPrefixFold tells whether line begins with a name, in any case.
func hasPrefixFold(line, prefix []byte) bool {
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], prefix)
}

func (c *conn) readBody(length int) error {
	begin := len(c.body)
	c.body = slices.Grow(c.body, length)[:begin+length]
	_, err := io.ReadFull(c.reader, c.body[begin:])
	return err
}

func (c *conn) readChunks() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if err := c.readBody(int(size)); err != nil {
			return err
		}
		if _, err := c.reader.Discard(2); err != nil { // the line's end
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

// parseHead reads a head that is there as a whole.
func parseHead(b []byte) (head, error) {
	return readHead(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
}
