package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"longwire/client"
	"longwire/openapi/openapitest"
)

// The examples of the specification tell one story, in which Ada acts and Bob is the other. These are its names; what a stage has
// in their place is made when an operation asks for it, so that each gets its own and may do away with it.
const (
	exampleCaller       = "0231rhm05bxze"
	exampleOther        = "023pbqc03ztkt"
	exampleGroup        = "0268rec05h624"
	exampleConversation = "026xbm4035yf0"
	exampleRequest      = "024ayx4039aaa"
	exampleSession      = "024zj2w004r88"
	exampleSeq          = "7" // of the newest message of the conversation
	exampleInvitation   = "026bq8r05r2a4"
	exampleCode         = "026bq8r05r2a4k5rkhjoau2x4wwgudnzsfxpzxu"
)

// standIns says what stands on a stage for a text of the examples.
var standIns map[string]func(s *stage) string

func init() { //nolint:gochecknoinits // what makes a thing may itself look for what stands for another
	standIns = map[string]func(s *stage) string{
		exampleCaller:       func(s *stage) string { return s.caller.id },
		exampleOther:        func(s *stage) string { return s.other.id },
		exampleGroup:        func(s *stage) string { return s.group() },
		exampleConversation: func(s *stage) string { return s.conversation() },
		exampleRequest:      func(s *stage) string { return s.request() },
		exampleSession:      func(s *stage) string { return s.session() },
		exampleInvitation:   func(s *stage) string { return s.invitation().ID },
		exampleCode:         func(s *stage) string { return s.invitation().Code },

		"2026-09-02T10:00:00.000Z": func(*stage) string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) },

		"1.k3j9.abcdefgh.42":                   func(s *stage) string { return s.cursor() },
		"r1.024zj2w004r88.3.kq3v9":             func(s *stage) string { return s.caller.Tokens().Refresh },
		"ada":                                  func(s *stage) string { return s.caller.name },
		"correct horse battery":                func(*stage) string { return password },
		"3f0c9a52-7d1b-4f0e-9a53-0e7f5c1b2a10": func(*stage) string { return rand.Text() },
	}
}

// pathNames says which name of the story a path parameter is, by what stands before it in the path.
var pathNames = map[string]string{
	"users": exampleOther, "friends": exampleOther, "blocks": exampleOther, "members": exampleOther, "join-requests": exampleOther,
	"groups": exampleGroup, "conversations": exampleConversation, "friend-requests": exampleRequest, "sessions": exampleSession,
	"messages": exampleSeq, "reactions": "👍", "bans": exampleOther,
}

// ownNames says the same of parameters that stand behind what has two.
var ownNames = map[string]string{"code": exampleCode, "invitation_id": exampleInvitation}

// fixture is what an operation needs beside what its role arranges and what its examples say. Most need nothing.
type fixture struct {
	prepare func(s *stage)
	query   string // instead of the examples of parameters
}

