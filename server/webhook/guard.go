package webhook

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// notPublic are ranges beyond those that netip knows to be private.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// PrivateError says that a target is an address of this machine or of a private network.
type PrivateError struct{ Addr netip.Addr }

func (e *PrivateError) Error() string {
	return fmt.Sprintf("%s is not a public address: private targets must be allowed", e.Addr)
}

// public refuses addresses that only this network can reach.
func public(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	bad := !addr.IsGlobalUnicast() || addr.IsPrivate()
	for _, p := range notPublic {
		bad = bad || p.Contains(addr)
	}
	if bad {
		return &PrivateError{addr}
	}
	return nil
}

// newTransport makes what carries messages. The address is judged when it is connected to, after the
// name was resolved, so that no name and no later answer of a name server leads inside.
func newTransport(allowPrivate bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("judge address %q: %w", address, err)
			}
			return public(at.Addr())
		}
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: tries,
		IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 32 << 10,
	} // no proxy from the environment: it would connect in our stead, without the judgement
}
