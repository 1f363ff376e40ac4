package push

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// networks are those that may be reached although they are private.
type networks []netip.Prefix

// errForbidden: the address is not one on the public internet.
var errForbidden = errors.New("the address is not a public one")

// special are networks that netip does not tell from public ones and that are
// none, or lead to others (RFC 6890 and its registries).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // behind a provider's NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own services
	netip.MustParsePrefix("::/96"),            // IPv4 in IPv6, the old way
	netip.MustParsePrefix("64:ff9b::/96"),     // NAT64, which leads to IPv4
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fec0::/10"),
}

// may tells whether an address may be reached: where it is public, or in one of
// the networks that are allowed.
func (n networks) may(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	for _, p := range n {
		if p.Contains(ip) {
			return true
		}
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// control refuses a connection when the name has become an address and before
// a packet goes there, so that no answer of a name server can get around it.
func (n networks) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return errForbidden
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !n.may(ip) {
		return errForbidden
	}
	return nil
}
