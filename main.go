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
	program := program{args: os.Args[1:], getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(program.run(ctx))
}

// program is one run of the binary with everything it gets from outside.
type program struct {
	args   []string
	getenv func(string) string
	stdout io.Writer
	stderr io.Writer
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
`

// errUsage is a command that does not exist; what does has been printed.
var errUsage = errors.New("no such command")

// run does what the arguments say and returns the exit code: 0, 1 for what
// failed, 2 for what was asked for wrongly.
func (p program) run(ctx context.Context) int {
	err := p.dispatch(ctx)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(p.stderr, "longwire: %v\n\n%s", err, usage)
		return 2
	default:
		fmt.Fprintf(p.stderr, "longwire: %v\n", err)
		return 1
	}
}

func (p program) dispatch(ctx context.Context) error {
	if len(p.args) == 0 {
		return fmt.Errorf("%w: say what to do", errUsage)
	}
	rest := p.args[1:]
	switch command := p.args[0]; command {
	case "serve":
		cfg, err := config.Load(rest, p.getenv, p.stdout)
		if err != nil {
			return err
		}
		return serve(ctx, cfg, p.stdout, p.stderr)
	case "migrate":
		return p.migrate(ctx, rest)
	case "epoch":
		return p.epoch(ctx, rest)
	case "healthcheck":
		return p.healthcheck(ctx, rest)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(p.stdout, "longwire %s\n", version)
		return err
	case "help", "--help", "-h":
		_, err := io.WriteString(p.stdout, usage)
		return err
	default:
		return fmt.Errorf("%w: %q", errUsage, command)
	}
}
