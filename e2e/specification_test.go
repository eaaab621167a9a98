package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// specClient is a client by somebody who has never seen anything but the specification: it knows names of operations and
// of properties, and finds out at run time where they go.
type specClient struct {
	t     *testing.T
	http  *http.Client
	base  string
	doc   map[string]any
	token string
}

// object is JSON that somebody looks into.
type object = map[string]any

// at follows a path through JSON.
func at(value any, path ...string) any {
	for _, step := range path {
		inner, _ := value.(object)
		value = inner[step]
	}
	return value
}

// resolve follows a $ref.
func (c *specClient) resolve(value any) object {
	c.t.Helper()
	if ref, ok := at(value, "$ref").(string); ok {
		value = at(c.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	found, ok := value.(object)
	require.True(c.t, ok, "nothing there: %v", value)
	return found
}

// find returns an operation and where it is.
func (c *specClient) find(id string) (method, path string, operation object) {
	c.t.Helper()
	paths, _ := c.doc["paths"].(object)
	for path, item := range paths {
		methods, _ := item.(object)
		for method, operation := range methods {
			if at(operation, "operationId") == id {
				return strings.ToUpper(method), path, c.resolve(operation)
			}
		}
	}
	require.FailNow(c.t, "there is no operation "+id)
	return "", "", nil
}

// call does an operation with named values, each of which goes where the specification says. The answer's status must be
// one that the specification lists as a success.
func (c *specClient) call(id string, values object) object {
	c.t.Helper()
	method, path, operation := c.find(id)
	left := object{}
	maps.Copy(left, values)
	query, header := url.Values{}, http.Header{}
	parameters, _ := operation["parameters"].([]any)
	for _, parameter := range parameters {
		described := c.resolve(parameter)
		name, _ := described["name"].(string)
		value, given := left[name]
		if !given {
			require.NotEqual(c.t, true, described["required"], "%s wants %s", id, name)
			continue
		}
		delete(left, name)
		switch described["in"] {
		case "path":
			path = strings.ReplaceAll(path, "{"+name+"}", fmt.Sprint(value))
		case "query":
			query.Set(name, fmt.Sprint(value))
		case "header":
			header.Set(name, fmt.Sprint(value))
		}
	}
	var body io.Reader
	if content := at(operation, "requestBody", "content"); content != nil {
		schema := c.resolve(at(content, "application/json", "schema"))
		for name := range left {
			require.NotNil(c.t, at(schema, "properties", name), "%s has no place for %s", id, name)
		}
		encoded, err := json.Marshal(left)
		require.NoError(c.t, err)
		body = bytes.NewReader(encoded)
		header.Set("Content-Type", "application/json")
	} else {
		require.Empty(c.t, left, "%s has no place for them", id)
	}
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return c.exchange(id, method, address, header, body, operation)
}

func (c *specClient) exchange(id, method, address string, header http.Header, body io.Reader, operation object) object {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, address, body)
	require.NoError(c.t, err)
	request.Header = header
	if security, ok := operation["security"].([]any); !ok || len(security) > 0 {
		scheme := at(c.doc, "components", "securitySchemes", "bearerAuth", "scheme")
		require.Equal(c.t, "bearer", scheme)
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	require.Less(c.t, response.StatusCode, 300, "%s: %s", id, read)
	require.NotNil(c.t, at(operation, "responses", fmt.Sprint(response.StatusCode)), "%s answers %d", id, response.StatusCode)
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	var answer object
	require.NoError(c.t, json.Unmarshal(read, &answer), "%s: %s", id, read)
	return answer
}

func TestNobodyNeedsAnythingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		served := ask(t, d.http(t), raw{url: d.url(0, "/openapi.json")})
		var doc object
		require.NoError(t, json.Unmarshal(served.body, &doc))
		signUp := func(name string, n int) (*specClient, string) {
			c := &specClient{t: t, http: d.http(t), base: d.node(n).url, doc: doc}
			name += strings.ToLower(strings.ReplaceAll(t.Name(), "/", "")[4:14]) + freePort()
			signIn := c.call("register", object{"username": name, "password": "long enough"})
			c.token, _ = signIn["access_token"].(string)
			id, _ := at(signIn, "user", "id").(string)
			return c, id
		}
		ada, adaID := signUp("ada", 0)
		bob, bobID := signUp("bob", 1)
		before := bob.call("sync", nil)
		request := ada.call("requestFriend", object{"user_id": bobID, "note": "It is me."})
		incoming := bob.call("listFriendRequests", object{"direction": "incoming"})
		require.Equal(t, request["id"], at(incoming["items"].([]any)[0], "id"))
		accepted := bob.call("acceptFriendRequest", object{"id": request["id"]})
		assert.Equal(t, "accepted", accepted["state"])

		sent := ada.call("sendToUser", object{"id": bobID, "body": "Hello, Bob.", "Idempotency-Key": "k-" + bobID})
		again := ada.call("sendToUser", object{"id": bobID, "body": "Hello, Bob.", "Idempotency-Key": "k-" + bobID})
		assert.Equal(t, sent, again)

		var seen []string
		cursor := before["cursor"]
		for !slices.Contains(seen, "message.created") {
			polled := bob.call("pollInbox", object{"cursor": cursor, "wait": 20})
			events, _ := polled["events"].([]any)
			require.NotEmpty(t, events)
			for _, event := range events {
				kind, _ := at(event, "type").(string)
				seen = append(seen, kind)
				// What the event's data is made of stands in the specification too.
				schema := at(doc, "components", "schemas", "Event", "discriminator", "mapping", kind)
				require.NotNil(t, schema, kind)
				if kind == "message.created" {
					assert.Equal(t, "Hello, Bob.", at(event, "data", "body"))
					assert.Equal(t, adaID, at(event, "data", "sender_id"))
				}
			}
			cursor = polled["cursor"]
		}
		assert.ElementsMatch(t, []string{"friend_request.created", "friend_request.updated", "friend.added", "conversation.added", "message.created"}, seen)

		read := bob.call("markRead", object{"id": sent["conversation_id"], "seq": sent["seq"]})
		assert.InDelta(t, 0, read["unread_count"], 0)
		history := ada.call("listMessages", object{"id": sent["conversation_id"], "limit": 10})
		assert.Len(t, history["items"], 1)
		group := bob.call("createGroup", object{"name": "Chess", "visibility": "private", "join_policy": "invite", "members": []string{adaID}})
		ada.call("sendToGroup", object{"id": group["id"], "body": "Hello, all.", "mentions": []string{bobID}})
		bob.call("ackInbox", object{"cursor": cursor})
		ada.call("logout", nil)
	})
}
