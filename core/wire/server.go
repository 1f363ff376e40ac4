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
	s.limits.init(s.opts.MaxConnections, s.opts.MaxConnectionsPerAddress)
	tr := &quic.Transport{
		Conn:                pc,
		ConnContext:         s.limits.connContext,
		VerifySourceAddress: s.limits.verifySource,
		StatelessResetKey:   resetKey(tlsConf),
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
	limits connLimits
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

// resetKey derives the stateless reset key (RFC 9000 §10.3) from the server's
// private key. So it is the same after a crash, and clients learn at once that
// their connections are gone.
func resetKey(conf *tls.Config) *quic.StatelessResetKey {
	if len(conf.Certificates) == 0 {
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(conf.Certificates[0].PrivateKey)
	if err != nil {
		return nil
	}
	defer clear(der)
	var key quic.StatelessResetKey
	b, err := hkdf.Key(sha256.New, der, nil, "qpc stateless reset v1", len(key))
	if err != nil {
		return nil
	}
	copy(key[:], b)
	return &key
}

var errTooManyConnections = errors.New("wire: too many connections")
