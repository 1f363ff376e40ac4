package wire

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// connLimits counts connections, from their first packet on, so that one host
// cannot take all the places.
type connLimits struct {
	maxTotal, maxPerPrefix int

	mu        sync.Mutex
	total     int
	perPrefix map[netip.Prefix]int
}

func (l *connLimits) init(total, perPrefix int) {
	l.maxTotal, l.maxPerPrefix = total, perPrefix
	l.perPrefix = map[netip.Prefix]int{}
}

// connContext is called by QUIC for each new connection; an error refuses it.
func (l *connLimits) connContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	prefix := clientPrefix(info.RemoteAddr)
	if !l.enter(prefix) {
		return nil, errTooManyConnections
	}
	context.AfterFunc(ctx, func() { l.leave(prefix) })
	return ctx, nil
}

// verifySource asks for proof of the address, at the price of a round trip,
// once half of the places are taken: spoofed packets shall not take the rest.
func (l *connLimits) verifySource(net.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total >= l.maxTotal/2
}

func (l *connLimits) enter(prefix netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.maxTotal || l.perPrefix[prefix] >= l.maxPerPrefix {
		return false
	}
	l.total++
	l.perPrefix[prefix]++
	return true
}

func (l *connLimits) leave(prefix netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.perPrefix[prefix]--; l.perPrefix[prefix] == 0 {
		delete(l.perPrefix, prefix)
	}
}

// clientPrefix is what one client can be expected to hold: an IPv4 address or
// an IPv6 /64.
func clientPrefix(a net.Addr) netip.Prefix {
	ip := remoteIP(a)
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // zero for an address that is none
	return prefix
}
