package syntax

import (
	"sort"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// CandidateKind is the kind of thing a candidate names.
type CandidateKind string

// The kinds of candidates.
const (
	KeywordCandidate   CandidateKind = "keyword"
	AttributeCandidate CandidateKind = "attribute"
	EventCandidate     CandidateKind = "event"
	PropertyCandidate  CandidateKind = "property"
	ValueCandidate     CandidateKind = "value"
	SegmentCandidate   CandidateKind = "segment"
	ListCandidate      CandidateKind = "list"
)

// Candidate is a text to offer at the cursor. It replaces Length bytes from Offset.
type Candidate struct {
	Kind   CandidateKind
	Text   string // as written in MQL, quoted where necessary
	Doc    string // one short line: the meaning of a keyword, or the type and count of a name
	Offset int
	Length int
}

// Known is a name in the catalog.
type Known struct {
	Name  string
	Type  tree.Type // NoType for events, segments and lists
	Count int64     // profiles or events that have it, for ranking
}

// Names is what completion needs from the catalog. With event "", Properties returns the properties of
// all events, for a measure whose event has not been typed yet, and Values returns those of an attribute.
type Names interface {
	Attributes() []Known
	Events() []Known
	Properties(event string) []Known
	Segments() []Known
	Lists() []Known
	// Values returns example values of an attribute or property, most frequent first.
	Values(event, name string) []tree.Value
}

// maxCandidates is the maximum number of candidates returned.
const maxCandidates = 50

// Complete returns the candidates at offset, most likely first. The text need not parse. Tokens after
// the cursor are read only to find the event of a measure.
func Complete(text string, offset int, names Names) []Candidate {
	offset = min(max(offset, 0), len(text))
	var before, after []lexer.Token
	typed, from := "", offset
	for _, t := range scan(text) {
		token := lexer.Token{Type: t.kind, Value: text[t.at:t.end], Pos: lexer.Position{Offset: t.at}}
		switch {
		case t.kind == commentToken && t.at < offset && offset <= t.end:
			return nil
		case t.kind == commentToken:
		case t.at >= offset:
			after = append(after, token)
		case t.end < offset || !canContinue(t):
			before = append(before, token)
		default: // the cursor is in this token or right after it
			typed, from = text[t.at:offset], t.at
			if t.end > offset && t.kind == badToken {
				continue // an unclosed quote swallows the rest of the text
			}
			offset = t.end
		}
	}
	c := completion{names: names, at: walk(before, after), typed: strings.TrimLeft(typed, "\"'`"), quote: typed != "" && strings.ContainsAny(typed[:1], "\"'")}
	c.offer()
	return c.ranked(from, offset-from)
}

// canContinue reports whether the user may still be typing a token.
func canContinue(t token) bool {
	switch t.kind {
	case wordToken, quotedToken, stringToken, badToken:
		return true
	}
	return false
}

type completion struct {
	names Names
	at    situation
	typed string
	quote bool // the cursor is inside a string
	found []ranked
}

type ranked struct {
	Candidate
	rank  int // smaller first
	count int64
}

// add offers a candidate if its name contains the typed text. Names that begin with it rank higher.
func (c *completion) add(kind CandidateKind, name, text, doc string, group int, count int64) {
	at := strings.Index(strings.ToLower(name), strings.ToLower(c.typed))
	if at < 0 || c.quote && text[0] != '"' {
		return
	}
	rank := group
	if at > 0 {
		rank += 100
	}
	c.found = append(c.found, ranked{Candidate{Kind: kind, Text: text, Doc: doc}, rank, count})
}

func (c *completion) ranked(from, length int) []Candidate {
	sort.SliceStable(c.found, func(i, j int) bool {
		a, b := c.found[i], c.found[j]
		if a.rank != b.rank {
			return a.rank < b.rank
		}
		return a.count > b.count
	})
	var out []Candidate
	seen := map[string]bool{}
	for _, f := range c.found {
		if key := string(f.Kind) + f.Text; !seen[key] && len(out) < maxCandidates {
			seen[key] = true
			f.Offset, f.Length = from, length
			out = append(out, f.Candidate)
		}
	}
	return out
}

// offer adds the candidates that the situation allows.
func (c *completion) offer() {
	if c.names == nil {
		c.names = noNames{}
	}
	for _, w := range c.at.words {
		c.words(w)
	}
	for _, k := range c.at.kinds {
		switch k {
		case AttributeCandidate:
			c.addNames(k, c.names.Attributes(), spelled)
			for _, n := range []Known{{Name: "user_id", Type: tree.StringType}, {Name: "anonymous_id", Type: tree.StringType}, {Name: "first_seen", Type: tree.TimeType}, {Name: "last_seen", Type: tree.TimeType}} {
				c.addNames(k, []Known{n}, spelled)
			}
		case EventCandidate:
			c.addNames(k, c.names.Events(), quote)
		case PropertyCandidate:
			c.addNames(k, c.names.Properties(c.at.event), spelled)
		case SegmentCandidate:
			c.addNames(k, c.names.Segments(), quote)
		case ListCandidate:
			c.addNames(k, c.names.Lists(), quote)
		case ValueCandidate:
			for i, v := range c.names.Values(c.at.event, c.at.subject) {
				text := FormatExpr(&tree.Literal{Value: v})
				c.add(k, strings.Trim(text, `"`), text, "value of "+c.at.subject, 0, -int64(i))
			}
		}
	}
}

func (c *completion) addNames(kind CandidateKind, known []Known, write func(string) string) {
	for _, k := range known {
		doc := string(kind)
		if k.Type != tree.NoType {
			doc += ", " + k.Type.String()
		}
		if k.Count > 0 {
			doc += ", " + tree.Int(k.Count).String()
		}
		c.add(kind, k.Name, write(k.Name), doc, 1, k.Count)
	}
}

// words adds a group of keywords. In a typed group it leaves out those for other types than that of the
// value before the cursor.
func (c *completion) words(group phrases) {
	typ := tree.NoType
	if group.typed {
		typ = c.typeOf(c.at.subject)
	}
	for i, p := range group.list {
		if typ != tree.NoType && p.only != "" && !strings.Contains(p.only, typ.String()) {
			continue
		}
		c.add(KeywordCandidate, p.text, p.text, p.doc, group.rank, -int64(i))
	}
}

// typeOf returns the type of an attribute or property, or NoType if it is unknown.
func (c *completion) typeOf(name string) tree.Type {
	known := c.names.Attributes()
	if c.at.event != "" {
		known = c.names.Properties(c.at.event)
	}
	for _, k := range known {
		if k.Name == name {
			return k.Type
		}
	}
	return tree.NoType
}

// noNames is the empty catalog.
type noNames struct{}

func (noNames) Attributes() []Known                { return nil }
func (noNames) Events() []Known                    { return nil }
func (noNames) Properties(string) []Known          { return nil }
func (noNames) Segments() []Known                  { return nil }
func (noNames) Lists() []Known                     { return nil }
func (noNames) Values(string, string) []tree.Value { return nil }
