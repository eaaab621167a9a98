package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which /proc tells times: 100 on every Linux
// that Go runs on.
const ticksPerSecond = 100

// process is one that serves, by the part it plays.
type process struct {
	part string // "node", "mariadb", "redis", "bare"
	pid  int
}

// cpuOf returns what a process has spent so far, in all its threads.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The second field is a name in brackets that may hold anything; after it
	// utime and stime are the 12th and 13th (proc(5)).
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has too few fields")
	}
	user, userErr := strconv.ParseInt(string(fields[11]), 10, 64)
	system, systemErr := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(userErr, systemErr)
}

// machineBusy returns what all processors of the machine have been busy so far.
func machineBusy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	// cpu user nice system idle iowait irq softirq steal …; guests are in user
	// already (proc(5)). What the machine below took from us is not ours to count.
	fields := strings.Fields(string(text[:max(0, bytes.IndexByte(text, '\n'))]))
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, errors.New("/proc/stat does not begin with the processors")
	}
	ticks := int64(0)
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// look is what was spent until a moment.
type look struct {
	at      int64 // see now
	servers spending
	self    time.Duration
	machine time.Duration
}

// lookAround tells what was spent until now.
func lookAround(servers []process) (l look, err error) {
	var errs [3]error
	l.at = now()
	l.servers, errs[0] = spent(servers)
	l.self, errs[1] = cpuOf(os.Getpid())
	l.machine, errs[2] = machineBusy()
	return l, errors.Join(errs[:]...)
}

// others returns the processors that neither the servers nor we were using
// since an earlier look: 1 is one of them all the time.
func (l look) others(before look) float64 {
	ours := l.servers.since(before.servers).all() + l.self - before.self
	return max(0, float64(l.machine-before.machine-ours)/float64(l.at-before.at))
}

// residentOf returns what a process has in memory, in bytes.
func residentOf(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kib, found := strings.CutPrefix(line, "Rss:"); found {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/PID/smaps_rollup tells no Rss")
}

// nameOf returns what a process is called, at most 15 characters of it.
func nameOf(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// spending is processor time by part.
type spending map[string]time.Duration

// spent returns what processes have spent so far, by part.
func spent(processes []process) (spending, error) {
	total := spending{}
	for _, p := range processes {
		cpu, err := cpuOf(p.pid)
		if err != nil {
			return nil, fmt.Errorf("processor time of %s: %w", p.part, err)
		}
		total[p.part] += cpu
	}
	return total, nil
}

// since returns what was spent since an earlier look.
func (s spending) since(before spending) spending {
	difference := spending{}
	for part, cpu := range s {
		difference[part] = cpu - before[part]
	}
	return difference
}

// all returns what all parts spent together.
func (s spending) all() time.Duration {
	var sum time.Duration
	for _, cpu := range s {
		sum += cpu
	}
	return sum
}

// resident returns what the processes of a part have in memory, in bytes.
func resident(processes []process, part string) (int64, error) {
	var sum int64
	for _, p := range processes {
		if p.part != part {
			continue
		}
		n, err := residentOf(p.pid)
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", part, err)
		}
		sum += n
	}
	return sum, nil
}
