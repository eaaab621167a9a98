package chat

import (
	"context"
	"strings"
)

// MessageSearch says which messages are wanted. All of Query's words must be in
// a message; nil means any.
type MessageSearch struct {
	Query        string
	Conversation *ID
	Sender       *ID
	BeforeTime   *Time // created before, not at, this
	AfterTime    *Time // created at this or later
}

// FoundMessage is a message that was searched for, as it is now.
type FoundMessage struct {
	ConversationID ID          `json:"conversation_id"`
	Message        Message     `json:"message"`
	Highlights     []Highlight `json:"highlights"` // never nil in JSON
}

// Highlight is a part of a body: code points Start up to, without, End.
type Highlight struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// MaxSearchQueryLength is how many characters may be searched for.
const MaxSearchQueryLength = 100

// SearchStore is the part of [Store] that finds messages.
type SearchStore interface {
	// SearchMessages returns messages of the user's conversations as they are
	// now, newest first. A part may have fewer than limit and still not be the
	// last. CodeNotFound when the user does not belong to the conversation that
	// is searched; a query without any word is a validation error on "q".
	SearchMessages(ctx context.Context, user ID, search MessageSearch, page Page) (List[FoundMessage], error)
}

// SearchMessages finds messages in the caller's conversations.
func (s *Service) SearchMessages(ctx context.Context, caller Caller, search MessageSearch, page Page) (List[FoundMessage], error) {
	page, err := s.page(page)
	if err != nil {
		return List[FoundMessage]{}, err
	}
	var faults fieldErrors
	faults.text("q", search.Query, 1, MaxSearchQueryLength)
	if search.Query != "" && strings.TrimSpace(search.Query) == "" {
		faults.add("q", "must not be blank")
	}
	if err := faults.err(); err != nil {
		return List[FoundMessage]{}, err
	}
	return s.store.SearchMessages(ctx, caller.User, search, page)
}
