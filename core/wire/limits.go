package wire

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// Connections counts a server's connections, from their first packet on, and
// bounds them, so that neither one host nor many that never finish a handshake
// can take all the places. Make it with [NewConnections]; its methods are safe
// for concurrent use, also while a server uses it.
type Connections struct {
	mu                     sync.Mutex
	maxTotal, maxPerPrefix int
	maxHandshakes          int
	perPrefix              map[netip.Prefix]int
	reading                map[netip.Prefix]int // streams whose request is arriving
	counts                 ConnectionCounts
}

// ConnectionCounts tell how many connections there are and have been.
type ConnectionCounts struct {
	// Open are those there are, Handshaking those of them that are not made yet.
	Open, Handshaking int
	// Made is how many were made in all, Failed how many ended before.
	Made, Failed uint64
	// RefusedTotal, RefusedAddress and RefusedHandshakes are how many were
	// refused because of each bound.
	RefusedTotal, RefusedAddress, RefusedHandshakes uint64
	// Reading is how many requests are arriving, and RefusedStreams how many
	// streams were reset because of their bound.
	Reading        int
	RefusedStreams uint64
	// Validated is how often a client had to prove its address first.
	Validated uint64
}

// NewConnections makes a Connections for at most total connections, perAddress
// of one IPv4 address or IPv6 /64, and handshakes that are not made yet. 0
// means 10000, 512 and 1024.
func NewConnections(total, perAddress, handshakes int) *Connections {
	c := &Connections{maxHandshakes: orDefault(handshakes, 1024), perPrefix: map[netip.Prefix]int{}, reading: map[netip.Prefix]int{}}
	c.SetLimits(total, perAddress)
	return c
}

// SetLimits changes the bounds. Connections above them stay.
func (c *Connections) SetLimits(total, perAddress int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxTotal, c.maxPerPrefix = orDefault(total, 10000), orDefault(perAddress, 512)
}

// Counts gives the figures of this moment.
func (c *Connections) Counts() ConnectionCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// place is a connection's among the Connections.
type place struct {
	prefix netip.Prefix
	made   bool // guarded by the Connections' mu
}

type placeKey struct{}

// connContext is called by QUIC for each new connection; an error refuses it.
func (c *Connections) connContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	p := &place{prefix: clientPrefix(info.RemoteAddr)}
	if !c.enter(p) {
		return nil, errTooManyConnections
	}
	context.AfterFunc(ctx, func() { c.leave(p) })
	return context.WithValue(ctx, placeKey{}, p), nil
}

// verifySource asks for proof of the address, at the price of a round trip,
// once half of the places are taken or an eighth of those for handshakes:
// packets with forged addresses shall not take the rest.
func (c *Connections) verifySource(net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	verify := c.counts.Open >= c.maxTotal/2 || c.counts.Handshaking >= c.maxHandshakes/8
	if verify {
		c.counts.Validated++
	}
	return verify
}

func (c *Connections) enter(p *place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.counts.Open >= c.maxTotal:
		c.counts.RefusedTotal++
	case c.perPrefix[p.prefix] >= c.maxPerPrefix:
		c.counts.RefusedAddress++
	case c.counts.Handshaking >= c.maxHandshakes:
		c.counts.RefusedHandshakes++
	default:
		c.counts.Open++
		c.counts.Handshaking++
		c.perPrefix[p.prefix]++
		return true
	}
	return false
}

// established notes that the handshake of a connection is done.
func (c *Connections) established(ctx context.Context) {
	p, ok := ctx.Value(placeKey{}).(*place)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !p.made {
		p.made = true
		c.counts.Handshaking--
		c.counts.Made++
	}
}

func (c *Connections) leave(p *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !p.made {
		p.made = true // a connection that ended before it was taken out of the listener
		c.counts.Handshaking--
		c.counts.Failed++
	}
	c.counts.Open--
	if c.perPrefix[p.prefix]--; c.perPrefix[p.prefix] == 0 {
		delete(c.perPrefix, p.prefix)
	}
}

// readingPerConnection is how many requests of each connection that is allowed
// may be arriving at once, on average. They arrive in one packet as a rule, so
// that only who sends them slowly on purpose has many.
const readingPerConnection = 2

// beginRead counts a request that begins to arrive, and refuses it where its
// network or all together have too many.
func (c *Connections) beginRead(prefix netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading[prefix] >= readingPerConnection*c.maxPerPrefix || c.counts.Reading >= readingPerConnection*c.maxTotal {
		c.counts.RefusedStreams++
		return false
	}
	c.reading[prefix]++
	c.counts.Reading++
	return true
}

func (c *Connections) endRead(prefix netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Reading--
	if c.reading[prefix]--; c.reading[prefix] == 0 {
		delete(c.reading, prefix)
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
