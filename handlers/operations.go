package handlers

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"longwire/openapi"
)

// access says who may call an operation.
type access uint8

const (
	accessPublic access = iota
	accessBearer        // by access token
	accessInbox         // by access token, inbox token or cookie: reading the inbox
)

// The names of the specification's security schemes.
const (
	schemeBearer = "bearerAuth"
	schemeInbox  = "inboxToken"
)

// operation is what the specification says of a route.
type operation struct {
	id       string
	route    *routers.Route // for openapi3filter: echo has found the route already
	access   access
	hasBody  bool
	hasQuery bool    // there are parameters in the query
	budget   *budget // nil = not limited
	// plainLimit is how long a message may be to be seen at a glance; 0 = no message is sent.
	plainLimit int
}

// routeKey finds an operation by what echo matched.
type routeKey struct {
	method, path string
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// operationsOf reads every operation of the specification.
func operationsOf(spec openapi.Spec) (map[routeKey]*operation, error) {
	found := make(map[routeKey]*operation)
	for path, item := range spec.Doc.Paths.Map() {
		echoPath := pathParameter.ReplaceAllString(path, ":$1")
		for method, described := range item.Operations() {
			who, err := accessOf(spec.Doc, described)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			op := &operation{
				id: described.OperationID, access: who, hasBody: described.RequestBody != nil, hasQuery: hasQuery(described),
				budget: budgetOf(method, described.OperationID, who),
				route:  &routers.Route{Spec: spec.Doc, Path: path, PathItem: item, Method: method, Operation: described},
			}
			op.plainLimit = plainLimitOf(op)
			found[routeKey{method, echoPath}] = op
		}
	}
	return found, nil
}

func hasQuery(described *openapi3.Operation) bool {
	return slices.ContainsFunc(described.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.In == openapi3.ParameterInQuery })
}

// accessOf derives who may call from the operation's security requirements.
func accessOf(doc *openapi3.T, described *openapi3.Operation) (access, error) {
	required := doc.Security
	if described.Security != nil {
		required = *described.Security
	}
	if len(required) == 0 {
		return accessPublic, nil
	}
	var bearer, inbox bool
	for _, alternative := range required {
		_, isBearer := alternative[schemeBearer]
		_, isInbox := alternative[schemeInbox]
		bearer, inbox = bearer || isBearer, inbox || isInbox
	}
	switch {
	case inbox:
		return accessInbox, nil
	case bearer:
		return accessBearer, nil
	default:
		return 0, fmt.Errorf("security of %s is not understood", described.OperationID)
	}
}

// headKey marks, in a request's context, that it was asked by HEAD.
type headKey struct{}

// headAsGet lets every GET be asked by HEAD: echo sees a GET, and net/http,
// which keeps the request it read, sends no body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}
