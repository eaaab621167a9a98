// Package e2e holds no code but tests of the whole: real processes, real
// databases, and nothing of the program but its command line, its environment
// and its specification. Each test is named after what it promises.
//
// They need a MySQL and a Redis: run `make test`, or
// `scripts/with-servers go test -race ./e2e/`. Tests of what happens when Redis
// fails start their own.
package e2e
