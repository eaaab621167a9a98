package repo

import (
	"errors"
	"slices"
	"strings"

	"longwire/chat"
)

// RecallMessage takes away all that a message said, in every table. Inboxes
// only point to the message; copies of them are forgotten with the event.
func (t *tx) RecallMessage(message chat.Message, by chat.ID) (recalled chat.Message, unpinned bool, err error) {
	recalled = emptied(message)
	recalled.Recalled, recalled.RecalledBy = true, by
	if err := t.replaceMentions(&message, &recalled); err != nil {
		return recalled, false, err
	}
	if err := t.messageChanged(message.ConversationID, message.Seq); err != nil {
		return recalled, false, err
	}
	for _, table := range []string{"message_version", "reaction", "pin"} {
		n, err := t.exec("DELETE FROM "+table+" WHERE conversation_id = ? AND seq = ?", message.ConversationID, message.Seq)
		if err != nil {
			return recalled, false, err
		}
		unpinned = table == "pin" && n > 0
	}
	// The fingerprint goes too: it would tell who guesses the text that it was that.
	_, err = t.exec("UPDATE chat_history SET body = '', payload = NULL, reply_to = NULL, mentions = NULL, forwarded_from = NULL, reactions = NULL,"+
		" edited_at = NULL, fingerprint = NULL, recalled = 1, recalled_by = ? WHERE conversation_id = ? AND seq = ?", by, message.ConversationID, message.Seq)
	return recalled, unpinned, err
}

// AppendMessage puts an event that shows a message as it is now into inboxes.
func (t *tx) AppendMessage(kind chat.EventType, message chat.Message, users ...chat.ID) error {
	users = slices.Clone(users)
	slices.Sort(users)
	users = slices.Compact(users)
	if kind == chat.MessageRecalled {
		t.forget = append(t.forget, users...)
	}
	t.events = append(t.events, appended{kind: kind, message: &message, users: users})
	return nil
}

// showMessage makes the rows of an event that shows a message, and its bodies:
// one for each view of the message that there is.
func (t *tx) showMessage(order int, e appended, announcement *chat.Announcement) ([]inboxRow, error) {
	source := 0
	for candidate, kind := range messageEvents {
		if kind == e.kind {
			source = int(candidate)
		}
	}
	if source == 0 {
		return nil, errors.New("no event that shows a message: " + string(e.kind))
	}
	mine, err := reactionsByUser(t.conn, *e.message)
	if err != nil {
		return nil, err
	}
	hidden, err := deletedBy(t.conn, chat.MessageRef{ConversationID: e.message.ConversationID, Seq: e.message.Seq}, e.users)
	if err != nil {
		return nil, err
	}
	bodies := make(map[string]int) // the view → which body
	var name strings.Builder
	rows := make([]inboxRow, 0, len(e.users))
	for _, user := range e.users {
		view := e.message.SeenBy(user)
		view.Reactions = slices.Clone(view.Reactions)
		name.Reset()
		name.WriteString(view.IdempotencyKey) // no key has a space
		for i := range view.Reactions {
			if view.Reactions[i].Mine = slices.Contains(mine[user], view.Reactions[i].Emoji); view.Reactions[i].Mine {
				name.WriteString(" " + view.Reactions[i].Emoji)
			}
		}
		if hidden[user] {
			view = deleted(view)
			name.WriteString(" deleted")
		}
		body, made := bodies[name.String()]
		if !made {
			encoded, err := chat.EncodeBody(e.kind, t.at, view)
			if err != nil {
				return nil, err
			}
			body = len(announcement.Bodies)
			announcement.Bodies, bodies[name.String()] = append(announcement.Bodies, encoded), body
		}
		rows = append(rows, inboxRow{
			user: user, order: order, event: body, source: source, ref: e.message.ConversationID, refSeq: e.message.Seq, at: t.at,
		})
	}
	return rows, nil
}

// forgetCopies notes with the inbox heads of those concerned, whose locks we
// have, that copies of what came before this transaction are not to be believed.
func (t *tx) forgetCopies(deliveries []chat.Delivery) ([]chat.Forgotten, error) {
	if len(t.forget) == 0 {
		return nil, nil
	}
	slices.Sort(t.forget)
	users := slices.Compact(t.forget)
	text := new(statement)
	for chunk := range slices.Chunk(users, inChunk) {
		text.reset().sql("UPDATE inbox_head SET forgotten = seq WHERE user_id IN ").ids(chunk)
		if err := text.exec(t.conn); err != nil {
			return nil, err
		}
	}
	var forgotten []chat.Forgotten
	for i, d := range deliveries { // in the order of (user, seq)
		if i+1 < len(deliveries) && deliveries[i+1].User == d.User {
			continue
		}
		if _, found := slices.BinarySearch(users, d.User); found {
			forgotten = append(forgotten, chat.Forgotten{User: d.User, Seq: d.Seq})
		}
	}
	return forgotten, nil
}
