package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// errDataInUse is what whoever comes second to a data folder gets.
var errDataInUse = errors.New("the data folder is in use")

// lockDataDir makes the data folder and keeps it for this process until it is
// released: two nodes on one SQLite file would each have a Redis that the other
// does not see, and a command would change tables under a node that serves. The
// kernel lets go of the lock when the process ends, however it ends.
func lockDataDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errDataInUse
		}
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}
