package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// mine are the addresses of the tests' machine: a public IPv4 and IPv6 address, and a network on its
// loopback interface.
var mine = prefixes("8.8.4.4/32", "2606:4700::1111/128", "9.9.9.0/24")

// TestPublicAddresses: every way to write an address of this machine or of a private network is refused.
func TestPublicAddresses(t *testing.T) {
	refused := map[string][]string{
		"this machine":  {"127.0.0.1", "127.1.2.3", "127.255.255.255", "::1", "8.8.4.4", "2606:4700::1111", "9.9.9.1", "9.9.9.255"},
		"unspecified":   {"0.0.0.0", "0.1.2.3", "::"},
		"private":       {"10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fd00::1", "fdff:ffff::1"},
		"link-local":    {"169.254.169.254", "169.254.0.1", "fe80::1", "febf::1"},
		"site-local":    {"fec0::1", "feff::1"},
		"carriers":      {"100.64.0.1", "100.127.255.255"},
		"documentation": {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"},
		"benchmarks":    {"198.18.0.1", "198.19.255.255", "2001:2::1"},
		"multicast":     {"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"},
		"reserved":      {"240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.170", "192.88.99.1", "100::1", "5f00::1", "4000::1", "e000::1"},
		"anycast":       {"192.31.196.1", "192.52.193.1", "192.175.48.1"},
		"mapped":        {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.4.4", "::ffff:a9fe:a9fe", "::ffff:9.9.9.7"},
		"compatible":    {"::127.0.0.1", "::10.0.0.1", "::8.8.4.4", "::8.8.8.8"},
		"translated":    {"::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"},
		"NAT64":         {"64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::8.8.4.4", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::1"},
		"6to4":          {"2002:7f00:1::1", "2002:a00:1::1", "2002:808:404::1"},
		"Teredo":        {"2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
		"ORCHID":        {"2001:10::1", "2001:20::1"},
		"ISATAP":        {"2606:4700:1:1:0:5efe:10.0.0.1", "2606:4700:1:1:200:5efe:8.8.4.4", "fe80::5efe:10.0.0.1"},
		"zones":         {"fe80::1%eth0", "fe80::1%1", "2606:4700::2222%lo", "::1%lo"},
		"no address":    {""},
	}
	for kind, list := range refused {
		for _, text := range list {
			addr, _ := netip.ParseAddr(text)
			var private *PrivateError
			if err := public(addr, mine); !errors.As(err, &private) {
				t.Errorf("%s: %q is accepted as public", kind, text)
			}
		}
	}
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "9.9.8.255", "9.9.10.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "223.255.255.255",
		"2606:4700::1112", "2a00:1450:4001::200e", "2001:4860:4860::8888", "2001:200::1", "2003::1", "::ffff:8.8.8.8"} {
		if err := public(netip.MustParseAddr(text), mine); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPrivateErrorText: the error says whether the address is this machine's, and which option allows it.
func TestPrivateErrorText(t *testing.T) {
	for addr, want := range map[string]string{
		"8.8.4.4":         "8.8.4.4 is an address of this machine: --private-webhooks lets webhooks go there",
		"::ffff:9.9.9.7":  "::ffff:9.9.9.7 is an address of this machine: --private-webhooks lets webhooks go there",
		"169.254.169.254": "169.254.169.254 is not a public address: --private-webhooks lets webhooks go there",
	} {
		if err := public(netip.MustParseAddr(addr), mine); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", addr, err, want)
		}
	}
}

// TestOwnAddresses: the addresses of the interfaces are this machine's, and are refused whatever their
// range.
func TestOwnAddresses(t *testing.T) {
	own, err := ownAddrs()
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		addr, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if public(addr, own) == nil || public(addr.Unmap(), own) == nil {
			t.Errorf("%s is not recognized as this machine's", addr)
		}
	}
}

// TestDialledSpellings: no spelling of an address of this machine reaches a listener on it.
func TestDialledSpellings(t *testing.T) {
	var hits atomic.Int64
	served := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer served.Close()
	_, port, err := net.SplitHostPort(served.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: newTransport(false)}
	for _, host := range []string{"127.0.0.1", "localhost", "localhost.", "LOCALHOST", "127.1", "127.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0", "0.0.0.0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[::1%25lo]", "[fe80::1%25lo]", "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1"} {
		answer, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s was answered", host)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	client.CloseIdleConnections()
	allowed := &http.Client{Transport: newTransport(true)}
	answer, err := allowed.Get(strings.Replace(served.URL, "127.0.0.1", "localhost", 1))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	allowed.CloseIdleConnections()
}

// TestRoutesToThisMachine: an address that no interface has is recognized as this machine's if both ends
// of the connection have it.
func TestRoutesToThisMachine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g := newGuard(func() ([]netip.Prefix, error) { return nil, nil })
	g.dialer.Control = nil // as if the address were public
	var private *PrivateError
	if _, err := g.dial(t.Context(), "tcp", listener.Addr().String()); !errors.As(err, &private) {
		t.Errorf("dial: %v", err)
	}
	g = newGuard(func() ([]netip.Prefix, error) { return nil, errors.New("no list") })
	if _, err := g.dial(t.Context(), "tcp", "192.0.2.1:80"); err == nil || !strings.Contains(err.Error(), "no list") {
		t.Errorf("without the list of interfaces: %v", err)
	}
}
