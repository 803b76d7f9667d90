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

// memoryPlan divides the memory that a node may use.
//
// The state of a node is in a few large slabs without pointers. So frequent garbage collection is cheap,
// and letting garbage double the heap is not: the collector runs after half the garbage that Go would
// wait for by default, and continuously as memory use approaches Limit. Ingest is refused before that, because
// a node that does nothing but collect garbage answers no one.
//
// While the state is small, the collector waits for Garbage bytes, within gcPercentMax: requests allocate as
// much as with a large state, and collecting their garbage too often is expensive.
type memoryPlan struct {
	Total  int64 // memory of the machine or its control group
	Limit  int64 // the garbage collector's soft limit
	Refuse int64 // above this, ingest is refused

	Garbage int64 // bytes of garbage to allow between two collections while the state is small
}

const (
	limitShare   = 0.85
	refuseShare  = 0.75
	gcPercentMin = 50
	gcPercentMax = 400

	garbageShare = 64 // Garbage is Total divided by this
	gcInterval   = 500 * time.Millisecond
)

// planMemory plans for total bytes, or for all memory of the machine if total is 0.
func planMemory(total int64, readFile func(string) ([]byte, error)) memoryPlan {
	if total == 0 {
		total = machineMemory(readFile)
	}
	return memoryPlan{
		Total: total, Limit: int64(limitShare * float64(total)), Refuse: int64(refuseShare * float64(total)),
		Garbage: total / garbageShare,
	}
}

// apply configures the garbage collector, unless GOMEMLIMIT or GOGC does.
func (p memoryPlan) apply() {
	if os.Getenv("GOMEMLIMIT") == "" && p.Limit > 0 {
		debug.SetMemoryLimit(p.Limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentMin)
	}
}

// adapt adjusts the garbage collector to the size of the live heap until ctx ends, unless GOGC is set.
func (p memoryPlan) adapt(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(gcInterval)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for set := gcPercentMin; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(sample)
		// Setting it stops the process for a moment, so small differences are ignored.
		if want := p.percent(int64(sample[0].Value.Uint64())); want < set || want > set+set/8 {
			debug.SetGCPercent(want)
			set = want
		}
	}
}

// percent returns the GC percentage for a heap of live bytes.
func (p memoryPlan) percent(live int64) int {
	return int(min(max(100*p.Garbage/max(live, 1), gcPercentMin), gcPercentMax))
}

// machineMemory returns the smaller of the machine's memory and the control group's limit, or 0 if
// neither is known.
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
