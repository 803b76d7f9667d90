package querytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Engine is an implementation of MQL to be tested. Load replaces all its data.
type Engine interface {
	Load(h History) error
	Query(text string) (*query.Answer, error)
}

// Script is one file of the acceptance suite: a history and statements with their answers.
//
// The lines before the first blank one describe the history, one fact per line:
//
//	zone Europe/Berlin
//	now 2026-03-31T12:00:00Z            added as `as of` to every statement without one
//	profile user-1 anon-1 {"age": 30}   ids that begin with anon are anonymous
//	event user-1 "Order Completed" 2026-03-01T10:00:00Z {"amount": 10.5}
//	list "newsletter" user-1 user-9
//	segment "VIP" Europe/Berlin ltv > 100
//
// Strings that are dates or RFC 3339 times are times. The cases follow, separated by blank lines. Each is a
// statement, `----`, and the answer: a line of column names, a line for each row and a line for each warning,
// or `error` and a text that the message must contain. Lines that begin with # are comments.
type Script struct {
	History History
	Now     string
	head    string
	Cases   []Case
}

// Case is one statement with its expected answer.
type Case struct {
	Comment   string
	Statement string
	Want      string
}

// ParseScript reads a script.
func ParseScript(text string) (*Script, error) {
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	s := &Script{head: blocks[0], History: History{Lists: map[string][]string{}}}
	index := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(blocks[0]))
	for n := 1; lines.Scan(); n++ {
		if err := s.fact(strings.TrimSpace(lines.Text()), index); err != nil {
			return nil, fmt.Errorf("read script line %d: %w", n, err)
		}
	}
	for _, block := range blocks[1:] {
		var c Case
		statement, want, _ := strings.Cut(strings.TrimSpace(block), "\n----")
		for strings.HasPrefix(statement, "#") {
			var comment string
			comment, statement, _ = strings.Cut(statement, "\n")
			c.Comment += comment + "\n"
		}
		c.Statement, c.Want = statement, strings.TrimPrefix(want, "\n")
		if c.Statement != "" {
			s.Cases = append(s.Cases, c)
		}
	}
	return s, nil
}

// fact reads one line of the history.
func (s *Script) fact(line string, index map[string]int) error {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "", "#":
		return nil
	case "zone":
		s.History.Zone = rest
	case "now":
		s.Now = rest
	case "profile":
		return s.profile(rest, index)
	case "event":
		return s.event(rest, index)
	case "list":
		name, ids, err := quoted(rest)
		s.History.Lists[name] = strings.Fields(ids)
		return err
	case "segment":
		name, rest, err := quoted(rest)
		if err != nil {
			return err
		}
		zone, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
		pred, err := syntax.ParsePred(text, syntax.Limits{})
		s.History.Segments = append(s.History.Segments, &tree.Segment{Name: name, Zone: zone, Pred: pred})
		return err
	default:
		return fmt.Errorf("unknown fact %q", kind)
	}
	return nil
}

func quoted(text string) (name, rest string, err error) {
	text, found := strings.CutPrefix(text, `"`)
	name, rest, closed := strings.Cut(text, `"`)
	if !found || !closed {
		return "", "", fmt.Errorf("missing a quoted name in %q", text)
	}
	return name, rest, nil
}

func (s *Script) profile(text string, index map[string]int) error {
	ids, object, _ := strings.Cut(text, "{")
	p := Profile{}
	for _, id := range strings.Fields(ids) {
		if strings.HasPrefix(id, "anon") {
			p.Anonymous = append(p.Anonymous, id)
		} else {
			p.UserID = id
		}
	}
	var err error
	if p.Attrs, err = values(object); err != nil {
		return err
	}
	index[p.ID()] = len(s.History.Profiles)
	s.History.Profiles = append(s.History.Profiles, p)
	return nil
}

