package chat

import (
	"context"
	"iter"
)

// Export is all that is kept of a user. The lists are read while they are gone
// through, a part at a time, so that an account of any size takes little memory.
// They are not of one moment: what changes meanwhile is in one and not in another.
type Export struct {
	At    Time
	User  User
	Lists []ExportList
}

// ExportList is one list of an export. An error comes last.
type ExportList struct {
	Name  string
	Items iter.Seq2[any, error]
}

const (
	// exportPage is how much of a list is in memory at once.
	exportPage = 200
	// exportWindow is how much of a conversation one query looks through for
	// messages of one sender.
	exportWindow = 5000
)

// Export returns what is kept of the caller.
func (s *Service) Export(ctx context.Context, caller Caller) (Export, error) {
	me, err := s.store.UserByID(ctx, caller.User)
	if err != nil {
		return Export{}, err
	}
	at, user := TimeOf(s.now()), caller.User
	requests := func(direction Direction) iter.Seq2[any, error] {
		return exported(func(page Page) (List[FriendRequest], error) {
			return s.store.FriendRequests(ctx, user, direction, at, page)
		})
	}
	return Export{At: at, User: me, Lists: []ExportList{
		{"sessions", exported(func(Page) (List[Session], error) {
			sessions, err := s.Sessions(ctx, caller)
			return List[Session]{Items: sessions}, err
		})},
		{"friends", exported(func(page Page) (List[Friend], error) { return s.store.Friends(ctx, user, page) })},
		{"incoming_requests", requests(DirectionIncoming)},
		{"outgoing_requests", requests(DirectionOutgoing)},
		{"blocks", exported(func(page Page) (List[Block], error) { return s.store.Blocks(ctx, user, page) })},
		{"groups", exported(func(page Page) (List[Group], error) { return s.store.GroupsOf(ctx, user, page) })},
		{"conversations", exported(func(page Page) (List[Conversation], error) {
			return s.store.Conversations(ctx, user, ConversationFilter{Archived: ArchivedAny}, page)
		})},
		{"messages", s.sent(ctx, user)},
	}}, nil
}

// sent goes through all messages of a user, by conversation and seq.
func (s *Service) sent(ctx context.Context, user ID) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		runs, err := s.store.SentRuns(ctx, user)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, run := range runs {
			for after := run.First - 1; after < run.Last; {
				upTo := min(after+exportWindow, run.Last)
				messages, err := s.store.SentIn(ctx, user, run.ConversationID, after, upTo, exportPage)
				if err != nil {
					yield(nil, err)
					return
				}
				if after = upTo; len(messages) == exportPage {
					after = messages[exportPage-1].Seq
				}
				for i := range messages {
					if !yield(messages[i], nil) {
						return
					}
				}
			}
		}
	}
}

// exported goes through all parts of a list.
func exported[T any](read func(page Page) (List[T], error)) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		page := Page{Limit: exportPage}
		for {
			part, err := read(page)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range part.Items {
				if !yield(part.Items[i], nil) {
					return
				}
			}
			if part.Next == nil {
				return
			}
			page.After = *part.Next
		}
	}
}
