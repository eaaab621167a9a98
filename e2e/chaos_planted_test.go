//go:build planted

package e2e_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestChaosSeesPlantedBugs proves that the attack finds what it is there to find.
func TestChaosSeesPlantedBugs(t *testing.T) {
	for _, bug := range plantedBugs {
		t.Run(bug.name, func(t *testing.T) {
			options := chaosOptions{
				seed: *chaosSeed, faults: bug.faults, wave: 4, nodes: 2, members: 8, pace: 100 * time.Millisecond, stay: 3 * time.Second,
				look: 1, lastWords: 15, only: bug.only, deliveries: 1000, most: 2 * time.Minute, binary: buildMutant(t, bug.edits),
				// A stream that ends soon is how a lost announcement is found all the same.
				given: settings{"STREAM_LIFETIME": "5m"},
			}
			if options.seed == 0 {
				options.seed = rand.Int64N(1_000_000)
			}
			violations, report := runChaos(t, options)
			t.Log(report)
			assert.NotEmpty(t, violations, "nobody noticed")
			for _, v := range violations[:min(len(violations), 3)] {
				t.Log(v)
			}
		})
	}
}

// buildMutant builds the program with some texts replaced. The sources stay as they are.
func buildMutant(t *testing.T, edits []edit) string {
	t.Helper()
	dir := t.TempDir()
	overlay := map[string]string{}
	for path, text := range mutated(t, edits) {
		mutant := filepath.Join(dir, strings.ReplaceAll(path, string(filepath.Separator), "_"))
		require.NoError(t, os.WriteFile(mutant, []byte(text), 0o600))
		overlay[path] = mutant
	}
	encoded, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, encoded, 0o600))
	return buildNode(t, filepath.Join(dir, "longwire"), "-overlay", file)
}
