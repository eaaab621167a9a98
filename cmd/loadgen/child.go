package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// child is a program that we started: a node or the bare loop.
type child struct {
	command *exec.Cmd
	address string
	ended   chan struct{} // closed when it has ended
	err     error         // why it ended; good when ended is closed
}

// startChild starts a program that is to serve on address, and returns when it
// is ready. What it says goes to the end of a file.
func startChild(ctx context.Context, log, address string, environment []string, name string, args ...string) (*child, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the child has its own
	command := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	command.Stdout, command.Stderr, command.SysProcAttr = output, output, tied()
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &child{command: command, address: address, ended: make(chan struct{})}
	go func() {
		c.err = command.Wait()
		close(c.ended)
	}()
	if err := c.ready(ctx); err != nil {
		c.kill()
		said, _ := os.ReadFile(log) // for the error that there is already
		return nil, fmt.Errorf("%s does not become ready: %w\n%s", name, err, said[max(0, len(said)-2000):])
	}
	return c, nil
}

// ready returns when the program answers that it can serve.
func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			_ = answer.Body.Close() // nothing of it is read
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		select {
		case <-c.ended:
			return errors.Join(errors.New("it has ended"), c.err)
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

func (c *child) pid() int { return c.command.Process.Pid }

// stop asks the program to end, and makes it end when it takes long.
func (c *child) stop() {
	_ = c.command.Process.Signal(syscall.SIGTERM) // it may have ended
	patience := time.NewTimer(3 * time.Second)
	defer patience.Stop()
	select {
	case <-c.ended:
	case <-patience.C:
		c.kill()
	}
}

// kill ends the program as a power cut would.
func (c *child) kill() {
	_ = c.command.Process.Kill() // it may have ended
	<-c.ended
}

// freeAddress returns a loopback address that nobody listens on. Its port is
// below those that outgoing connections are given, or one of many could take it.
func freeAddress(ctx context.Context) (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000))) //nolint:gosec // a port needs no secrecy
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		return address, listener.Close()
	}
	return "", errors.New("no port is free")
}
