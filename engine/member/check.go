package member

import (
	"fmt"

	"github.com/musterdb/muster/query"
)

// Check recomputes everything that the tracker keeps from the facts and compares. It takes as long as
// building every segment. REQUIRES: nothing is left to Settle.
func (t *Tracker) Check() error {
	src := t.host.Source()
	for _, p := range t.byID {
		switch p := p.(type) {
		case *condition:
			for chunk := range p.chunks(src) {
				if err := p.check(src, chunk); err != nil {
					return err
				}
			}
		case *counter:
			for chunk := range p.chunks(src) {
				if err := p.check(src, chunk); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *condition) check(src query.Source, chunk int) error {
	var all, want, got query.Bits
	src.Profiles(chunk, &all)
	c.evaluate(src, chunk, &all, &want)
	c.t.rows.fillBit(chunk, c.leaf.at, &all, &got)
	for pos := range all.All {
		if got.Has(pos) != want.Has(pos) {
			return fmt.Errorf("condition %q holds for profile %d: %t, want %t", c.key, chunk<<query.ChunkBits|int(pos), got.Has(pos), want.Has(pos))
		}
	}
	return nil
}

func (k *counter) check(src query.Source, chunk int) error {
	var all query.Bits
	src.Profiles(chunk, &all)
	for pos := range all.All {
		ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
		n, sum := k.counted(ordinal)
		if k.amount != nil && sum != k.sumOf(ordinal) {
			return fmt.Errorf("counter %q of profile %d is %v, want %v", k.key, ordinal, k.sumOf(ordinal), sum)
		}
		if k.amount == nil && n != k.value(ordinal) {
			return fmt.Errorf("counter %q of profile %d is %d, want %d", k.key, ordinal, k.value(ordinal), n)
		}
	}
	return nil
}
