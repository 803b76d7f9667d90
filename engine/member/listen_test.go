package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// TestDependencies checks what can change each predicate.
func TestDependencies(t *testing.T) {
	w := newWorld(t, storyNames(1))
	name := func(id uint32) string {
		found := fmt.Sprint(id)
		w.schema.Names(query.AttributeName, "", func(n string, _ tree.Type) bool {
			if known, _, _ := w.schema.Attribute(n); known == id {
				found = n
			}
			return true
		})
		return found
	}
	for text, want := range map[string]string{
		"did A": "[0] [] 0 steady [] false false", "did A in last 7 days": "[0] [] 0 rolling [0 604800000] false false",
		"did A more than 7 days ago": "[0] [] 0 rolling [0 604800000] false false", "did A between 1 and 7 days ago": "[0] [] 0 rolling [0 86400000 604800000] false false",
		"did A in last 1 month": "[0] [] 0 rolling [0] true false", "did A today": "[0] [] 0 calendar [] false false", "did A since 2026-01-01": "[0] [] 0 steady [] false false",
		"did A then B within 1 day": "[0 1] [] 0 steady [86400000] false false", "did A then not B within 1 day": "[0 1] [] 0 rolling [86400000] false false",
		`plan = "x" and ltv > 3`: "[] [ltv plan] 0 steady [] false false", "at in next 7 days": "[] [at] 0 rolling [-604800000 0] false false", "at in last 7 days": "[] [at] 0 rolling [0 604800000] false false",
		"at is anniversary today": "[] [at] 0 calendar [] false false",
		"last_seen > first_seen":  "[] [] 0 steady [] false true", "sum(amount) of A where (category = \"x\") in last 1 day > ltv": "[0] [ltv] 2 rolling [0 86400000] false false",
		`in list "vips"`: "[] [] 0 steady [] false false", "did A then B where (amount > previous.amount)": "[0 1] [] 2 steady [] false false",
	} {
		d, err := dependsOn(w.schema, w.parse(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var attributes []string
		for _, id := range d.attributes {
			attributes = append(attributes, name(id))
		}
		slices.Sort(attributes)
		got := fmt.Sprint(d.events, attributes, " ", len(d.properties), " ", []string{"steady", "calendar", "rolling"}[d.timing], " ", d.edges, " ", d.loose, " ", d.anyEvent)
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if lists := len(d.lists) > 0; lists != (text == `in list "vips"`) {
			t.Errorf("%s: lists %v", text, d.lists)
		}
	}
	for _, p := range []tree.Pred{&tree.Rank{By: &tree.Name{Name: "ltv"}}, &tree.InSegment{Name: "x"}, &tree.WasIn{}} {
		if _, err := dependsOn(w.schema, p); err == nil {
			t.Errorf("a %T is accepted as live", p)
		}
	}
}

// TestBoundary: the first instant at which one of some windows moves, in zones whose clocks change.
func TestBoundary(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 54))
		for range 300 {
			now := noon - rng.Int64N(16*365*86_400_000)
			windows := [][]tree.Window{{{Kind: tree.Today}}, {{Kind: tree.Yesterday}}, {{Kind: tree.This, Unit: tree.Month}}, {{Kind: tree.LastUnit, Unit: tree.Week}}, {{Kind: tree.This, Unit: tree.Year}, {Kind: tree.Today}}}[rng.IntN(5)]
			at := boundary(windows, now, loc)
			moved := func(at int64) bool {
				return slices.ContainsFunc(windows, func(w tree.Window) bool {
					f, u := calendar.Resolve(w, now, loc)
					g, v := calendar.Resolve(w, at, loc)
					return f != g || u != v
				})
			}
			if at <= now || moved(at-1) || !moved(at) {
				t.Fatalf("%s, %d: boundary of %v is %d", zone, now, windows, at)
			}
		}
	}
}

