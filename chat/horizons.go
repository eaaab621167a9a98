package chat

import "slices"

// Horizons is what of a conversation is hidden from whom. The zero value hides
// nothing.
type Horizons struct {
	Joined  map[ID]int64 // the first message that the group shows to a member
	Cleared map[ID]int64 // up to where users have cleared it for themselves
}

// See tells whether a user sees the message of a seq.
func (h Horizons) See(user ID, seq int64) bool {
	return seq >= h.Joined[user] && seq > h.Cleared[user]
}

// whoSee returns those of the users who see a message. What they do not see
// they do not hear of either.
func (h Horizons) whoSee(users []ID, seq int64) []ID {
	return slices.DeleteFunc(slices.Clone(users), func(user ID) bool { return !h.See(user, seq) })
}

// whoGot returns those of the users who have had a message, although they may
// have cleared it since: it is in their inboxes.
func (h Horizons) whoGot(users []ID, seq int64) []ID {
	return Horizons{Joined: h.Joined}.whoSee(users, seq)
}

// pinsSeenBy returns those of the pins that a user sees.
func (h Horizons) pinsSeenBy(user ID, pins []Pin) []Pin {
	return slices.DeleteFunc(slices.Clone(pins), func(pin Pin) bool { return !h.See(user, pin.Seq) })
}
