package chat

import "context"

// ConversationUpdated tells a user's devices what the user has set for a conversation.
const ConversationUpdated EventType = "conversation.updated"

// ConversationAdded tells a user's devices of a conversation that they may not
// know, because it is in none of the user's lists yet or was not any more: with
// the first message that there is to show in it, or when the user becomes a
// member of the group. Its data is the [Conversation] as it is right before
// that message, without a last one: what was said before is history.
const ConversationAdded EventType = "conversation.added"

// MutedForever is the muted_until of a conversation that is muted without an end.
const MutedForever Time = 253_402_300_799_999 // 9999-12-31T23:59:59.999Z

// ConversationState is what a user has set for a conversation, the same on all
// of the user's devices; nobody else learns of it.
type ConversationState struct {
	Pinned       bool  `json:"pinned"`
	PinnedAt     *Time `json:"pinned_at"`   // nil = not pinned; the latest stands first
	MutedUntil   *Time `json:"muted_until"` // nil, or past = not muted
	Archived     bool  `json:"archived"`
	MarkedUnread bool  `json:"marked_unread"`
	ClearedSeq   int64 `json:"cleared_seq"` // messages up to here are hidden; 0 = none
}

// equal tells whether a client could see no difference.
func (s ConversationState) equal(other ConversationState) bool {
	return s.Pinned == other.Pinned && sameTime(s.PinnedAt, other.PinnedAt) && sameTime(s.MutedUntil, other.MutedUntil) &&
		s.Archived == other.Archived && s.MarkedUnread == other.MarkedUnread && s.ClearedSeq == other.ClearedSeq
}

func sameTime(a, b *Time) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// ConversationUpdatedData says what a user has set for a conversation, and what
// is unread for it, of the messages up to LastSeq. All of it is absolute.
type ConversationUpdatedData struct {
	ConversationID ID `json:"conversation_id"`
	ConversationState

	UnreadCount    int64 `json:"unread_count"`
	MentionsUnread int64 `json:"mentions_unread"`
	LastSeq        int64 `json:"last_seq"`
}

// Standing is how far a conversation has come.
type Standing struct {
	LastSeq        int64
	LastActivityAt Time
}

// StoredState is a ConversationState as it is kept. The zero value is what is so by itself.
type StoredState struct {
	PinnedAt     *Time
	MutedUntil   Time   // 0 = not muted
	ArchivedSeq  *int64 // the last seq when it was archived; see Archived
	MarkedUnread bool
	ClearedSeq   int64
}

// Archived tells whether an archived conversation still is. A message brings it
// back, unless the conversation was muted when the message came. Because a
// conversation's activity never goes back in time, it is enough to look at the
// last one, and sending has nothing to write for it.
func (s StoredState) Archived(at Standing) bool {
	return s.ArchivedSeq != nil && (at.LastSeq <= *s.ArchivedSeq || at.LastActivityAt < s.MutedUntil)
}

// Shown tells whether the conversation has anything to show.
func (s StoredState) Shown(at Standing) bool {
	return at.LastSeq > s.ClearedSeq
}

// Seen returns the state as its user sees it.
func (s StoredState) Seen(at Standing) ConversationState {
	seen := ConversationState{
		Pinned: s.PinnedAt != nil, PinnedAt: s.PinnedAt, Archived: s.Archived(at), MarkedUnread: s.MarkedUnread, ClearedSeq: s.ClearedSeq,
	}
	if s.MutedUntil != 0 {
		seen.MutedUntil = &s.MutedUntil
	}
	return seen
}

// ConversationPatch changes what is not nil.
type ConversationPatch struct {
	Pinned       *bool
	MutedUntil   *Time // 0 = not muted
	Archived     *bool
	MarkedUnread *bool
}

// apply returns the state with what the patch has. What is pinned is not
// archived: doing the one undoes the other.
func (p ConversationPatch) apply(s StoredState, at Standing, now Time) StoredState {
	archived := s.Archived(at)
	if p.MutedUntil != nil {
		s.MutedUntil = *p.MutedUntil
	}
	if p.MarkedUnread != nil {
		s.MarkedUnread = *p.MarkedUnread
	}
	if p.Pinned != nil {
		switch {
		case !*p.Pinned:
			s.PinnedAt = nil
		case s.PinnedAt == nil:
			s.PinnedAt, archived = &now, false
		}
	}
	if p.Archived != nil {
		if archived = *p.Archived; archived {
			s.PinnedAt = nil
		}
	}
	s.ArchivedSeq = nil
	if archived { // from here on: what the mute kept archived stays so when it ends
		s.ArchivedSeq = &at.LastSeq
	}
	return s
}

