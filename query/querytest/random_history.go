package querytest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// Gen draws a history, and predicates, expressions and statements that are valid for it. Equal seeds give
// equal results.
type Gen struct {
	rng     *rand.Rand
	History *History
	Now     int64  // the now of statements
	Zone    string // the time zone of statements, "" for that of the history

	types    Types
	instants []int64 // instants at which results can change
	loc      *time.Location
	inner    bool // while drawing a segment: no segments or ranks inside
}

// hardMoments holds instants that are difficult for calendars, each with its time zone.
var hardMoments = []struct{ zone, now string }{
	{"UTC", "2026-03-31T12:00:00Z"},
	{"UTC", "2024-02-29T00:00:00Z"},
	{"Europe/Berlin", "2026-03-29T10:30:00Z"},
	{"Europe/Berlin", "2025-10-26T00:59:59.999Z"},
	{"America/Sao_Paulo", "2018-11-04T15:00:00Z"}, // midnight is skipped
	{"America/Sao_Paulo", "2018-02-18T02:30:00Z"}, // 23:00 comes twice
	{"America/St_Johns", "2006-10-29T02:31:30Z"},  // clocks go back over midnight
	{"Asia/Kathmandu", "2026-05-31T18:15:00Z"},
	{"Pacific/Apia", "2011-12-31T11:00:00Z"}, // after a day that was skipped
	{"America/New_York", "2026-01-01T05:00:00Z"},
}

// NewGen draws a history of up to size profiles, at one of the hardMoments.
func NewGen(rng *rand.Rand, size int) *Gen {
	m := hardMoments[rng.IntN(len(hardMoments))]
	at, err := time.Parse(time.RFC3339, m.now)
	if err != nil {
		panic(err)
	}
	now, zone := at.UnixMilli()+int64(rng.IntN(3)-1), ""
	if rng.IntN(2) == 0 {
		zone = m.zone
	}
	return newGen(rng, size, now, m.zone, zone)
}

// NewGenAt draws a history of up to size profiles whose results change around now (Unix ms), for tests that
// wait for these changes. The workspace has no time zone.
func NewGenAt(rng *rand.Rand, size int, now int64, zone string) *Gen {
	return newGen(rng, size, now, zone, "")
}

func newGen(rng *rand.Rand, size int, now int64, zone, home string) *Gen {
	g := &Gen{rng: rng, Now: now, Zone: zone, History: &History{Lists: map[string][]string{}, Zone: home}}
	var err error
	if g.loc, err = time.LoadLocation(zone); err != nil {
		panic(err)
	}
	g.drawInstants()
	for i := range 1 + rng.IntN(size) {
		g.History.Profiles = append(g.History.Profiles, g.profile(i))
	}
	g.types = g.History.Types()
	for _, name := range []string{"newsletter-2026", "vips"} {
		ids := []string{"nobody"}
		for i := range g.History.Profiles {
			if p := &g.History.Profiles[i]; rng.IntN(3) == 0 {
				ids = append(ids, p.ID())
				ids = append(ids, p.Anonymous...)
			}
		}
		g.History.Lists[name] = ids
	}
	g.inner = true
	for _, name := range []string{"VIP", "Ärger"} {
		at := []string{"", "Asia/Kathmandu", zone}[rng.IntN(3)]
		g.History.Segments = append(g.History.Segments, &tree.Segment{Name: name, Zone: at, Pred: g.Pred(2)})
	}
	g.inner = false
	return g
}

// durations holds durations d for which the generator draws times around now - d.
var durations = []tree.Duration{
	{N: 1, Unit: tree.Second}, {N: 90, Unit: tree.Second}, {N: 15, Unit: tree.Minute}, {N: 1, Unit: tree.Hour},
	{N: 25, Unit: tree.Hour}, {N: 1, Unit: tree.Day}, {N: 7, Unit: tree.Day}, {N: 30, Unit: tree.Day},
	{N: 2, Unit: tree.Week}, {N: 1, Unit: tree.Month}, {N: 3, Unit: tree.Month}, {N: 1, Unit: tree.Year}, {N: 0, Unit: tree.Day},
}

// drawInstants collects now minus every duration, the starts of the days, weeks, months and years around now,
// and some random instants.
func (g *Gen) drawInstants() {
	o := &Oracle{Now: g.Now, Zone: g.loc}
	today := o.day(g.Now)
	for _, d := range durations {
		g.instants = append(g.instants, o.back(d))
	}
	days := []date{today, today.plus(1), today.plus(2), today.plus(-1), today.plus(-7), floor(today, tree.Week),
		floor(today, tree.Month), floor(today, tree.Quarter), floor(today, tree.Year), following(today, tree.Month)}
	for _, d := range days {
		g.instants = append(g.instants, o.dayStart(d))
	}
	for range 4 {
		g.instants = append(g.instants, g.Now-g.rng.Int64N(40*86_400_000))
	}
	g.instants = append(g.instants, g.Now+1, g.Now+3_600_000, g.Now-400*86_400_000)
}

// MoveToExtremes moves some events to the limits of the range of times.
func (g *Gen) MoveToExtremes() {
	for i := range g.History.Profiles {
		for k := range g.History.Profiles[i].Events {
			if g.rng.IntN(6) == 0 {
				g.History.Profiles[i].Events[k].Time = pick(g, int64(-1<<53), 1<<53, -62_135_596_800_000, 253_402_300_799_999, 0, -1)
			}
		}
	}
}

// instant draws one of g.instants, or the millisecond before or after it.
func (g *Gen) instant() int64 {
	return g.instants[g.rng.IntN(len(g.instants))] + int64(g.rng.IntN(3)-1)
}

func pick[T any](g *Gen, items ...T) T { return items[g.rng.IntN(len(items))] }

