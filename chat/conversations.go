package chat

import (
	"context"
	"encoding/json"
	"slices"
)

// Draft is a message as its sender writes it.
type Draft struct {
	Kind           MessageKind // "" = text
	Body           string
	Payload        json.RawMessage // of a custom message; nil = none
	ReplyTo        *int64
	Mentions       []ID
	Forward        *MessageRef // what it repeats; then nothing else is given
	IdempotencyKey string      // "" = none: sending again makes another message
}

func errNoConversation() error {
	return NotFound("There is no such conversation.")
}

// SendToUser sends a private message. The outcome tells whether it is the
// replay of a message that was stored before, under the same key.
func (s *Service) SendToUser(ctx context.Context, caller Caller, to ID, draft Draft) (Outcome, error) {
	if to == caller.User {
		return Outcome{}, Invalid("user_id", "must be another user")
	}
	out, err := s.outgoing(ctx, caller, draft)
	if err != nil {
		return Outcome{}, err
	}
	out.Target = KindPrivate
	out.ConversationID, err = s.privateConversation(ctx, caller.User, to)
	if err != nil {
		return Outcome{}, err
	}
	return s.send(ctx, out)
}

// privateConversation returns the conversation of two users, making it before
// the first message. One that may not be written to is not made.
func (s *Service) privateConversation(ctx context.Context, from, to ID) (ID, error) {
	id, err := s.store.PrivateConversation(ctx, from, to)
	if !isNotFound(err) {
		return id, err
	}
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(from, to); err != nil {
			return err
		}
		relation, err := tx.RelationOf(from, to)
		if err != nil {
			return err
		}
		if err := relation.MaySend(); err != nil {
			return err
		}
		id, err = tx.EnsurePrivateConversation(s.ids.Next(), from, to)
		return err
	})
	return id, err
}

// SendToGroup sends a message to all members of a group, of which the caller is one.
func (s *Service) SendToGroup(ctx context.Context, caller Caller, group ID, draft Draft) (Outcome, error) {
	out, err := s.outgoing(ctx, caller, draft)
	if err != nil {
		return Outcome{}, err
	}
	out.Target, out.ConversationID = KindGroup, group
	outcome, err := s.send(ctx, out)
	if isNotFound(err) {
		// Whether it is forbidden or not there depends on who may know of the group.
		if err := s.requireMember(ctx, caller, group); err != nil {
			return Outcome{}, err
		}
	}
	return outcome, err
}

// outgoing checks a draft and makes it a message, but for where it goes.
func (s *Service) outgoing(ctx context.Context, caller Caller, draft Draft) (Outgoing, error) {
	var faults fieldErrors
	s.checkKey(&faults, draft.IdempotencyKey)
	if draft.Forward != nil {
		return s.forwarding(ctx, caller, draft, faults)
	}
	if draft.Kind == "" {
		draft.Kind = KindText
	}
	oneOf(&faults, "kind", draft.Kind, KindText, KindCustom)
	s.checkContent(&faults, draft.Kind, draft.Body, draft.Payload, draft.Mentions)
	if err := faults.err(); err != nil {
		return Outgoing{}, err
	}
	return Outgoing{
		SenderID: caller.User, Kind: draft.Kind, Body: draft.Body, Payload: draft.Payload, ReplyTo: draft.ReplyTo,
		Mentions: sortedIDs(draft.Mentions), IdempotencyKey: draft.IdempotencyKey, At: TimeOf(s.now()),
	}, nil
}

// sortedIDs returns ids ascending, each once.
func sortedIDs(ids []ID) []ID {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func (s *Service) send(ctx context.Context, out Outgoing) (Outcome, error) {
	if out.ForwardedFrom != nil {
		out.ForwardedFrom = out.ForwardedFrom.in(out.ConversationID)
	}
	if out.IdempotencyKey != "" {
		out.Fingerprint = out.print()
	}
	return s.sender.Send(ctx, out)
}

// Conversations lists the caller's conversations, newest activity first.
func (s *Service) Conversations(ctx context.Context, caller Caller, filter ConversationFilter, page Page) (List[Conversation], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Conversation]{}, err
	}
	if filter.Pinned && filter.Archived != "" && filter.Archived != ArchivedAny {
		return List[Conversation]{}, Invalid("archived", "must not be given together with pinned: what is pinned is not archived")
	}
	return s.store.Conversations(ctx, caller.User, filter, page)
}

// Conversation returns one of the caller's conversations.
func (s *Service) Conversation(ctx context.Context, caller Caller, id ID) (Conversation, error) {
	return s.store.ConversationFor(ctx, id, caller.User)
}