// ArchivedFilter selects conversations by whether they are archived.
type ArchivedFilter string

// The filters; "" is ArchivedNo.
const (
	ArchivedNo  ArchivedFilter = "false"
	ArchivedYes ArchivedFilter = "true"
	ArchivedAny ArchivedFilter = "any"
)

// ConversationFilter selects among a user's conversations. The zero value is
// all that are not archived.
type ConversationFilter struct {
	Archived ArchivedFilter
	Pinned   bool // only pinned ones, the latest pinned first
	Unread   bool // only those with unread messages, or marked unread
}

// stateTx is the part of [Tx] for what users set for conversations.
type stateTx interface {
	// StateOf returns what a user has set for a locked conversation, and how
	// far that has come.
	StateOf(conversation, user ID) (StoredState, Standing, error)
	// SetState stores what a user has set for a locked conversation.
	SetState(conversation, user ID, state StoredState, at Standing) error
	// CountPinned returns how many conversations a locked user has pinned.
	CountPinned(user ID) (int, error)
}

// UpdateConversation changes what the caller has set for a conversation. It
// tells the caller's devices when anything changed.
func (s *Service) UpdateConversation(ctx context.Context, caller Caller, id ID, patch ConversationPatch) (Conversation, error) {
	if err := checkConversationPatch(patch, TimeOf(s.now())); err != nil {
		return Conversation{}, err
	}
	pinning := patch.Pinned != nil && *patch.Pinned
	err := s.commit(ctx, func(tx Tx) error {
		if pinning { // nobody else adds to the pinned ones meanwhile
			if err := tx.LockUsers(caller.User); err != nil {
				return err
			}
		}
		kind, before, at, err := lockState(tx, caller, id)
		if err != nil {
			return err
		}
		if pinning && before.PinnedAt == nil {
			pinned, err := tx.CountPinned(caller.User)
			if err != nil {
				return err
			}
			if pinned >= s.limits.MaxPinnedConversations {
				return Conflict("You have pinned as many conversations as can be pinned. Unpin another first.")
			}
		}
		after := patch.apply(before, at, tx.At())
		if kind == KindPrivate && after.Archived(at) && !after.Shown(at) { // it is in no list, and would come into one
			return Conflict("There is nothing in this conversation to archive.")
		}
		return setState(tx, caller, id, before, after, at)
	})
	if err != nil {
		return Conversation{}, err
	}
	return s.store.ConversationFor(ctx, id, caller.User)
}

func checkConversationPatch(patch ConversationPatch, now Time) error {
	var faults fieldErrors
	if patch.MutedUntil != nil && *patch.MutedUntil != 0 && *patch.MutedUntil <= now {
		faults.add("muted_until", "must be in the future")
	}
	if patch.Pinned != nil && patch.Archived != nil && *patch.Pinned && *patch.Archived {
		faults.add("archived", "must not be true together with pinned")
	}
	return faults.err()
}

// ClearConversation hides what a conversation has so far from the caller, on
// all devices and for good. A private one is in the caller's list again when
// something new comes; others keep everything.
func (s *Service) ClearConversation(ctx context.Context, caller Caller, id ID) error {
	return s.commit(ctx, func(tx Tx) error {
		_, before, at, err := lockState(tx, caller, id)
		if err != nil {
			return err
		}
		after := StoredState{MutedUntil: before.MutedUntil, ClearedSeq: at.LastSeq}
		return setState(tx, caller, id, before, after, at)
	})
}

// lockState locks a conversation of the caller's and returns what the caller
// has set for it.
func lockState(tx Tx, caller Caller, id ID) (kind ConversationKind, state StoredState, at Standing, err error) {
	audience, _, err := tx.LockConversation(id)
	if err != nil {
		return "", StoredState{}, Standing{}, err
	}
	if !audience.Has(caller.User) {
		return "", StoredState{}, Standing{}, errNoConversation()
	}
	state, at, err = tx.StateOf(id, caller.User)
	return audience.Kind, state, at, err
}

// setState stores a state and tells the caller's devices, unless nobody could
// see a difference.
func setState(tx Tx, caller Caller, id ID, before, after StoredState, at Standing) error {
	seen := after.Seen(at)
	if seen.equal(before.Seen(at)) {
		return nil
	}
	if err := tx.SetState(id, caller.User, after, at); err != nil {
		return err
	}
	state, err := tx.ReadStateOf(id, caller.User)
	if err != nil {
		return err
	}
	return tx.Append(ConversationUpdated, ConversationUpdatedData{
		ConversationID: id, ConversationState: seen, UnreadCount: state.UnreadCount, MentionsUnread: state.MentionsUnread,
		LastSeq: at.LastSeq,
	}, caller.User)
}
