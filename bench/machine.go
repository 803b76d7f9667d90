package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Machine describes where a report was made.
type Machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Threads int    `json:"threads"` // GOMAXPROCS, for every subject
	Memory  int64  `json:"memory_bytes"`
	OS      string `json:"os"`
	Go      string `json:"go"`
	// Bandwidth is how many bytes per second all threads together read from a large slice.
	Bandwidth float64 `json:"bandwidth_bytes_per_second"`
	// Load is the load average when the measurement began.
	Load string `json:"load_average,omitempty"`
}

// DescribeMachine looks at the machine and measures its bandwidth, which takes about a second.
func DescribeMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if model := lineOf("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	m.Memory = kibOf("/proc/meminfo", "MemTotal")
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:1], " ")
	}
	m.Bandwidth = Bandwidth(512 << 20)
	return m
}

// lineOf returns the text after the colon of the first line that begins with key, "" if there is none.
func lineOf(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kibOf returns the value of a line of /proc in kB as bytes.
func kibOf(file, key string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(lineOf(file, key), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// ResidentBytes returns the resident memory of a process.
func ResidentBytes(pid int) (int64, error) {
	n := kibOf(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	if n == 0 {
		return 0, fmt.Errorf("read the memory of process %d: no VmRSS", pid)
	}
	return n, nil
}

// Bandwidth measures how many bytes per second all threads together can read, each summing its part of a slice
// of size bytes. It returns the best of several passes, to reduce the effect of other load.
func Bandwidth(size int) float64 {
	const passes = 7
	words := make([]uint64, size/8)
	for i := range words {
		words[i] = uint64(i) // or all pages might be the same page of zeros
	}
	threads := runtime.GOMAXPROCS(0)
	sums := make([]uint64, threads*8) // one cache line each
	best := 0.0
	for range passes {
		var all sync.WaitGroup
		started := time.Now()
		for t := range threads {
			part := words[len(words)*t/threads : len(words)*(t+1)/threads]
			all.Go(func() { sums[t*8] += sum(part) })
		}
		all.Wait()
		best = max(best, float64(len(words)*8)/time.Since(started).Seconds())
	}
	runtime.KeepAlive(sums)
	return best
}

// sum uses eight independent sums, so that memory and not the additions limit it.
func sum(words []uint64) uint64 {
	var a, b, c, d, e, f, g, h uint64
	for len(words) >= 8 {
		w := words[:8:8]
		a, b, c, d = a+w[0], b+w[1], c+w[2], d+w[3]
		e, f, g, h = e+w[4], f+w[5], g+w[6], h+w[7]
		words = words[8:]
	}
	return a + b + c + d + e + f + g + h
}

// Commit returns the short hash of the commit this binary was built from, followed by "-dirty" if files that
// belong to it were changed. If the binary does not know it (go run) it is that of the working directory, and
// "unknown" outside a repository.
func Commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		known := map[string]string{}
		for _, s := range info.Settings {
			known[s.Key] = s.Value
		}
		if hash := known["vcs.revision"]; len(hash) > 8 {
			if known["vcs.modified"] == "true" {
				return hash[:8] + "-dirty"
			}
			return hash[:8]
		}
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=8").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
