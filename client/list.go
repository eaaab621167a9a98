package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
)

// List is a part of a list.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // Page.After of the following part; nil = this is the last
}

// Page asks for a part of a list. The zero value asks for the first.
type Page struct {
	Limit int    // how many items at most; 0 = 50
	After string // List.Next of the part before
}

func (p Page) values() url.Values {
	query := url.Values{}
	if p.Limit != 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != "" {
		query.Set("after", p.After)
	}
	return query
}

// All goes through all parts of a list, for instance
//
//	for friend, err := range client.All(ctx, c.Friends) { … }
//
// An error comes last.
func All[T any](ctx context.Context, list func(context.Context, Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var page Page
		for {
			part, err := list(ctx, page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range part.Items {
				if !yield(item, nil) {
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
