package exec

import (
	"errors"
	"fmt"
)

// Read decodes a partial that another node has made for the next round. It checks the partial against
// the statement and charges it to the statement's memory.
func (p *Plan) Read(data []byte) (*Partial, error) {
	part, err := ReadPartial(data)
	if err != nil {
		return nil, err
	}
	if part.Round != p.state.Round || !p.shape().fits(part) {
		return nil, fmt.Errorf("read partial of round %d: %w", p.state.Round, errShape)
	}
	size := part.size()
	if part.Counts != nil {
		part.Counts.charged = part.Counts.size()
	}
	return part, p.budget.charge(size)
}

// errShape is returned for a partial that does not match the statement.
var errShape = errors.New("the partial belongs to another statement or round")

// shape is the number of elements in each part of a partial of one round.
type shape struct {
	ranks, ids       int
	groups           int // -1: any number
	key, cells       int // of each group; key also of each count
	rowKeys          int // -1: any number
	rowValues        int
	clauses, leftOut int
}

// shape returns the shape of the partials of the next round.
func (p *Plan) shape() shape {
	switch rounds := p.ranks.rounds(); {
	case p.state.Round >= rounds:
		return shapeOf(p.stmt, p.state.Round-rounds)
	case p.state.Round == idsRound:
		return shape{ids: len(p.state.Ends)}
	}
	return shape{ranks: len(p.ranks.found)}
}

func shapeOf(s statement, round int) shape {
	switch s := s.(type) {
	case *count:
		return shape{key: len(s.by)}
	case *list:
		if round == 1 {
			return shape{rowValues: len(s.columns) - 1}
		}
		sh := shape{rowKeys: len(s.orders)}
		if !s.many {
			sh.rowValues = len(s.columns) - 1
		}
		return sh
	case *stats:
		return shape{groups: -1, key: len(s.by), cells: len(s.measures)}
	case *trend:
		return shape{groups: -1, key: 1 + len(s.by), cells: 1}
	case *overlap:
		return shape{groups: 1, cells: len(s.regions)}
	case *funnel:
		return shape{groups: -1, key: len(s.by), cells: len(s.stmt.Steps)}
	case *retention:
		return shape{groups: -1, key: 2, cells: 1}
	case *insights:
		return shape{groups: -1, key: 3, cells: 2}
	case *lookalike:
		if round == 1 {
			return shape{rowKeys: 1}
		}
		return shape{groups: -1, key: 3, cells: 2}
	case *why:
		return shape{rowKeys: -1, rowValues: 4}
	case *explain:
		return shape{clauses: len(s.lines)}
	case *leftOut:
		return shape{leftOut: len(s.places)}
	case *has:
		return shape{rowValues: 1}
	}
	return shape{}
}

// fits reports whether a partial has the shape.
func (s shape) fits(p *Partial) bool {
	if len(p.Ranks) != s.ranks || len(p.IDs) != s.ids || len(p.Clauses) != s.clauses || len(p.LeftOut) != s.leftOut {
		return false
	}
	if s.groups >= 0 && len(p.Groups) != s.groups {
		return false
	}
	for i := range p.Groups {
		if len(p.Groups[i].Key) != s.key || len(p.Groups[i].Cells) != s.cells {
			return false
		}
	}
	if p.Counts != nil && !p.Counts.fit(s.key) {
		return false
	}
	for i := range p.Rows {
		if s.rowKeys >= 0 && len(p.Rows[i].Keys) != s.rowKeys || len(p.Rows[i].Values) != s.rowValues {
			return false
		}
	}
	return s.rowKeys >= 0 || len(p.Rows) == 0 || len(p.Rows[0].Keys) == 1 // why: whether the id is a user id
}

// fit reports whether each key has n values.
func (c *Counts) fit(n int) bool {
	for i := range c.n {
		key := c.key(i)
		for range n {
			if len(key) == 0 {
				return false
			}
			_, _, key = nextKey(key)
		}
		if len(key) > 0 {
			return false
		}
	}
	return true
}

// size returns the bytes charged for a partial.
func (p *Partial) size() (n int) {
	for i := range p.Ranks {
		n += rankCopies * p.Ranks[i].Bytes()
	}
	for _, ids := range p.IDs {
		for _, id := range ids {
			n += rankIDBytes + len(id)
		}
	}
	for i := range p.Groups {
		n += p.Groups[i].size()
	}
	if p.Counts != nil {
		n += p.Counts.size()
	}
	for i := range p.Rows {
		n += rowBytes(p.Rows[i])
	}
	for _, name := range p.Skipped {
		n += 16 + len(name)
	}
	for _, set := range p.Sets {
		n += set.size()
	}
	return n + spenderBytes*len(p.Spenders.Recency)
}

func (c *Counts) size() int { return keyTableBytes*len(c.n) + 2*len(c.text) }

func (g *Group) size() int {
	n := groupBytes + len(g.Cells)*cellBytes
	for _, v := range g.Key {
		n += valueBytes(v)
	}
	for i := range g.Cells {
		if more := g.Cells[i].More; more != nil {
			n += valueBytes(more.Best) + numberBytes*len(more.All)
			for key := range more.Set {
				n += setKeyBytes + len(key.Str)
			}
		}
	}
	return n
}
