package main

import (
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// One address has ports for so many connections only.
func TestConnectionsComeFromAsManyAddressesAsTheyNeed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for number, source := range map[int]string{0: "", 24_999: "", 25_000: "127.0.0.2", 49_999: "127.0.0.2", 50_000: "127.0.0.3", 999_999: "127.0.0.40"} {
		if source == "" {
			require.Nil(t, sourceOf(number), number)
			source = "127.0.0.1"
		} else {
			require.Equal(t, source+":0", sourceOf(number).String(), number)
			if runtime.GOOS != "linux" {
				continue // elsewhere the loopback has one address by itself
			}
		}
		conn, err := dial(t.Context(), listener.Addr().String(), number)
		require.NoError(t, err)
		host, _, err := net.SplitHostPort(conn.LocalAddr().String())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, source, host, number)
	}
}
