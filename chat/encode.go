package chat

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Messages are what is encoded most, once for every one that is sent and again
// for everybody who catches up. So the fields that nearly all of them have are
// written here, with the bytes that encoding/json would write; a test holds
// the two against each other.

// EncodeMessage makes the body of an event that shows a message, as
// [EncodeBody] does.
func EncodeMessage(kind EventType, at Time, m *Message) (Body, error) {
	if m.rare() {
		return EncodeBody(kind, at, m)
	}
	const fields = 256 // about what all but the text takes
	b := make(Body, 0, len(m.Body)+fields)
	b = appendBodyHead(b, kind, at)
	b, err := m.appendCommon(b)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return append(b, '}'), nil
}

// rare tells whether a message has fields that few have.
func (m *Message) rare() bool {
	return m.Payload != nil || m.RecalledBy != 0 || m.ForwardedFrom != nil || len(m.Reactions) > 0 || m.Deleted || m.System != nil ||
		m.Delivery != "" || m.EditedAt != nil || m.Recalled || m.ReplyTo != nil || len(m.Mentions) > 0 || m.Mentions == nil
}

// appendCommon appends a message that has no rare fields.
func (m *Message) appendCommon(b []byte) ([]byte, error) {
	b = append(b, `{"conversation_id":"`...)
	b = m.ConversationID.append(b)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, m.Seq, 10)
	b = append(b, `,"sender_id":"`...)
	b = m.SenderID.append(b)
	b = append(b, `","kind":`...)
	b, err := appendString(b, string(m.Kind))
	if err != nil {
		return nil, err
	}
	b = append(b, `,"body":`...)
	if b, err = appendString(b, m.Body); err != nil {
		return nil, err
	}
	b = append(b, `,"reply_to":null,"mentions":[],"created_at":"`...)
	b = m.CreatedAt.Std().AppendFormat(b, timeLayout)
	b = append(b, `","edited_at":null,"recalled":false`...)
	if m.IdempotencyKey != "" {
		b = append(b, `,"idempotency_key":`...)
		if b, err = appendString(b, m.IdempotencyKey); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendString appends a JSON string.
func appendString(b []byte, text string) ([]byte, error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			encoded, err := json.Marshal(text)
			return append(b, encoded...), err
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"'), nil
}

// printText condenses a message of which was asked nothing but its text and kind,
// as [fingerprint] of conversation, kind, body, reply and mentions does.
func (o *Outgoing) printText() (condensed [16]byte, err error) {
	const fields = 64
	b := make([]byte, 0, len(o.Body)+fields)
	b = append(b, `["`...)
	b = o.ConversationID.append(b)
	b = append(b, `",`...)
	if b, err = appendString(b, string(o.Kind)); err != nil {
		return condensed, err
	}
	b = append(b, ',')
	if b, err = appendString(b, o.Body); err != nil {
		return condensed, err
	}
	return condense(append(b, ",null,null]"...)), nil
}
