package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		edits: []edit{{"realtime/log.go", "if l.last != unanchored && seq == l.last+1 && seq >= l.forgotten {", "if l.last != unanchored && seq > l.last && seq >= l.forgotten {"}},
	},
	{
		name: "a commit that fails is taken for one that did not", faults: 24, only: "mysql: killed|mysql: connections",
		edits: []edit{
			{"repo/transact.go", "\treturn x.note(tx.Commit())\n", "\t_ = tx.Commit()\n\treturn nil\n"},
			{"repo/joined.go", "\tcommitted = err == nil\n\tif errors.Is(err, errDuplicate) {", "\tcommitted, err = err == nil, nil\n\tif errors.Is(err, errDuplicate) {"},
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
		edits: []edit{
			{"repo/audience.go", "known == nil || known.audience.Version != c.version", "known == nil"},
			{"repo/foreseen.go", "known && chunk[i].audience.Version == c.version", "known"},
		},
	},
	{
		// The faults are there for time: that somebody is refused without a key is rare.
		name: "seqs are given ahead and nothing comes of it", faults: 16, only: "redis: slow",
		edits: []edit{{"repo/commit.go", "len(b.accepted) < len(b.out)", "len(b.accepted) > 0 && len(b.accepted) < len(b.out)"}},
	},
}

// TestPlantedBugsStillFitTheProgram makes sure that the proof that the attack
// sees them, which takes minutes and runs under its own tag, can be made.
func TestPlantedBugsStillFitTheProgram(t *testing.T) {
	t.Parallel()
	for _, bug := range plantedBugs {
		require.NotEmpty(t, mutated(t, bug.edits), bug.name)
	}
}

// mutated returns the changed files by path; the sources stay as they are.
func mutated(t *testing.T, edits []edit) map[string]string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	changed := map[string]string{}
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
	return changed
}
