package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
	"longwire/openapi"
	"longwire/openapi/openapitest"
)

// specServer stands for a server: it checks requests against the specification and answers with the specification's examples.
type specServer struct {
	t      *testing.T
	router routers.Router
	asked  map[string]bool // operationId
}

func (s *specServer) RoundTrip(request *http.Request) (*http.Response, error) {
	route, params, err := s.router.FindRoute(request)
	require.NoError(s.t, err, "%s %s is not in the specification", request.Method, request.URL)
	s.asked[route.Operation.OperationID] = true
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	err = openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
		Request: request, Route: route, PathParams: params,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
	require.NoError(s.t, err, "%s %s %s", request.Method, request.URL, body)
	return s.answer(request, route.Operation), nil
}

// answer is the example of the operation's first success.
func (s *specServer) answer(request *http.Request, operation *openapi3.Operation) *http.Response {
	for _, status := range slices.Sorted(maps.Keys(operation.Responses.Map())) {
		code, _ := strconv.Atoi(status)
		if code >= 300 {
			continue
		}
		response := &http.Response{StatusCode: code, Request: request, Header: http.Header{}, Body: http.NoBody}
		for kind, media := range operation.Responses.Value(status).Value.Content {
			encoded, err := json.Marshal(openapitest.Examples(media)[0].Value)
			require.NoError(s.t, err)
			response.Header.Set("Content-Type", kind)
			response.Body = io.NopCloser(bytes.NewReader(encoded))
		}
		return response
	}
	s.t.Errorf("%s has no success", operation.OperationID)
	return nil
}

