package eval

import "github.com/musterdb/muster/query/tree"

func (c *compiler) sequence(p *tree.Sequence) (plan, error) { return none{}, nil }