func (s *Script) event(text string, index map[string]int) error {
	id, rest, _ := strings.Cut(text, " ")
	i, known := index[id]
	if !known {
		return fmt.Errorf("event of unknown profile %q", id)
	}
	name, rest, err := quoted(rest)
	if err != nil {
		return err
	}
	stamp, object, _ := strings.Cut(rest, "{")
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(stamp))
	if err != nil {
		return err
	}
	props, err := values(object)
	p := &s.History.Profiles[i]
	p.Events = append(p.Events, Event{Name: name, Time: at.UnixMilli(), Props: props})
	return err
}

// values reads a JSON object without its first brace. "" is an empty object.
func values(object string) (map[string]tree.Value, error) {
	all := map[string]tree.Value{}
	if strings.TrimSpace(object) == "" {
		return all, nil
	}
	d := json.NewDecoder(strings.NewReader("{" + object))
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return nil, fmt.Errorf("read {%s: %w", object, err)
	}
	for name, x := range raw {
		if v := valueOf(x); !v.Missing() {
			all[name] = v
		}
	}
	return all, nil
}

func valueOf(x any) tree.Value {
	switch x := x.(type) {
	case bool:
		return tree.Bool(x)
	case json.Number:
		n, _ := tree.ParseNumber(x.String())
		return tree.Num(n)
	case string:
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, err := time.Parse(layout, x); err == nil {
				return tree.Time(t.UnixMilli())
			}
		}
		return tree.Str(x)
	case []any:
		var items []tree.Value
		for _, item := range x {
			items = append(items, valueOf(item))
		}
		return tree.ListOf(items...)
	}
	return tree.Value{}
}

// Run loads the history into an engine, runs every statement, and returns the answer to each case. Callers
// compare it with Case.Holds. The error is that of loading.
func (s *Script) Run(e Engine) ([]string, error) {
	if err := e.Load(s.History); err != nil {
		return nil, fmt.Errorf("load history: %w", err)
	}
	got := make([]string, len(s.Cases))
	for i, c := range s.Cases {
		text := c.Statement
		if s.Now != "" && !strings.Contains(text, " as of ") {
			text += " as of " + s.Now
		}
		a, err := e.Query(text)
		if err != nil {
			got[i] = "error " + err.Error()
			continue
		}
		got[i] = render(a)
	}
	return got, nil
}

// render returns an answer in the form of scripts, with the codes of its warnings at the end.
func render(a *query.Answer) string {
	var names []string
	for _, c := range a.Columns {
		names = append(names, c.Name)
	}
	lines := []string{strings.Join(names, " | ")}
	for _, row := range a.Rows {
		var cells []string
		for _, v := range row {
			cells = append(cells, cell(v))
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	for _, w := range a.Warnings {
		lines = append(lines, "warning "+w.Code)
	}
	return strings.Join(lines, "\n")
}

func cell(v tree.Value) string {
	switch v.Type {
	case tree.NoType:
		return "(not set)"
	case tree.BoolType:
		return fmt.Sprint(v.True())
	case tree.NumberType:
		return v.Number().String()
	case tree.TimeType:
		return time.UnixMilli(v.Int).UTC().Format("2006-01-02T15:04:05.999Z")
	case tree.ListType:
		var items []string
		for _, item := range v.List {
			items = append(items, cell(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return v.Str
}

// Rewritten returns the text of the script with the given answers.
func (s *Script) Rewritten(got []string) string {
	var b strings.Builder
	b.WriteString(s.head + "\n")
	for i, c := range s.Cases {
		fmt.Fprintf(&b, "\n%s%s\n----\n%s\n", c.Comment, c.Statement, got[i])
	}
	return b.String()
}

// Holds reports whether an answer is the expected one.
func (c Case) Holds(got string) bool {
	if text, isError := strings.CutPrefix(c.Want, "error "); isError {
		return strings.HasPrefix(got, "error ") && strings.Contains(got, text)
	}
	return got == strings.TrimRight(c.Want, "\n")
}
