package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mode says what a line of a file is.
type Mode uint8

// The modes. In mode Messages, lines are Segment messages already (NDJSON only).
const (
	Messages Mode = iota
	Events
	Profiles
)

// Kind is the type as which a column's values are sent. Untyped values of NDJSON and Parquet are sent as
// they are. A CSV column always has a type, from --types or from the first lines of the file.
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

// String returns the name of the kind, as in --types.
func (k Kind) String() string { return kindNames[k] }

// Plan says what the columns of a file mean. It uses the column names of the file; columns of nested JSON
// have dotted names.
type Plan struct {
	Mode      Mode
	ID        string            // column of the user id
	Event     string            // column of the event's name; or EventName
	EventName string            // the name of every event
	Time      string            // column of the time
	Rename    map[string]string // column → name to send it under
	Keep      []string          // only these columns; nil: all
	Types     map[string]Kind
}

// reservedAttributes are the attributes that every profile has anyway; they cannot be sent.
var reservedAttributes = []string{"user_id", "anonymous_id", "first_seen", "last_seen"}

// Validate reports all conflicts within the plan, joined into one error.
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

// isSpecial reports whether a column is the id, the event or the time, and so is no property.
func (p *Plan) isSpecial(column string) bool {
	return column == p.ID || column == p.Time && p.Time != "" || column == p.Event && p.Event != ""
}

// target returns the name a column is sent under. A renamed prefix of a dotted name is replaced as well.
func (p *Plan) target(column string) string {
	for end := len(column); end > 0; end = strings.LastIndexByte(column[:end], '.') {
		if to, ok := p.Rename[column[:end]]; ok {
			return to + column[end:]
		}
	}
	return column
}

// keeps reports whether a column is wanted: whether Keep has it or an object that it is nested in.
func (p *Plan) keeps(column string) bool {
	return p.Keep == nil || slices.ContainsFunc(p.Keep, func(k string) bool {
		return column == k || strings.HasPrefix(column, k) && column[len(k)] == '.'
	})
}

// checkColumns checks the plan against the columns that a file has.
func (p *Plan) checkColumns(columns []string) error {
	var faults []error
	requireColumn := func(flag, column string) {
		if column != "" && !slices.Contains(columns, column) {
			faults = append(faults, fmt.Errorf("%s %s: no such column; the file has %s", flag, column, strings.Join(columns, ", ")))
		}
	}
	requireColumn("--id", p.ID)
	requireColumn("--event", p.Event)
	requireColumn("--time", p.Time)
	requireColumnOrObject := func(flag, column string) {
		if !slices.ContainsFunc(columns, func(c string) bool { return c == column || strings.HasPrefix(c, column+".") }) {
			requireColumn(flag, column)
		}
	}
	for _, k := range p.Keep {
		requireColumnOrObject("--columns", k)
	}
	for c := range p.Types {
		requireColumn("--types", c)
	}
	for c := range p.Rename {
		requireColumnOrObject("--map", c)
	}
	seen := map[string]string{}
	for _, c := range columns {
		if p.isSpecial(c) || !p.keeps(c) {
			continue
		}
		name := p.target(c)
		if p.Mode == Profiles && slices.Contains(reservedAttributes, name) {
			faults = append(faults, reservedNameError(c, name))
		}
		if other, twice := seen[name]; twice {
			faults = append(faults, fmt.Errorf("columns %s and %s would both be %s: rename one with --map", other, c, name))
		}
		seen[name] = c
	}
	return errors.Join(faults...)
}

func reservedNameError(column, name string) error {
	return fmt.Errorf("column %s: %s is a built-in attribute of every profile; rename the column with --map %s=NAME or leave it out with --columns", column, name, column)
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
