package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// memoryPlan divides the memory a node may use. A node's state lies in few large slabs without
// pointers, so that collecting often is cheap and letting garbage double the heap is not: the
// collector runs at half of what Go would wait for, and in earnest below Limit. Ingest is refused
// before that, as a node that only collects answers nobody. While the state is small, Garbage may lie
// there all the same: what is on its way through a node is as much as with a large state, and
// collecting it often is what costs.
type memoryPlan struct {
	Total  int64 // of the machine or its control group
	Limit  int64 // the collector's soft limit
	Refuse int64 // ingest is refused beyond it

	Garbage int64 // that may always lie between two collections
}

const (
	limitShare  = 0.85
	refuseShare = 0.75
	gcPercent   = 50
	gcMost      = 400

	garbageShare = 64 // of Total
	gcLook       = 500 * time.Millisecond
)

// planMemory divides total bytes, or what the machine has if total is 0.
func planMemory(total int64, readFile func(string) ([]byte, error)) memoryPlan {
	if total == 0 {
		total = machineMemory(readFile)
	}
	return memoryPlan{
		Total: total, Limit: int64(limitShare * float64(total)), Refuse: int64(refuseShare * float64(total)),
		Garbage: total / garbageShare,
	}
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

// collect sets the collector by what lives, until ctx ends, unless the environment says how.
func (p memoryPlan) collect(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	look := time.NewTicker(gcLook)
	defer look.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for set := gcPercent; ; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(sample)
		// Setting it stops the process for a moment: not for a trifle.
		if want := p.percent(int64(sample[0].Value.Uint64())); want < set || want > set+set/8 {
			debug.SetGCPercent(want)
			set = want
		}
	}
}

// percent is how much garbage the collector waits for when there are live bytes.
func (p memoryPlan) percent(live int64) int {
	return int(min(max(100*p.Garbage/max(live, 1), gcPercent), gcMost))
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
