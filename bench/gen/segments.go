package gen

import (
	"fmt"
	"math/rand/v2"
)

// Segments draws the texts of n segments over a shop, as marketers write them: one to three conditions
// on who somebody is and what they did, from a stock that repeats itself. The first ones of more are the
// ones of fewer.
func Segments(seed uint64, n int) []string {
	s := stock{rand.New(rand.NewPCG(seed, 7))}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = s.segment()
	}
	return texts
}

// stock is what marketers choose from.
type stock struct{ *rand.Rand }

func (s stock) segment() string {
	text := s.did()
	if s.IntN(3) > 0 {
		text += " and " + s.is()
	}
	if s.IntN(2) == 0 {
		text += " and " + s.did()
	}
	return text
}

// event is a name in quotes; a priced one has amount and category.
func (s stock) event(priced bool) string {
	kind := eventKinds[s.IntN(len(eventKinds))]
	for priced && !kind.priced {
		kind = eventKinds[s.IntN(len(eventKinds))]
	}
	return `"` + kind.name + `"`
}

func (s stock) window() string {
	return [...]string{"in last 1 day", "in last 7 days", "in last 30 days", "in last 90 days"}[s.IntN(4)]
}

func (s stock) did() string {
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

func (s stock) is() string {
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
