package e2e_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quickStart is the block of the README that people paste.
var quickStart = regexp.MustCompile("(?s)<!-- quick start: tested line by line -->\n```sh\n(.*?)```\n")

func TestQuickStartWorksAsPasted(t *testing.T) {
	onFresh(t, settings{}, func(t *testing.T, d *deployment) {
		readme, err := os.ReadFile("../README.md")
		require.NoError(t, err)
		block := quickStart.FindSubmatch(readme)
		require.NotNil(t, block, "the README has a quick start")
		shell := exec.CommandContext(t.Context(), "bash", "-eu")
		shell.Stdin = strings.NewReader(string(block[1])) // line by line, as from a terminal
		shell.Env = append(os.Environ(), "H="+d.url(0, ""))
		output, err := shell.CombinedOutput()
		require.NoError(t, err, string(output))
		said := string(output)
		assert.Contains(t, said, "event: hello")
		assert.Contains(t, said, `"state":"accepted"`)
		streamed := regexp.MustCompile(`(?m)^data: .*"type":"message\.created".*Hello, Bob!`).FindAllString(said, -1)
		assert.Len(t, streamed, 1, "sent twice with one key, received once\n%s", said)
		assert.Contains(t, said, `"type":"message.created"`)
		assert.Contains(t, said, `"has_more":false`)
	})
}
