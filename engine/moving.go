package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
)

// While a profile moves to an owner in another shard there is a stretch in which both shards have its facts.
// Neither can know of the other: who reads both compares their views, and hides the profile in the one where
// the owner has its facts already.

// Needs returns for each shard, by its number, the entry it must have reached where it is read together with
// this view. It may be shorter than there are shards, and must not be changed.
func (v *View) Needs() []uint64 { return v.root.needs }

// Absorbed returns the owners of this shard that have the facts of a target which where it lives may not
// have moved yet. It must not be changed.
func (v *View) Absorbed() []identity.Pair { return v.root.absorbed }

// Hide leaves the profile of a target out of the view, if it is on its way to the owner: then it is not among
// Profiles, not found, and not counted.
//
// REQUIRES: nobody reads the view yet.
func (v *View) Hide(moving identity.Pair) {
	if home := v.root.home(moving.Target, v.root.space(moving.Target.Anonymous)); home.State != identity.Moving || home.To != moving.Owner {
		return
	}
	ordinal, ok := v.root.named(moving.Target)
	if !ok {
		return // an id that nobody has used
	}
	if at, has := slices.BinarySearch(v.hidden, ordinal); !has {
		v.hidden = slices.Insert(v.hidden, at, ordinal)
	}
}

// Moves tells whether a profile is on its way to an owner, who may have its facts already.
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

// Hidden returns the profiles that are left out, ascending. It must not be changed.
func (v *View) Hidden() []uint32 { return v.hidden }

// Hides implements query.Source.
func (v *View) Hides(chunk int) bool {
	if v.hidden == nil {
		return false
	}
	at, _ := slices.BinarySearch(v.hidden, uint32(chunk)<<query.ChunkBits)
	return at < len(v.hidden) && int(v.hidden[at]>>query.ChunkBits) == chunk
}

// leaveOut takes the hidden profiles of a chunk out of a set of all, and returns how many they are.
func (v *View) leaveOut(chunk int, all *query.Bits) (n int) {
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

// findShown is Find where the profile that answers to id first may be hidden: what is left is an anonymous
// one, as when the user had moved already.
func (v *View) findShown(id string, first uint32) (ordinal uint32, ok bool) {
	if _, hidden := slices.BinarySearch(v.hidden, first); !hidden {
		return first, true
	}
	if ordinal, ok = v.root.ordinal(identity.Anon(id)); !ok {
		return 0, false
	}
	_, hidden := slices.BinarySearch(v.hidden, ordinal)
	return ordinal, !hidden
}

// discount takes a hidden profile out of the counts of attributes or events: its owner's are counted where
// the owner lives.
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
