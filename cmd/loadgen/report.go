package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// figure is one thing that was measured of one system.
type figure struct {
	metric string
	unit   string
	value  float64
}

// row is one line of the table.
type row struct {
	Scenario string   `json:"scenario"`
	Metric   string   `json:"metric"`
	Unit     string   `json:"unit"`
	Bare     *float64 `json:"bare"` // null where the bare loop has nothing to compare
	Longwire *float64 `json:"longwire"`
	Ratio    *float64 `json:"ratio"` // Longwire's figure for each one of the bare loop's
}

// report is all that a run found.
type report struct {
	Began    time.Time         `json:"began"`
	Took     float64           `json:"took_seconds"`
	Mode     string            `json:"mode"` // "servers" or "embedded"
	Full     bool              `json:"full"`
	Machine  map[string]string `json:"machine"`
	Rows     []row             `json:"rows"`
	Failures []string          `json:"failures"` // what did not go as it must, whatever time it took
}

func newReport(mode string, full bool, versions map[string]string) *report {
	machine := map[string]string{
		"cpus": strconv.Itoa(runtime.NumCPU()), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH,
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				machine["cpu"] = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		machine["kernel"] = strings.TrimSpace(string(text))
	}
	maps.Copy(machine, versions)
	return &report{Began: time.Now().UTC(), Mode: mode, Full: full, Machine: machine, Rows: []row{}, Failures: []string{}}
}

// add puts the figures of both systems side by side.
func (r *report) add(scenario string, bare, longwire []figure) {
	for _, f := range longwire {
		line := row{Scenario: scenario, Metric: f.metric, Unit: f.unit, Longwire: &f.value}
		for _, other := range bare {
			if other.metric == f.metric {
				line.Bare = &other.value
			}
		}
		if line.Bare != nil && *line.Bare != 0 {
			ratio := f.value / *line.Bare
			line.Ratio = &ratio
		}
		r.Rows = append(r.Rows, line)
	}
}

func (r *report) fail(scenario, system string, err error) {
	r.Failures = append(r.Failures, fmt.Sprintf("%s, %s: %v", scenario, system, err))
}

// print writes the table.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%-58s %12s %12s %8s\n", "", "bare loop", "longwire", "ratio")
	scenario := ""
	for _, line := range r.Rows {
		if line.Scenario != scenario {
			scenario = line.Scenario
			fmt.Fprintf(w, "\n%s\n", scenario)
		}
		fmt.Fprintf(w, "  %-56s %12s %12s %8s\n", line.Metric+", "+line.Unit, number(line.Bare), number(line.Longwire), number(line.Ratio))
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(w, "\nFAILED: %s\n", failure)
	}
	fmt.Fprintf(w, "\n%s, %s CPUs (%s), %s, %.0f s\n", r.Mode, r.Machine["cpus"], r.Machine["cpu"], r.Machine["go"], r.Took)
}

// number writes a figure with three digits that mean something.
func number(value *float64) string {
	switch {
	case value == nil:
		return "–"
	case *value >= 1000:
		return thousands(strconv.FormatFloat(*value, 'f', 0, 64))
	case *value >= 100:
		return strconv.FormatFloat(*value, 'f', 0, 64)
	case *value >= 10:
		return strconv.FormatFloat(*value, 'f', 1, 64)
	default:
		return strconv.FormatFloat(*value, 'f', 2, 64)
	}
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// write saves the report as JSON.
func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}