// fixtures is keyed by operationId, or by operationId and variant where an operation has several rows in docs/authorization.md.
var fixtures = map[string]fixture{
	"register":               {prepare: func(s *stage) { s.stand("ada", strings.ToLower("new-"+rand.Text()[:12])) }},
	"logout":                 {prepare: func(s *stage) { s.newDevice() }},
	"endOtherSessions":       {prepare: func(s *stage) { s.newcomer() }},
	"changePassword":         {prepare: func(s *stage) { s.newcomer() }},
	"deleteMe":               {prepare: func(s *stage) { s.newcomer() }},
	"refresh":                {prepare: func(s *stage) { s.newDevice() }},
	"sendToUser":             {prepare: func(s *stage) { s.peer = s.friend; s.conversation() }}, // there is something to answer
	"pollInbox":              {query: "wait=0"},
	"declineJoinRequest":     {prepare: func(s *stage) { s.otherAsksToJoin = true }},
	"putGroupMember new":     {prepare: func(s *stage) { s.otherAsksToJoin = true; s.body = "" }},
	"getReceipts":            {prepare: func(s *stage) { s.ownMessage() }},
	"editMessage":            {prepare: func(s *stage) { s.ownMessage() }},
	"deleteMessage":          {prepare: func(s *stage) { s.ownMessage() }},
	"addReaction":            {prepare: func(s *stage) { s.ownMessage() }},
	"removeReaction":         {prepare: func(s *stage) { s.ownMessage() }},
	"recallMessage own":      {prepare: func(s *stage) { s.ownMessage() }},
	"recallMessage":          {prepare: func(s *stage) { s.messageInGroup() }},
	"pinMessage":             {prepare: func(s *stage) { s.messageInGroup() }},
	"unpinMessage":           {prepare: func(s *stage) { s.messageInGroup() }},
	"acceptJoinRequest":      {prepare: func(s *stage) { s.otherAsksToJoin = true }},
	"liftBan":                {prepare: func(s *stage) { s.otherIsBanned = true }},
	"removeGroupMember self": {prepare: func(s *stage) { s.stand(exampleOther, s.caller.id) }},
}

// cast is who plays on all stages of a deployment: registering is what takes longest.
type cast struct {
	d                     *deployment
	caller, other, third  *person
	endedToken, inboxOnly string
	kept                  map[string]string // what is only read, by what it is
	related               *bool             // the caller and the other may have to do with each other
}

func newCast(t *testing.T, d *deployment) *cast {
	t.Helper()
	people := d.people(t, "ada", "bob", "cleo")
	c := &cast{d: d, caller: people[0], other: people[1], third: people[2], kept: map[string]string{}, related: new(false)}
	ended := c.caller.device(0)
	c.endedToken = ended.Tokens().Access
	require.NoError(t, ended.Logout(t.Context()))
	token, err := c.caller.InboxToken(t.Context())
	require.NoError(t, err)
	c.inboxOnly = token.Token
	return c
}

// stage is a little world in which somebody in some role asks an operation of the specification.
type stage struct {
	*cast

	t     *testing.T
	op    openapitest.Operation
	token string // what is sent; "" = nothing
	body  string // the JSON that is sent; "" = none
	made  map[string]string

	// What the role says, for what is made later.
	nothing         bool // there is none of it: only the token decides
	friend          bool
	groupRole       client.Role // "" = no member
	publicGroup     bool
	asker, asked    bool // the side of the friend request that the caller is
	peer            bool // the conversation is the caller's with the other
	inGroup         bool // the conversation is a group of the caller
	ownSession      bool
	otherAsksToJoin bool // the other is no member of the group but waits to be let in
	otherIsBanned   bool // from the group
}

// roles says what a column of docs/authorization.md means. Each begins with two people who have nothing to do with each other.
var roles = map[string]func(s *stage){
	"user":     func(s *stage) { s.ownSession = true },
	"stranger": func(*stage) {},
	"friend":   func(s *stage) { befriend(s.t, s.caller, s.other); s.friend = true },
	"blocked":  func(s *stage) { require.NoError(s.t, s.other.Block(s.t.Context(), s.caller.id)) },
	"blocker":  func(s *stage) { require.NoError(s.t, s.caller.Block(s.t.Context(), s.other.id)) },

	"asker": func(s *stage) { s.asker = true },
	"asked": func(s *stage) { s.asked = true },

	"outsider, private group": func(*stage) {},
	"outsider, public group":  func(s *stage) { s.publicGroup = true },
	"member":                  func(s *stage) { s.publicGroup, s.groupRole = true, client.RoleMember },
	"admin":                   func(s *stage) { s.publicGroup, s.groupRole = true, client.RoleAdmin },
	"owner":                   func(s *stage) { s.publicGroup, s.groupRole = true, client.RoleOwner },

	"peer": func(s *stage) { s.peer = true },
	"blocked peer": func(s *stage) {
		s.peer = true
		s.conversation()
		require.NoError(s.t, s.other.Block(s.t.Context(), s.caller.id))
	},
	"group member": func(s *stage) { s.groupRole, s.inGroup = client.RoleMember, true },
}

