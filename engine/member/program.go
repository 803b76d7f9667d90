package member

import "github.com/musterdb/muster/query"

// leaf is what a program asks: something that is true or false for every profile and known without
// looking at facts.
type leaf interface {
	// holds tells whether it is true for a profile.
	holds(ordinal uint32) bool
	// fill sets out to the positions of all for which it is true.
	fill(chunk int, all, out *query.Bits)
	// empty tells whether it is true for a profile without any facts.
	empty() bool
}

// op is what a node of a program does.
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
	leaf leaf
	args []node
}

func (n *node) holds(ordinal uint32) bool {
	switch n.op {
	case opLeaf:
		return n.leaf.holds(ordinal)
	case opNot:
		return !n.args[0].holds(ordinal)
	case opAnd, opOr:
		for i := range n.args {
			if n.args[i].holds(ordinal) != (n.op == opAnd) {
				return n.op != opAnd
			}
		}
		return n.op == opAnd
	}
	return true
}

// empty tells whether the program is true for a profile without facts.
func (n *node) empty() bool {
	switch n.op {
	case opLeaf:
		return n.leaf.empty()
	case opNot:
		return !n.args[0].empty()
	case opAnd, opOr:
		for i := range n.args {
			if n.args[i].empty() != (n.op == opAnd) {
				return n.op != opAnd
			}
		}
		return n.op == opAnd
	}
	return true
}

// fill sets out to the positions of all for which the program is true.
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
	case opAnd, opOr:
		n.args[0].fill(chunk, all, out)
		var in query.Bits
		for i := 1; i < len(n.args); i++ {
			n.args[i].fill(chunk, all, &in)
			if n.op == opAnd {
				out.And(&in)
			} else {
				out.Or(&in)
			}
		}
	}
}
