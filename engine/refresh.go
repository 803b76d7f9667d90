package engine

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// Refresh is an entry's order to evaluate a held segment anew. Cuts are those of its ranks, in the
// order in which they stand in its predicate. At is the instant they were computed for, at which every shard
// evaluates the segment: what happens until the entry is applied is in neither.
type Refresh struct {
	Segment string
	Version uint64 // of the definition the cuts were computed for
	Cuts    []eval.Cut
	At      int64 // Unix ms; 0 (entries of older builds) is the instant of the entry
}

// EncodeRefresh returns the entry that refreshes a held segment.
func EncodeRefresh(now int64, r Refresh) []byte {
	b := appendHeader(nil, RefreshCommand, now)
	b = wire.AppendString(b, r.Segment)
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendUvarint(b, uint64(len(r.Cuts)))
	for _, cut := range r.Cuts {
		b = wire.AppendBool(b, cut.None)
		b = wire.AppendValue(b, tree.Num(cut.Last.Value))
		b = wire.AppendString(b, cut.Last.ID)
	}
	return binary.AppendVarint(b, r.At)
}

func readRefresh(r *wire.Reader) Refresh {
	x := Refresh{Segment: r.String(), Version: r.Uvarint()}
	x.Cuts = make([]eval.Cut, r.Count(3))
	for i := range x.Cuts {
		x.Cuts[i].None = r.Bool()
		x.Cuts[i].Last = eval.RankKey{Value: r.Value().Number(), ID: textOf(r.String())}
	}
	if r.Len() > 0 { // entries of older builds end here
		x.At = r.Varint()
	}
	return x
}

// ReasonSegment is the refusal of a refresh that is for no held segment, or for another definition.
const ReasonSegment = "the refresh is for a segment that has none, or for another definition"

func (s *Shard) applyRefresh(r Refresh, result *Result) {
	refuse := func(reason string) { result.Refused, result.Reason = 1, reason }
	text, ok := s.root.catalog.SegmentText(r.Segment)
	if s.live == nil || !ok || text.Version != r.Version {
		refuse(ReasonSegment)
		return
	}
	slot := s.live.slots[r.Segment]
	if x := s.root.segments[slot]; !x.held || x.state == SegmentFailed {
		refuse(ReasonSegment)
		return
	}
	s.live.tracker.Because(ByTime)
	at := s.live.tracker.Now()
	if r.At > 0 {
		at = min(at, r.At)
	}
	if err := s.live.refreshSlot(slot, r.Cuts, at); err != nil {
		refuse(err.Error())
	}
}

var errCuts = errors.New("the refresh has not a cut for each rank")

// refreshSlot evaluates a held segment at an instant, the tracker's now at the latest.
func (l *live) refreshSlot(slot int, cuts []eval.Cut, at int64) error {
	name := l.s.root.segments[slot].name
	env, p, err := l.s.root.heldEnv(name, at)
	if err != nil {
		return err
	}
	ranks, err := eval.Ranks(env, p)
	if err != nil {
		return err
	}
	if len(ranks) != len(cuts) {
		return errCuts
	}
	for i, rank := range ranks {
		env.Cuts[rank.Node] = cuts[i]
	}
	compiled, err := eval.Compile(env, p)
	if err != nil {
		return err
	}
	src := heldSource{l.Source(), l.s.root}
	evaluator := compiled.On(src)
	schema, chain := l.s.root.catalog.Schema(), member.ChainOf(l.s.root.catalog.Schema(), p)
	l.tracker.Refresh(slot, func(chunk int, out *query.Bits) {
		var all query.Bits
		src.Profiles(chunk, &all)
		chain.Evaluate(schema, evaluator, src, chunk, &all, out)
	})
	x := l.s.segment(slot)
	x.state, x.at = SegmentLive, at
	if x.period > 0 {
		x.next = at + x.period
	}
	l.activated(slot)
	return nil
}

// heldEnv returns `in segment name`, checked, ready to be compiled at now. The held segments that its
// predicate asks have become lists that the environment's schema knows, by their slots.
func (r *root) heldEnv(name string, now int64) (*eval.Env, tree.Pred, error) {
	schema := r.catalog.Schema()
	p, _, err := check.Predicate(&tree.InSegment{Name: name}, schema)
	if err != nil {
		return nil, nil, err
	}
	held := map[string]uint32{}
	def := *p.(*tree.InSegment).Def
	def.Pred = replaceHeld(def.Pred, func(inner *tree.InSegment) tree.Pred {
		for slot, x := range r.segments {
			if x != nil && x.name == inner.Name {
				held[heldPrefix+x.name] = heldList + uint32(slot)
			}
		}
		return &tree.InList{Name: heldPrefix + inner.Name}
	})
	env := &eval.Env{Schema: heldSchema{schema, held}, Now: now, Zone: time.UTC, Cuts: map[*tree.Rank]eval.Cut{}}
	return env, &tree.InSegment{Name: name, Def: &def}, nil
}

// heldList is the id from which lists are held segments, heldPrefix begins names no list can have.
const (
	heldList   = 1 << 31
	heldPrefix = "\x00held:"
)

// replaceHeld returns p with the held segments that it asks replaced.
func replaceHeld(p tree.Pred, by func(*tree.InSegment) tree.Pred) tree.Pred {
	each := func(args []tree.Pred) []tree.Pred {
		out := slices.Clone(args)
		for i := range out {
			out[i] = replaceHeld(out[i], by)
		}
		return out
	}
	switch p := p.(type) {
	case *tree.And:
		return &tree.And{Args: each(p.Args)}
	case *tree.Or:
		return &tree.Or{Args: each(p.Args)}
	case *tree.Not:
		return &tree.Not{Arg: replaceHeld(p.Arg, by)}
	case *tree.InSegment:
		if member.IsHeld(p.Def) {
			return by(p)
		}
		def := *p.Def
		def.Pred = replaceHeld(def.Pred, by)
		return &tree.InSegment{Name: p.Name, Def: &def, At: p.At}
	}
	return p
}

// heldSchema is a catalog that knows held segments as lists.
type heldSchema struct {
	query.Schema
	held map[string]uint32
}

// List implements query.Schema.
func (s heldSchema) List(name string) (uint32, bool) {
	if id, ok := s.held[name]; ok {
		return id, true
	}
	return s.Schema.List(name)
}

// heldSource is the state that has held segments as lists.
type heldSource struct {
	query.Source
	root *root
}

// InList implements query.Source.
func (s heldSource) InList(list uint32, chunk int, out *query.Bits) {
	if list < heldList {
		s.Source.InList(list, chunk, out)
		return
	}
	s.root.segments[list-heldList].fill(chunk, out)
}
