// Package web is what people see in a browser: the page at / and the API's
// reference at /docs, both served from the binary and working offline.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed static
var files embed.FS

//go:embed docs.html.tmpl
var docsTemplate string

// contentSecurityPolicy allows what the binary serves and nothing else: no
// inline script, so that text from users can never become one.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Paths are what New's handler answers.
var Paths = append([]string{"/", "/docs"}, assetPaths()...)

// New returns the handler of / and of everything the pages refer to. The
// reference at /docs is rendered from the specification once.
func New(spec *openapi3.T) (http.Handler, error) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("embedded pages: %w", err)
	}
	docs, err := renderDocs(spec)
	if err != nil {
		return nil, err
	}
	served, err := newAssets(static)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", served)
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(docs) // a reader that left is no fault of ours
	})
	return secured(mux), nil
}

// secured adds the headers that every page gets.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// operation is one line of the reference.
type operation struct {
	Method, Path, ID, Summary, Description, Security string
	Body                                             []field
	Parameters                                       []field
	Answers                                          []answer
}

type field struct {
	Name, In, Type, Description string
	Required                    bool
}

type answer struct {
	Status, Description string
	Codes               []string // of the problem, for errors
}

type section struct {
	Tag, Description string
	Operations       []operation
}

// renderDocs makes the reference page of a specification.
func renderDocs(spec *openapi3.T) ([]byte, error) {
	page, err := template.New("docs").Funcs(template.FuncMap{"prose": prose}).Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("reference page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{"Title": spec.Info.Title, "Version": spec.Info.Version, "Intro": spec.Info.Description, "Sections": sections(spec)})
	if err != nil {
		return nil, fmt.Errorf("reference page: %w", err)
	}
	return out.Bytes(), nil
}

// prose joins the lines of a paragraph, which the specification breaks for its
// own readers; blank lines and items of lists stay.
func prose(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var joined strings.Builder
	for i, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case i == 0:
		case line == "" || lines[i-1] == "" || strings.HasPrefix(line, "- "):
			joined.WriteString("\n")
		default:
			joined.WriteString(" ")
		}
		joined.WriteString(strings.ReplaceAll(line, "`", ""))
	}
	return joined.String()
}

// sections groups the operations by tag, in the specification's order of tags.
func sections(spec *openapi3.T) []section {
	byTag := map[string][]operation{}
	for _, path := range spec.Paths.InMatchingOrder() {
		for method, op := range spec.Paths.Find(path).Operations() {
			tag := "other"
			if len(op.Tags) > 0 {
				tag = op.Tags[0]
			}
			byTag[tag] = append(byTag[tag], describe(spec, method, path, op))
		}
	}
	var all []section
	add := func(tag, description string) {
		if ops := byTag[tag]; len(ops) > 0 {
			slices.SortFunc(ops, func(a, b operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
			all = append(all, section{Tag: tag, Description: description, Operations: ops})
		}
		delete(byTag, tag)
	}
	for _, tag := range spec.Tags {
		add(tag.Name, tag.Description)
	}
	add("other", "")
	return all
}

func describe(spec *openapi3.T, method, path string, op *openapi3.Operation) operation {
	described := operation{
		Method: method, Path: path, ID: op.OperationID, Summary: op.Summary, Description: op.Description, Security: "none",
	}
	security := spec.Security
	if op.Security != nil {
		security = *op.Security
	}
	var names []string
	for _, requirement := range security {
		names = slices.AppendSeq(names, maps.Keys(requirement))
	}
	if len(names) > 0 {
		described.Security = strings.Join(names, " or ")
	}
	for _, p := range op.Parameters {
		described.Parameters = append(described.Parameters, field{
			Name: p.Value.Name, In: p.Value.In, Type: typeOf(p.Value.Schema), Description: p.Value.Description, Required: p.Value.Required,
		})
	}
	described.Body = bodyFields(op)
	for status, response := range op.Responses.Map() {
		text := ""
		if response.Value.Description != nil {
			text = *response.Value.Description
		}
		described.Answers = append(described.Answers, answer{Status: status, Description: text, Codes: codesOf(op, response.Value)})
	}
	slices.SortFunc(described.Answers, func(a, b answer) int { return strings.Compare(a.Status, b.Status) })
	return described
}

// codesOf returns the error codes that an operation may give with an answer: those of its x-error-codes that the answer has as examples.
func codesOf(op *openapi3.Operation, response *openapi3.Response) (codes []string) {
	listed, _ := op.Extensions["x-error-codes"].([]any)
	problem := response.Content.Get("application/problem+json")
	if problem == nil {
		return nil
	}
	for _, value := range listed {
		if code, isText := value.(string); isText && problem.Examples[code] != nil {
			codes = append(codes, code)
		}
	}
	return codes
}

// bodyFields lists the properties of an operation's JSON body, nil when it has none.
func bodyFields(op *openapi3.Operation) []field {
	if op.RequestBody == nil {
		return nil
	}
	media := op.RequestBody.Value.Content.Get("application/json")
	if media == nil || media.Schema == nil {
		return nil
	}
	var fields []field
	for name, property := range media.Schema.Value.Properties {
		fields = append(fields, field{
			Name: name, Type: typeOf(property), Description: property.Value.Description,
			Required: slices.Contains(media.Schema.Value.Required, name),
		})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// typeOf says in a word or two what a value is.
func typeOf(schema *openapi3.SchemaRef) string {
	if schema == nil || schema.Value == nil {
		return "any"
	}
	v := schema.Value
	switch {
	case len(v.Enum) > 0:
		values := make([]string, len(v.Enum))
		for i, e := range v.Enum {
			values[i] = fmt.Sprint(e)
		}
		return strings.Join(values, " | ")
	case v.Type.Is("array"):
		return "list of " + typeOf(v.Items)
	case v.Type == nil || len(*v.Type) == 0:
		return "any"
	default:
		return strings.Join(*v.Type, " or ")
	}
}
