package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// DialOptions are a client's settings. The zero value is ready to use.
type DialOptions struct {
	// OnPush is called for every push in the server's order, one at a time,
	// from one goroutine. While it runs no further push is read, and the
	// server drops a client that takes too long. payload is the callee's.
	OnPush func(event qpcv1.EventType, payload []byte)
	// KeepAlive is the time between pings of an idle connection; 0 means 15 s.
	KeepAlive time.Duration
	// IdleTimeout is how long the server may be silent before the connection
	// counts as lost; 0 means 45 s.
	IdleTimeout time.Duration
	// HandshakeTimeout is how long the server may be silent while the
	// connection is made; 0 means 5 s.
	HandshakeTimeout time.Duration
	// RootCAs are the issuers to trust where a link has no pin; nil means the system's.
	RootCAs *x509.CertPool
}

func (o DialOptions) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:  orDefault(o.HandshakeTimeout, 5*time.Second),
		MaxIdleTimeout:        orDefault(o.IdleTimeout, 45*time.Second),
		KeepAlivePeriod:       orDefault(o.KeepAlive, 15*time.Second),
		MaxIncomingStreams:    -1,
		MaxIncomingUniStreams: 1,
	}
}

func orDefault[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// Dial connects to the server of a link, by whichever of its addresses answers
// first. ctx bounds the dialling alone.
//
// Errors: [ErrUnreachable], [ErrPinMismatch], [ErrUntrusted],
// [ErrIncompatible], or ctx's.
func Dial(ctx context.Context, link Link, opts DialOptions) (*Conn, error) {
	addrs, err := resolve(ctx, link.Host)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	conf := ClientTLS(link.Host, link.Pin)
	conf.RootCAs = opts.RootCAs
	dial := func(ctx context.Context, a netip.Addr) (*Conn, error) {
		return dialAddr(ctx, netip.AddrPortFrom(a, uint16(link.Port)), conf, opts)
	}
	c, err := dialFirst(ctx, addrs, dial)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	return c, nil
}

// maxAddrs bounds how many of a name's addresses are tried.
const maxAddrs = 8

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if host == "localhost" {
		// Not every system resolves it to both, and a server may listen on one.
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return alternate(addrs[:min(len(addrs), maxAddrs)]), nil
}

// alternate orders addresses so that the families take turns, the first one's
// first (RFC 8305 §4).
func alternate(addrs []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

const (
	// attemptDelay is the head start of each address over the next (RFC 8305 §5).
	attemptDelay = 200 * time.Millisecond
	// secondOpinion is how long the other addresses have once one has answered
	// as somebody else.
	secondOpinion = time.Second
)

type attempt struct {
	conn *Conn
	err  error
}

// dialFirst tries the addresses one after the other, without waiting for a slow
// one before the next, and keeps the first connection.
func dialFirst(ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (*Conn, error)) (*Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan attempt, len(addrs))
	pending := 0
	defer func() {
		cancel()
		for range pending {
			if late := <-results; late.err == nil {
				_ = late.conn.Close()
			}
		}
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	var failure error
	for len(addrs) > 0 || pending > 0 {
		select {
		case <-next.C:
			if len(addrs) > 0 {
				a := addrs[0]
				addrs = addrs[1:]
				pending++
				go func() {
					c, err := dial(ctx, a)
					results <- attempt{c, err}
				}()
				next.Reset(attemptDelay)
			}
		case r := <-results:
			pending--
			if r.err == nil {
				return r.conn, nil
			}
			if errors.Is(r.err, ErrPinMismatch) {
				defer time.AfterFunc(secondOpinion, cancel).Stop()
			}
			failure = moreTelling(failure, r.err)
			next.Reset(0)
		}
	}
	return nil, failure
}

// moreTelling prefers the error of a server that answered over silence.
func moreTelling(a, b error) error {
	if a == nil || !errors.Is(a, ErrPinMismatch) && errors.Is(b, ErrPinMismatch) {
		return b
	}
	return a
}

func dialAddr(ctx context.Context, to netip.AddrPort, conf *tls.Config, opts DialOptions) (*Conn, error) {
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	socket, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, err
	}
	tr := &quic.Transport{Conn: socket}
	q, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(to), conf, opts.quicConfig())
	if err != nil {
		_ = tr.Close()
		_ = socket.Close()
		return nil, err
	}
	return newConn(q, tr, socket, opts), nil
}

// TLS alerts (RFC 8446 §6) of a server that speaks something else, as QUIC
// transport errors (RFC 9001 §4.8).
const (
	alertHandshakeFailure      quic.TransportErrorCode = 0x100 + 40
	alertProtocolVersion       quic.TransportErrorCode = 0x100 + 70
	alertNoApplicationProtocol quic.TransportErrorCode = 0x100 + 120
)

func dialError(ctx context.Context, err error) error {
	if errors.Is(err, ErrPinMismatch) {
		return ErrPinMismatch
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: %w", ErrUntrusted, v)
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return ErrIncompatible
	}
	if t, ok := errors.AsType[*quic.TransportError](err); ok {
		switch t.ErrorCode {
		case alertHandshakeFailure, alertProtocolVersion, alertNoApplicationProtocol:
			return ErrIncompatible
		}
	}
	if ctx.Err() == context.Canceled {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, withoutAddress(err))
}

// withoutAddress takes the wrapping off that repeats names and addresses,
// because errors end in logs.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	return err
}
