package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
)

// While a profile moves to an owner in another shard, both shards have its facts for some time.
// Neither can know about the other's copy. A reader of both shards compares their views, and hides
// the profile in one of them if the owner already has its facts.

// Needs returns for each shard, by its number, the entry it must have reached where it is read
// together with this view. It may be shorter than the number of shards. The caller must not change
// it.
func (v *View) Needs() []uint64 { return v.root.needs }

// Absorbed returns the merges whose owner is in this shard and has the facts of the target, while the
// target's shard may still have them too. The caller must not change it.
func (v *View) Absorbed() []identity.Pair { return v.root.absorbed }

// Hide hides the profile of a target from the view, if it is on its way to the owner: it is then not
// in Profiles, not found, and not counted.
//
// REQUIRES: no other goroutine has the view yet.
func (v *View) Hide(pair identity.Pair) {
	if home := v.root.home(pair.Target, v.root.space(pair.Target.Anonymous)); home.State != identity.Moving || home.To != pair.Owner {
		return
	}
	ordinal, ok := v.root.named(pair.Target)
	if !ok {
		return // an id that nobody has used
	}
	if at, has := slices.BinarySearch(v.hidden, ordinal); !has {
		v.hidden = slices.Insert(v.hidden, at, ordinal)
	}
}

// Moves reports whether a profile is on its way to an owner, which may already have its facts.
func (v *View) Moves(ordinal uint32) bool {
	home := columnUserHome
	code, ok := v.root.columns[columnUserOf].raw(ordinal)
	if !ok {
		home = columnAnonHome
		code, ok = v.root.columns[columnAnonymousOf].raw(ordinal)
	}
	if !ok {
		return false
	}
	raw, ok := v.root.columns[home].raw(uint32(code))
	return ok && identity.State(raw&(1<<homeStateBits-1)) == identity.Moving
}

// Hidden returns the hidden profiles, ascending. The caller must not change it.
func (v *View) Hidden() []uint32 { return v.hidden }

// Hides implements query.Source.
func (v *View) Hides(chunk int) bool {
	if v.hidden == nil {
		return false
	}
	at, _ := slices.BinarySearch(v.hidden, uint32(chunk)<<query.ChunkBits)
	return at < len(v.hidden) && int(v.hidden[at]>>query.ChunkBits) == chunk
}

// clearHidden removes the hidden profiles of a chunk from a set of all its profiles, and returns
// their number.
func (v *View) clearHidden(chunk int, all *query.Bits) (n int) {
	at, _ := slices.BinarySearch(v.hidden, uint32(chunk)<<query.ChunkBits)
	for _, ordinal := range v.hidden[at:] {
		if int(ordinal>>query.ChunkBits) != chunk {
			break
		}
		all.Clear(uint16(ordinal))
		n++
	}
	return n
}

// findVisible is Find where first, the profile with the id, may be hidden. It then returns the
// anonymous profile with the id, as if the user had already moved.
func (v *View) findVisible(id string, first uint32) (ordinal uint32, ok bool) {
	if _, hidden := slices.BinarySearch(v.hidden, first); !hidden {
		return first, true
	}
	if ordinal, ok = v.root.ordinal(identity.Anon(id)); !ok {
		return 0, false
	}
	_, hidden := slices.BinarySearch(v.hidden, ordinal)
	return ordinal, !hidden
}

// discount subtracts a hidden profile from the counts of attributes or events: its facts are counted
// in the owner's shard.
func (v *View) discount(kind query.NameKind, ordinal uint32, infos []query.NameInfo) {
	if kind == query.AttributeName {
		for i, c := range v.root.columns[columnsOfEveryShard:] {
			if _, has := c.raw(ordinal); has {
				infos[i].Count--
			}
		}
		return
	}
	for event := range v.root.events {
		v.root.eachEvent(uint32(event), ordinal, func(b *query.Block, row int) {
			infos[event].Count--
			for id, col := range b.Cols {
				if col == nil {
					continue
				}
				if _, has := col.Raw(row); has {
					infos[event].Properties[id].Count--
				}
			}
		})
	}
}
