package handlers

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/openapi"
	"longwire/openapi/openapitest"
)

// strictSpec is the specification with every object closed, so that a field
// that it does not know is an error in an answer too.
func strictSpec(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapitest.Strict()
	require.NoError(t, err)
	return doc
}

func TestRoutesAreTheOperations(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	operations, err := operationsOf(spec)
	require.NoError(t, err)
	_, b := setup(t)
	b.config.Registerer = nil
	a, err := newAPI(b.config)
	require.NoError(t, err)
	router := a.router()
	for _, route := range router.Routes() {
		assert.Contains(t, operations, routeKey{route.Method, route.Path})
	}
	assert.Len(t, router.Routes(), len(operations))
	ids := map[string]bool{}
	for key, op := range operations {
		assert.NotEmpty(t, op.id, key)
		assert.False(t, ids[op.id], op.id)
		ids[op.id] = true
	}
}

// TestAnswersAreWhatTheSpecificationSays asks every operation with the example
// of its own specification and holds the answer against it.
func TestAnswersAreWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	doc := strictSpec(t)
	for path, item := range doc.Paths.Map() {
		for method, described := range item.Operations() {
			for _, again := range []bool{false, true} {
				t.Run(described.OperationID+" replayed "+strconv.FormatBool(again), func(t *testing.T) {
					t.Parallel()
					handler, b := setup(t)
					b.service.replayed = again
					b.inboxes.reader = newReaderDouble(41, eventBatch(t, 42), endBatch())
					r := exampleRequest(t, path, method, described)
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					require.Less(t, w.Code, 300, w.Body.String())
					route := &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: described}
					checkAnswer(t, r, route, w)
				})
			}
		}
	}
}

func exampleRequest(t *testing.T, path, method string, described *openapi3.Operation) *http.Request {
	t.Helper()
	query := ""
	for _, ref := range described.Parameters {
		switch ref.Value.In {
		case openapi3.ParameterInPath:
			value := bob.String()
			if ref.Value.Name == "seq" || ref.Value.Name == "emoji" {
				value = url.PathEscape(fmt.Sprint(ref.Value.Example))
			}
			path = strings.ReplaceAll(path, "{"+ref.Value.Name+"}", value)
		case openapi3.ParameterInQuery:
			switch {
			case ref.Value.Name == "user_ids":
				query = "?user_ids=" + bob.String()
			case ref.Value.Example != nil && ref.Value.Name != "before_seq":
				query = "?q=chess"
			}
		}
	}
	var body io.Reader
	if described.RequestBody != nil {
		text := exampleBody(t, described)
		body = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path+query, body)
	if body != nil {
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	signedIn(r)
	return r
}

func exampleBody(t *testing.T, described *openapi3.Operation) []byte {
	t.Helper()
	if described.OperationID == "ackInbox" {
		return []byte(`{"cursor":"` + cursorAt(42) + `"}`)
	}
	text, err := jsonOf(openapitest.BodyExamples(described)[0].Value)
	require.NoError(t, err)
	return text
}

func checkAnswer(t *testing.T, r *http.Request, route *routers.Route, w *httptest.ResponseRecorder) {
	t.Helper()
	assert.NotEmpty(t, w.Header().Get("X-Request-ID"))
	if strings.HasPrefix(route.Path, "/v1/") {
		assert.Contains(t, w.Header().Get("Cache-Control"), "no-store")
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	// What is no JSON is text to the specification, and the filter has no decoder for it.
	options.ExcludeResponseBody = !strings.Contains(w.Header().Get("Content-Type"), "json")
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())), Options: options,
	})
	require.NoError(t, err)
}

// domainCodes reads the codes out of the source, so that none is forgotten.
func domainCodes(t *testing.T) []chat.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../chat/errors.go", nil, 0)
	require.NoError(t, err)
	var codes []chat.Code
	ast.Inspect(file, func(node ast.Node) bool {
		spec, isValue := node.(*ast.ValueSpec)
		if !isValue || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") || len(spec.Values) != 1 {
			return true
		}
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		if !isLiteral {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		codes = append(codes, chat.Code(text))
		return true
	})
	require.NotEmpty(t, codes)
	return codes
}

