package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mode says what a line of a file stands for.
type Mode uint8

// The modes. Messages are lines that are Segment messages already (NDJSON only).
const (
	Messages Mode = iota
	Events
	Profiles
)

// Kind is the type a column's values are sent as. Untyped values of NDJSON and Parquet are sent as
// they are; a CSV column is always typed, by --types or by its first lines.
type Kind uint8

// The kinds.
const (
	Untyped Kind = iota
	String
	Number
	Bool
	Time
)

var kindNames = [...]string{"as written", "string", "number", "bool", "time"}

// String returns the name --types takes.
func (k Kind) String() string { return kindNames[k] }

// Plan says what the columns of a file mean. Names in it are those of the file; nested JSON has
// dotted ones.
type Plan struct {
	Mode      Mode
	ID        string            // column of the user id
	Event     string            // column of the event's name, or
	EventName string            // the name of every event
	Time      string            // column of the time
	Rename    map[string]string // column → name it gets
	Keep      []string          // only these columns; nil: all
	Types     map[string]Kind
}

// reserved are the attributes every profile has by itself; they cannot be sent.
var reserved = []string{"user_id", "anonymous_id", "first_seen", "last_seen"}

// Validate reports everything that does not fit together, at once.
func (p *Plan) Validate() error {
	var faults []error
	need := func(ok bool, text string) {
		if !ok {
			faults = append(faults, errors.New(text))
		}
	}
	switch p.Mode {
	case Messages:
		given := p.ID + p.Event + p.EventName + p.Time
		need(given == "" && len(p.Rename)+len(p.Keep)+len(p.Types) == 0,
			"--id, --event, --event-name, --time, --map, --columns and --types need --events or --profiles")
	case Events:
		need(p.ID != "", "--events needs --id COLUMN")
		need(p.Time != "", "--events needs --time COLUMN")
		need((p.Event == "") != (p.EventName == ""), "--events needs either --event COLUMN or --event-name NAME")
	case Profiles:
		need(p.ID != "", "--profiles needs --id COLUMN")
		need(p.Event == "" && p.EventName == "", "--event and --event-name are for --events")
	}
	return errors.Join(faults...)
}

// special tells whether a column is the id, the event or the time and so no property.
func (p *Plan) special(column string) bool {
	return column == p.ID || column == p.Time && p.Time != "" || column == p.Event && p.Event != ""
}

// target returns the name a column gets: its own new one, or that of what it is nested in.
func (p *Plan) target(column string) string {
	for end := len(column); end > 0; end = strings.LastIndexByte(column[:end], '.') {
		if to, ok := p.Rename[column[:end]]; ok {
			return to + column[end:]
		}
	}
	return column
}

// kept tells whether a column is wanted: it or something it is nested in stands in Keep.
func (p *Plan) kept(column string) bool {
	return p.Keep == nil || slices.ContainsFunc(p.Keep, func(k string) bool {
		return column == k || strings.HasPrefix(column, k) && column[len(k)] == '.'
	})
}

// checkColumns holds the plan against the columns a file says it has.
func (p *Plan) checkColumns(columns []string) error {
	var faults []error
	known := func(flag, column string) {
		if column != "" && !slices.Contains(columns, column) {
			faults = append(faults, fmt.Errorf("%s %s: no such column; the file has %s", flag, column, strings.Join(columns, ", ")))
		}
	}
	known("--id", p.ID)
	known("--event", p.Event)
	known("--time", p.Time)
	knownOrNested := func(flag, column string) {
		if !slices.ContainsFunc(columns, func(c string) bool { return c == column || strings.HasPrefix(c, column+".") }) {
			known(flag, column)
		}
	}
	for _, k := range p.Keep {
		knownOrNested("--columns", k)
	}
	for c := range p.Types {
		known("--types", c)
	}
	for c := range p.Rename {
		knownOrNested("--map", c)
	}
	seen := map[string]string{}
	for _, c := range columns {
		if p.special(c) || !p.kept(c) {
			continue
		}
		name := p.target(c)
		if p.Mode == Profiles && slices.Contains(reserved, name) {
			faults = append(faults, reservedName(c, name))
		}
		if other, twice := seen[name]; twice {
			faults = append(faults, fmt.Errorf("columns %s and %s would both be %s: rename one with --map", other, c, name))
		}
		seen[name] = c
	}
	return errors.Join(faults...)
}

func reservedName(column, name string) error {
	return fmt.Errorf("column %s: every profile has %s by itself; give it another name with --map %s=NAME or leave it out with --columns", column, name, column)
}

// ParseTypes reads column=type pairs.
func ParseTypes(pairs []string) (map[string]Kind, error) {
	types := map[string]Kind{}
	for _, pair := range pairs {
		i := strings.LastIndexByte(pair, '=')
		kind := Untyped
		if i > 0 {
			kind = Kind(max(slices.Index(kindNames[:], pair[i+1:]), 0))
		}
		if kind == Untyped {
			return nil, fmt.Errorf("--types %s: want COLUMN=string, number, bool or time", pair)
		}
		types[pair[:i]] = kind
	}
	return types, nil
}

// ParseRenames reads column=name pairs.
func ParseRenames(pairs []string) (map[string]string, error) {
	names := map[string]string{}
	for _, pair := range pairs {
		column, name, ok := strings.Cut(pair, "=")
		if !ok || column == "" || name == "" {
			return nil, fmt.Errorf("--map %s: want COLUMN=NAME", pair)
		}
		names[column] = name
	}
	return names, nil
}
