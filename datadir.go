package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDataDir makes the data folder and keeps it for this process: two nodes
// on one SQLite file would each have a Redis that the other does not see. The
// kernel lets go of the lock when the process ends, however it ends.
func lockDataDir(n *node) error {
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(n.cfg.DataDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("another node uses the data folder %s; give this one its own with LONGWIRE_DATA_DIR", n.cfg.DataDir)
		}
		return errors.Join(err, file.Close())
	}
	n.closers = append(n.closers, file.Close)
	return nil
}
