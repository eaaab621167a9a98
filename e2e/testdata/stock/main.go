// Command stock does with a generated client, as any generator makes it, what everybody does with Longwire: two people register,
// become friends, and one hears what the other says. It is built by a test together with the client that is generated
// from what a node serves as its specification.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// somebody signs up and returns a client that sends the token.
func somebody(ctx context.Context, base, name string) (*ClientWithResponses, Id, error) {
	anonymous, err := NewClientWithResponses(base)
	if err != nil {
		return nil, "", err
	}
	signIn, err := anonymous.RegisterWithResponse(ctx, RegisterRequest{Username: name, Password: "battery staple"})
	if err != nil {
		return nil, "", err
	}
	if signIn.JSON201 == nil {
		return nil, "", fmt.Errorf("register: %s", signIn.Body)
	}
	c, err := NewClientWithResponses(base, WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+signIn.JSON201.AccessToken)
		return nil
	}))
	return c, signIn.JSON201.User.Id, err
}

func run(ctx context.Context, base, alice, bob string) error {
	a, _, err := somebody(ctx, base, alice)
	if err != nil {
		return err
	}
	b, bobID, err := somebody(ctx, base, bob)
	if err != nil {
		return err
	}
	request, err := a.RequestFriendWithResponse(ctx, nil, FriendRequestRequest{UserId: bobID})
	if err != nil || request.JSON201 == nil {
		return fmt.Errorf("request a friend: %w, %s", err, request.Body)
	}
	accepted, err := b.AcceptFriendRequestWithResponse(ctx, request.JSON201.Id)
	if err != nil || accepted.JSON200 == nil || accepted.JSON200.State != "accepted" {
		return fmt.Errorf("accept: %w, %s", err, accepted.Body)
	}
	key := "stock-1"
	for range 2 {
		sent, err := a.SendToUserWithResponse(ctx, bobID, &SendToUserParams{IdempotencyKey: &key}, SendMessageRequest{Body: new("Hello, Bob.")})
		if err != nil || sent.JSON201 == nil && sent.JSON200 == nil {
			return fmt.Errorf("send: %w, %s", err, sent.Body)
		}
	}
	refused, err := b.SendToUserWithResponse(ctx, bobID, nil, SendMessageRequest{Body: new("To myself.")})
	if err != nil || refused.ApplicationproblemJSON422 == nil || refused.ApplicationproblemJSON422.Code != "validation_failed" {
		return fmt.Errorf("what is refused: %w, %s", err, refused.Body)
	}
	return listen(ctx, b)
}

// listen prints what the inbox has.
func listen(ctx context.Context, c *ClientWithResponses) error {
	begin, wait := "begin", 0
	polled, err := c.PollInboxWithResponse(ctx, &PollInboxParams{Cursor: &begin, Wait: &wait})
	if err != nil || polled.JSON200 == nil {
		return fmt.Errorf("poll: %w, %s", err, polled.Body)
	}
	for _, event := range polled.JSON200.Events {
		value, err := event.ValueByDiscriminator()
		if err != nil {
			return err
		}
		if message, ok := value.(MessageCreatedEvent); ok {
			fmt.Println(message.Data.Body)
		}
	}
	return nil
}
