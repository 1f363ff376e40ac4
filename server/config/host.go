package config

import (
	"net"
	"net/netip"
)

// LinkHost is the host to put into invite links: public_host, else the
// address to listen on where that is a particular one, else what GuessHost
// finds.
func (c *Config) LinkHost() string {
	if c.PublicHost != "" {
		return c.PublicHost
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return host
	}
	if host != "" && net.ParseIP(host) == nil {
		return host
	}
	return GuessHost()
}

// LinkPort is the port to put into invite links: public_port, else the one of
// the address that is listened on, which is 0 where a free one is taken.
func (c *Config) LinkPort() int {
	if c.PublicPort != 0 {
		return c.PublicPort
	}
	port, _ := listenPort(c.Listen)
	return port
}

// Name is what people see.
func (c *Config) Name() string {
	if c.ServerName != "" {
		return c.ServerName
	}
	return c.LinkHost()
}

// CertificateNames are the names that the TLS certificate is made for, beyond
// localhost and the loopback addresses.
func (c *Config) CertificateNames() []string {
	names := []string{c.LinkHost()}
	for _, name := range c.Names {
		if name != names[0] {
			names = append(names, name)
		}
	}
	return names
}

// GuessHost returns an address of this machine that others are likely to
// reach: a public one, else a private one, IPv4 first; "localhost" where
// there is none. It asks nobody.
func GuessHost() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "localhost"
	}
	best, bestRank := "localhost", 0
	for _, addr := range addrs {
		prefix, err := netip.ParsePrefix(addr.String())
		if err != nil {
			continue
		}
		if rank := hostRank(prefix.Addr()); rank > bestRank {
			best, bestRank = prefix.Addr().String(), rank
		}
	}
	return best
}

func hostRank(ip netip.Addr) int {
	switch {
	case !ip.IsGlobalUnicast():
		return 0
	case ip.Is4() && !ip.IsPrivate():
		return 4
	case ip.Is4():
		return 3
	case !ip.IsPrivate():
		return 2
	default:
		return 1
	}
}
