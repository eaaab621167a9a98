package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// installing is held while something is installed: two at once would be in each other's way.
var installing sync.Mutex

// program returns the path of a program that tests need beside the node; need is what scripts/need makes of it, "package=command|another".
func program(t *testing.T, need string) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	output, err := exec.CommandContext(t.Context(), "../scripts/need", need).CombinedOutput()
	require.NoError(t, err, "%s", output)
	_, commands, _ := strings.Cut(need, "=")
	for name := range strings.SplitSeq(commands, "|") {
		for _, folder := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				return path
			}
		}
	}
	require.FailNow(t, need+" is not there")
	return ""
}
