package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// binary is the program under test, built once with the race detector.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, name := range []string{"TEST_MYSQL_DSN", "TEST_REDIS_URL"} {
		if os.Getenv(name) == "" {
			fmt.Fprintf(os.Stderr, "%s is not set: these tests need a MySQL and a Redis. Run `make test`, or `scripts/with-servers go test -race ./e2e/`.\n", name)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "longwire-e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "longwire")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", binary, "longwire")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, output)
		return 1
	}
	flag.Parse()
	// Each check of a property has people of its own, who take their time to register.
	if err := unlessGiven("rapid.checks", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The tests wait for processes most of the time, so more of them fit beside each other than there are processors.
	if err := unlessGiven("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// unlessGiven sets a flag of the tests that nobody has set.
func unlessGiven(name, value string) error {
	known := flag.Lookup(name)
	if known.Value.String() != known.DefValue {
		return nil
	}
	return known.Value.Set(value)
}