// History returns messages of one of the caller's conversations.
func (s *Service) History(ctx context.Context, caller Caller, id ID, query HistoryQuery) (History, error) {
	page, err := s.page(Page{Limit: query.Limit})
	if err != nil {
		return History{}, err
	}
	query.Limit = page.Limit
	if err := query.check(); err != nil {
		return History{}, err
	}
	return s.store.History(ctx, id, caller.User, query)
}

// MarkRead notes how far the caller has read a conversation. It only moves
// forward: an older seq changes nothing and is answered with what stands.
func (s *Service) MarkRead(ctx context.Context, caller Caller, id ID, seq int64) (ReadState, error) {
	var state ReadState
	err := s.commit(ctx, func(tx Tx) error {
		audience, lastSeq, err := tx.LockConversation(id)
		if err != nil {
			return err
		}
		if !audience.Has(caller.User) {
			return errNoConversation()
		}
		if seq < 0 || seq > lastSeq {
			return Invalid("seq", "must be the seq of a message in this conversation")
		}
		before, err := tx.ReadSeq(id, caller.User)
		if err != nil {
			return err
		}
		state = ReadState{ConversationID: id, ReadSeq: max(before, seq), LastSeq: lastSeq}
		if state.UnreadCount, err = tx.SetReadSeq(id, caller.User, state.ReadSeq); err != nil {
			return err
		}
		if state.MentionsUnread, err = tx.UnreadMentions(id, caller.User, state.ReadSeq); err != nil {
			return err
		}
		if seq > before {
			if err := tellRead(tx, audience, caller.User, state); err != nil {
				return err
			}
		}
		return unmark(tx, caller, id)
	})
	return state, err
}

// tellRead tells the reader's devices, with the new count, and in a private
// conversation the peer. In a group another's read mark is not worth a row in
// every inbox.
func tellRead(tx Tx, audience Audience, reader ID, state ReadState) error {
	read := ConversationReadData{ConversationID: state.ConversationID, UserID: reader, ReadSeq: state.ReadSeq}
	if err := tellReader(tx, reader, state); err != nil {
		return err
	}
	if audience.Kind != KindPrivate {
		return nil
	}
	for _, peer := range audience.Members {
		if peer != reader {
			return tx.Append(ConversationRead, read, peer)
		}
	}
	return nil
}

// tellReader tells a user's devices how far the user has read, with the counts.
func tellReader(tx Tx, reader ID, state ReadState) error {
	return tx.Append(ConversationRead, ConversationReadData{
		ConversationID: state.ConversationID, UserID: reader, ReadSeq: state.ReadSeq,
		UnreadCount: &state.UnreadCount, MentionsUnread: &state.MentionsUnread, LastSeq: &state.LastSeq,
	}, reader)
}

// unmark takes the mark away that a conversation is unread, because it is being read.
func unmark(tx Tx, caller Caller, id ID) error {
	before, at, err := tx.StateOf(id, caller.User)
	if err != nil || !before.MarkedUnread {
		return err
	}
	after := before
	after.MarkedUnread = false
	return setState(tx, caller, id, before, after, at)
}

// Snapshot is all that a client needs to begin with. Cursor was taken before
// the rest was read, so that applying the events after it loses nothing; some
// may say again what the snapshot has, which is harmless.
type Snapshot struct {
	Cursor               string         `json:"cursor"`
	Me                   User           `json:"me"`
	Conversations        []Conversation `json:"conversations"`        // the 50 newest that are not archived
	PinnedConversations  []Conversation `json:"pinned_conversations"` // all of them, the latest pinned first
	IncomingRequestCount int            `json:"incoming_request_count"`
	Limits               Limits         `json:"limits"`
}

// syncConversations is how many conversations a snapshot has.
const syncConversations = 50

// Sync returns a snapshot of the caller's world.
func (s *Service) Sync(ctx context.Context, caller Caller) (Snapshot, error) {
	epoch, err := s.store.Epoch(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	head, err := s.store.InboxHead(ctx, caller.User)
	if err != nil {
		return Snapshot{}, err
	}
	snapshot := Snapshot{Cursor: Cursor{Epoch: epoch, Seq: head.Seq}.String(caller.User), Limits: s.limits}
	if snapshot.Me, err = s.store.UserByID(ctx, caller.User); err != nil {
		return Snapshot{}, err
	}
	conversations, err := s.store.Conversations(ctx, caller.User, ConversationFilter{}, Page{Limit: syncConversations})
	if err != nil {
		return Snapshot{}, err
	}
	pinned, err := s.store.Conversations(ctx, caller.User, ConversationFilter{Pinned: true}, Page{Limit: s.limits.MaxPinnedConversations})
	if err != nil {
		return Snapshot{}, err
	}
	snapshot.Conversations, snapshot.PinnedConversations = conversations.Items, pinned.Items
	snapshot.IncomingRequestCount, err = s.store.CountIncomingRequests(ctx, caller.User, TimeOf(s.now()))
	return snapshot, err
}
