package auth

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSecretIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	first, created, err := LoadOrCreateSecret(path)
	require.NoError(t, err)
	assert.True(t, created)
	assert.Len(t, first, MinSecretBytes)

	again, created, err := LoadOrCreateSecret(path)
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, first, again)

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, hex.EncodeToString(first)+"\n", string(text))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing else is left in the folder")
}

func TestTheSecretIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	path := filepath.Join(t.TempDir(), "secret")
	_, _, err := LoadOrCreateSecret(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, _, err = LoadOrCreateSecret(path)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(path, 0o400))
	_, _, err = LoadOrCreateSecret(path)
	require.NoError(t, err)
}

func TestAFileThatHoldsNoSecretIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty":     "",
		"cut short": hex.EncodeToString(secret('a'))[:40],
		"too long":  hex.EncodeToString(secret('a')) + "00",
		"words":     "correct horse battery staple",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, created, err := LoadOrCreateSecret(path)
		require.ErrorContains(t, err, "64 hexadecimal digits", name)
		assert.False(t, content != "" && strings.Contains(err.Error(), content), name)
		assert.False(t, created)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(kept))
	}
	_, _, err := LoadOrCreateSecret(dir)
	require.ErrorContains(t, err, "not a regular file")
	_, _, err = LoadOrCreateSecret(filepath.Join(dir, "no such folder", "secret"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestManyStartingAtOnceAgreeOnOneSecret(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "secret")
		var group sync.WaitGroup
		var mu sync.Mutex
		made, seen, failures := 0, map[string]int{}, []error(nil)
		for range 8 {
			group.Go(func() {
				got, created, err := LoadOrCreateSecret(path)
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
				seen[string(got)]++
				if created {
					made++
				}
			})
		}
		group.Wait()
		require.NoError(t, errors.Join(failures...))
		require.Equal(t, 1, made)
		require.Len(t, seen, 1)
	}
}
