// Loadgen drives Longwire and, in the same run and with the same client, a bare
// net/http loop that keeps nothing, and prints what each of them takes: time,
// processor and memory of all server processes.
//
// It is bounded: every scenario has a most of messages and of time, and the
// whole has a limit. It talks to this machine only, unless --allow-host names
// another.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Loadgen measures Longwire.

Usage:
  loadgen bench [flags]   run the scenarios and print a table; "loadgen bench --help" lists the flags
  loadgen bare [flags]    serve the bare loop: what net/http costs when nothing is kept
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run does what the arguments say and returns the exit code: 0, 1 for what
// failed, 2 for what was asked for wrongly.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	var err error
	switch args[0] {
	case "bench":
		err = benchCommand(ctx, args[1:])
	case "bare":
		err = bareCommand(ctx, args[1:])
	case "help", "--help", "-h":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "loadgen: no such command: %q\n\n%s", args[0], usage)
		return 2
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
		return 1
	}
}
