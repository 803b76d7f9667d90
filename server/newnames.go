package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/musterdb/muster/engine/catalog"
)

// newNames bounds how many new names of events, attributes and properties each sender may bring. There
// is room for a number of names that nobody can make larger, and anybody may send, so that without a
// bound one page could take the names of everybody. It is for many goroutines.
//
// Every sender has an allowance that fills again: so many at once, so many a minute. A name of an event
// or of an attribute costs one, a property a tenth; but of one event a sender brings at most a quarter as
// many properties. A sender is a key at an address; since keys are not checked, all keys of an address
// together have an allowance of four times that of one.
type newNames struct {
	atOnce float64 // negative: there is no bound
	each   float64 // a second
	now    func() time.Time
	mu     struct {
		sync.Mutex
		senders map[string]allowance
		swept   time.Time // the last time that all were looked at
	}
}

// allowance is what a sender had left at an instant.
type allowance struct {
	left float64
	at   time.Time
}

// What other allowances are, as parts and multiples of that of a sender.
const (
	addressAllowance  = 4.0
	eventAllowance    = 0.25
	propertyCost      = 0.1
	maxSenders        = 8192 // whose allowances are known; all beyond share one
	maxKeyInAllowance = 64   // bytes
)

func newNewNames(atOnce, perMinute int, now func() time.Time) *newNames {
	n := &newNames{atOnce: float64(atOnce), each: float64(perMinute) / 60, now: now}
	n.mu.senders = map[string]allowance{}
	return n
}

// nameSender is who brings new names. The zero nameSender has no bound.
type nameSender struct{ key, address string }

// sender returns who sends a request. A program on this machine that imports a file has no bound: that is
// whoever runs the node, or nothing could be imported that has more columns.
func (n *newNames) sender(r *http.Request, imports bool) nameSender {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if n.atOnce < 0 || imports && loopback(host) {
		return nameSender{}
	}
	key := r.Header.Get("X-Write-Key")
	if auth := r.Header.Get("Authorization"); auth != "" {
		key = auth
	} else if key == "" && r.URL.RawQuery != "" {
		key = r.URL.Query().Get("writeKey")
	}
	return nameSender{strings.Clone(key[:min(len(key), maxKeyInAllowance)]), network(host)}
}

// network returns the address whose holder is one sender: all of a subnet in IPv6.
func network(host string) string {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}

// boundOf returns what tells whether the sender of a request may bring a new name; nil where it may bring any.
func (n *newNames) boundOf(r *http.Request, imports bool) func(catalog.Name) bool {
	s := n.sender(r, imports)
	if s == (nameSender{}) {
		return nil
	}
	return func(name catalog.Name) bool { return n.take(s, name.Event) }
}

// take tells whether a sender may bring one more name; event is that of a property, "" for other names.
func (n *newNames) take(s nameSender, event string) bool {
	if s == (nameSender{}) {
		return true
	}
	now := n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	cost := 1.0
	accounts := []account{{"a" + s.address, addressAllowance}, {"k" + s.key + "\x00" + s.address, 1}}
	if event != "" {
		cost = propertyCost
		accounts = append(accounts, account{"e" + s.address + "\x00" + event, eventAllowance * propertyCost})
	}
	for i := range accounts {
		accounts[i].name = n.knownLocked(accounts[i].name)
		if n.leftLocked(accounts[i], now) < cost {
			return false
		}
	}
	for _, a := range accounts {
		n.mu.senders[a.name] = allowance{n.leftLocked(a, now) - cost, now}
	}
	return true
}

// account is one of the allowances that a name is taken from.
type account struct {
	name string
	size float64 // in allowances of a sender
}

// leftLocked returns what is left of an allowance; a sender that is not known has all of it.
func (n *newNames) leftLocked(a account, now time.Time) float64 {
	full := n.atOnce * a.size
	had, known := n.mu.senders[a.name]
	if !known {
		return full
	}
	return min(full, had.left+n.each*a.size*max(0, now.Sub(had.at).Seconds()))
}

// knownLocked returns the name under which an allowance is kept. When there are too many, those that have
// filled up are forgotten, which changes nothing; if there are still too many, newcomers share one.
func (n *newNames) knownLocked(name string) string {
	if _, known := n.mu.senders[name]; known || len(n.mu.senders) < maxSenders {
		return name
	}
	if now := n.now(); now.Sub(n.mu.swept) >= time.Second {
		n.mu.swept = now
		filled := now.Add(-time.Duration(n.atOnce / max(n.each, 1e-9) * float64(time.Second)))
		for other, a := range n.mu.senders {
			if a.at.Before(filled) {
				delete(n.mu.senders, other)
			}
		}
	}
	if len(n.mu.senders) < maxSenders {
		return name
	}
	return name[:1] + "others"
}
