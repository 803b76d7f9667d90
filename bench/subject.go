package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// Subject is a database under test. Its methods are called one at a time.
type Subject interface {
	// Name returns the name and version.
	Name() string
	// Load loads a shop and prepares it for questions, in the subject's best order.
	Load(ctx context.Context, shop *gen.Shop) error
	// Ask answers a question as of Now, and returns the cost from text to rows, excluding communication with a
	// subject in another process.
	Ask(ctx context.Context, q Question) (Answer, Cost, error)
	// Memory returns the memory of the loaded data by structure, in a fixed order.
	Memory(ctx context.Context) ([]Bytes, error)
	Close() error
}

// Cost is the cost of an answer. Processor is the processor time that the subject's process used: on a machine
// shared with others it says more than the elapsed time.
type Cost struct{ Wall, Processor time.Duration }

// Stopwatch measures the cost of something in this process.
type Stopwatch struct {
	started   time.Time
	processor time.Duration
}

// StartStopwatch starts a Stopwatch.
func StartStopwatch() Stopwatch { return Stopwatch{time.Now(), processorTime()} }

// Stop returns the cost since the start.
func (s Stopwatch) Stop() Cost { return Cost{time.Since(s.started), processorTime() - s.processor} }

// processorTime returns what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Bytes is the size of one structure.
type Bytes struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Answer is the rows of an answer as text, in which all databases can be compared. The last column is a number;
// rows in which it is 0 may be left out.
type Answer [][]string

// normal returns the rows that are not 0, in ascending order.
func (a Answer) normal() Answer {
	var rows Answer
	for _, row := range a {
		if len(a) == 1 || len(row) > 0 && row[len(row)-1] != "0" {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(x, y []string) int { return slices.CompareFunc(x, y, cmp.Compare[string]) })
	return rows
}

// Differ describes where two answers differ, "" if they do not.
func (a Answer) Differ(b Answer) string {
	x, y := a.normal(), b.normal()
	for i := range max(len(x), len(y)) {
		left, right := "no row", "no row"
		if i < len(x) {
			left = strings.Join(x[i], " ")
		}
		if i < len(y) {
			right = strings.Join(y[i], " ")
		}
		if left != right {
			return fmt.Sprintf("%q against %q (row %d of %d and %d)", left, right, i+1, len(x), len(y))
		}
	}
	return ""
}

// Short returns the answer as a short text for a report.
func (a Answer) Short() string {
	if len(a) == 1 {
		return strings.Join(a[0], " ")
	}
	return fmt.Sprintf("%d rows", len(a.normal()))
}
