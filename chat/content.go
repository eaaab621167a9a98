package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// checkContent checks what a message says.
func (s *Service) checkContent(faults *fieldErrors, kind MessageKind, body string, payload json.RawMessage, mentions []ID) {
	least := 1
	if kind == KindCustom {
		least = 0 // a text is for those who do not know the payload
		s.checkPayload(faults, payload)
	} else if payload != nil {
		faults.add("payload", "is for messages of the kind custom")
	}
	faults.text("body", body, least, s.limits.MaxMessageLength)
	if body != "" && strings.TrimSpace(body) == "" {
		faults.add("body", "must not be blank")
	}
	if len(mentions) > s.limits.MaxMentions {
		faults.add("mentions", "must name at most "+decimal(s.limits.MaxMentions)+" users")
	}
}

func (s *Service) checkPayload(faults *fieldErrors, payload json.RawMessage) {
	switch {
	case payload == nil:
		faults.add("payload", "is required for the kind custom")
	case !json.Valid(payload) || !utf8.Valid(payload) || bytes.TrimSpace(payload)[0] != '{':
		faults.add("payload", "must be a JSON object")
	case len(payload) > s.limits.MaxPayloadBytes:
		faults.add("payload", "must have at most "+decimal(s.limits.MaxPayloadBytes)+" bytes")
	}
}

// CompactPayload returns JSON without the spaces between its parts, and what
// is no JSON as it is.
func CompactPayload(payload []byte) json.RawMessage {
	if payload == nil {
		return nil
	}
	var compact bytes.Buffer
	if json.Compact(&compact, payload) != nil {
		return payload
	}
	return compact.Bytes()
}

// print condenses what the sender asked for. Of a forward that is which message
// to repeat, whatever that says when it is asked for again.
func (o *Outgoing) print() [16]byte {
	switch {
	case o.forward != nil:
		return fingerprint(o.ConversationID, "forward", *o.forward)
	case o.Payload != nil:
		return fingerprint(o.ConversationID, o.Kind, o.Body, o.ReplyTo, o.Mentions, o.Payload)
	case o.ReplyTo == nil && o.Mentions == nil:
		if condensed, err := o.printText(); err == nil {
			return condensed
		}
	}
	return fingerprint(o.ConversationID, o.Kind, o.Body, o.ReplyTo, o.Mentions)
}

// Origin is where a forwarded message is from: who wrote it first, and when.
// Which message that was is told only where everybody can read it, in the
// conversation it was forwarded within.
type Origin struct {
	SenderID       ID    `json:"sender_id"`
	CreatedAt      Time  `json:"created_at"`
	ConversationID ID    `json:"conversation_id,omitempty"` // 0 = not told
	Seq            int64 `json:"seq,omitempty"`             // 0 = not told
}

// in returns the origin as it may be told in a conversation.
func (o Origin) in(conversation ID) *Origin {
	if o.ConversationID != conversation {
		o.ConversationID, o.Seq = 0, 0
	}
	return &o
}

// forwarding makes a message that repeats another. When that cannot be repeated
// the message may still be the replay of one that was sent before.
func (s *Service) forwarding(ctx context.Context, caller Caller, draft Draft, faults fieldErrors) (Outgoing, error) {
	if draft.Kind != "" || draft.Body != "" || draft.Payload != nil || draft.ReplyTo != nil || len(draft.Mentions) > 0 {
		faults.add("forward", "must be alone: what is forwarded says all the rest")
	}
	if err := faults.err(); err != nil {
		return Outgoing{}, err
	}
	out := Outgoing{SenderID: caller.User, IdempotencyKey: draft.IdempotencyKey, At: TimeOf(s.now()), forward: draft.Forward}
	source, err := s.store.Message(ctx, draft.Forward.ConversationID, caller.User, draft.Forward.Seq)
	switch {
	case isNotFound(err), err == nil && !source.repeatable():
		out.Refusal = Invalid("forward", "must name a message that you can read and that was neither recalled nor deleted")
		if out.IdempotencyKey == "" {
			return Outgoing{}, out.Refusal
		}
		return out, nil
	case err != nil:
		return Outgoing{}, err
	}
	out.Kind, out.Body, out.Payload = source.Kind, source.Body, source.Payload
	out.ForwardedFrom = source.ForwardedFrom
	if out.ForwardedFrom == nil {
		out.ForwardedFrom = &Origin{SenderID: source.SenderID, CreatedAt: source.CreatedAt, ConversationID: source.ConversationID, Seq: source.Seq}
	}
	return out, nil
}

// repeatable tells whether a message says something that may be said again.
func (m *Message) repeatable() bool {
	return !m.Recalled && !m.Deleted && (m.Kind == KindText || m.Kind == KindCustom)
}
