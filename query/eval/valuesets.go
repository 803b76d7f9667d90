package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// mostListed is the number of positions listed for the wanted values above which the column is read
// instead. Reading the column costs about as much as a list of this length.
const mostListed = 24 * 1024

// setTest evaluates a test on the value sets of an attribute. It keeps the wanted codes of the
// dictionary.
type setTest struct {
	test    *vecTest
	dict    query.Dict // of wanted, if the test lists values
	wanted  []uint32   // scratch, like holders
	holders []query.Holders
}

// eval sets out to those of the n candidates whose value is in the set of the test, and returns their
// number. ok is false if reading the column is cheaper.
func (t *setTest) eval(sets query.ValueSets, cand []uint64, n int, out []uint64) (found int, ok bool) {
	t.want(sets)
	if len(t.wanted) == 1 {
		return sets.Holders(t.wanted[0]).Among(cand, n, out), true
	}
	t.holders = t.holders[:0]
	listed := 0
	for _, code := range t.wanted {
		h := sets.Holders(code)
		t.holders = append(t.holders, h)
		listed += h.Listed()
	}
	if listed > mostListed {
		return 0, false
	}
	clear(out)
	for _, h := range t.holders {
		h.AddTo((*query.Bits)(out))
	}
	return lanes.And(cand, out, out), true
}

// want sets t.wanted to the codes in the set of the test.
func (t *setTest) want(sets query.ValueSets) {
	dict := sets.Dict()
	if plain := !t.test.present && t.test.typ == tree.StringType && t.test.holds == nil; plain {
		if t.dict != dict || len(t.wanted) < len(t.test.keys) { // codes never change, but a value may be added later
			t.dict = dict
			t.find(dict)
		}
		return
	}
	t.wanted = t.wanted[:0]
	switch {
	case t.test.present:
		t.wanted = append(t.wanted, sets.Codes()...)
	case t.test.typ == tree.BoolType:
		for _, code := range sets.Codes() {
			if t.test.integer(int64(code)) {
				t.wanted = append(t.wanted, code)
			}
		}
	default:
		table := t.test.table(dict)
		t.test.growDecided(table, dict)
		for _, code := range sets.Codes() {
			if t.test.decide(dict, table.decided, int64(code)) {
				t.wanted = append(t.wanted, code)
			}
		}
	}
}

// find sets t.wanted to the codes of the values that the test lists, each once.
func (t *setTest) find(dict query.Dict) {
	t.wanted = t.wanted[:0]
	for _, k := range t.test.keys {
		if code, ok := dict.Find(k); ok && !slices.Contains(t.wanted, code) {
			t.wanted = append(t.wanted, code)
		}
	}
}
