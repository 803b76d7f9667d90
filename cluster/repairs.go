package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// Repair is one repair that `muster repair` has recorded in a data directory.
type Repair struct {
	Kind  RepairKind
	Group string
	Index uint64 // the skipped entry, or the last entry of the rebuilt state
	At    int64  // when the repair was made, Unix ms
	What  string // a description
}

// RepairKind says what was repaired.
type RepairKind string

// The kinds of repairs.
const (
	// SkippedEntry is an entry of a log that is never applied.
	SkippedEntry RepairKind = "skip"
	// RebuiltShard is a shard whose state was rebuilt from its facts.
	RebuiltShard RepairKind = "rebuild"
)

// String describes the repair in one phrase.
func (r Repair) String() string {
	if r.Kind == SkippedEntry {
		return fmt.Sprintf("entry %d of %s is skipped (%s)", r.Index, r.Group, r.What)
	}
	return fmt.Sprintf("%s was rebuilt at entry %d (%s)", r.Group, r.Index, r.What)
}

const repairsFile = "repairs.meta"

const repairsVersion = "muster-repairs 1"

// LoadRepairs reads the recorded repairs of a data directory, in order of group and index.
func LoadRepairs(dir string) ([]Repair, error) {
	path := filepath.Join(dir, repairsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read repairs: %w", err)
	}
	repairs, err := parseRepairs(string(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return repairs, nil
}

// saveRepairs adds repairs to those of a data directory. A recorded repair of the same kind, group and
// index is kept.
func saveRepairs(dir string, more []Repair) error {
	repairs, err := LoadRepairs(dir)
	if err != nil {
		return err
	}
	for _, r := range more {
		if !slices.ContainsFunc(repairs, func(old Repair) bool {
			return old.Kind == r.Kind && old.Group == r.Group && old.Index == r.Index
		}) {
			repairs = append(repairs, r)
		}
	}
	slices.SortStableFunc(repairs, func(a, b Repair) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), cmp.Compare(a.Index, b.Index))
	})
	path := filepath.Join(dir, repairsFile)
	if err := writeDurably(path, formatRepairs(repairs)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// formatRepairs writes one line per repair, and last the checksum of all lines before.
func formatRepairs(repairs []Repair) string {
	var b strings.Builder
	fmt.Fprintln(&b, repairsVersion)
	for _, r := range repairs {
		fmt.Fprintf(&b, "%s %s %d %d %s\n", r.Kind, r.Group, r.Index, r.At, strconv.Quote(r.What))
	}
	fmt.Fprintf(&b, "sum %08x\n", crc32.ChecksumIEEE([]byte(b.String())))
	return b.String()
}

func parseRepairs(text string) ([]Repair, error) {
	at := strings.LastIndex(text, "sum ")
	if at < 0 || text[at:] != fmt.Sprintf("sum %08x\n", crc32.ChecksumIEEE([]byte(text[:at]))) {
		return nil, errors.New("its checksum is wrong; it says which log entries are skipped, so do not delete it: restore a copy of it")
	}
	lines := strings.Split(strings.TrimSuffix(text[:at], "\n"), "\n")
	if lines[0] != repairsVersion {
		return nil, fmt.Errorf("unknown format %q", lines[0])
	}
	var repairs []Repair
	for _, line := range lines[1:] {
		r, err := parseRepair(line)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		repairs = append(repairs, r)
	}
	return repairs, nil
}

func parseRepair(line string) (r Repair, err error) {
	parts := strings.SplitN(line, " ", 5)
	if len(parts) != 5 {
		return r, errors.New("it is incomplete")
	}
	r = Repair{Kind: RepairKind(parts[0]), Group: parts[1]}
	if r.Kind != SkippedEntry && r.Kind != RebuiltShard {
		return r, errors.New("unknown kind of repair")
	}
	var errs [3]error
	r.Index, errs[0] = strconv.ParseUint(parts[2], 10, 64)
	r.At, errs[1] = strconv.ParseInt(parts[3], 10, 64)
	r.What, errs[2] = strconv.Unquote(parts[4])
	return r, errors.Join(errs[:]...)
}

// ParseEntry parses the name of a log entry: the group, a slash and the index.
func ParseEntry(text string) (group string, index uint64, err error) {
	group, number, found := strings.Cut(text, "/")
	index, err = strconv.ParseUint(number, 10, 64)
	if !found || err != nil || group == "" || index == 0 {
		return "", 0, fmt.Errorf("%q is not the name of a log entry; want for example shard-000/17", text)
	}
	return group, index, nil
}

// skips returns the skipped entries of a group, nil when there are none.
func skips(repairs []Repair, group string) map[uint64]Repair {
	var found map[uint64]Repair
	for _, r := range repairs {
		if r.Kind == SkippedEntry && r.Group == group {
			if found == nil {
				found = map[uint64]Repair{}
			}
			found[r.Index] = r
		}
	}
	return found
}

// rebuiltSum returns a number that changes with each rebuild of a group; 0 for a group that was never
// rebuilt. It is even, so an incarnation combined with it stays odd.
func rebuiltSum(repairs []Repair, group string) (sum uint64) {
	for _, r := range repairs {
		if r.Kind == RebuiltShard && r.Group == group {
			sum = xxh3.HashString(fmt.Sprint(sum, r.Index, r.At)) &^ 1
		}
	}
	return sum
}
