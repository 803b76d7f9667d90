package cluster

import (
	"context"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
)

// SegmentText is a saved segment as text, with how far it is and what it costs.
type SegmentText struct {
	Name      string
	Predicate string // canonical MQL
	Described string
	Zone      string
	Refresh   time.Duration
	Version   uint64 // of the catalog that last changed it
	State     string // building, live, waiting or failed: that of the shard that is worst off
	Reason    string // why it failed
	Price     engine.Price
}

// Segments lists the saved segments in ascending order of name.
func (n *Node) Segments(context.Context) ([]SegmentText, error) {
	return n.describeSegments(n.registry.state.Load().Segments()), nil
}

// Segment returns a saved segment.
func (n *Node) Segment(name string) (SegmentText, bool) {
	s, ok := n.registry.state.Load().SegmentText(name)
	if !ok {
		return SegmentText{}, false
	}
	return n.describeSegments([]*catalog.Segment{s})[0], true
}

func (n *Node) describeSegments(segments []*catalog.Segment) []SegmentText {
	all, names := make([]SegmentText, len(segments)), make([]string, len(segments))
	v := n.takeViews()
	defer v.release()
	for i, s := range segments {
		ms, _ := s.Refresh.Millis()
		names[i] = s.Name
		all[i] = SegmentText{
			Name: s.Name, Predicate: s.Canonical, Described: s.Described, Zone: s.Zone,
			Refresh: time.Duration(ms) * time.Millisecond, Version: s.Version,
		}
		all[i].State, all[i].Reason = v.segmentState(s.Name)
	}
	prices := n.prices.of(names...)
	for i := range all {
		all[i].Price = prices[all[i].Name]
	}
	return all
}

// segmentState is how far a segment is, in the shard that is worst off.
func (v *views) segmentState(name string) (state, reason string) {
	worse := map[engine.SegmentState]int{engine.SegmentLive: 1, engine.SegmentWaiting: 2, engine.SegmentBuilding: 3, engine.SegmentFailed: 4}
	worst := engine.SegmentLive
	for _, view := range v.all {
		m, ok := view.Members(name)
		switch {
		case !ok && worst == engine.SegmentLive: // its definition has not come to the shard yet
			worst = engine.SegmentBuilding
		case ok && worse[m.State] > worse[worst]:
			worst, reason = m.State, m.Reason
		}
	}
	return worst.String(), reason
}
