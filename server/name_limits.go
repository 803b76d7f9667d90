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

// nameLimits limits how many new names of events, attributes and properties each sender may add. The
// catalog has space for a fixed number of names, and anyone may send; without a limit a single page could
// use up all of them. It is safe for concurrent use.
//
// Every sender has an allowance of names, which refills over time. A name of an event or attribute costs
// one, a property a tenth; the properties of one event may use at most a quarter as many. A sender is a
// key at an address. Since keys are not checked, all keys of an address together have four times the
// allowance of one.
type nameLimits struct {
	atOnce    float64 // negative: no limit
	perSecond float64
	now       func() time.Time
	mu        struct {
		sync.Mutex
		senders map[string]allowance
		swept   time.Time // when full allowances were last removed
	}
}

// allowance is what a sender had left at a time.
type allowance struct {
	left float64
	at   time.Time
}

// The other allowances, as multiples of a sender's.
const (
	addressAllowance  = 4.0
	eventAllowance    = 0.25
	propertyCost      = 0.1
	maxSenders        = 8192 // with an allowance of their own; all others share one
	maxKeyInAllowance = 64   // bytes
)

func newNameLimits(atOnce, perMinute int, now func() time.Time) *nameLimits {
	n := &nameLimits{atOnce: float64(atOnce), perSecond: float64(perMinute) / 60, now: now}
	n.mu.senders = map[string]allowance{}
	return n
}

// nameSender identifies a sender of new names. The zero nameSender has no limit.
type nameSender struct{ key, address string }

// sender returns the sender of a request. A program on this machine that imports a file has no limit: its
// user runs the node, and files with more columns could not be imported otherwise.
func (n *nameLimits) sender(r *http.Request, imports bool) nameSender {
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

// network returns the address that identifies a sender: in IPv6 its whole /64 subnet.
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

// checkFor returns a function that reports whether the sender of a request may add a new name; nil if it
// may add any.
func (n *nameLimits) checkFor(r *http.Request, imports bool) func(catalog.Name) bool {
	s := n.sender(r, imports)
	if s == (nameSender{}) {
		return nil
	}
	return func(name catalog.Name) bool { return n.take(s, name.Event) }
}

// take reports whether a sender may add one more name, and charges its allowances. event is the event of
// a property, "" for other names.
func (n *nameLimits) take(s nameSender, event string) bool {
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

// account is one of the allowances that a name is charged to.
type account struct {
	name string
	size float64 // as a multiple of a sender's allowance
}

// leftLocked returns what is left of an allowance; an unknown sender has all of it.
func (n *nameLimits) leftLocked(a account, now time.Time) float64 {
	full := n.atOnce * a.size
	had, known := n.mu.senders[a.name]
	if !known {
		return full
	}
	return min(full, had.left+n.perSecond*a.size*max(0, now.Sub(had.at).Seconds()))
}

// knownLocked returns the key of an allowance. If there are too many, full allowances are removed, which
// changes nothing; if there are still too many, new senders share one.
func (n *nameLimits) knownLocked(name string) string {
	if _, known := n.mu.senders[name]; known || len(n.mu.senders) < maxSenders {
		return name
	}
	if now := n.now(); now.Sub(n.mu.swept) >= time.Second {
		n.mu.swept = now
		filled := now.Add(-time.Duration(n.atOnce / max(n.perSecond, 1e-9) * float64(time.Second)))
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