// TestWhatCanChange: every condition that an entry may change is evaluated. A tracker of random conditions
// gets one change at a time; afterwards all conditions equal the oracle.
func TestWhatCanChange(t *testing.T) {
	first := rand.Uint64()
	for i := range uint64(4) {
		seed := first + i
		rng := rand.New(rand.NewPCG(seed, 55))
		gen := querytest.NewGen(rng, 8)
		for len(gen.History.Profiles) < 4 {
			gen = querytest.NewGen(rng, 8)
		}
		r := &run{world: newWorld(t, gen.History), seed: seed, rng: rng, gen: gen, now: gen.Now}
		r.tracker = New(r.world, r.schema, r.now)
		r.trackers = []*Tracker{r.tracker}
		for slot := range 60 {
			if p, _, err := check.Predicate(gen.Pred(0), r.schema); err == nil && !HasRank(p) {
				held := func(string) (int, bool) { return 0, false }
				r.tracker.Define([]Definition{{Slot: slot, Name: fmt.Sprint(slot), Zone: "UTC", Pred: p, Held: held}})
			}
		}
		r.tracker.Work(1 << 62)
		r.tracker.Settle()
		for i := 1; i < len(r.at); i++ {
			r.appear(i)
			r.settleOne()
			for _, message := range r.messages(i) {
				message()
				r.settleOne()
			}
			r.list("vips", r.gen.History.Profiles[i].ID())
			r.settleOne()
		}
		r.erase(1)
		r.settleOne()
	}
}

// settleOne settles one change and compares every condition with the oracle.
func (r *run) settleOne() {
	r.t.Helper()
	r.tracker.SetCause(ByEvent)
	r.tracker.Settle()
	oracle, err := querytest.NewOracle(r.history, r.now, "UTC")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range r.tracker.conditions {
		for i := 1; i < len(r.at); i++ {
			if !r.exists[i] {
				continue
			}
			if want := oracle.Holds(c.pred, &r.history.Profiles[i]); c.holds(r.at[i]) != want {
				r.t.Fatalf("seed %d: profile %d: %t, the oracle says %t: %s", r.seed, i, !want, want, c.key)
			}
		}
	}
}

// valuedTexts have steps that require a property to equal something, and steps that do not.
var valuedTexts = []string{`did A where (category = "x")`, `did A where (category in ("x", "y"))`, `did A where (category = "y" and amount > 1)`,
	`did A where (amount > 1 and category = "z")`, "did A where (amount > 1)", "did A", `did A where (not category = "x")`, `did A where (category in ("a", "b", "c", "d", "e", "x"))`}

// TestValuedSteps: the value of a property finds exactly the steps that an event can satisfy.
func TestValuedSteps(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{"A(x,1)", "0 1 5 7"}, {"A(y,2)", "1 2 4 5 6"}, {"A(y,1)", "1 5 6"}, {"A(z,1)", "5 6"}, {"A(z,2)", "3 4 5 6"}, {"A", "5 6"}, {"A(c,5)", "4 5 6 7"}, {"B(x,9)", ""},
	} {
		x := newStoryPlayer(t, "everyone")
		for i, text := range valuedTexts {
			x.define(2+i, fmt.Sprint(i), text)
		}
		event, _ := x.schema.Event("A")
		l := x.tracker.byEvent[event]
		if len(l.steps) != 3 || len(l.valued) != 1 || len(l.valued[0].byValue["x"]) != 3 || len(l.valued[0].byValue["z"]) != 1 {
			t.Fatalf("%d steps of every event; by value %v", len(l.steps), l.valued)
		}
		x.play("0 " + c.event)
		var in []string
		for i := range valuedTexts {
			if x.Members(2 + i).Has(0) {
				in = append(in, fmt.Sprint(i))
			}
		}
		if got := strings.Join(in, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.event, got, c.want)
		}
		for i := range valuedTexts {
			x.tracker.Forget(2 + i)
		}
		if x.tracker.byEvent[event] != nil {
			t.Errorf("%s: listeners are left", c.event)
		}
	}
}
