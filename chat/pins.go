package chat

import (
	"context"
	"slices"
)

// Pin is a message that stands out in its conversation.
type Pin struct {
	Seq      int64 `json:"seq"`
	PinnedBy ID    `json:"pinned_by"`
	PinnedAt Time  `json:"pinned_at"`
}

// PinnedMessage is a pin with its message, as a user sees it.
type PinnedMessage struct {
	Message  Message `json:"message"`
	PinnedBy ID      `json:"pinned_by"`
	PinnedAt Time    `json:"pinned_at"`
}

// PinChangedData says what is pinned in a conversation now, all of it, and who
// has just changed what.
type PinChangedData struct {
	ConversationID ID    `json:"conversation_id"`
	Seq            int64 `json:"seq"`
	Pinned         bool  `json:"pinned"` // whether the message of Seq now is
	By             ID    `json:"by"`
	Pins           []Pin `json:"pins"`
}

// SetPin pins or unpins a message and returns what is pinned now. It needs what
// sending needs, and in groups the owner or an admin.
func (s *Service) SetPin(ctx context.Context, caller Caller, ref MessageRef, on bool) (PinChangedData, error) {
	now := PinChangedData{ConversationID: ref.ConversationID, Seq: ref.Seq, Pinned: on, By: caller.User}
	if _, err := s.Message(ctx, caller, ref); err != nil {
		return now, err
	}
	err := s.commit(ctx, func(tx Tx) error {
		audience, err := lockForWriting(tx, caller, ref.ConversationID)
		if err != nil {
			return err
		}
		if err := mayPin(tx, caller, ref, audience); err != nil {
			return err
		}
		message, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		if message.Recalled {
			return errRecalled()
		}
		changed, err := tx.SetPin(ref, caller.User, on)
		if err != nil {
			return err
		}
		horizons, err := tx.FirstSeqs(ref.ConversationID, audience)
		if err != nil {
			return err
		}
		var pins []Pin
		if changed {
			pins, err = tellPins(tx, audience, horizons, now)
		} else {
			pins, err = tx.PinsOf(ref.ConversationID)
		}
		if err != nil {
			return err
		}
		if changed && len(pins) > s.limits.MaxPins {
			return Conflict("A conversation can have " + decimal(s.limits.MaxPins) + " pinned messages. Unpin another first.")
		}
		now.Pins = horizons.pinsSeenBy(caller.User, pins)
		return nil
	})
	return now, err
}

// mayPin tells whether the caller, who may write to the conversation, may pin in it.
func mayPin(tx Tx, caller Caller, ref MessageRef, audience Audience) error {
	if audience.Kind != KindGroup {
		return nil
	}
	member, err := tx.MemberOf(ref.ConversationID, caller.User)
	if err != nil {
		return err
	}
	if !member.Role.Manages() {
		return Forbidden("Only the owner and admins may pin messages in a group.")
	}
	return nil
}

// tellPins tells those in a conversation who see a message that was pinned or
// unpinned what is pinned now, as far as each of them sees it, and returns all of it.
func tellPins(tx Tx, audience Audience, horizons Horizons, now PinChangedData) ([]Pin, error) {
	pins, err := tx.PinsOf(now.ConversationID)
	if err != nil {
		return nil, err
	}
	type group struct {
		pins  []Pin
		users []ID
	}
	var groups []*group // of those who see the same: mostly one
	for _, user := range horizons.whoSee(audience.Members, now.Seq) {
		seen := horizons.pinsSeenBy(user, pins)
		at := slices.IndexFunc(groups, func(g *group) bool { return slices.Equal(g.pins, seen) })
		if at < 0 {
			at, groups = len(groups), append(groups, &group{pins: seen})
		}
		groups[at].users = append(groups[at].users, user)
	}
	for _, g := range groups {
		now.Pins = g.pins
		if err := tx.Append(PinChanged, now, g.users...); err != nil {
			return nil, err
		}
	}
	return pins, nil
}

// Pins returns what is pinned in one of the caller's conversations, the last pinned first.
func (s *Service) Pins(ctx context.Context, caller Caller, conversation ID) (List[PinnedMessage], error) {
	pins, err := s.store.Pins(ctx, conversation, caller.User)
	return List[PinnedMessage]{Items: pins}, err
}
