package handlers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is told of a socket when its number is another's already concerns nobody.
func TestWordOfASocketThatIsGoneEndsNoOther(t *testing.T) {
	t.Parallel()
	var s sockets
	_, err := s.open()
	require.NoError(t, err)
	t.Cleanup(s.close)
	var pair [2]int
	add := func(stream *parkedStream) unix.EpollEvent {
		pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, s.add(pair[0], stream))
		require.NoError(t, unix.Close(pair[1]))
		var events [1]unix.EpollEvent
		n, err := unix.EpollWait(s.epoll, events[:], 1000)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return events[0]
	}
	first, second := &parkedStream{place: &parking{}}, &parkedStream{place: &parking{}}
	first.state.Store(over)
	second.state.Store(over)
	late := add(first)
	s.release(pair[0])
	now := add(second)
	require.Equal(t, late.Fd, now.Fd, "the number is used again")
	s.tell(late)
	require.False(t, second.left.Load())
	s.tell(now)
	require.True(t, second.left.Load())
}