// tokens are the columns that say what is sent in place of a good token.
var tokens = map[string]func(s *stage){
	"no token":      func(s *stage) { s.token = "" },
	"ended session": func(s *stage) { s.token = s.endedToken },
	"inbox token":   func(s *stage) { s.token = s.inboxOnly },
}

// grouping are the roles in which nothing happens between the caller and the other.
var grouping = []string{"user", "outsider, private group", "outsider, public group", "member", "admin", "owner", "group member"}

// stage builds the world of one cell: a role, and what the operation needs in it. Where the token is to decide, ids that are nobody's will do.
func (c *cast) stage(t *testing.T, op openapitest.Operation, role string, f fixture, body string) *stage {
	t.Helper()
	own := *c
	s := &stage{cast: &own, t: t, op: op, made: map[string]string{}, body: body, token: c.caller.Tokens().Access}
	token, isToken := tokens[role]
	if isToken {
		s.nothing = true
		if public := op.Security != nil && len(*op.Security) == 0; public && f.prepare != nil {
			f.prepare(s)
		}
		token(s)
		return s
	}
	arrange, known := roles[role]
	require.True(t, known, "nobody knows how to be a %s", role)
	if *s.related {
		estrange(t, s.caller, s.other)
	}
	*s.related = !slices.Contains(grouping, role)
	arrange(s)
	if f.prepare != nil {
		f.prepare(s)
	}
	return s
}

// estrange makes two people strangers. A block ends friendship and open requests.
func estrange(t *testing.T, a, b *person) {
	t.Helper()
	require.NoError(t, a.Block(t.Context(), b.id))
	require.NoError(t, a.Unblock(t.Context(), b.id))
	require.NoError(t, b.Unblock(t.Context(), a.id))
}

// stand has a text stand for one of the examples.
func (s *stage) stand(example, text string) { s.made[example] = text }

// standIn returns what stands for a text of the examples, which is mostly the text itself.
func (s *stage) standIn(text string) string {
	if made, known := s.made[text]; known {
		return made
	}
	if s.nothing && slices.Contains([]string{exampleGroup, exampleConversation, exampleRequest, exampleSession, exampleInvitation, exampleCode}, text) {
		return nobody
	}
	if find, known := standIns[text]; known {
		s.made[text] = find(s)
		return s.made[text]
	}
	return text
}

// newDevice signs the caller in once more, for operations that do away with the session or its tokens.
func (s *stage) newDevice() {
	s.t.Helper()
	s.caller = s.caller.device(0)
	s.token = s.caller.Tokens().Access
}

// newcomer puts somebody new in the caller's place, for operations that do away with the account or all that is signed in to it.
func (s *stage) newcomer() {
	s.t.Helper()
	s.caller = s.d.person(s.t, 0, "dora")
	s.token = s.caller.Tokens().Access
}

