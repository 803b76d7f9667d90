package engine

import (
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestTimesInPropertiesPass checks that a window over a time property, or over a measure of one,
// flips when time passes that property's value, whatever the time of the event itself.
func TestTimesInPropertiesPass(t *testing.T) {
	for _, text := range []string{
		`did "Booked" where (at in last 1 hour)`,
		`count of "Booked" where (at in last 1 hour) >= 1`,
		`min(at) of "Booked" ever in last 1 hour`,
		`last(at) of "Booked" in last 90 days in last 1 hour`,
		`did "Booked" where (at more than 30 minutes ago and at in last 1 hour) or did "Booked" where (at in last 1 hour)`,
	} {
		x := newStory(t, Config{})
		x.change(catalog.Change{Kind: catalog.DefineNames, Names: []catalog.Name{{Kind: query.PropertyName, Event: "Booked", Name: "at", Type: tree.TimeType}}})
		x.segment("soon", text)
		id, _ := x.s.Catalog().Event("Booked")
		at, _, _ := x.s.Catalog().Property(id, "at")
		book := func(user string, event, value int64) string {
			return x.apply(EncodeMessages(1, x.now, []Message{{Kind: Track, UserID: user, Event: id, Time: testStart + event, Fields: []Field{{at, tree.Time(testStart + value)}}}}))
		}
		t.Run(text, func(t *testing.T) {
			x.t = t
			x.want(book("ann", -3*day, 30*minute), "")
			x.want(book("bob", 0, -30*minute), "soon +bob event 0")
			x.want(x.tick(29*minute), "")
			x.want(x.tick(31*minute), "soon -bob +ann time 1800000")
			x.want(x.tick(100*minute), "soon -ann time 5400000")
		})
	}
}
