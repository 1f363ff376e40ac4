package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/config"
)

// ErrCertificate is wrapped by every error about the files of [config.TLS].
var ErrCertificate = errors.New("the certificate of tls.certificate and tls.key cannot be used")

// certificates holds the certificate that new connections get.
type certificates struct {
	own     tls.Certificate // made by the server itself, in the data folder
	current atomic.Pointer[tls.Certificate]
}

func newCertificates(cfg Config, now time.Time) (*certificates, error) {
	own, err := wire.LoadOrCreateCertificate(cfg.DataDir, cfg.CertificateNames())
	if err != nil {
		return nil, err
	}
	c := &certificates{own: own}
	cert, err := c.load(cfg, now)
	if err != nil {
		return nil, err
	}
	c.current.Store(cert)
	return c, nil
}

// load gives the certificate that cfg names, or the server's own.
func (c *certificates) load(cfg Config, now time.Time) (*tls.Certificate, error) {
	if cfg.TLS.Certificate == "" {
		own := c.own
		return &own, nil
	}
	return loadTrusted(cfg.TLS, cfg.LinkHost(), now)
}

// loadTrusted reads a certificate that others vouch for, and refuses one that
// no client would take. Whether its issuer is trusted is the clients' matter.
func loadTrusted(files config.TLS, host string, now time.Time) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
		}
	}
	if err := cert.Leaf.VerifyHostname(host); err != nil {
		return nil, fmt.Errorf("%w: it is not made for the host in links, public_host: %w", ErrCertificate, err)
	}
	if now.After(cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("%w: it has expired on %s", ErrCertificate, cert.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &cert, nil
}

// expiry is until when the current certificate is valid.
func (c *certificates) expiry() time.Time {
	cert := c.current.Load()
	if cert.Leaf != nil {
		return cert.Leaf.NotAfter
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// tls is the configuration of a server whose certificate may be replaced.
func (c *certificates) tls() *tls.Config {
	conf := wire.ServerTLS(c.own)
	conf.Certificates = nil // else clients that name no host would get this one
	conf.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil }
	return conf
}

// pin is what links carry: nothing where others vouch for the certificate.
func (c *certificates) pin(cfg Config) []byte {
	if cfg.TLS.Certificate != "" {
		return nil
	}
	pin := wire.PinOf(c.own)
	return pin[:]
}
