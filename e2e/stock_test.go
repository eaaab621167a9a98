package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStockGeneratedClientWorks generates a client from what a node serves, with the generator's own settings and nothing of ours, and
// has it do what the README does. The generator is the one that the build has; it is built if need be.
func TestStockGeneratedClientWorks(t *testing.T) {
	t.Parallel()
	d, dir := sharedDeployment(t, embedded), t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, args...)
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), output)
		return string(output)
	}
	served := filepath.Join(dir, "openapi.json")
	got := ask(t, d.http(t), raw{url: d.url(0, "/openapi.json")})
	require.NoError(t, os.WriteFile(served, got.body, 0o600))
	generator, generated := filepath.Join(dir, "oapi-codegen"), filepath.Join(dir, "api.go")
	run("go", "build", "-C", "../tools", "-o", generator, "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen")
	run(generator, "-generate", "types,client", "-package", "main", "-o", generated, served)

	// Both files stand in a package that is on no disk, so that they see the module's dependencies.
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	program, err := filepath.Abs("testdata/stock/main.go")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "e2e/stock/main.go"): program, filepath.Join(root, "e2e/stock/api.go"): generated,
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	run("go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "stock"), "longwire/e2e/stock")

	name := strings.ToLower(rand.Text()[:12])
	said := run(filepath.Join(dir, "stock"), d.node(0).url, "alice-"+name, "bob-"+name)
	assert.Equal(t, "Hello, Bob.\n", said, "once, although it was sent twice")
}
