package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// CreateOption changes how something is made.
type CreateOption func(*call)

// WithIdempotencyKey makes a call under a key of your own instead of a random one, for instance one that is kept with a
// draft, so that a program that was killed while sending can send again without making a second message.
func WithIdempotencyKey(key string) CreateOption {
	return func(c *call) { c.key = key }
}

// creating returns a call that makes something, once whatever happens on the way.
func creating(path string, body any, options []CreateOption) call {
	made := call{method: http.MethodPost, path: path, body: body, key: rand.Text()}
	for _, option := range options {
		option(&made)
	}
	return made
}

// SendToUser sends a private message. It is durable when the call returns, and there once, however often the call was
// tried.
func (c *Client) SendToUser(ctx context.Context, user ID, message SendMessageRequest, options ...CreateOption) (Message, error) {
	return do[Message](ctx, c, creating("/v1/users/"+url.PathEscape(user)+"/messages", message, options))
}

// SendToGroup sends a message to all members of a group, in the same way as SendToUser.
func (c *Client) SendToGroup(ctx context.Context, group ID, message SendMessageRequest, options ...CreateOption) (Message, error) {
	return do[Message](ctx, c, creating(groupPath(group)+"/messages", message, options))
}

// Conversations lists the user's conversations by last activity, newest first.
func (c *Client) Conversations(ctx context.Context, page Page) (List[Conversation], error) {
	return do[List[Conversation]](ctx, c, call{method: http.MethodGet, path: "/v1/conversations", query: page.values()})
}

// Conversation returns one of the user's conversations.
func (c *Client) Conversation(ctx context.Context, id ID) (Conversation, error) {
	return do[Conversation](ctx, c, call{method: http.MethodGet, path: "/v1/conversations/" + url.PathEscape(id)})
}

// HistoryQuery selects a run of messages. At most one of the first six is set; none means the newest. A time stands for the
// first message of that time or later.
type HistoryQuery struct {
	BeforeSeq  *Seq
	AfterSeq   *Seq // 0 is the beginning
	AroundSeq  *Seq
	BeforeTime *time.Time
	AfterTime  *time.Time // that message included
	AroundTime *time.Time
	Limit      int // how many at most; 0 = 50
}

// Messages returns a run of messages of a conversation, ascending by seq.
func (c *Client) Messages(ctx context.Context, conversation ID, from HistoryQuery) (History, error) {
	query := Page{Limit: from.Limit}.values()
	for name, seq := range map[string]*Seq{"before_seq": from.BeforeSeq, "after_seq": from.AfterSeq, "around_seq": from.AroundSeq} {
		if seq != nil {
			query.Set(name, strconv.FormatInt(*seq, 10))
		}
	}
	setTimes(query, map[string]*time.Time{"before_time": from.BeforeTime, "after_time": from.AfterTime, "around_time": from.AroundTime})
	path := "/v1/conversations/" + url.PathEscape(conversation) + "/messages"
	return do[History](ctx, c, call{method: http.MethodGet, path: path, query: query})
}

// MarkRead says how far the user has read a conversation. It only moves forward; the position that holds comes back.
func (c *Client) MarkRead(ctx context.Context, conversation ID, seq Seq) (ReadState, error) {
	path := "/v1/conversations/" + url.PathEscape(conversation) + "/read"
	return do[ReadState](ctx, c, call{method: http.MethodPut, path: path, body: MarkReadRequest{Seq: seq}})
}
