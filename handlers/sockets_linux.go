package handlers

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sockets tells parked streams what happens to their sockets: that the peer has
// closed, or that there is room again for what did not fit. It is an epoll of
// our own beside the runtime's, because the runtime tells a goroutine that
// waits, and a parked stream has none.
type sockets struct {
	epoll int
	bell  int // an eventfd that ends watch

	mu      sync.Mutex
	watched map[int32]watched // by file descriptor; guarded by mu
	adds    int32             // guarded by mu
}

// watched is a stream and which call of add it came by. A descriptor's number is
// used again at once: what is told of one may be about the stream before.
type watched struct {
	stream *parkedStream
	add    int32
}

// open prepares the watch; false where the platform has none.
func (s *sockets) open() (supported bool, err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return false, fmt.Errorf("epoll: %w", err)
	}
	if s.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return false, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(s.epoll))
	}
	s.watched = map[int32]watched{}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, s.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.bell)}); err != nil {
		s.close()
		return false, fmt.Errorf("epoll: %w", err)
	}
	return true, nil
}

// add watches a stream's socket until release, and closes it if it cannot.
func (s *sockets) add(fd int, stream *parkedStream) error {
	s.mu.Lock()
	s.adds++
	add := s.adds // it may overflow: only neighbours must differ
	s.watched[int32(fd)] = watched{stream, add}
	s.mu.Unlock()
	// Edge-triggered: told once when the peer closes, and each time that a full
	// socket has room again; no system call asks for it.
	events := uint32(unix.EPOLLRDHUP | unix.EPOLLOUT | unix.EPOLLET)
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd), Pad: add}); err != nil {
		s.release(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// release ends the watch and closes the socket, unless close has done so.
func (s *sockets) release(fd int) {
	s.mu.Lock()
	_, there := s.watched[int32(fd)]
	delete(s.watched, int32(fd)) // before it is closed: afterwards its number may be another's
	s.mu.Unlock()
	if there {
		closeSocket(fd)
	}
}

// watch tells streams what happens until ring.
func (s *sockets) watch() {
	var events [128]unix.EpollEvent
	for {
		n, err := unix.EpollWait(s.epoll, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // cannot happen to an epoll that is open
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd == int32(s.bell) {
				return
			}
			s.tell(event)
		}
	}
}

// tell tells a stream what happened to its socket.
func (s *sockets) tell(event unix.EpollEvent) {
	const gone = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	s.mu.Lock()
	w := s.watched[event.Fd]
	s.mu.Unlock()
	switch {
	case w.stream == nil || w.add != event.Pad: // it is over
	case event.Events&gone != 0:
		w.stream.peerLeft()
	default:
		w.stream.writable()
	}
}

// ring ends watch.
func (s *sockets) ring() {
	_, _ = unix.Write(s.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // a counter with room for one ring
}

// close gives the watch's own descriptors back, and the sockets that are left.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fd := range s.watched {
		closeSocket(int(fd))
	}
	clear(s.watched)
	_ = unix.Close(s.bell) // nothing can be done about it
	_ = unix.Close(s.epoll)
}

// detach returns the socket of a connection and closes the connection, which
// leaves the socket open. What Go keeps for a connection, its place in the
// runtime's poller above all, is half of what an idle stream would cost.
func detach(conn net.Conn) (int, error) {
	defer func() { _ = conn.Close() }() // of two descriptors; nothing is lost by it
	with, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("a %T has no socket", conn)
	}
	raw, err := with.SyscallConn()
	if err != nil {
		return 0, err
	}
	socket := 0
	controlled := raw.Control(func(fd uintptr) { socket, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return socket, errors.Join(controlled, err)
}

// closeSocket closes what detach returned. What matters was written.
func closeSocket(fd int) { _ = unix.Close(fd) }

// tryWrite writes what fits into the socket now, and says how much that was.
func tryWrite(fd int, b []byte) (int, error) {
	for written := 0; ; {
		n, err := unix.Write(fd, b[written:])
		written += max(n, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN), err == nil && written == len(b):
			return written, nil
		case err != nil:
			return written, fmt.Errorf("write: %w", err)
		}
	}
}
