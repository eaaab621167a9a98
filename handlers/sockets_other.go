//go:build !linux

package handlers

import (
	"errors"
	"net"
)

// sockets does nothing here: streams are not parked, each keeps its goroutine.
type sockets struct{}

func (*sockets) open() (supported bool, err error) { return false, nil }
func (*sockets) add(int, *parkedStream) error      { return errors.ErrUnsupported }
func (*sockets) release(int)                       {}
func (*sockets) watch()                            {}
func (*sockets) ring()                             {}
func (*sockets) close()                            {}

func detach(net.Conn) (int, error) { return 0, errors.ErrUnsupported }

func tryWrite(int, []byte) (int, error) { return 0, errors.ErrUnsupported }
