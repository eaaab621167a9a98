package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long anything may take that takes no time on a machine at rest.
const patience = 30 * time.Second

// process is a program that runs beside the test.
type process struct {
	command *exec.Cmd
	output  *log
	ended   chan struct{} // closed when it has ended
	err     error         // good when ended is closed
	asked   sync.Once     // to end: a second time would end it at once
}

// startProcess runs a program with an environment of its own. What it says is appended to output.
func startProcess(output *log, env map[string]string, name string, args ...string) (*process, error) {
	command := exec.CommandContext(context.Background(), name, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for key, value := range env {
		command.Env = append(command.Env, key+"="+value)
	}
	command.Stdout, command.Stderr = output, output
	// Whatever happens to the test, the program dies with it.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &process{command: command, output: output, ended: make(chan struct{})}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// signal sends a signal; a program that has ended does not mind.
func (p *process) signal(signal os.Signal) {
	_ = p.command.Process.Signal(signal)
}

// kill ends the program as a power cut would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// ask tells the program that it is to end.
func (p *process) ask() {
	p.asked.Do(func() { p.signal(syscall.SIGTERM) })
}

// terminate asks the program to end and returns its exit code.
func (p *process) terminate() (int, error) {
	p.ask()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode(), nil
	case <-timer.C:
		p.signal(syscall.SIGQUIT) // Go programs then say what they are doing
		p.kill()
		return -1, errors.New("it does not end on SIGTERM")
	}
}

// log collects what a program says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// badLine is what no node may ever say.
var badLine = regexp.MustCompile(`"level":"ERROR"|(?m:^panic: |^fatal error: |^goroutine \d+ \[)|DATA RACE`)

// faults returns what is wrong with a log, with what stands around it.
func (l *log) faults() string {
	text := l.String()
	at := badLine.FindStringIndex(text)
	if at == nil {
		return ""
	}
	from := max(strings.LastIndexByte(text[:at[0]], '\n'), 0)
	return text[from:min(len(text), from+6000)]
}

// tail is the end of what was said.
func (l *log) tail() string {
	text := l.String()
	return text[max(0, len(text)-20_000):]
}

// node is one `longwire serve`. It keeps its address when it is started again.
type node struct {
	*process

	url     string
	env     map[string]string
	log     *log
	program string // what it runs; "" = binary
}

// freePort returns a port that nobody listens on. It is below the range out of which connections get theirs, or the many
// connections of a test could take it before the node does.
func freePort() string {
	for {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
}

func newNode(env map[string]string) *node {
	address := "127.0.0.1:" + freePort()
	own := map[string]string{"LONGWIRE_LISTEN": address}
	maps.Copy(own, env)
	return &node{url: "http://" + address, env: own, log: &log{}}
}

// start runs the node and returns when it is ready.
func (n *node) start() error {
	var err error
	if n.process, err = startProcess(n.log, n.env, cmp.Or(n.program, binary), "serve"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for n.ready(ctx) != http.StatusOK {
		select {
		case <-n.ended:
			return fmt.Errorf("the node ended while it started: %w\n%s", n.err, n.log.tail())
		case <-ctx.Done():
			n.kill()
			return fmt.Errorf("the node does not get ready\n%s", n.log.tail())
		case <-tick():
		}
	}
	return nil
}

// ready returns the status of /readyz, 0 for none.
func (n *node) ready(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/readyz", http.NoBody)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// stop ends the node and returns what was wrong with its life.
func (n *node) stop() error {
	if n.process == nil {
		return nil
	}
	select {
	case <-n.ended: // a test has ended it already
	default:
		code, err := n.terminate()
		if err == nil && code != 0 {
			err = fmt.Errorf("it ended with code %d", code)
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", n.url, err, n.log.tail())
		}
	}
	if faults := n.log.faults(); faults != "" {
		return fmt.Errorf("the log of %s has what it must not have:\n%s", n.url, faults)
	}
	return nil
}

// tick is when to look again.
func tick() <-chan time.Time {
	return time.NewTimer(10 * time.Millisecond).C
}