// texts holds strings that are difficult to compare: "ſ" and "K" (the Kelvin sign) fold to s and k.
var texts = []string{"", "a", "A", "BR", "br", "pro", "Straße", "ſhoes", "SHOES", "shoes", "\u212Aelvin", "kelvin", "x@y.com", "日本", "zz", "a\u0301", "0", "Σίσυφος"}

func num(text string) tree.Value {
	n, ok := tree.ParseNumber(text)
	if !ok {
		panic("not a number: " + text)
	}
	return tree.Num(n)
}

var (
	smallNumbers   = []string{"0", "1", "2", "3", "-1", "10", "25", "34", "100", "255", "256", "70000"}
	amounts        = []string{"0", "0.1", "0.2", "0.3", "10", "10.00", "19.99", "-5.5", "0.000000001", "0.0000000004", "0.0000000005", "50", "33.333333333", "234.64", "1234567.89"}
	extremeNumbers = []string{"9223372036854775806", "9223372036854775807", "9223372036854775808", "-9223372036854775807", "-9223372036854775808", "9223372036854774784",
		"12000000000000000000", "18446744073709551615", "9007199254740993", "158667823525314780", "158667823525314751", "123456789012.345678", "1e300", "-1e300", "1e-30", "0.0012345678901234567",
		"1000000000000000000", "1000000000000000001", "-1000000000000000000", "2.5", "0.1", "7", "0"}
)

// draw returns a value for an attribute or property. Its type and range depend on the name.
func (g *Gen) draw(name string) tree.Value {
	switch name {
	case "country", "plan", "category", "product_id":
		return tree.Str(pick(g, texts...))
	case "email":
		return tree.Str(fmt.Sprintf("%s%d@%s.com", pick(g, texts...), g.rng.IntN(50), pick(g, "x", "y", "EXAMPLE")))
	case "age", "qty":
		return num(pick(g, smallNumbers...))
	case "ltv", "amount":
		return num(pick(g, amounts...))
	case "score", "weight":
		return num(pick(g, extremeNumbers...))
	case "vip", "gift":
		return tree.Bool(g.rng.IntN(2) == 0)
	case "signed_up_at", "at":
		return tree.Time(g.instant())
	case "birthday":
		d := date{1960 + g.rng.IntN(50), 1 + g.rng.IntN(12), 1 + g.rng.IntN(28)}
		switch g.rng.IntN(3) {
		case 0:
			d = date{1996, 2, 29}
		case 1:
			near := dateOf(time.UnixMilli(g.Now + int64(g.rng.IntN(20)-10)*86_400_000).UTC())
			d = date{1984, near.m, near.d}
		}
		return tree.Time(d.utc().UnixMilli() + pick(g, int64(0), 0, 0, 1, -1, 3_600_000))
	case "tags", "labels":
		items := make([]tree.Value, g.rng.IntN(4))
		for i := range items {
			items[i] = tree.Str(pick(g, texts...))
		}
		return tree.ListOf(items...)
	}
	panic("querytest: draw " + name)
}

var attributeNames = []string{"country", "plan", "email", "age", "ltv", "score", "vip", "signed_up_at", "birthday", "tags"}

// eventNames holds the names of events: one with a space, one beyond ASCII, one that is seldom used.
// propertyNames holds the properties of each.
var (
	eventNames    = []string{"Order Completed", "Viewed", "Søk", "Rare"}
	propertyNames = map[string][]string{
		"Order Completed": {"amount", "category", "qty", "gift", "at", "labels", "weight", "product_id"},
		"Viewed":          {"category", "product_id", "amount"},
		"Søk":             {"category", "qty", "weight"},
		"Rare":            {"amount"},
	}
)

// profile draws profile i. Profile 0 has every attribute and property, so that their types are fixed.
func (g *Gen) profile(i int) Profile {
	p := Profile{Attrs: map[string]tree.Value{}}
	if g.rng.IntN(3) > 0 {
		p.UserID = fmt.Sprintf("user-%s%d", pick(g, "", "0", "é"), i)
	}
	if p.UserID == "" || g.rng.IntN(3) == 0 {
		for k := range 1 + g.rng.IntN(2) {
			p.Anonymous = append(p.Anonymous, fmt.Sprintf("anon-%d-%d", i, k))
		}
	}
	for _, name := range attributeNames {
		for i == 0 && p.Attrs[name].Missing() || g.rng.IntN(3) > 0 && p.Attrs[name].Missing() {
			if v := g.draw(name); !v.Missing() {
				p.Attrs[name] = v
			} else if i > 0 {
				break
			}
		}
	}
	if i == 0 {
		for _, name := range eventNames {
			p.Events = append(p.Events, g.event(name, true))
		}
	}
	for range g.rng.IntN(pick(g, 2, 5, 12)) {
		p.Events = append(p.Events, g.event(pick(g, eventNames[:3]...), false))
	}
	if g.rng.IntN(4) == 0 && len(p.Events) > 0 { // an identical second event counts too
		p.Events = append(p.Events, p.Events[g.rng.IntN(len(p.Events))])
	}
	return p
}

func (g *Gen) event(name string, full bool) Event {
	e := Event{Name: name, Time: g.instant(), Props: map[string]tree.Value{}}
	for _, prop := range propertyNames[name] {
		v := g.draw(prop)
		for full && v.Missing() {
			v = g.draw(prop)
		}
		switch {
		case full || g.rng.IntN(4) > 0:
			if !v.Missing() {
				e.Props[prop] = v
			}
		case g.rng.IntN(6) == 0: // a value of another type counts as missing
			e.Props[prop] = pick(g, tree.Str("10"), tree.Bool(true), tree.NumInt(3))
		}
	}
	return e
}
