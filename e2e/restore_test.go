package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// A backup is put back: what came after it is gone, and nobody may go on as if it were not.
func TestRestoredBackupIsNoticed(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, nil)
	alice, bob := d.friends(t)
	alice.say(bob, "in the backup")
	n := d.node(0)
	file := filepath.Join(n.env["LONGWIRE_DATA_DIR"], "longwire.db")
	_, err := n.terminate()
	require.NoError(t, err)
	backup, err := os.ReadFile(file)
	require.NoError(t, err)

	require.NoError(t, n.start())
	alice.say(bob, "after the backup")
	cursor := bob.everything(500)
	last := cursor[len(cursor)-1].Cursor
	_, err = n.terminate()
	require.NoError(t, err)
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(file + suffix)
	}
	require.NoError(t, os.WriteFile(file, backup, 0o600))
	code, said, failed := longwire(t, settings{"DATA_DIR": n.env["LONGWIRE_DATA_DIR"]}, "epoch", "renew")
	require.Zero(t, code, failed)
	assert.Contains(t, said, "epoch ")

	require.NoError(t, n.start())
	stream := bob.stream(last)
	stream.until("reset", func() bool { return len(stream.resets) == 1 })
	assert.Equal(t, client.ResetReasonEpoch, stream.resets[0])
	alice.say(bob, "after the restore")
	stream.hasMessages("", 1)
	assert.Equal(t, []string{"in the backup", "after the restore"}, bodies(bob.history(conversationWith(t, bob, alice))))
}
