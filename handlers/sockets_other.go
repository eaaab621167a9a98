//go:build !linux

package handlers

import "errors"

// sockets does nothing here: streams are not parked, each keeps its goroutine.
type sockets struct{}

func (*sockets) open() (supported bool, err error) { return false, nil }
func (*sockets) add(int, *parkedStream) error      { return errors.ErrUnsupported }
func (*sockets) remove(int)                        {}
func (*sockets) watch()                            {}
func (*sockets) ring()                             {}
func (*sockets) close()                            {}

func tryWrite(int, []byte) (int, error) { return 0, errors.ErrUnsupported }
