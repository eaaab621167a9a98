package handlers

import (
	"net"
	"syscall"
)

// smallBuffers is a listener whose connections send little at once.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, isTCP := conn.(*net.TCPConn); err == nil && isTCP {
		err = tcp.SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// receiveLittle makes a connection of a client hold little; it must be said before there is one.
func receiveLittle(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
	})
	if err != nil {
		return err
	}
	return failed
}
