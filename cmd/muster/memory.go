package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryPlan divides the memory a node may use. A node's state lies in few large slabs without
// pointers, so that collecting often is cheap and letting garbage double the heap is not: the
// collector runs at half of what Go would wait for, and in earnest below Limit. Ingest is refused
// before that, as a node that only collects answers nobody.
type memoryPlan struct {
	Total  int64 // of the machine or its control group
	Limit  int64 // the collector's soft limit
	Refuse int64 // ingest is refused beyond it
}

const (
	limitShare  = 0.85
	refuseShare = 0.75
	gcPercent   = 50
)

// planMemory divides total bytes, or what the machine has if total is 0.
func planMemory(total int64, readFile func(string) ([]byte, error)) memoryPlan {
	if total == 0 {
		total = machineMemory(readFile)
	}
	return memoryPlan{Total: total, Limit: int64(limitShare * float64(total)), Refuse: int64(refuseShare * float64(total))}
}

// apply sets the collector up, unless the environment says how.
func (p memoryPlan) apply() {
	if os.Getenv("GOMEMLIMIT") == "" && p.Limit > 0 {
		debug.SetMemoryLimit(p.Limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// machineMemory returns the smaller of the machine's memory and the control group's limit, 0 if
// neither can be known.
func machineMemory(readFile func(string) ([]byte, error)) int64 {
	least := int64(math.MaxInt64)
	if text, err := readFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err == nil {
					least = kib << 10
				}
			}
		}
	}
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := readFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			least = min(least, n)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
