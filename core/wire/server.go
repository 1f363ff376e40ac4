package wire

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Listen opens the UDP socket for [Serve]. An address without a host, such as
// ":4433", takes IPv4 and IPv6.
func Listen(addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("wire: listen: %w", err)
	}
	return pc, nil
}

// Serve answers calls on pc until ctx ends, and then stops gracefully: it
// takes no new connections, says goodbye to every client as [Peer.Close] does,
// waits for all of it, and returns nil. It closes pc in any case. No handler
// runs any more when it returns; so it returns late where a handler ignores
// the end of its context.
func Serve(ctx context.Context, pc net.PacketConn, tlsConf *tls.Config, r *Router, opts ServeOptions) error {
	defer pc.Close()
	s := &server{router: r, opts: opts.withDefaults(), peers: map[*Peer]struct{}{}}
	s.memory = newBudget(s.opts.AllRequestMemory)
	tr := &quic.Transport{
		Conn:                pc,
		ConnContext:         s.opts.Connections.connContext,
		VerifySourceAddress: s.opts.Connections.verifySource,
		StatelessResetKey:   s.resetKey(tlsConf),
	}
	defer tr.Close()
	ln, err := tr.Listen(tlsConf, s.opts.quicConfig())
	if err != nil {
		return fmt.Errorf("wire: listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() {
		_ = ln.Close()
		s.stop()
	})()
	err = s.accept(ln)
	s.conns.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("wire: serve: %w", err)
}

// server is the state of one Serve.
type server struct {
	router *Router
	opts   ServeOptions
	memory *budget
	conns  sync.WaitGroup

	mu       sync.Mutex
	peers    map[*Peer]struct{}
	stopping bool
}

func (s *server) accept(ln *quic.Listener) error {
	for {
		// The listener is closed to end this, and then still yields what it
		// had accepted.
		conn, err := ln.Accept(context.Background())
		if err != nil {
			return err
		}
		s.conns.Go(func() { s.serveConn(conn) })
	}
}

func (s *server) serveConn(conn *quic.Conn) {
	s.opts.Connections.established(conn.Context())
	p := newPeer(conn, &s.opts)
	s.add(p)
	defer s.remove(p)
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			break
		}
		p.spawn(func() { s.serveStream(p, stream) })
	}
	p.end()
}

func (s *server) add(p *Peer) {
	s.mu.Lock()
	s.peers[p] = struct{}{}
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		p.Close(qpcv1.Goodbye_REASON_STOPPING)
	}
}

func (s *server) remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}

func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for p := range s.peers {
		p.Close(qpcv1.Goodbye_REASON_STOPPING)
	}
}

func (s *server) resetKey(conf *tls.Config) *quic.StatelessResetKey {
	switch {
	case s.opts.ResetKey != nil:
		return (*quic.StatelessResetKey)(s.opts.ResetKey)
	case len(conf.Certificates) > 0:
		return (*quic.StatelessResetKey)(ResetKey(conf.Certificates[0]))
	}
	return nil
}

// ResetKey derives a stateless reset key (RFC 9000 §10.3) from a private
// key. So it is the same after a crash, and clients learn at once that
// their connections are gone. It is nil where the key cannot be had.
func ResetKey(cert tls.Certificate) *[32]byte {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil
	}
	defer clear(der)
	b, err := hkdf.Key(sha256.New, der, nil, "qpc stateless reset v1", 32)
	if err != nil {
		return nil
	}
	return (*[32]byte)(b)
}

var errTooManyConnections = errors.New("wire: too many connections")
