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

// Refresh is a command to evaluate a held segment again. Cuts are the cuts of its ranks, in the order
// of the ranks in its predicate. At is the instant for which they were computed, and at which every
// shard evaluates the segment, whenever it applies the entry.
type Refresh struct {
	Segment string
	Version uint64 // of the definition the cuts were computed for
	Cuts    []query.Cut
	At      int64 // Unix ms; 0 (in entries of older builds) means the time of the entry
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

// ReasonSegment is the reason for refusing a refresh of a segment that is not held, or of another
// definition.
const ReasonSegment = "the segment is not refreshed, or has another definition"

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
	s.live.tracker.SetCause(ByTime)
	at := s.live.tracker.Now()
	if r.At > 0 {
		at = min(at, r.At)
	}
	if err := s.live.refreshSlot(slot, r.Cuts, at); err != nil {
		refuse(err.Error())
	}
}

var errCuts = errors.New("the refresh does not have one cut for each rank")

// refreshSlot evaluates a held segment at an instant that is not after the tracker's now.
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

// heldEnv returns the checked clause `in segment name` and an environment to compile it in, at now.
// The held segments that its predicate refers to are inputs of the environment; withHeld provides
// them.
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

// heldSource is the state with the held segments that a predicate refers to.
type heldSource struct {
	query.Source
	inputs []query.Set
}

// Inputs implements query.Source.
func (s heldSource) Inputs() []query.Set { return s.inputs }

// withHeld returns src with the inputs of an environment.
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

// slotSet provides the members of a segment as an input.
type slotSet struct{ x *segment }

// Fill implements query.Set.
func (s slotSet) Fill(chunk int, out *query.Bits) { s.x.fill(chunk, out) }
