package member

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// op is the operation of a node.
type op uint8

const (
	opEveryone op = iota
	opLeaf
	opNot
	opAnd
	opOr
)

// node is a program: a segment's predicate over leaves.
type node struct {
	op   op
	leaf *leaf
	args []node
}

// join returns the `and` or `or` of nodes. Arguments with the same operation are merged into it. Attributes
// come first: they decide most often, and independently of a profile's events.
func join(o op, args []node) node {
	n := node{op: o}
	for _, arg := range args {
		if arg.op == o && o != opNot {
			n.args = append(n.args, arg.args...)
		} else {
			n.args = append(n.args, arg)
		}
	}
	if o != opNot {
		slices.SortStableFunc(n.args, func(a, b node) int { return a.rank() - b.rank() })
	}
	return n
}

// rank orders the arguments of a node by the cost of evaluating them and by how often they decide.
func (n *node) rank() int {
	switch {
	case n.op == opNot:
		return n.args[0].rank()
	case n.op != opLeaf:
		return 3
	case n.leaf.kind == truthLeaf:
		return 0
	case n.leaf.kind == memberLeaf:
		return 2
	}
	return 1
}

func (n *node) holds(row []byte, ordinal uint32) bool {
	switch n.op {
	case opLeaf:
		return n.leaf.holds(row, ordinal)
	case opNot:
		return !n.args[0].holds(row, ordinal)
	case opAnd, opOr:
		for i := range n.args {
			if n.args[i].holds(row, ordinal) != (n.op == opAnd) {
				return n.op != opAnd
			}
		}
		return n.op == opAnd
	}
	return true
}

// both returns the value of the program before the leaves flipped that a settling handles, and its value now.
func (n *node) both(row []byte, ordinal uint32, settling uint64) (was, is bool) {
	switch n.op {
	case opLeaf:
		is = n.leaf.holds(row, ordinal)
		return is != (n.leaf.flipped == settling), is
	case opNot:
		was, is = n.args[0].both(row, ordinal, settling)
		return !was, !is
	case opAnd:
		was, is = true, true
		for i := range n.args {
			w, x := n.args[i].both(row, ordinal, settling)
			was, is = was && w, is && x
			if !was && !is {
				break
			}
		}
		return was, is
	case opOr:
		for i := range n.args {
			w, x := n.args[i].both(row, ordinal, settling)
			was, is = was || w, is || x
			if was && is {
				break
			}
		}
		return was, is
	}
	return true, true
}

// trueWithoutFacts reports whether the program is true for a profile without facts.
func (n *node) trueWithoutFacts() bool {
	switch n.op {
	case opLeaf:
		return n.leaf.bare
	case opNot:
		return !n.args[0].trueWithoutFacts()
	case opAnd, opOr:
		for i := range n.args {
			if n.args[i].trueWithoutFacts() != (n.op == opAnd) {
				return n.op != opAnd
			}
		}
		return n.op == opAnd
	}
	return true
}

// fill sets out to the positions in all for which the program is true.
func (n *node) fill(chunk int, all, out *query.Bits) {
	switch n.op {
	case opEveryone:
		*out = *all
	case opLeaf:
		n.leaf.fill(chunk, all, out)
	case opNot:
		var in query.Bits
		n.args[0].fill(chunk, all, &in)
		*out = *all
		out.AndNot(&in)
	case opAnd:
		*out = *all
		var in query.Bits
		for i := range n.args {
			n.args[i].fill(chunk, out, &in) // only the remaining ones
			*out = in
		}
	case opOr:
		left := *all
		var in query.Bits
		*out = query.Bits{}
		for i := range n.args {
			n.args[i].fill(chunk, &left, &in)
			out.Or(&in)
			left.AndNot(&in)
		}
	}
}

// literal is a leaf or its negation, in a program that is a conjunction of such. The fields of the leaf
// that are needed are copied here.
type literal struct {
	leaf    *leaf
	at      uint32
	lo8     uint8
	hi8     uint8
	truth   bool // a bit, not a count
	negated bool
}

// literals returns the program as a conjunction of literals, nil if it is not one.
func (n *node) literals() []literal {
	args := []node{*n}
	if n.op == opAnd {
		args = n.args
	}
	all := make([]literal, 0, len(args))
	for i := range args {
		arg, negated := &args[i], false
		if arg.op == opNot {
			arg, negated = &arg.args[0], true
		}
		if arg.op != opLeaf || arg.leaf.kind > countLeaf {
			return nil
		}
		l := arg.leaf
		all = append(all, literal{leaf: l, at: l.at, lo8: l.lo8, hi8: l.hi8, truth: l.kind == truthLeaf, negated: negated})
	}
	return all
}

// allBoth is node.both for a conjunction.
func allBoth(all []literal, row []byte, ordinal uint32, settling uint64) (was, is bool) {
	was, is = true, true
	for i := range all {
		x := &all[i]
		var holds bool
		switch {
		case x.truth:
			holds = int(x.at/8) < len(row) && row[x.at/8]>>(x.at%8)&1 != 0
		case int(x.at) >= len(row) || row[x.at] == countSpilled:
			holds = x.leaf.holds(row, ordinal)
		default:
			holds = x.lo8 <= row[x.at] && row[x.at] <= x.hi8
		}
		holds = holds != x.negated
		is = is && holds
		if was = was && holds != (x.leaf.flipped == settling); !was && !is {
			return false, false
		}
	}
	return was, is
}
