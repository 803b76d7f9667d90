package member

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
)

// formula is the twin of a program: a tree without ordering, words or shortcuts.
type formula struct {
	op   op
	leaf *leaf
	args []formula
}

func (f *formula) holds(value func(*leaf) bool) bool {
	switch f.op {
	case opLeaf:
		return value(f.leaf)
	case opNot:
		return !f.args[0].holds(value)
	case opAnd, opOr:
		for i := range f.args {
			if f.args[i].holds(value) == (f.op == opOr) {
				return f.op == opOr
			}
		}
		return f.op == opAnd
	}
	return true
}

// drawFormula draws a formula over leaves, and the program that the compiler would make of it.
func drawFormula(rng *rand.Rand, leaves []*leaf, depth int) (formula, node) {
	if depth == 0 || rng.IntN(4) == 0 {
		if rng.IntN(12) == 0 {
			return formula{op: opEveryone}, node{op: opEveryone}
		}
		l := leaves[rng.IntN(len(leaves))]
		return formula{op: opLeaf, leaf: l}, node{op: opLeaf, leaf: l}
	}
	f := formula{op: []op{opNot, opAnd, opOr}[rng.IntN(3)]}
	args := make([]node, 1)
	if f.op != opNot {
		args = make([]node, 2+rng.IntN(3))
	}
	for i := range args {
		var arg formula
		arg, args[i] = drawFormula(rng, leaves, depth-1)
		f.args = append(f.args, arg)
	}
	return f, join(f.op, args)
}

// programLeaves makes leaves of every kind over random rows, with some counts spilled.
func programLeaves(t *testing.T, rng *rand.Rand, everybody []uint32) []*leaf {
	w := newWorld(t, storyNames(1))
	tr := New(w, w.schema, noon)
	var leaves []*leaf
	for range 3 {
		l := &leaf{t: tr, kind: truthLeaf, at: tr.rows.placeBit(), bare: rng.IntN(4) == 0}
		leaves = append(leaves, l)
		k := &counter{t: tr, at: tr.rows.place(1)}
		lo := []int64{0, 1, 2, 254, 255, 256, 300}[rng.IntN(7)]
		leaves = append(leaves, k.limit(lo, []int64{-1, lo, lo + 1, 254, 255}[rng.IntN(5)]))
		member := &leaf{t: tr, kind: memberLeaf, slot: len(leaves)}
		leaves = append(leaves, member)
		for _, ordinal := range everybody {
			if rng.IntN(2) == 0 {
				tr.rows.setBit(ordinal, l.at, true)
			}
			if rng.IntN(3) > 0 {
				k.store(ordinal, []int64{0, 1, 2, 3, 253, 254, 255, 256, 300, 301}[rng.IntN(10)])
			}
			if rng.IntN(2) == 0 {
				w.Members(member.slot).Put([]uint32{ordinal}, true)
			}
		}
	}
	return leaves
}

// naively evaluates a leaf by its definition.
func naively(l *leaf, ordinal uint32) bool {
	switch l.kind {
	case truthLeaf:
		return l.t.rows.bit(l.t.rows.row(ordinal), l.at)
	case countLeaf:
		n := l.of.value(ordinal)
		return l.lo <= n && n <= l.hi
	}
	return l.t.host.Members(l.slot).Has(ordinal)
}

// TestProgramsAreFormulas: programs have the values of their formulas, for single profiles, for whole
// chunks and for profiles without facts; and they know their value before some leaves flipped.
func TestProgramsAreFormulas(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 44))
	everybody := []uint32{0, 1, 63, 64, 511, 512, 1023, query.ChunkSize - 1, query.ChunkSize, query.ChunkSize + 64}
	conjunctions := 0
	for range 60 {
		leaves := programLeaves(t, rng, everybody)
		for range 10 {
			f, n := drawFormula(rng, leaves, rng.IntN(4))
			for _, ordinal := range everybody {
				want := f.holds(func(l *leaf) bool { return naively(l, ordinal) })
				if got := n.holds(leaves[0].t.rows.row(ordinal), ordinal); got != want {
					t.Fatalf("seed %d: of %d it is %t, want %t: %+v", seed, ordinal, got, want, f)
				}
				conjunctions += checkBoth(t, seed, rng, &f, &n, leaves, ordinal)
			}
			if want := f.holds(func(l *leaf) bool { return l.bare }); n.trueWithoutFacts() != want {
				t.Fatalf("seed %d: without facts it is %t: %+v", seed, !want, f)
			}
			for chunk := range 3 {
				checkFill(t, seed, rng, &f, &n, everybody, chunk)
			}
		}
	}
	if conjunctions < 500 {
		t.Errorf("seed %d: only %d were conjunctions", seed, conjunctions)
	}
}