func TestEveryCodeHasAStatusAnExampleAndADocument(t *testing.T) {
	t.Parallel()
	for _, code := range domainCodes(t) {
		assert.Contains(t, problems, code)
	}
	doc := strictSpec(t)
	documented, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(documented), -1) {
		rows[row[1]] = row[2]
	}
	enum := doc.Components.Schemas["ProblemCode"].Value.Enum
	for code, said := range problems {
		assert.Contains(t, enum, string(code))
		assert.Equal(t, strconv.Itoa(said.status), rows[string(code)], "docs/errors.md on %s", code)
		example := doc.Components.Examples[string(code)]
		if assert.NotNil(t, example, code) {
			value, isObject := example.Value.Value.(map[string]any)
			require.True(t, isObject)
			assert.InDelta(t, said.status, value["status"], 0, code)
			assert.Equal(t, said.title, value["title"], code)
			assert.NoError(t, doc.Components.Schemas["Problem"].Value.VisitJSON(value), code)
		}
	}
	assert.Len(t, enum, len(problems))
	assert.Len(t, rows, len(problems))
}

// TestEventsAreWhatTheSpecificationSays holds every event of the domain against
// the schema of its type, and that it is the only one that fits.
func TestEventsAreWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	schema := strictSpec(t).Components.Schemas["Event"].Value
	count, waiting := int64(2), 0
	gone := chat.Profile{ID: bob, Username: chat.DeletedUsername, DisplayName: chat.DeletedDisplayName, Deleted: true}
	data := map[chat.EventType][]any{
		chat.MessageCreated:       {message, message.ForOthers(), custom, recalled, saidBySystem},
		chat.MessageEdited:        {message, custom},
		chat.MessageRecalled:      {recalled},
		chat.MessageDeleted:       {chat.MessageDeletedData{ConversationID: bob, Seq: 7}},
		chat.ReactionChanged:      {reacted},
		chat.PinChanged:           {pins},
		chat.ConversationAdded:    {private, crowd},
		chat.ConversationRead:     {chat.ConversationReadData{ConversationID: bob, UserID: ada, ReadSeq: 7}, chat.ConversationReadData{ConversationID: bob, UserID: ada, ReadSeq: 7, UnreadCount: &count, MentionsUnread: &count, LastSeq: &count}},
		chat.ConversationUpdated:  {chat.ConversationUpdatedData{ConversationID: bob, ConversationState: private.ConversationState, UnreadCount: 2, MentionsUnread: 1}, chat.ConversationUpdatedData{ConversationID: bob}},
		chat.FriendRequestCreated: {chat.FriendRequestData{FriendRequest: request}, chat.FriendRequestData{FriendRequest: request, IncomingRequestCount: &waiting}},
		chat.FriendRequestUpdated: {chat.FriendRequestData{FriendRequest: request}, chat.FriendRequestData{FriendRequest: request, IncomingRequestCount: &waiting}},
		chat.FriendAdded:          {friend},
		chat.FriendRemoved:        {chat.FriendRemovedData{UserID: bob}},
		chat.GroupCreated:         {group},
		chat.GroupUpdated:         {group},
		chat.GroupDissolved:       {chat.GroupDissolvedData{GroupID: bob}},
		chat.MemberJoined:         {chat.MemberJoinedData{Group: group, User: profile, Role: chat.RoleMember, By: ada}},
		chat.MemberLeft:           {chat.MemberLeftData{GroupID: bob, UserID: ada, Reason: "left", By: ada, MemberCount: 1}},
		chat.MemberUpdated:        {chat.MemberUpdatedData{GroupID: bob, UserID: ada, Role: chat.RoleAdmin, JoinRequestCount: &nWaiting}, chat.MemberUpdatedData{GroupID: bob, UserID: ada, Role: chat.RoleMember, MutedUntil: &later}},
		chat.SessionCreated:       {chat.SessionCreatedData{Session: session}},
		chat.SessionRevoked:       {chat.SessionRevokedData{SessionID: laptop}},
		chat.TypingChanged:        {chat.TypingData{ConversationID: bob, UserID: ada, State: chat.TypingStarted}, chat.TypingData{ConversationID: bob, UserID: ada, State: chat.TypingStopped}},
		chat.PresenceChanged:      {chat.Presence{UserID: ada, State: chat.PresenceOnline}, chat.Presence{UserID: ada, State: chat.PresenceOffline, LastSeenAt: &then}},
		chat.JoinRequestCreated:   {joining},
		chat.JoinRequestUpdated:   {chat.JoinRequest{GroupID: bob, User: profile, State: chat.RequestDeclined, CreatedAt: then}},
		chat.InvitationCreated:    {invitation},
		chat.InvitationUpdated:    {chat.Invitation{ID: bob, GroupID: bob, Code: "c", CreatedBy: ada, CreatedAt: then}},
		chat.InvitationRevoked:    {chat.InvitationRevokedData{ID: bob, GroupID: bob}},
		chat.BanAdded:             {ban},
		chat.BanRemoved:           {chat.BanRemovedData{GroupID: bob, UserID: ada}},
		chat.UserUpdated: {
			chat.UserUpdatedData{Profile: profile},
			chat.UserUpdatedData{Profile: gone},
			chat.UserUpdatedData{
				Profile: me.Profile, AcceptMessagesFrom: chat.AcceptNobody, AcceptFriendRequestsFrom: chat.AcceptNobody,
				AcceptGroupInvitesFrom: chat.AcceptFriends, PresenceVisibility: chat.PresenceToFriends, CreatedAt: &me.CreatedAt,
			},
		},
		chat.FriendUpdated: {friend},
		chat.BlockChanged:  {chat.BlockChangedData{User: profile, Blocked: true, Since: &me.CreatedAt}, chat.BlockChangedData{User: gone}},
	}
	assert.Len(t, data, len(schema.Discriminator.Mapping))
	for kind, samples := range data {
		assert.Contains(t, schema.Discriminator.Mapping, string(kind))
		for _, sample := range samples {
			body, err := chat.EncodeBody(kind, then, sample)
			require.NoError(t, err)
			encoded := appendEnvelope(nil, chat.CursorPrefix(epoch, ada), 42, body)
			if kind == chat.TypingChanged || kind == chat.PresenceChanged { // they have no cursor
				encoded = append([]byte{'{'}, body...)
			}
			event, err := valueOfJSON(encoded)
			require.NoError(t, err)
			assert.NoError(t, schema.VisitJSON(event), kind)
		}
	}
}

