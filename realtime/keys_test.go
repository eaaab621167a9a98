package realtime

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseRegistration: whoever can write to our Redis can write anything.
func FuzzParseRegistration(f *testing.F) {
	f.Add(registration{expires: 1_788_256_800_000, streams: 3, node: "a"}.String())
	f.Add(registration{node: "with:colons:"}.String())
	f.Add("1788256800000:+1:0:a")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := parseRegistration(text)
		if !ok {
			require.Zero(t, r)
			return
		}
		require.GreaterOrEqual(t, r.streams, 0)
		again, ok := parseRegistration(r.String())
		require.True(t, ok)
		require.Equal(t, r, again)
	})
}
