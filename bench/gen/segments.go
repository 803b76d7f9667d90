package gen

import (
	"fmt"
	"math/rand/v2"
)

// Segments returns the predicates of n segments over a shop, as marketers write them: one to three conditions
// on attributes and events, from a limited vocabulary that repeats. For one seed, the first ones of a larger n
// are those of a smaller n.
func Segments(seed uint64, n int) []string {
	s := predicateWriter{rand.New(rand.NewPCG(seed, 7))}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = s.segment()
	}
	return texts
}

// predicateWriter writes random predicates.
type predicateWriter struct{ *rand.Rand }

func (s predicateWriter) segment() string {
	text := s.did()
	if s.IntN(3) > 0 {
		text += " and " + s.is()
	}
	if s.IntN(2) == 0 {
		text += " and " + s.did()
	}
	return text
}

// event returns the name of an event in quotes; a priced one has an amount and a category.
func (s predicateWriter) event(priced bool) string {
	kind := eventKinds[s.IntN(len(eventKinds))]
	for priced && !kind.priced {
		kind = eventKinds[s.IntN(len(eventKinds))]
	}
	return `"` + kind.name + `"`
}

func (s predicateWriter) window() string {
	return [...]string{"in last 1 day", "in last 7 days", "in last 30 days", "in last 90 days"}[s.IntN(4)]
}

func (s predicateWriter) did() string {
	switch s.IntN(20) {
	case 0:
		return fmt.Sprintf("did %s then not %s within 1 hour in last 7 days", s.event(false), s.event(false))
	case 1:
		return fmt.Sprintf("sum(amount) of %s %s > %d", s.event(true), s.window(), 100*(1+s.IntN(10)))
	case 2, 3:
		return fmt.Sprintf("last did %s more than %d days ago", s.event(false), [...]int{7, 14, 30}[s.IntN(3)])
	case 4:
		return fmt.Sprintf("did %s %s", s.event(false), [...]string{"today", "this week", "this month"}[s.IntN(3)])
	case 5, 6, 7:
		return fmt.Sprintf(`did %s where (category = %q) %s`, s.event(true), categories[s.IntN(len(categories))], s.window())
	case 8, 9, 10:
		return fmt.Sprintf("did not %s %s", s.event(false), s.window())
	}
	return fmt.Sprintf("did %s at least %d times %s", s.event(false), 1+s.IntN(5), s.window())
}

func (s predicateWriter) is() string {
	switch s.IntN(4) {
	case 0:
		return fmt.Sprintf("country = %q", countries[s.IntN(len(countries))])
	case 1:
		return fmt.Sprintf("plan in (%q, %q)", plans[s.IntN(len(plans))].name, plans[s.IntN(len(plans))].name)
	case 2:
		return fmt.Sprintf("age between %d and %d", 20+s.IntN(20), 41+s.IntN(30))
	}
	return fmt.Sprintf("ltv > %d", 100*s.IntN(50))
}
