package chat

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANewMessageBringsAnArchivedConversationBackUnlessItIsMuted(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	archive, unarchive, pin := ConversationPatch{Archived: &yes}, ConversationPatch{Archived: &no}, ConversationPatch{Pinned: &yes}
	mute := func(until Time) ConversationPatch { return ConversationPatch{MutedUntil: &until} }
	// A step is a patch, or a message when it is nil; each takes 10.
	steps := func(all ...*ConversationPatch) (StoredState, Standing) {
		var state StoredState
		at := Standing{LastSeq: 1, LastActivityAt: 100}
		now := Time(100)
		for _, step := range all {
			if now += 10; step == nil {
				at = Standing{LastSeq: at.LastSeq + 1, LastActivityAt: now}
			} else {
				state = step.apply(state, at, now)
			}
		}
		return state, at
	}
	until150, forever, unmuted := mute(150), mute(MutedForever), mute(0)
	for name, test := range map[string]struct {
		steps []*ConversationPatch
		want  bool
	}{
		"nothing":                          {nil, false},
		"archived":                         {[]*ConversationPatch{&archive}, true},
		"archived and back":                {[]*ConversationPatch{&archive, &unarchive}, false},
		"a message":                        {[]*ConversationPatch{&archive, nil}, false},
		"a message, archived again":        {[]*ConversationPatch{&archive, nil, &archive}, true},
		"a message, then muted":            {[]*ConversationPatch{&archive, nil, &forever}, false},
		"muted, a message":                 {[]*ConversationPatch{&forever, &archive, nil, nil}, true},
		"muted afterwards, a message":      {[]*ConversationPatch{&archive, &forever, nil}, true},
		"muted, a message, then unmuted":   {[]*ConversationPatch{&forever, &archive, nil, &unmuted}, true},
		"unmuted, then a message":          {[]*ConversationPatch{&forever, &archive, &unmuted, nil}, false},
		"within the mute":                  {[]*ConversationPatch{&until150, &archive, nil, nil}, true},
		"within the mute and past it":      {[]*ConversationPatch{&until150, &archive, nil, nil, nil}, false},
		"past the mute, archived again":    {[]*ConversationPatch{&until150, &archive, nil, nil, nil, &archive}, true},
		"pinned":                           {[]*ConversationPatch{&archive, &pin}, false},
		"pinned, then archived":            {[]*ConversationPatch{&pin, &archive}, true},
		"marked, which changes nothing":    {[]*ConversationPatch{&archive, {MarkedUnread: &yes}}, true},
		"marked, and a message comes then": {[]*ConversationPatch{&archive, {MarkedUnread: &yes}, nil}, false},
	} {
		state, at := steps(test.steps...)
		assert.Equal(t, test.want, state.Archived(at), name)
		assert.False(t, state.Archived(at) && state.PinnedAt != nil, "%s: never both", name)
	}
	state, _ := steps(&pin, &pin)
	assert.EqualValues(t, 110, *state.PinnedAt, "pinning again does not move it")
}