// group makes a group in which the caller is what the role says and the other is a plain member.
func (s *stage) group() string {
	s.t.Helper()
	ctx, owner := s.t.Context(), s.third
	key := fmt.Sprintf("group as %q, public %t, asked %t", s.groupRole, s.publicGroup, s.otherAsksToJoin)
	if s.op.Method == http.MethodGet && s.kept[key] != "" {
		return s.kept[key]
	}
	wanted := client.CreateGroupRequest{Name: "Chess club", Visibility: client.VisibilityPrivate, JoinPolicy: client.JoinPolicyApproval}
	if s.publicGroup || s.otherAsksToJoin && s.groupRole != "" {
		wanted.Visibility = client.VisibilityPublic
	}
	if !s.otherAsksToJoin {
		wanted.Members = append(wanted.Members, s.other.id)
	}
	switch s.groupRole {
	case client.RoleOwner:
		owner = s.caller
	case client.RoleAdmin, client.RoleMember:
		wanted.Members = append(wanted.Members, s.caller.id)
	}
	group, err := owner.CreateGroup(ctx, wanted)
	require.NoError(s.t, err)
	if s.groupRole == client.RoleAdmin {
		_, err := owner.PutMember(ctx, group.ID, s.caller.id, client.RoleAdmin)
		require.NoError(s.t, err)
	}
	if s.otherAsksToJoin && wanted.Visibility == client.VisibilityPublic {
		_, err := s.other.JoinGroup(ctx, group.ID)
		require.NoError(s.t, err)
	}
	if s.otherIsBanned {
		_, err := owner.BanUser(ctx, group.ID, s.other.id, "")
		require.NoError(s.t, err)
	}
	if s.op.Method == http.MethodGet {
		s.kept[key] = group.ID
	}
	return group.ID
}

// invitation makes one to the group.
func (s *stage) invitation() client.Invitation {
	s.t.Helper()
	group, owner := s.standIn(exampleGroup), s.third
	if s.groupRole == client.RoleOwner {
		owner = s.caller
	}
	made, err := owner.CreateInvitation(s.t.Context(), group, client.CreateInvitationRequest{})
	require.NoError(s.t, err, "%s as %q, public %t", s.op.OperationID, s.groupRole, s.publicGroup)
	return made
}

// conversation returns one with seven messages, as the examples have it. Two people have one private conversation, so it is kept;
// what is cleared stays so, which is why `clearConversation` has the last row.
func (s *stage) conversation() string {
	s.t.Helper()
	const messages = 7
	a, b := s.other, s.third
	key := "conversation of others"
	switch {
	case s.inGroup:
		key = "conversation of a group"
	case s.peer:
		key, b = "conversation with the other", s.caller
	}
	if s.kept[key] != "" {
		return s.kept[key]
	}
	if s.inGroup {
		s.kept[key] = s.standIn(exampleGroup)
	} else {
		estrange(s.t, a, b)
		befriend(s.t, a, b)
	}
	for range messages {
		if s.inGroup {
			a.tell(s.kept[key], "Hello, all.")
		} else {
			s.kept[key] = a.say(b, "Hello.").ConversationID
		}
	}
	return s.kept[key]
}

// ownMessage has a new message of the caller stand for that of the examples, where the caller belongs to the conversation.
func (s *stage) ownMessage() {
	s.t.Helper()
	ctx, conversation := s.t.Context(), s.standIn(exampleConversation)
	switch {
	case s.inGroup:
		s.stand(exampleSeq, fmt.Sprint(s.caller.tell(conversation, "Mine.").Seq))
	case s.peer:
		blocks, err := s.other.Blocks(ctx, client.Page{})
		require.NoError(s.t, err)
		estrange(s.t, s.caller, s.other)
		befriend(s.t, s.caller, s.other)
		s.stand(exampleSeq, fmt.Sprint(s.caller.say(s.other, "Mine.").Seq))
		require.NoError(s.t, s.caller.RemoveFriend(ctx, s.other.id))
		for _, block := range blocks.Items {
			if block.User.ID == s.caller.id {
				require.NoError(s.t, s.other.Block(ctx, s.caller.id))
			}
		}
	}
}

// messageInGroup has a message of another member of the group stand for that of the examples.
func (s *stage) messageInGroup() {
	s.t.Helper()
	group := s.standIn(exampleGroup)
	s.stand(exampleConversation, group)
	s.stand(exampleSeq, fmt.Sprint(s.other.tell(group, "Theirs.").Seq))
}

// request makes a friend request, from or to the caller or between two others.
func (s *stage) request() string {
	s.t.Helper()
	from, to := s.other, s.third
	switch {
	case s.asker:
		from, to = s.caller, s.other
	case s.asked:
		from, to = s.other, s.caller
	default: // they are friends already, or their last request is still open
		estrange(s.t, from, to)
	}
	request, err := from.RequestFriend(s.t.Context(), client.FriendRequestRequest{UserID: to.id})
	require.NoError(s.t, err)
	return request.ID
}

