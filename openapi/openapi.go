// Package openapi holds the specification of the API, embedded, and the Go
// types and routes generated from it. The YAML file is the source; nothing is
// said about the wire anywhere else.
package openapi

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:generate sh -c "cd .. && oapi-codegen -config openapi/codegen.yaml openapi/openapi.yaml"

//go:embed openapi.yaml
var source []byte

// YAML returns the specification as it was written. The caller must not change it.
func YAML() []byte {
	return source
}

// Spec is the parsed specification.
type Spec struct {
	Doc  *openapi3.T // read-only: it is shared
	JSON []byte      // the same as JSON; read-only
}

// Load returns the specification, parsed and checked once for the process. An
// error means that the embedded file is broken, which a test rules out.
var Load = sync.OnceValues(func() (Spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData(source)
	if err != nil {
		return Spec{}, fmt.Errorf("read the specification: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return Spec{}, fmt.Errorf("check the specification: %w", err)
	}
	encoded, err := json.Marshal(doc)
	if err != nil {
		return Spec{}, fmt.Errorf("encode the specification: %w", err)
	}
	return Spec{Doc: doc, JSON: encoded}, nil
})
