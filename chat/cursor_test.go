package chat_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

var cursorAlphabet = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,512}$`)

func TestCursorComesBackAsItWent(t *testing.T) {
	t.Parallel()
	for _, seq := range []int64{0, 1, 42, 1 << 62} {
		text := chat.Cursor{Epoch: "a1b2c3d4", Seq: seq}.String(77)
		assert.Regexp(t, cursorAlphabet, text)
		assert.Equal(t, text, string(chat.AppendCursor(nil, chat.CursorPrefix("a1b2c3d4", 77), seq)))
		back, err := chat.ParseCursor(text, 77)
		require.NoError(t, err)
		assert.Equal(t, chat.Cursor{Epoch: "a1b2c3d4", Seq: seq}, back)
	}
}

func TestCursorOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	_, err := chat.ParseCursor(chat.Cursor{Epoch: "e", Seq: 5}.String(1), 2)
	assert.Equal(t, chat.CodeInvalidCursor, chat.CodeOf(err))
}

func TestGarbageIsNoCursor(t *testing.T) {
	t.Parallel()
	good := chat.Cursor{Epoch: "epoch", Seq: 5}.String(1)
	for _, text := range []string{
		"", "x", "1..x.5", good + "x", good + "\n", " " + good, strings.Replace(good, "1.", "2.", 1),
		strings.TrimSuffix(good, "5") + "05", strings.TrimSuffix(good, "5") + "-5", strings.TrimSuffix(good, "5") + "+5",
		strings.TrimSuffix(good, "5") + "99999999999999999999", strings.TrimSuffix(good, "5"), strings.ToUpper(good), strings.Repeat("1", 513),
	} {
		_, err := chat.ParseCursor(text, 1)
		assert.Equal(t, chat.CodeInvalidCursor, chat.CodeOf(err), "%q", text)
	}
}

// FuzzParseCursor: whatever a client sends either is refused or is the one
// spelling of a cursor.
func FuzzParseCursor(f *testing.F) {
	f.Add(chat.Cursor{Epoch: "a1b2c3d4", Seq: 42}.String(7))
	f.Add("begin")
	f.Add("1.a.bbbbbbbb.1")
	f.Add("1.a..")
	f.Fuzz(func(t *testing.T, text string) {
		cursor, err := chat.ParseCursor(text, 7)
		if err != nil {
			assert.Equal(t, chat.CodeInvalidCursor, chat.CodeOf(err))
			return
		}
		assert.Equal(t, text, cursor.String(7))
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(chat.ID(1).String())
	f.Add("zzzzzzzzzzzzz")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := chat.ParseID(text)
		if err != nil {
			assert.Equal(t, chat.CodeNotFound, chat.CodeOf(err))
			return
		}
		assert.Equal(t, text, id.String())
		assert.Positive(t, id)
	})
}
