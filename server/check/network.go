package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
)

// The files that wire.LoadOrCreateCertificate makes.
const (
	certificateFile = "server.crt"
	keyFile         = "server.key"
)

// answerTime is how long a server on this machine may take to answer.
const answerTime = 5 * time.Second

// renewTime is how long before its end a certificate should be renewed.
const renewTime = 14 * 24 * time.Hour

// ErrSilent: no server with this configuration's certificate answers.
var ErrSilent = errors.New("the server does not answer")

// Live asks the server of cfg on this machine whether it serves. ErrSilent.
func Live(ctx context.Context, cfg config.Config) error {
	if !answers(ctx, cfg) {
		return fmt.Errorf("%w on %s (UDP)", ErrSilent, cfg.Listen)
	}
	return nil
}

// certificateFiles are those of the certificate that clients get.
func certificateFiles(cfg config.Config) (cert, key string) {
	if cfg.TLS.Certificate != "" {
		return cfg.TLS.Certificate, cfg.TLS.Key
	}
	return filepath.Join(cfg.DataDir, certificateFile), filepath.Join(cfg.DataDir, keyFile)
}

// loadCertificate reads the server's certificate and makes none.
func loadCertificate(cfg config.Config) (*x509.Certificate, [32]byte, error) {
	cert, err := tls.LoadX509KeyPair(certificateFiles(cfg))
	if err != nil {
		return nil, [32]byte{}, err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	return leaf, wire.PinOf(cert), err
}

func certificate(cfg config.Config, now time.Time) []Finding {
	leaf, _, err := loadCertificate(cfg)
	if cfg.TLS.Certificate != "" {
		return trustedCertificate(cfg, leaf, err, now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrong("the TLS certificate or its key is missing: restore both from a backup; new ones invalidate every link and every client's pin")
	case err != nil:
		return wrong(fmt.Sprintf("the TLS certificate cannot be read: %v", err))
	}
	var findings []Finding
	if info, err := os.Stat(filepath.Join(cfg.DataDir, keyFile)); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		findings = append(findings, Finding{Wrong, fmt.Sprintf("others can read the TLS key: chmod 600 %s", filepath.Join(cfg.DataDir, keyFile))})
	}
	if now.Before(leaf.NotBefore) {
		findings = append(findings, Finding{Wrong, "the TLS certificate is not valid yet: is the clock right?"})
	}
	if now.After(leaf.NotAfter) {
		findings = append(findings, Finding{Warning, "the TLS certificate has expired; clients with a pin do not mind"})
	}
	if left := leaf.NotAfter.Sub(now); left > 0 && left < renewTime {
		findings = append(findings, Finding{Warning, fmt.Sprintf("the TLS certificate expires on %s; clients with a pin do not mind", leaf.NotAfter.Format(time.DateOnly))})
	}
	for _, name := range cfg.CertificateNames() {
		if leaf.VerifyHostname(name) != nil {
			findings = append(findings, Finding{Warning, fmt.Sprintf("the TLS certificate is not made for %s; clients with a pin do not mind", name)})
		}
	}
	if len(findings) == 0 {
		return ok("the TLS certificate fits its key and names")
	}
	return findings
}

// renewal is how long before its end a certificate should have been renewed.
const renewal = 7 * 24 * time.Hour

// trustedCertificate looks at one that others vouch for.
func trustedCertificate(cfg config.Config, leaf *x509.Certificate, err error, now time.Time) []Finding {
	switch {
	case err != nil:
		return wrong(fmt.Sprintf("tls.certificate and tls.key cannot be used: %v", err))
	case now.After(leaf.NotAfter):
		return wrong(fmt.Sprintf("the certificate of tls.certificate has expired on %s: renew it", leaf.NotAfter.Format(time.DateOnly)))
	case leaf.VerifyHostname(cfg.LinkHost()) != nil:
		return wrong(fmt.Sprintf("the certificate of tls.certificate is not made for %s, the host in links", cfg.LinkHost()))
	case now.Add(renewal).After(leaf.NotAfter):
		return warn(fmt.Sprintf("the certificate of tls.certificate expires on %s: renew it, then reload the server", leaf.NotAfter.Format(time.DateOnly)))
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: intermediates(cfg.TLS.Certificate), CurrentTime: now}); err != nil {
		return warn(fmt.Sprintf("this machine does not trust the issuer of tls.certificate, so clients may not either: %v", err))
	}
	return ok("the certificate of tls.certificate is trusted, and made for the host in links")
}

// intermediates are the certificates of a file.
func intermediates(path string) *x509.CertPool {
	pool := x509.NewCertPool()
	if text, err := os.ReadFile(path); err == nil {
		pool.AppendCertsFromPEM(text)
	}
	return pool
}

// port tells whether the port is free, or taken by this very server.
func port(ctx context.Context, cfg config.Config) []Finding {
	socket, err := wire.Listen(cfg.Listen)
	if err == nil {
		socket.Close()
		return ok(fmt.Sprintf("nothing listens on %s (UDP): the server is not running and can be started", cfg.Listen))
	}
	if errors.Is(err, os.ErrPermission) {
		return warn(fmt.Sprintf("this user may not listen on %s: the server needs CAP_NET_BIND_SERVICE, which the systemd unit gives it", cfg.Listen))
	}
	if answers(ctx, cfg) {
		return ok(fmt.Sprintf("the server runs and answers on %s (UDP)", cfg.Listen))
	}
	return wrong(fmt.Sprintf("%s (UDP) cannot be listened on, and what is there is not this server, or has another certificate: %v", cfg.Listen, err))
}

// answers tells whether the server of cfg, known by its pin, runs here.
func answers(ctx context.Context, cfg config.Config) bool {
	_, pin, err := loadCertificate(cfg)
	if err != nil {
		return false
	}
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	number, err := strconv.Atoi(portText)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := wire.Dial(ctx, wire.Link{Host: host, Port: number, Pin: pin[:]}, wire.DialOptions{})
	if err != nil {
		return false
	}
	defer conn.Close()
	return conn.Call(ctx, &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}) == nil
}

func linkHost(cfg config.Config) []Finding {
	host := cfg.LinkHost()
	where := net.JoinHostPort(host, strconv.Itoa(cfg.LinkPort()))
	ip, err := netip.ParseAddr(host)
	switch {
	case cfg.LinkPort() == 0:
		return wrong("listen takes any free port, so links have none: set public_port")
	case host == "localhost" || err == nil && ip.IsLoopback():
		return warn("links say " + where + ", which only this machine reaches: set public_host")
	case err == nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast()):
		return warn("links say " + where + ", which only the local network reaches: set public_host")
	}
	return ok("links say " + where)
}
