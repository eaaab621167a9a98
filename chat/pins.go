package chat

import "context"

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
		if audience.Kind == KindGroup {
			member, err := tx.MemberOf(ref.ConversationID, caller.User)
			if err != nil {
				return err
			}
			if !member.Role.Manages() {
				return Forbidden("Only the owner and admins may pin messages in a group.")
			}
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
		if !changed {
			now.Pins, err = tx.PinsOf(ref.ConversationID)
			return err
		}
		if now, err = tellPins(tx, audience, now); err != nil {
			return err
		}
		if len(now.Pins) > s.limits.MaxPins {
			return Conflict("A conversation can have " + decimal(s.limits.MaxPins) + " pinned messages. Unpin another first.")
		}
		return nil
	})
	return now, err
}

// tellPins tells everybody in a conversation what is pinned now.
func tellPins(tx Tx, audience Audience, now PinChangedData) (PinChangedData, error) {
	var err error
	if now.Pins, err = tx.PinsOf(now.ConversationID); err != nil {
		return now, err
	}
	return now, tx.Append(PinChanged, now, audience.Members...)
}

// Pins returns what is pinned in one of the caller's conversations, the last pinned first.
func (s *Service) Pins(ctx context.Context, caller Caller, conversation ID) (List[PinnedMessage], error) {
	pins, err := s.store.Pins(ctx, conversation, caller.User)
	return List[PinnedMessage]{Items: pins}, err
}
