package cluster

import (
	"context"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
)

// Segments lists the saved segments in ascending order of name.
func (n *Node) Segments(context.Context) ([]node.SegmentText, error) {
	return n.describeSegments(n.registry.state.Load().Segments()), nil
}

// Segment returns a saved segment; ok is false if there is none of the name.
func (n *Node) Segment(_ context.Context, name string) (segment node.SegmentText, ok bool, err error) {
	s, ok := n.registry.state.Load().SegmentText(name)
	if !ok {
		return node.SegmentText{}, false, nil
	}
	return n.describeSegments([]*catalog.Segment{s})[0], true, nil
}

func (n *Node) describeSegments(segments []*catalog.Segment) []node.SegmentText {
	all, names := make([]node.SegmentText, len(segments)), make([]string, len(segments))
	v := n.takeViews()
	defer v.release()
	for i, s := range segments {
		ms, _ := s.Refresh.Millis()
		names[i] = s.Name
		all[i] = node.SegmentText{
			Name: s.Name, Predicate: s.Canonical, Described: s.Described, Zone: s.Zone,
			Refresh: time.Duration(ms) * time.Millisecond, Version: s.Version,
		}
		all[i].State, all[i].Reason = v.segmentState(s.Name)
	}
	prices := n.prices.priceOf(names...)
	for i := range all {
		all[i].Price = prices[all[i].Name]
	}
	return all
}

// segmentState returns the state of a segment in the shard where it is least complete.
func (v *views) segmentState(name string) (state, reason string) {
	worse := map[engine.SegmentState]int{engine.SegmentLive: 1, engine.SegmentWaiting: 2, engine.SegmentBuilding: 3, engine.SegmentFailed: 4}
	worst := engine.SegmentLive
	for _, view := range v.all {
		m, ok := view.Members(name)
		switch {
		case !ok && worst == engine.SegmentLive: // the shard does not have the definition yet
			worst = engine.SegmentBuilding
		case ok && worse[m.State] > worse[worst]:
			worst, reason = m.State, m.Reason
		}
	}
	return worst.String(), reason
}
