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
	// Load takes a shop in and makes it ready to be asked, in its best order.
	Load(ctx context.Context, shop *gen.Shop) error
	// Ask answers a question asked at Now, and tells what that cost from text to rows, without the way to
	// the subject when it is another process.
	Ask(ctx context.Context, q Question) (Answer, Cost, error)
	// Memory returns what the loaded data takes, by structure; the order is kept.
	Memory(ctx context.Context) ([]Bytes, error)
	Close() error
}

// Cost is what an answer took. Processor is the time of all processors that the subject's process used
// meanwhile: on a machine shared with others it says more than the time that passed.
type Cost struct{ Wall, Processor time.Duration }

// Stopwatch measures the cost of something in this process.
type Stopwatch struct {
	started   time.Time
	processor time.Duration
}

// StartStopwatch starts one.
func StartStopwatch() Stopwatch { return Stopwatch{time.Now(), processorTime()} }

// Stop returns the cost since the start.
func (s Stopwatch) Stop() Cost { return Cost{time.Since(s.started), processorTime() - s.processor} }

// processorTime is what this process has used so far.
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

// Answer is the rows of an answer as text: what every database can be compared by. The last column is a
// number; rows in which it is 0 may be left out.
type Answer [][]string

// normal returns the rows that say something, in ascending order.
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

// Differ tells where two answers differ, "" if they do not.
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

// Short returns the answer for a report.
func (a Answer) Short() string {
	if len(a) == 1 {
		return strings.Join(a[0], " ")
	}
	return fmt.Sprintf("%d rows", len(a.normal()))
}
