package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"longwire/auth"
)

// options is what a run was asked to do.
type options struct {
	node        string // the program
	embedded    bool
	full        bool
	only        *regexp.Regexp
	json        string
	profiles    string
	measure     time.Duration // of each measured phase that has no other end
	limit       time.Duration // of the whole run
	patience    time.Duration // with others who use the machine, for each scenario
	environment []string      // more settings of the nodes
	targets     []string      // host:port of nodes that run already
	targetPIDs  []process
	allowed     hosts
}

// parseOptions reads the flags of "bench".
func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.node, "node", "bin/longwire", "`program` to start as node")
	flags.BoolVar(&o.embedded, "embedded", false, "SQLite and the Redis inside the process, instead of TEST_MYSQL_DSN and TEST_REDIS_URL")
	flags.BoolVar(&o.full, "full", false, "measure longer, more streams, and how cost grows")
	flags.StringVar(&o.json, "json", "", "write the figures to this `file` too")
	flags.StringVar(&o.profiles, "profile", "", "save profiles of the node in this `folder`")
	flags.DurationVar(&o.measure, "time", 0, "length of each measured phase; 0 means 6s, or 10s with --full")
	flags.DurationVar(&o.limit, "limit", 0, "give up after this time; 0 means 10m, or 1h with --full")
	flags.DurationVar(&o.patience, "patience", 0, "where others use the machine: how long to wait for quiet, and to repeat what they disturbed, for each scenario")
	flags.Func("only", "run the scenarios whose name matches this `pattern`", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flags.Func("set", "a setting of the nodes, as `LONGWIRE_NAME=value`; may be repeated", func(text string) error {
		if !strings.HasPrefix(text, "LONGWIRE_") || !strings.Contains(text, "=") {
			return errors.New("want LONGWIRE_NAME=value")
		}
		o.environment = append(o.environment, text)
		return nil
	})
	flags.Func("target", "drive the node at this `URL`, which runs already, instead of starting one; may be repeated."+
		" Its LONGWIRE_MYSQL_DSN and LONGWIRE_JWT_SECRET must be in the environment, and its rate limits off", o.addTarget)
	flags.Func("pid", "count a process of a target as `part=pid`: node=123, mariadb=124, redis=125; may be repeated", o.addPID)
	flags.Func("allow-host", "a `host` other than this machine that may be driven; may be repeated", func(host string) error {
		o.allowed.allowed = append(o.allowed.allowed, host)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("bench takes flags only, not %q", flags.Arg(0))
	}
	if o.measure == 0 {
		o.measure = 6 * time.Second
		if o.full {
			o.measure = 10 * time.Second
		}
	}
	if o.limit == 0 {
		o.limit = 10 * time.Minute
		if o.full {
			o.limit = time.Hour
		}
	}
	return o, nil
}

func (o *options) addTarget(text string) error {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" || target.Port() == "" {
		return errors.New("want http://127.0.0.1:port")
	}
	o.targets = append(o.targets, target.Host)
	return nil
}

func (o *options) addPID(text string) error {
	part, number, _ := strings.Cut(text, "=")
	pid, err := strconv.Atoi(number)
	if err != nil || part == "" {
		return errors.New("want part=pid")
	}
	o.targetPIDs = append(o.targetPIDs, process{part: part, pid: pid})
	return nil
}

// check refuses what must not be driven.
func (o *options) check(ctx context.Context) error {
	for _, target := range o.targets {
		if err := o.allowed.check(ctx, "target", target); err != nil {
			return err
		}
	}
	if len(o.targets) > 0 && o.embedded {
		return errors.New("a target that runs already is embedded or not by itself: use one of --target and --embedded")
	}
	if len(o.targets) > 0 && len(os.Getenv("LONGWIRE_JWT_SECRET")) < auth.MinSecretBytes {
		return errors.New("with --target, LONGWIRE_JWT_SECRET must be the nodes' secret")
	}
	return nil
}
