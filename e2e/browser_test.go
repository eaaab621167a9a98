package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// installing is held while something is installed: two at once would be in each other's way.
var installing sync.Mutex

// program returns the path of a program that tests need beside the node; need is what scripts/need makes of it, "package=command|another".
func program(t *testing.T, need string) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	output, err := exec.CommandContext(t.Context(), "../scripts/need", need).CombinedOutput()
	require.NoError(t, err, "%s", output)
	_, commands, _ := strings.Cut(need, "=")
	for name := range strings.SplitSeq(commands, "|") {
		for _, folder := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				return path
			}
		}
	}
	require.FailNow(t, need+" is not there")
	return ""
}

// tab is a page in a browser of its own, with nothing stored.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in it

	mu       sync.Mutex
	said     []string // on the console; guarded by mu
	expected []string // what may be said; guarded by mu
}

// browse starts a browser with one empty page. What its console complains of fails the test when it ends.
func browse(t *testing.T, width, height int) *tab {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program(t, "chromium=chromium|chromium-browser|google-chrome")), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(width, height), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, leave := chromedp.NewContext(allocator)
	p := &tab{t: t, ctx: ctx}
	console := chromedp.Console(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		for message, err := range console {
			if err != nil {
				return // the browser has ended
			}
			p.hear(message)
		}
	})
	t.Cleanup(func() {
		leave()
		listening.Wait()
		stop()
		assert.Empty(t, p.said, "the browser's console")
	})
	p.do(chromedp.EmulateViewport(int64(width), int64(height)))
	return p
}

// hear notes what the console complains of: refused scripts and styles, exceptions, errors.
func (p *tab) hear(message chromedp.ConsoleMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains([]chromedp.ConsoleType{chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException}, message.Type) {
		return
	}
	text := message.String() + " " + message.URL
	if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(text, part) }) {
		p.said = append(p.said, text)
	}
}

// expect names part of a complaint that is no fault here.
func (p *tab) expect(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, part)
}

// do has the page do things, all within the patience of all tests.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, actions...))
}

// get returns what an action finds.
func get[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, action)
	require.NoError(p.t, err)
	return found
}

// eval returns what an expression is in the page; a promise is waited for.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	return get(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}
