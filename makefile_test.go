package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What `make run` starts is for who runs it: anybody may register.
func TestMakeRunListensOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "make", "--dry-run", "--silent", "--old-file=build", "run")
	recipe, err := command.Output()
	require.NoError(t, err)
	require.Contains(t, string(recipe), "exec bin/longwire serve")
	script := strings.ReplaceAll(string(recipe), "exec bin/longwire serve", "printenv LONGWIRE_LISTEN LONGWIRE_OPS_LISTEN")
	for want, env := range map[string][]string{
		"127.0.0.1:8080\n127.0.0.1:9090\n": {},
		"127.0.0.1:3000\n127.0.0.1:9090\n": {"PORT=3000"},
		":80\n\n":                          {"LONGWIRE_LISTEN=:80", "LONGWIRE_OPS_LISTEN="},
	} {
		command := exec.CommandContext(t.Context(), "sh", "-c", script)
		command.Env = append(env, "PATH="+os.Getenv("PATH"))
		listens, err := command.Output()
		require.NoError(t, err)
		assert.Equal(t, want, string(listens))
	}
}
