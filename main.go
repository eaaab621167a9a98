// Longwire is instant messaging over plain HTTP: a REST API to act, and
// Server-Sent Events, long-poll or a plain GET to receive.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"longwire/config"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has begun the drain, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	program := program{args: os.Args[1:], getenv: os.Getenv, environ: os.Environ, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(program.run(ctx))
}

// program is one run of the binary with everything it gets from outside.
type program struct {
	args    []string
	getenv  func(string) string
	environ func() []string
	stdout  io.Writer
	stderr  io.Writer
}

const usage = `Longwire: instant messaging over plain HTTP.

Usage:
  longwire serve [flags]           run a node; "longwire serve --help" lists all settings
  longwire migrate up|down|version bring the tables to the newest version, take the last
                                   step back, or say which version they have
  longwire epoch show|renew        the epoch of the data; renew it after restoring a backup,
                                   while no node runs
  longwire healthcheck             exit 0 if the node at LONGWIRE_LISTEN answers
  longwire version                 say which version this is

"longwire COMMAND --help" says more of each.
`

// errNoCommand is a command that does not exist.
var errNoCommand = errors.New("no such command")

// misuse is an error of whoever asked: arguments or settings that cannot be.
type misuse struct{ error }

// Unwrap returns what is wrong with them.
func (m misuse) Unwrap() error { return m.error }

// run does what the arguments say and returns the exit code: 0, 1 for what
// failed, 2 for what was asked for wrongly.
func (p program) run(ctx context.Context) int {
	err := p.dispatch(ctx)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(p.stderr, "longwire: %v\n", err)
	if errors.Is(err, errNoCommand) {
		fmt.Fprintf(p.stderr, "\n%s", usage)
	}
	if _, wrongly := errors.AsType[misuse](err); wrongly {
		return 2
	}
	return 1
}

func (p program) dispatch(ctx context.Context) error {
	if len(p.args) == 0 {
		return misuse{fmt.Errorf("%w: say what to do", errNoCommand)}
	}
	rest := p.args[1:]
	switch command := p.args[0]; command {
	case "serve":
		cfg, err := config.Load(rest, p.getenv, p.stdout)
		if err != nil {
			return misuse{err}
		}
		return serve(ctx, cfg, config.UnknownVariables(p.environ()), p.stdout, p.stderr)
	case "migrate":
		return p.migrate(ctx, rest)
	case "epoch":
		return p.epoch(ctx, rest)
	case "healthcheck":
		return p.healthcheck(ctx, rest)
	case "version", "--version", "-v":
		return p.version(rest)
	case "help", "--help", "-h":
		_, err := io.WriteString(p.stdout, usage)
		return err
	default:
		return misuse{fmt.Errorf("%w: %q", errNoCommand, command)}
	}
}
