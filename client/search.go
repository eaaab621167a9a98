package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Search says which messages are wanted. The zero value of a field but Query means any.
type Search struct {
	Query        string // all of its words must be in the message
	Conversation ID
	Sender       ID
	BeforeTime   *time.Time
	AfterTime    *time.Time // at this time or later
}

// SearchMessages finds messages in the user's conversations, newest first. A part may have fewer items than the page's limit,
// even none: only a nil Next says that it is the last.
func (c *Client) SearchMessages(ctx context.Context, search Search, page Page) (List[FoundMessage], error) {
	query := page.values()
	for name, value := range map[string]string{"q": search.Query, "conversation_id": search.Conversation, "sender_id": search.Sender} {
		if value != "" {
			query.Set(name, value)
		}
	}
	setTimes(query, map[string]*time.Time{"before_time": search.BeforeTime, "after_time": search.AfterTime})
	return do[List[FoundMessage]](ctx, c, call{method: http.MethodGet, path: "/v1/search/messages", query: query})
}

func setTimes(query url.Values, times map[string]*time.Time) {
	for name, t := range times {
		if t != nil {
			query.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
}
