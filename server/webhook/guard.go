package webhook

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// notPublic are the ranges in the registries of special-purpose addresses that no public target has.
var notPublic = prefixes(
	// IPv4: this network, private, carrier-grade NAT, loopback, link-local, protocol assignments,
	// documentation, AS112 and other anycast, 6to4 relays, benchmarks, multicast, reserved and broadcast.
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	// IPv6, within global unicast: protocol assignments with Teredo, benchmarks and ORCHID;
	// documentation; 6to4.
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// global is the part of IPv6 that is allocated as global unicast. Loopback, unspecified, mapped,
// compatible and translated IPv4, discard-only, unique local, link-local, site-local and multicast
// addresses are outside it.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// PrivateError means that a target is an address of this machine or of a private network.
type PrivateError struct {
	Addr netip.Addr
	Own  bool // an interface of this machine has it, whether it is public or not
}

// Error returns the reason, and the option that allows the address.
func (e *PrivateError) Error() string {
	what := "not a public address"
	if e.Own {
		what = "an address of this machine"
	}
	return fmt.Sprintf("%s is %s: --private-webhooks lets webhooks go there", e.Addr, what)
}

// public returns a *PrivateError for addresses that only this network can reach, and for those in own,
// the addresses of this machine.
func public(addr netip.Addr, own []netip.Prefix) error {
	plain := addr.Unmap()
	bad := !addr.IsValid() || addr.Zone() != "" || plain.Is6() && (!global.Contains(plain) || tunnelled(plain))
	contains := func(p netip.Prefix) bool { return p.Contains(plain) }
	mine := slices.ContainsFunc(own, contains)
	if bad || mine || slices.ContainsFunc(notPublic, contains) {
		return &PrivateError{addr, mine}
	}
	return nil
}

// tunnelled reports whether the interface identifier of an address is that of ISATAP: such an address
// leads to an IPv4 address inside the network that its prefix names.
func tunnelled(addr netip.Addr) bool {
	bytes := addr.As16()
	id := binary.BigEndian.Uint32(bytes[8:12])
	return id&^(1<<25) == 0x5efe // with or without the bit that marks a unique IPv4 address
}

// ownAddrs returns the addresses of this machine, and the whole networks of its loopback interfaces.
func ownAddrs() (own []netip.Prefix, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	for i := range interfaces {
		addrs, err := interfaces[i].Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of interface %s: %w", interfaces[i].Name, err)
		}
		for _, a := range addrs {
			network, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			addr, ok := netip.AddrFromSlice(network.IP)
			if !ok {
				continue
			}
			addr = addr.Unmap()
			bits := addr.BitLen()
			if ones, size := network.Mask.Size(); interfaces[i].Flags&net.FlagLoopback != 0 && size == bits {
				bits = ones
			}
			own = append(own, netip.PrefixFrom(addr, bits))
		}
	}
	return own, nil
}

// guard checks addresses when a connection is made, after the name has been resolved. So neither a name
// nor a later answer of a name server can lead to a private address.
type guard struct {
	dialer net.Dialer
	own    func() ([]netip.Prefix, error)
}

func newGuard(own func() ([]netip.Prefix, error)) *guard {
	g := &guard{own: own}
	g.dialer = net.Dialer{Timeout: 10 * time.Second, Control: g.check}
	return g
}

func (g *guard) check(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address %q: %w", address, err)
	}
	own, err := g.own()
	if err != nil {
		return fmt.Errorf("check address %q: %w", address, err)
	}
	return public(at.Addr(), own)
}

// dial connects to a public address. A route may lead to this machine although no interface has the
// address: then both ends of the connection have the same address, and dial closes it.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	here, there := ip(conn.LocalAddr()), ip(conn.RemoteAddr())
	if here.IsValid() && here == there {
		_ = conn.Close() // nothing has been sent
		return nil, &PrivateError{there, true}
	}
	return conn, nil
}

func ip(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// newTransport returns the transport for messages.
func newTransport(allowPrivate bool) *http.Transport {
	dial := newGuard(ownAddrs).dial
	if allowPrivate {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: tries,
		IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 32 << 10,
	} // no proxy from the environment: it would connect without these checks
}