func TestEveryOperationHasACallAndEveryCallIsInTheSpecification(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	doc := *spec.Doc
	doc.Servers = openapi3.Servers{{URL: "http://chat.test"}}
	router, err := gorillamux.NewRouter(&doc)
	require.NoError(t, err)
	server := &specServer{t: t, router: router, asked: map[string]bool{}}
	c, err := client.New("http://chat.test/", client.Options{
		HTTPClient: &http.Client{Transport: server}, Tries: 1, Tokens: client.Tokens{Access: "a", Refresh: "r"},
	})
	require.NoError(t, err)

	ctx := t.Context()
	const id = "023pbqc03ztkt"
	page := client.Page{Limit: 10, After: "x"}
	for name, call := range map[string]func() error{
		"Register": func() error {
			signIn, err := c.Register(ctx, client.RegisterRequest{Username: "ada", Password: "correct horse", DisplayName: new("Ada")})
			assert.Equal(t, client.AcceptanceFriends, signIn.User.AcceptMessagesFrom)
			assert.NotEmpty(t, signIn.AccessToken)
			return err
		},
		"Login":            func() error { _, err := c.Login(ctx, client.LoginRequest{Username: "ada", Password: "x"}); return err },
		"Refresh":          func() error { _, err := c.Refresh(ctx); return err },
		"Sessions":         func() error { list, err := c.Sessions(ctx); assert.True(t, list.Items[0].Current); return err },
		"EndSession":       func() error { return c.EndSession(ctx, id) },
		"EndOtherSessions": func() error { return c.EndOtherSessions(ctx) },
		"ChangePassword":   func() error { return c.ChangePassword(ctx, "correct horse", "staple battery") },
		"Export": func() error {
			body, err := c.Export(ctx)
			require.NoError(t, err)
			var export client.Export
			require.NoError(t, json.NewDecoder(body).Decode(&export))
			assert.Len(t, export.Messages, 1)
			return body.Close()
		},
		"Me":         func() error { _, err := c.Me(ctx); return err },
		"UpdateMe":   func() error { _, err := c.UpdateMe(ctx, client.UpdateMeRequest{AvatarURL: new("")}); return err },
		"User":       func() error { user, err := c.User(ctx, id); assert.Equal(t, "bob", user.Username); return err },
		"FindUsers":  func() error { _, err := c.FindUsers(ctx, "ad", page); return err },
		"MyGroups":   func() error { list, err := c.MyGroups(ctx, page); assert.Len(t, list.Items, 1); return err },
		"SendToUser": func() error { _, err := c.SendToUser(ctx, id, client.SendMessageRequest{Body: "Hi"}); return err },
		"SendToGroup": func() error {
			_, err := c.SendToGroup(ctx, id, client.SendMessageRequest{Body: "Hi", Mentions: []string{id}, ReplyTo: new(int64(3))})
			return err
		},
		"RequestFriend": func() error {
			_, err := c.RequestFriend(ctx, client.FriendRequestRequest{UserID: id, Note: new("It is me.")}, client.WithIdempotencyKey("k"))
			return err
		},
		"FriendRequests":       func() error { _, err := c.FriendRequests(ctx, client.DirectionOutgoing, page); return err },
		"CancelFriendRequest":  func() error { return c.CancelFriendRequest(ctx, id) },
		"AcceptFriendRequest":  func() error { _, err := c.AcceptFriendRequest(ctx, id); return err },
		"DeclineFriendRequest": func() error { _, err := c.DeclineFriendRequest(ctx, id); return err },
		"Friends":              func() error { _, err := c.Friends(ctx, page); return err },
		"SetRemark":            func() error { _, err := c.SetRemark(ctx, id, "the one from the fair"); return err },
		"RemoveFriend":         func() error { return c.RemoveFriend(ctx, id) },
		"Blocks":               func() error { _, err := c.Blocks(ctx, page); return err },
		"Block":                func() error { return c.Block(ctx, id) },
		"Unblock":              func() error { return c.Unblock(ctx, id) },
		"CreateGroup": func() error {
			_, err := c.CreateGroup(ctx, client.CreateGroupRequest{Name: "Chess", Visibility: client.VisibilityPublic, JoinPolicy: client.JoinPolicyOpen})
			return err
		},
		"FindGroups": func() error { _, err := c.FindGroups(ctx, "chess", page); return err },
		"Group": func() error {
			group, err := c.Group(ctx, id)
			assert.Equal(t, client.RoleOwner, *group.MyRole)
			return err
		},
		"UpdateGroup": func() error {
			_, err := c.UpdateGroup(ctx, id, client.UpdateGroupRequest{Description: new("")})
			return err
		},
		"DissolveGroup": func() error { return c.DissolveGroup(ctx, id) },
		"JoinGroup": func() error {
			joined, err := c.JoinGroup(ctx, id)
			assert.NotNil(t, joined.Group)
			assert.Nil(t, joined.Request)
			return err
		},
		"LeaveGroup":         func() error { return c.LeaveGroup(ctx, id) },
		"Members":            func() error { _, err := c.Members(ctx, id, page); return err },
		"PutMember":          func() error { _, err := c.PutMember(ctx, id, id, client.RoleAdmin); return err },
		"PutMember again":    func() error { _, err := c.PutMember(ctx, id, id, ""); return err },
		"RemoveMember":       func() error { return c.RemoveMember(ctx, id, id) },
		"JoinRequests":       func() error { _, err := c.JoinRequests(ctx, id, page); return err },
		"DeclineJoinRequest": func() error { return c.DeclineJoinRequest(ctx, id, id) },
		"AskToJoin":          func() error { _, err := c.AskToJoin(ctx, id, "please"); return err },
		"AcceptJoinRequest":  func() error { _, err := c.AcceptJoinRequest(ctx, id, id); return err },
		"MyJoinRequests":     func() error { _, err := c.MyJoinRequests(ctx, page); return err },
		"CreateInvitation": func() error {
			made, err := c.CreateInvitation(ctx, id, client.CreateInvitationRequest{MaxUses: new(3)})
			assert.NotEmpty(t, made.Code)
			return err
		},
		"Invitations":        func() error { _, err := c.Invitations(ctx, id, page); return err },
		"RevokeInvitation":   func() error { return c.RevokeInvitation(ctx, id, id) },
		"PreviewInvitation":  func() error { _, err := c.PreviewInvitation(ctx, "code"); return err },
		"JoinByInvitation":   func() error { _, err := c.JoinByInvitation(ctx, "code"); return err },
		"SetAnnouncement":    func() error { _, err := c.SetAnnouncement(ctx, id, "Next week."); return err },
		"RemoveAnnouncement": func() error { return c.RemoveAnnouncement(ctx, id) },
		"MuteMember": func() error {
			_, err := c.MuteMember(ctx, id, id, time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC))
			return err
		},
		"UnmuteMember":  func() error { return c.UnmuteMember(ctx, id, id) },
		"Bans":          func() error { _, err := c.Bans(ctx, id, page); return err },
		"BanUser":       func() error { _, err := c.BanUser(ctx, id, id, "Spam."); return err },
		"LiftBan":       func() error { return c.LiftBan(ctx, id, id) },
		"Conversations": func() error { _, err := c.Conversations(ctx, page); return err },
		"FindConversations": func() error {
			_, err := c.FindConversations(ctx, client.ConversationFilter{Archived: client.ArchivedAny, Unread: true}, page)
			return err
		},
		"UpdateConversation": func() error {
			conversation, err := c.UpdateConversation(ctx, id, client.UpdateConversationRequest{Pinned: new(true), Muted: new(false)})
			assert.True(t, conversation.Pinned)
			return err
		},
		"ClearConversation": func() error { return c.ClearConversation(ctx, id) },
		"Receipts": func() error {
			receipts, err := c.Receipts(ctx, id, 7)
			assert.Equal(t, client.DeliveryStateRead, receipts.Items[0].State)
			return err
		},
		"Conversation": func() error { _, err := c.Conversation(ctx, id); return err },
		"Messages": func() error {
			history, err := c.Messages(ctx, id, client.HistoryQuery{AfterSeq: new(int64(0)), Limit: 7})
			assert.True(t, history.HasMoreBefore)
			return err
		},
		"Message": func() error {
			message, err := c.Message(ctx, id, 7)
			assert.EqualValues(t, 7, message.Seq)
			return err
		},
		"EditMessage": func() error {
			_, err := c.EditMessage(ctx, id, 7, client.EditMessageRequest{Body: new("Hi!"), Mentions: new([]client.ID{})})
			return err
		},
		"EditMessage of a custom one": func() error {
			_, err := c.EditMessage(ctx, id, 7, client.EditMessageRequest{Payload: json.RawMessage(`{"a":1}`)})
			return err
		},
		"MessageVersions": func() error { list, err := c.MessageVersions(ctx, id, 7); assert.Len(t, list.Items, 2); return err },
		"RecallMessage": func() error {
			message, err := c.RecallMessage(ctx, id, 7)
			assert.True(t, message.Recalled)
			return err
		},
		"DeleteMessage": func() error { return c.DeleteMessage(ctx, id, 7) },
		"AddReaction": func() error {
			now, err := c.AddReaction(ctx, id, 7, "👍🏽")
			assert.Equal(t, 2, now.Reactions[0].Count)
			return err
		},
		"RemoveReaction": func() error { _, err := c.RemoveReaction(ctx, id, 7, ":+1:"); return err },
		"Reactions": func() error {
			list, err := c.Reactions(ctx, id, 7, page)
			assert.Equal(t, "bob", list.Items[0].User.Username)
			return err
		},
		"PinMessage":   func() error { now, err := c.PinMessage(ctx, id, 7); assert.Len(t, now.Pins, 1); return err },
		"UnpinMessage": func() error { _, err := c.UnpinMessage(ctx, id, 7); return err },
		"Pins":         func() error { list, err := c.Pins(ctx, id); assert.Len(t, list.Items, 1); return err },
		"SendToUser a custom message": func() error {
			_, err := c.SendToUser(ctx, id, client.SendMessageRequest{Kind: new(client.MessageKindCustom), Payload: json.RawMessage(`{"a":1}`)})
			return err
		},
		"SendToGroup a forward": func() error {
			_, err := c.SendToGroup(ctx, id, client.SendMessageRequest{Forward: &client.MessageRef{ConversationID: id, Seq: 7}})
			return err
		},
		"SearchMessages": func() error {
			list, err := c.SearchMessages(ctx, client.Search{Query: "boards", Conversation: id, Sender: id, AfterTime: new(time.Unix(0, 0))}, page)
			assert.Equal(t, client.Highlight{Start: 15, End: 21}, list.Items[0].Highlights[0])
			return err
		},
		"MarkRead": func() error { _, err := c.MarkRead(ctx, id, 7); return err },
		"Poll": func() error {
			result, err := c.Poll(ctx, client.PollOptions{Cursor: client.Begin, Limit: 7, Presence: client.ActivityBackground})
			assert.Equal(t, client.EventSessionRevoked, result.Events[0].Type)
			assert.IsType(t, client.SessionRevokedData{}, result.Events[0].Value())
			return err
		},
		"SetTyping":   func() error { return c.SetTyping(ctx, id, client.TypingStateTyping) },
		"SetPresence": func() error { return c.SetPresence(ctx, client.ActivityBackground) },
		"Presences": func() error {
			friends, err := c.Presences(ctx, id, id)
			assert.Equal(t, client.PresenceStateOffline, friends[0].State)
			assert.NotNil(t, friends[0].LastSeenAt)
			return err
		},
		"Ack":        func() error { return c.Ack(ctx, "1.a.b.3") },
		"InboxToken": func() error { _, err := c.InboxToken(ctx); return err },
		"Sync":       func() error { all, err := c.Sync(ctx); assert.NotZero(t, all.Limits.MaxBodyBytes); return err },
		"Limits":     func() error { _, err := c.Limits(ctx); return err },
		"Ready":      func() error { return c.Ready(ctx) },
	} {
		require.NoError(t, call(), name)
	}
	require.NoError(t, c.Logout(ctx))
	require.NoError(t, c.DeleteMe(ctx, "correct horse"))

	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			switch operation.OperationID {
			case "streamInbox", "getHealth", "getOpenapiJson", "getOpenapiYaml": // stream_test.go has the first; the others are for machines
			case "probeStream": // for browsers: a program that reads a stream by itself notices from the heartbeats
			default:
				assert.True(t, server.asked[operation.OperationID], "no call for %s: %s %s", operation.OperationID, method, path)
			}
		}
	}
}
