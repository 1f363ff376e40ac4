package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

func TestKeyExchangeIsPostQuantum(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
	s := c.quic.ConnectionState()
	if s.TLS.CurveID != tls.X25519MLKEM768 || s.TLS.Version != tls.VersionTLS13 || s.TLS.NegotiatedProtocol != ALPN {
		t.Errorf("%v %x %s", s.TLS.CurveID, s.TLS.Version, s.TLS.NegotiatedProtocol)
	}
	if s.Used0RTT || s.TLS.DidResume {
		t.Error("resumed")
	}
}

func TestPinMismatch(t *testing.T) {
	s := serve(t, healthRouter(), ServeOptions{})
	dial := func(host string, pin []byte) error {
		link := s.link
		link.Host, link.Pin = host, pin
		_, err := Dial(testContext(t), link, DialOptions{})
		return err
	}
	for _, pin := range [][]byte{testPin, {}, s.link.Pin[:31], make([]byte, 32)} {
		if err := dial("127.0.0.1", pin); !errors.Is(err, ErrPinMismatch) || errors.Is(err, ErrUnreachable) {
			t.Errorf("pin of %d bytes: %v", len(pin), err)
		}
	}
	if err := dial("localhost", testPin); !errors.Is(err, ErrPinMismatch) {
		t.Errorf("where another address is silent: %v", err)
	}
}

func TestWithoutPinTheCertificateMustBeTrusted(t *testing.T) {
	s := serve(t, healthRouter(), ServeOptions{})
	link := s.link
	link.Pin = nil
	if _, err := Dial(testContext(t), link, DialOptions{}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("unknown issuer: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	c, err := Dial(testContext(t), link, DialOptions{RootCAs: roots})
	if err != nil {
		t.Fatalf("trusted issuer: %v", err)
	}
	defer c.Close()
	mustHealth(t, c)
}

func TestWrongNameIsUntrustedWithoutPin(t *testing.T) {
	conf := ClientTLS("other.example", nil)
	conf.RootCAs = x509.NewCertPool()
	conf.RootCAs.AddCert(certificate().Leaf)
	s := serve(t, healthRouter(), ServeOptions{})
	_, err := quic.DialAddr(testContext(t), s.link.Addr(), conf, nil)
	if !errors.Is(dialError(testContext(t), err), ErrUntrusted) {
		t.Error(err)
	}
}

func TestIncompatibleServer(t *testing.T) {
	conf := ServerTLS(certificate())
	conf.NextProtos = []string{"h3"}
	_, link := listenRaw(t, conf)
	if _, err := Dial(testContext(t), link, DialOptions{}); !errors.Is(err, ErrIncompatible) {
		t.Error(err)
	}
}

// A crash leaves clients with connections that the next server does not know;
// it must be able to say so at once.
func TestRestartAfterCrashResetsConnections(t *testing.T) {
	relay := newRelay(t)
	first := serve(t, healthRouter(), ServeOptions{Linger: time.Millisecond})
	relay.forwardTo(first.link.Addr())
	link := first.link
	link.Port = relay.port()
	c, err := Dial(testContext(t), link, DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustHealth(t, c)
	second := serve(t, healthRouter(), ServeOptions{})
	relay.forwardTo(second.link.Addr())
	err = callHealth(t, c)
	if _, reset := errors.AsType[*quic.StatelessResetError](err); !reset || !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