// TestDocumentedEventsAreTrue holds the examples of docs/protocol.md against the
// specification: one of each type.
func TestDocumentedEventsAreTrue(t *testing.T) {
	t.Parallel()
	schema := strictSpec(t).Components.Schemas["Event"].Value
	text, err := os.ReadFile("../docs/protocol.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, `{"cursor":"`) && !strings.HasPrefix(line, `{"type":"`) || strings.Contains(line, "…") {
			continue
		}
		event, err := valueOfJSON([]byte(line))
		require.NoError(t, err, line)
		require.NoError(t, schema.VisitJSON(event), line)
		object, isObject := event.(map[string]any)
		require.True(t, isObject)
		kind, isText := object["type"].(string)
		require.True(t, isText)
		seen[kind] = true
	}
	for kind := range schema.Discriminator.Mapping {
		assert.True(t, seen[kind], kind)
		assert.Contains(t, string(text), "| `"+kind+"` |")
	}
	_, block, _ := strings.Cut(string(text), "## Events")
	_, block, _ = strings.Cut(block, "```json\n")
	block, _, _ = strings.Cut(block, "```")
	next := 42
	for line := range strings.Lines(block) {
		if strings.HasPrefix(line, `{"cursor":"`) {
			assert.Contains(t, line, fmt.Sprintf(`.%d","type"`, next), "cursors count on")
			next++
		}
	}
	assert.Greater(t, next, 42+25)
}
