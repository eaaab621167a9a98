// Package client speaks to a Longwire server: the REST API as Go methods, and
// an inbox that is read to the end of time without losing or repeating an event.
//
//	c, err := client.New("https://chat.example.com", client.Options{})
//	…
//	_, err = c.Login(ctx, client.LoginRequest{Username: "ada", Password: "…"})
//	…
//	_, err = c.SendToUser(ctx, bob, client.SendMessageRequest{Body: "Hello, Bob."})
//	…
//	for event, err := range c.Stream(ctx, client.StreamOptions{}) {
//		if err != nil {
//			return err // see Stream for those after which one may go on
//		}
//		switch data := event.Value().(type) {
//		case client.Message:
//			fmt.Println(data.SenderID, data.Body)
//		}
//	}
//
// What the server refuses is a [*Problem], which says why in a stable code.
// Calls that failed on their way are tried again where that is harmless: sending
// always is, because each message carries an Idempotency-Key. Access tokens are
// renewed by themselves.
package client

//go:generate sh -c "cd .. && oapi-codegen -config client/codegen.yaml openapi/openapi.yaml"
