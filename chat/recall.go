package chat

import (
	"context"
	"slices"
	"time"
)

// RecallMessage takes a message back: nothing of what it said is left anywhere.
// Its sender may do that for as long as the limits say, whoever manages a group
// at any time. In a private conversation a block does not stop it.
//
// When it returns, no node gives the text out any more; see
// docs/decisions/0008-recall.md.
func (s *Service) RecallMessage(ctx context.Context, caller Caller, ref MessageRef) (Message, error) {
	if _, err := s.Message(ctx, caller, ref); err != nil {
		return Message{}, err
	}
	err := s.commit(ctx, func(tx Tx) error {
		audience, _, err := tx.LockConversation(ref.ConversationID)
		if err != nil {
			return err
		}
		if !audience.Has(caller.User) {
			return errNoConversation()
		}
		message, err := tx.MessageOf(ref)
		if err != nil || message.Recalled {
			return err
		}
		if err := s.mayRecall(tx, caller, audience, message); err != nil {
			return err
		}
		recalled, unpinned, err := tx.RecallMessage(message, caller.User)
		if err != nil {
			return err
		}
		horizons, err := tx.FirstSeqs(ref.ConversationID, audience)
		if err != nil {
			return err
		}
		if unpinned {
			if _, err := tellPins(tx, audience, horizons, PinChangedData{ConversationID: ref.ConversationID, Seq: ref.Seq, By: caller.User}); err != nil {
				return err
			}
		}
		if err := tellMentions(tx, message, horizons, message.Mentions, nil); err != nil {
			return err
		}
		// The last, because it makes all before it be read anew.
		return tx.AppendMessage(MessageRecalled, recalled, horizons.whoGot(audience.Members, ref.Seq)...)
	})
	if err != nil {
		return Message{}, err
	}
	if settler, ok := s.announcer.(Settler); ok {
		settler.Settle(ctx)
	}
	return s.Message(ctx, caller, ref)
}

// mayRecall tells whether the caller, who belongs to the conversation, may take a message back.
func (s *Service) mayRecall(tx Tx, caller Caller, audience Audience, message Message) error {
	if !message.repeatable() {
		return Forbidden("A message of this kind cannot be recalled.")
	}
	if audience.Kind == KindGroup {
		member, err := tx.MemberOf(message.ConversationID, caller.User)
		if err != nil || member.Role.Manages() {
			return err
		}
	}
	if message.SenderID != caller.User {
		return Forbidden("Only its sender may recall a message, and in groups the owner and admins.")
	}
	window := Time(s.limits.RecallWindowSeconds * time.Second.Milliseconds())
	if tx.At() > message.CreatedAt+window {
		return Forbidden("This message is too old to be recalled.")
	}
	return nil
}

// DeleteMessage deletes a message for the caller alone, on all devices. To the
// caller it mentions nobody any more.
func (s *Service) DeleteMessage(ctx context.Context, caller Caller, ref MessageRef) error {
	if _, err := s.Message(ctx, caller, ref); err != nil {
		return err
	}
	return s.commit(ctx, func(tx Tx) error {
		audience, _, err := tx.LockConversation(ref.ConversationID)
		if err != nil {
			return err
		}
		if !audience.Has(caller.User) {
			return errNoConversation()
		}
		message, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		changed, err := tx.HideMessage(ref, caller.User)
		if err != nil || !changed {
			return err
		}
		if err := tx.Append(MessageDeleted, MessageDeletedData(ref), caller.User); err != nil || !slices.Contains(message.Mentions, caller.User) {
			return err
		}
		horizons, err := tx.FirstSeqs(ref.ConversationID, audience)
		if err != nil {
			return err
		}
		return tellMentions(tx, message, horizons, []ID{caller.User}, nil)
	})
}
