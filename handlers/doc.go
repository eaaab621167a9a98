// Package handlers is Longwire over HTTP. It speaks chat's types and knows
// neither SQL nor Redis.
//
// The route table is [longwire/openapi.RegisterHandlers], generated from the
// specification, and what a route asks of its callers (who may call, which body,
// which parameters) is read from the specification too: see operations. A
// handler that runs has a caller and a valid request; it returns a value or an
// error, and one table (see problems) turns errors into answers.
package handlers
