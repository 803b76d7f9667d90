package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	Cuts    []query.Cut
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
	x.Cuts = make([]query.Cut, r.Count(3))
	for i := range x.Cuts {
		x.Cuts[i].None = r.Bool()
		x.Cuts[i].Last = query.RankKey{Value: r.Value().Number(), ID: textOf(r.String())}
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
func (l *live) refreshSlot(slot int, cuts []query.Cut, at int64) error {
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
	src, err := l.s.root.withHeld(l.Source(), env)
	if err != nil {
		return err
	}
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
// predicate asks are inputs of the environment; heldSource has them.
func (r *root) heldEnv(name string, now int64) (*eval.Env, tree.Pred, error) {
	p, _, err := check.Predicate(&tree.InSegment{Name: name}, r.catalog.Schema())
	if err != nil {
		return nil, nil, err
	}
	inputs := query.NewInputs(func(segment string) (uint64, bool) {
		text, ok := r.catalog.SegmentText(segment)
		return text.Version, ok && segment != name && member.IsHeld(text.Tree())
	})
	env := &eval.Env{Schema: r.catalog.Schema(), Now: now, Zone: time.UTC, Inputs: inputs, Cuts: map[*tree.Rank]query.Cut{}}
	return env, p, eval.Declare(env, p, false)
}

// heldSource is the state with the held segments that a predicate asks.
type heldSource struct {
	query.Source
	inputs []query.Set
}

// Inputs implements query.Source.
func (s heldSource) Inputs() []query.Set { return s.inputs }

// withHeld returns a source of the state that has the inputs of an environment.
func (r *root) withHeld(src query.Source, env *eval.Env) (query.Source, error) {
	held := heldSource{Source: src}
	for _, in := range env.Inputs.All() {
		i := slices.IndexFunc(r.segments, func(x *segment) bool { return x != nil && x.name == in.Segment })
		if i < 0 {
			return nil, fmt.Errorf("segment %q has no members in this shard", in.Segment)
		}
		held.inputs = append(held.inputs, slotSet{r.segments[i]})
	}
	return held, nil
}

// slotSet is the members of a segment as an input.
type slotSet struct{ x *segment }

// Fill implements query.Set.
func (s slotSet) Fill(chunk int, out *query.Bits) { s.x.fill(chunk, out) }
