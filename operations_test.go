package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	metricNames = []*regexp.Regexp{
		regexp.MustCompile(`Name: +"longwire_([a-z_]+)"`), regexp.MustCompile(`\b(?:counters?|gauge|seconds)\("([a-z_]+)",`),
		regexp.MustCompile(`Namespace: "longwire", Name: "([a-z_]+)"`),
	}
	logLines = regexp.MustCompile(`(?i:logger)\.(?:Warn|Error|Info)(?:Context)?\((?:[a-zA-Z().]+, )?"([^"]+)"`)
)

// The page for operators says what every metric and every line of the log means, also of those that come next.
func TestOperationsPageNamesEveryMetricAndEveryLineOfTheLog(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("docs", "operations.md"))
	require.NoError(t, err)
	metrics, lines := map[string]bool{}, map[string]bool{}
	for _, folder := range []string{".", "chat", "repo", "realtime", "handlers", "auth"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, names := range metricNames {
				for _, found := range names.FindAllStringSubmatch(string(text), -1) {
					metrics["longwire_"+found[1]] = true
				}
			}
			for _, found := range logLines.FindAllStringSubmatch(string(text), -1) {
				lines[found[1]] = true
			}
		}
	}
	assert.Greater(t, len(metrics), 25, "the test does not find the metrics any more")
	assert.Greater(t, len(lines), 18, "the test does not find the lines any more")
	for name := range metrics {
		if !strings.Contains(string(page), "`"+name) {
			t.Errorf("the page lacks the metric %s", name)
		}
	}
	for line := range lines {
		if !strings.Contains(string(page), "`"+line) {
			t.Errorf("the page lacks the line %q", line)
		}
	}
}