// checkBoth flips some leaves, and compares both values.
func checkBoth(t *testing.T, seed uint64, rng *rand.Rand, f *formula, n *node, leaves []*leaf, ordinal uint32) (conjunctions int) {
	t.Helper()
	settling := 1 + rng.Uint64N(100)
	for _, l := range leaves {
		if l.flipped = settling - 1; rng.IntN(3) == 0 {
			l.flipped = settling
		}
	}
	is := f.holds(func(l *leaf) bool { return naively(l, ordinal) })
	was := f.holds(func(l *leaf) bool { return naively(l, ordinal) != (l.flipped == settling) })
	row := leaves[0].t.rows.row(ordinal)
	if a, b := n.both(row, ordinal, settling); a != was || b != is {
		t.Fatalf("seed %d: of %d it was %t and is %t, want %t and %t: %+v", seed, ordinal, a, b, was, is, f)
	}
	literals := n.literals()
	if literals == nil {
		return 0
	}
	if a, b := allBoth(literals, row, ordinal, settling); a != was || b != is {
		t.Fatalf("seed %d: as literals, of %d it was %t and is %t, want %t and %t: %+v", seed, ordinal, a, b, was, is, f)
	}
	return 1
}

func checkFill(t *testing.T, seed uint64, rng *rand.Rand, f *formula, n *node, everybody []uint32, chunk int) {
	t.Helper()
	var all, got, want query.Bits
	for _, ordinal := range everybody {
		if int(ordinal>>query.ChunkBits) != chunk || rng.IntN(4) == 0 {
			continue
		}
		all.Set(uint16(ordinal))
		if f.holds(func(l *leaf) bool { return naively(l, ordinal) }) {
			want.Set(uint16(ordinal))
		}
	}
	got.Set(7) // must be overwritten
	if n.fill(chunk, &all, &got); got != want {
		t.Fatalf("seed %d: chunk %d holds %v, want %v: %+v", seed, chunk, slices.Collect(got.All), slices.Collect(want.All), f)
	}
}

// TestJoin: arguments with the same operation are merged, those that decide most often come first, and a
// program has as its guard an attribute condition that it cannot be true without.
func TestJoin(t *testing.T) {
	truth, count, member := &leaf{kind: truthLeaf, at: 9}, &leaf{kind: countLeaf}, &leaf{kind: memberLeaf}
	of := func(l *leaf) node { return node{op: opLeaf, leaf: l} }
	inner := join(opAnd, []node{of(member), of(count)})
	n := join(opAnd, []node{join(opOr, []node{of(truth), of(count)}), inner, of(truth)})
	if len(n.args) != 4 || n.args[0].leaf != truth || n.args[1].leaf != count || n.args[2].leaf != member || n.args[3].op != opOr {
		t.Errorf("%+v", n)
	}
	if guardOf(&n) != 9 || guardOf(&inner) != unguarded || n.literals() != nil || n.nodes() != 7 {
		t.Errorf("guards %d and %d, %d nodes", guardOf(&n), guardOf(&inner), n.nodes())
	}
	either := join(opOr, []node{of(truth), of(count)})
	if guardOf(&either) != unguarded { // it can be true without the condition
		t.Error("an `or` has a guard")
	}
	negated := join(opAnd, []node{join(opNot, []node{of(truth)}), of(count)})
	if guardOf(&negated) != unguarded || len(negated.literals()) != 2 || !negated.literals()[0].negated {
		t.Errorf("%+v", negated)
	}
	twice := join(opNot, []node{join(opNot, []node{of(truth)})})
	if twice.op != opNot || twice.args[0].op != opNot {
		t.Errorf("a `not` was merged: %+v", twice)
	}
}