// session begins one, of the caller or of the other.
func (s *stage) session() string {
	s.t.Helper()
	if s.ownSession {
		return s.caller.device(0).session
	}
	return s.other.device(0).session
}

// cursor returns where the caller's inbox stands.
func (s *stage) cursor() string {
	s.t.Helper()
	snapshot, err := s.caller.Sync(s.t.Context())
	require.NoError(s.t, err)
	return snapshot.Cursor
}

// exampleBodies returns the JSON of an operation's examples; one that is empty for an operation without a body.
func exampleBodies(t *testing.T, op openapitest.Operation) []string {
	t.Helper()
	bodies := []string{}
	for _, example := range openapitest.BodyExamples(op.Operation) {
		text, err := openapitest.JSON(example.Value)
		require.NoError(t, err)
		bodies = append(bodies, text)
	}
	if len(bodies) == 0 {
		bodies = append(bodies, "")
	}
	return bodies
}

// replaced returns the stage's body with the names of the story replaced.
func (s *stage) replaced() string {
	s.t.Helper()
	if s.body == "" {
		return ""
	}
	var value any
	require.NoError(s.t, json.Unmarshal([]byte(s.body), &value))
	encoded, err := json.Marshal(s.recast(value))
	require.NoError(s.t, err)
	return string(encoded)
}

func (s *stage) recast(value any) any {
	switch value := value.(type) {
	case string:
		return s.standIn(value)
	case []any:
		for i := range value {
			value[i] = s.recast(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = s.recast(value[name])
		}
	}
	return value
}

// parameters says which of an operation's parameters are sent, with their examples.
type parameters bool

const (
	requiredParameters parameters = false
	allParameters      parameters = true // that have an example
)

// parameter returns an example as it stands in a URL or a header; a list has commas between.
func (s *stage) parameter(example any) string {
	list, isList := example.([]any)
	if !isList {
		return s.standIn(fmt.Sprint(example))
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = s.standIn(fmt.Sprint(item))
	}
	return strings.Join(texts, ",")
}

// ask sends the operation as the stage has it.
func (s *stage) ask(f fixture, wanted parameters) answer {
	s.t.Helper()
	op := s.op
	query, err := url.ParseQuery(f.query)
	require.NoError(s.t, err)
	header := http.Header{}
	path, before := "", ""
	for part := range strings.SplitSeq(strings.TrimPrefix(op.Path, "/"), "/") {
		if strings.HasPrefix(part, "{") {
			name, known := ownNames[strings.Trim(part, "{}")]
			if !known {
				name, known = pathNames[before]
			}
			require.True(s.t, known, "%s: pathNames does not say what stands behind /%s/", op.OperationID, before)
			part = s.standIn(name)
		}
		path, before = path+"/"+part, part
	}
	for _, ref := range op.Parameters {
		p := ref.Value
		if p.Example == nil || !p.Required && wanted == requiredParameters {
			continue
		}
		text := s.parameter(p.Example)
		switch p.In {
		case openapi3.ParameterInQuery:
			if f.query == "" {
				query.Set(p.Name, text)
			}
		case openapi3.ParameterInHeader:
			header.Set(p.Name, text)
		}
	}
	// Replacing comes first: what it makes may change what stands in the way.
	body := s.replaced()
	address := s.d.url(0, path)
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
		header.Set("Content-Type", "application/json")
	}
	request, err := http.NewRequestWithContext(ctx, op.Method, address, content)
	require.NoError(s.t, err)
	request.Header = header
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	response, err := s.caller.http.Do(request)
	require.NoError(s.t, err)
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") { // those end much later
		got.body, err = io.ReadAll(response.Body)
		require.NoError(s.t, err)
	}
	return got
}
