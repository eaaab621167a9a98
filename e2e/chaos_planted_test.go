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

// edit replaces a text of the program, which must be there once.
type edit struct{ file, old, new string }

// plantedBugs are programs that are wrong in one way each.
var plantedBugs = []struct {
	name   string
	edits  []edit
	faults int
	only   string // the faults under which the bug shows
}{
	{
		name: "announcements are lost and the head check is gone", faults: 0,
		edits: []edit{
			{"realtime/log.go", "func (l *log) deliver(seq int64, body chat.Body) {\n", "func (l *log) deliver(seq int64, body chat.Body) {\n\tif seq%11 == 0 {\n\t\treturn\n\t}\n"},
			{"realtime/checker.go", "func (c *checker) check(ctx context.Context, inboxes []*inbox, since time.Duration) {\n", "func (c *checker) check(ctx context.Context, inboxes []*inbox, since time.Duration) {\n\tif ctx != nil {\n\t\treturn\n\t}\n"},
		},
	},
	{
		name: "announced before the commit", faults: 8, only: "mysql",
		edits: []edit{
			{"chat/sender.go", "\ts := &Sender{store", "\tAnnounceEarly = announcer.Announce\n\ts := &Sender{store"},
			{"chat/sender.go", "\tif !announcement.Empty() {\n\t\ts.announcer.Announce(announcement)\n\t}\n", ""},
			{"chat/sender.go", "// NewSender returns", "// AnnounceEarly is a planted bug.\nvar AnnounceEarly func(Announcement)\n\n// NewSender returns"},
			{"repo/commit.go", "\t\treturn b.commit()\n", "\t\terr := b.commit()\n\t\tif err == nil {\n\t\t\tchat.AnnounceEarly(b.announcement)\n\t\t}\n\t\treturn err\n"},
		},
	},
	{
		name: "holes are not noticed", faults: 12, only: "redis",
		edits: []edit{{"realtime/log.go", "if l.last != unanchored && seq == l.last+1 {\n\t\tl.appendEvent(chat", "if l.last != unanchored && seq > l.last {\n\t\tl.appendEvent(chat"}},
	},
	{
		name: "a commit that fails is taken for one that did not", faults: 24, only: "mysql: killed|mysql: connections",
		edits: []edit{
			{"repo/transact.go", "\treturn x.note(tx.Commit())\n", "\t_ = tx.Commit()\n\treturn nil\n"},
			{"repo/joined.go", "\tcommitted = err == nil\n\treturn err\n", "\tcommitted = err == nil\n\treturn nil\n"},
		},
	},
	{
		name: "a retry stores the message again", faults: 6, only: "people|node: killed|mysql: connections",
		edits: []edit{
			{"repo/commit.go", "if known, replay := b.replays[key]; replay && key.key != \"\" {", "if known, replay := b.replays[key]; replay && key.key == \"never\" {"},
			{"repo/commit.go", "b.text.arg(m.IdempotencyKey).sql(\",\").bytes", "b.text.arg(m.IdempotencyKey+chat.NewBugID()).sql(\",\").bytes"},
			{"chat/sender.go", "// NewSender returns", "// NewBugID is a planted bug.\nfunc NewBugID() string { return \"-\" + time.Now().Format(\"150405.000000000\") }\n\n// NewSender returns"},
		},
	},
	{
		name: "a change of members is not noticed", faults: 0,
		edits: []edit{{"repo/audience.go", "known != nil && known.Version == version", "known != nil"}},
	},
}

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
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	changed, overlay := map[string]string{}, map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, e.file)
		if _, found := changed[path]; !found {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			changed[path] = string(text)
		}
		require.Equal(t, 1, strings.Count(changed[path], e.old), "%s has changed; this text must be there once:\n%s", e.file, e.old)
		changed[path] = strings.Replace(changed[path], e.old, e.new, 1)
	}
	for path, text := range changed {
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
