package bench

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/musterdb/muster/bench/naming"
)

// bodyTemplate is a rendered body into which ids and times are written, so that producing events costs almost
// nothing compared with ingesting them.
type bodyTemplate struct {
	body  []byte
	ids   []int // offset of the first half of each messageId
	times []int // offset of each time
	text  bool  // times are RFC 3339 rather than Unix milliseconds
}

// bodyTemplates are the bodies of a sender, sent in turn.
type bodyTemplates struct {
	all  []*bodyTemplate
	last int
}

// renderedEvents limits the events that all senders render in advance, a few hundred bytes each.
const renderedEvents = 200_000

// newBodyTemplates renders enough bodies that the senders together cover about every profile.
func newBodyTemplates(c TrafficConfig, number uint64) *bodyTemplates {
	r := rand.New(rand.NewPCG(c.Seed, number))
	f := &bodyTemplates{all: make([]*bodyTemplate, max(min(c.Users, renderedEvents)/(c.Senders*c.Batch), 1))}
	for i := range f.all {
		f.all[i] = newBodyTemplate(c, r)
	}
	return f
}

func (f *bodyTemplates) next() *bodyTemplate {
	f.last = (f.last + 1) % len(f.all)
	return f.all[f.last]
}

const (
	timeText   = "2006-01-02T15:04:05.000Z"
	sdkContext = `,"context":{"library":{"name":"@segment/analytics-node","version":"2.2.1"}},"_metadata":{"nodeVersion":"22.11.0","jsRuntime":"node"},"integrations":{}`
)

func newBodyTemplate(c TrafficConfig, r *rand.Rand) *bodyTemplate {
	f := &bodyTemplate{text: c.Segment}
	if c.Segment {
		f.body = append(f.body, `{"batch":[`...)
	}
	for i := range c.Batch {
		if c.Segment && i > 0 {
			f.body = append(f.body, ',')
		}
		f.message(c, r)
	}
	if c.Segment {
		f.body = append(f.body, `],"writeKey":"bench","sentAt":`...)
		f.time()
		f.body = append(f.body, '}')
	}
	return f
}

// trafficEvents are the names of the events that are sent.
var trafficEvents = [...]string{"Page Viewed", "Product Viewed", "Order Completed", "Search"}

func (f *bodyTemplate) message(c TrafficConfig, r *rand.Rand) {
	goods := [...]string{"shoes", "hats", "books", "phones", "lamps"}
	f.body = append(f.body, `{"type":"track","messageId":"`...)
	f.ids = append(f.ids, len(f.body))
	f.body = fmt.Appendf(f.body, `00000000-0000-0000-%04x-%012x","userId":"`, r.Uint64()>>48, r.Uint64()>>16)
	f.body = naming.AppendPerson(f.body, r.IntN(c.Users))
	f.body = fmt.Appendf(f.body, `","event":"%s","timestamp":`, trafficEvents[r.IntN(len(trafficEvents))])
	f.time()
	f.body = fmt.Appendf(f.body, `,"properties":{"amount":%d.%02d,"category":"%s","sku":"sku-%d","gift":%t}`,
		r.IntN(500), r.IntN(100), goods[r.IntN(len(goods))], r.IntN(5000), r.IntN(2) == 0)
	if c.Segment {
		f.body = append(f.body, sdkContext...)
	}
	f.body = append(f.body, '}')
	if !c.Segment {
		f.body = append(f.body, '\n')
	}
}

// time leaves space for a time.
func (f *bodyTemplate) time() {
	if f.text {
		f.body = append(f.body, '"')
	}
	f.times = append(f.times, len(f.body))
	if f.text {
		f.body = append(f.body, timeText+`"`...)
	} else {
		f.body = append(f.body, "1700000000000"...)
	}
}

// fill returns the body with message ids made of the numbers from first on, and the time at.
func (f *bodyTemplate) fill(first uint64, at time.Time) []byte {
	const hex = "0123456789abcdef"
	places := [16]int{0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17}
	var buf [len(timeText)]byte
	text := strconv.AppendInt(buf[:0], at.UnixMilli(), 10)
	if f.text {
		text = at.UTC().AppendFormat(buf[:0], timeText)
	}
	for i, at := range f.ids {
		n := scramble(first + uint64(i))
		for _, place := range places {
			f.body[at+place] = hex[n&15]
			n >>= 4
		}
	}
	for _, at := range f.times {
		copy(f.body[at:], text)
	}
	return f.body
}

// scramble maps every number to another that looks random (the end of splitmix64): sequential ids would
// compress too well.
func scramble(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
