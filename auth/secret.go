package auth

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LoadOrCreateSecret returns the 32-byte secret kept in the file at path, as hexadecimal text, and makes the file, for its
// owner's eyes only, when there is none. Of several processes that do so at once, one makes it and all get the same. A file
// that others may read, or that holds something else, is refused: its secret can no longer be trusted.
func LoadOrCreateSecret(path string) (secret []byte, created bool, err error) {
	secret, err = loadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, false, err
	}
	secret = make([]byte, MinSecretBytes)
	rand.Read(secret) // never fails: it ends the program instead
	switch err := createSecret(path, secret); {
	case errors.Is(err, fs.ErrExist):
		secret, err = loadSecret(path) // another process was quicker
		return secret, false, err
	case err != nil:
		return nil, false, fmt.Errorf("keep the signing secret: %w", err)
	}
	return secret, true, nil
}

func loadSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	// Windows has no such bits and shows 0666 for all.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%s holds a signing secret and others may read it (mode %04o): delete it to get a new one, or `chmod 600` it", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, 1024))
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != MinSecretBytes {
		return nil, fmt.Errorf("%s does not hold %d hexadecimal digits: delete it to get a new secret, which logs everybody out", path, 2*MinSecretBytes)
	}
	return secret, nil
}

// createSecret makes the file appear whole or not at all: written under another name, then linked, which fails with
// fs.ErrExist when somebody else's file is there.
func createSecret(path string, secret []byte) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".secret-*") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // the other name stays
	_, err = temp.WriteString(hex.EncodeToString(secret) + "\n")
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in dir outlive a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be flushed there
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
