package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
)

// MessagePatch changes what is not nil.
type MessagePatch struct {
	Body     *string
	Payload  json.RawMessage // of a custom message
	Mentions *[]ID
}

// Message returns one message of one of the caller's conversations.
func (s *Service) Message(ctx context.Context, caller Caller, ref MessageRef) (Message, error) {
	return s.store.Message(ctx, ref.ConversationID, caller.User, ref.Seq)
}

// MessageVersions returns all that a message has said, oldest first; the last
// is what it says now. A recalled one says nothing and never did.
func (s *Service) MessageVersions(ctx context.Context, caller Caller, ref MessageRef) (List[MessageVersion], error) {
	message, err := s.Message(ctx, caller, ref)
	if err != nil {
		return List[MessageVersion]{}, err
	}
	if message.Recalled || message.Deleted {
		return List[MessageVersion]{Items: []MessageVersion{}}, nil
	}
	versions, err := s.store.MessageVersions(ctx, ref)
	if err != nil {
		return List[MessageVersion]{}, err
	}
	now := MessageVersion{Version: len(versions) + 1, Body: message.Body, Payload: message.Payload, Mentions: message.Mentions, At: message.CreatedAt}
	if message.EditedAt != nil {
		now.At = *message.EditedAt
	}
	return List[MessageVersion]{Items: append(versions, now)}, nil
}

// EditMessage changes what the caller's own message says. What it said before
// is kept. It needs what sending needs: who may not send may not edit either.
func (s *Service) EditMessage(ctx context.Context, caller Caller, ref MessageRef, patch MessagePatch) (Message, error) {
	if patch.Body == nil && patch.Payload == nil && patch.Mentions == nil {
		return Message{}, Invalid("body", "is required, or payload, or mentions")
	}
	if _, err := s.Message(ctx, caller, ref); err != nil {
		return Message{}, err
	}
	var after Message
	err := s.commit(ctx, func(tx Tx) error {
		audience, err := lockForWriting(tx, caller, ref.ConversationID)
		if err != nil {
			return err
		}
		before, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		if err := mayEdit(caller, before); err != nil {
			return err
		}
		if after, err = s.patched(before, patch, audience); err != nil {
			return err
		}
		if before.says(after) {
			after = before
			return nil
		}
		at := tx.At()
		after.EditedAt = &at
		edits, err := tx.EditMessage(before, after)
		if err != nil {
			return err
		}
		if edits > s.limits.MaxEdits {
			return Conflict("A message can be edited " + decimal(s.limits.MaxEdits) + " times.")
		}
		horizons, err := tx.FirstSeqs(ref.ConversationID, audience)
		if err != nil {
			return err
		}
		// From whom earlier history is hidden, they must not read it as an edit.
		if err := tx.AppendMessage(MessageEdited, after, horizons.whoSee(audience.Members, ref.Seq)...); err != nil {
			return err
		}
		return tellMentions(tx, after, horizons, before.Mentions, after.Mentions)
	})
	if err != nil {
		return Message{}, err
	}
	return s.Message(ctx, caller, ref)
}

// lockForWriting locks a conversation and makes sure that the caller may write to it.
func lockForWriting(tx Tx, caller Caller, conversation ID) (Audience, error) {
	audience, lastSeq, err := tx.LockConversation(conversation)
	if err != nil {
		return Audience{}, err
	}
	return audience, audience.Check(Outgoing{ConversationID: conversation, Target: audience.Kind, SenderID: caller.User, At: tx.At()}, lastSeq)
}

func mayEdit(caller Caller, message Message) error {
	switch {
	case message.SenderID != caller.User:
		return Forbidden("Only its sender may edit a message.")
	case message.Recalled:
		return errRecalled()
	case !message.repeatable():
		return Forbidden("A message of this kind cannot be edited.")
	case message.ForwardedFrom != nil:
		return Forbidden("A forwarded message cannot be edited: somebody else wrote it.")
	default:
		return nil
	}
}

func errRecalled() error {
	return Conflict("This message was recalled.")
}

// patched returns the message as it is to be.
func (s *Service) patched(message Message, patch MessagePatch, audience Audience) (Message, error) {
	if patch.Body != nil {
		message.Body = *patch.Body
	}
	if patch.Payload != nil {
		message.Payload = patch.Payload
	}
	if patch.Mentions != nil {
		message.Mentions = append([]ID{}, sortedIDs(*patch.Mentions)...) // never nil
	}
	var faults fieldErrors
	s.checkContent(&faults, message.Kind, message.Body, message.Payload, message.Mentions)
	if patch.Mentions != nil && slices.ContainsFunc(message.Mentions, func(id ID) bool { return !audience.Has(id) }) {
		faults.add("mentions", "must be members of this conversation")
	}
	return message, faults.err()
}

// says tells whether two versions of a message say the same.
func (m *Message) says(other Message) bool {
	return m.Body == other.Body && bytes.Equal(m.Payload, other.Payload) && slices.Equal(m.Mentions, other.Mentions)
}

// tellMentions tells those whom a message mentions now and did not before, or
// the other way round, how many unread messages mention them.
func tellMentions(tx Tx, message Message, horizons Horizons, before, after []ID) error {
	for _, user := range slices.Concat(before, after) {
		if slices.Contains(before, user) == slices.Contains(after, user) || user == message.SenderID || !horizons.See(user, message.Seq) {
			continue
		}
		state, err := tx.ReadStateOf(message.ConversationID, user)
		if err != nil {
			return err
		}
		if state.ReadSeq >= message.Seq {
			continue
		}
		if err := tellReader(tx, user, state); err != nil {
			return err
		}
	}
	return nil
}
