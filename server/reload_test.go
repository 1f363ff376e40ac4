package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
)

func TestReload(t *testing.T) {
	f := start(t, func(c *Config) { c.Registration = config.RegistrationClosed })
	before := f.dial()
	info := func(c *conn) *qpcv1.InfoResponse { return must[qpcv1.InfoResponse](c, &qpcv1.InfoRequest{}) }
	if info(before).Registration != qpcv1.InfoResponse_REGISTRATION_CLOSED {
		t.Fatal("not closed")
	}
	cfg := f.cfg
	cfg.Registration, cfg.ServerName = config.RegistrationOpen, "Renamed"
	cfg.Rates.Auth = config.Rate{PerMinute: 1, Burst: 2}
	cfg.Limits.ConnectionsPerAddress = 3
	cfg.Limits.QueueItems, cfg.PublicHost = 7, "elsewhere.example"
	restart, err := f.Reload(cfg)
	if err != nil || !slices.Equal(restart, []string{"public_host", "limits.queue_items"}) {
		t.Errorf("needs a restart: %v, %v", restart, err)
	}
	if n := f.logLines("configuration reloaded", "registration", "rates.auth.burst", `needs_a_restart="public_host, limits.queue_items"`); n != 1 {
		t.Errorf("%s", f.logs.Bytes())
	}
	// The connection from before lives, and all is in force on it.
	if i := info(before); i.Registration != qpcv1.InfoResponse_REGISTRATION_OPEN || i.ServerName != "Renamed" {
		t.Errorf("info: %v", i)
	}
	if _, err := f.beginRegistration(before, "alice", goodPassword, nil); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		_, err := f.beginRegistration(before, "bob", goodPassword, nil)
		if limited := wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED; limited != (i == 1) {
			t.Errorf("registration %d: %v", i, err)
		}
	}
	f.dial()
	f.dial()
	link, err := wire.ParseLink(f.Link(nil))
	if err != nil || link.Host != "127.0.0.1" {
		t.Errorf("link %v, %v", link.Host, err)
	}
	if c, err := wire.Dial(t.Context(), link, wire.DialOptions{HandshakeTimeout: time.Second}); err == nil {
		t.Error("a fourth connection")
		_ = c.Close()
	}
	info(before)

	// What is wrong changes nothing.
	bad := cfg
	bad.Rates.Auth, bad.Limits.QueueItems, bad.Registration = config.Rate{PerMinute: 9, Burst: 9}, -1, config.RegistrationClosed
	if _, err := f.Reload(bad); err == nil || !strings.Contains(err.Error(), "queue_items") {
		t.Errorf("got %v", err)
	}
	if n := f.logLines("level=ERROR", "the old one stays in force", "queue_items"); n != 1 {
		t.Errorf("%s", f.logs.Bytes())
	}
	if i := info(before); i.Registration != qpcv1.InfoResponse_REGISTRATION_OPEN {
		t.Error("a refused configuration is in force")
	}
	f.wantFigure(1, "qpc_reloads_total", "ok")
	f.wantFigure(1, "qpc_reloads_total", "refused")
	// Again without a difference: nothing is named twice as changed.
	if restart, err := f.Reload(cfg); err != nil || len(restart) != 2 {
		t.Errorf("%v %v", restart, err)
	}
	f.wantFigure(2, "qpc_reloads_total", "ok")
}

// issuer signs certificates that a client of the test trusts.
type issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, key: newECDSA(t), pool: x509.NewCertPool()}
	i.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, i.cert, i.cert, i.key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	if i.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	i.pool.AddCert(i.cert)
	return i
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a certificate with a new key.
func (i *issuer) issue(files config.TLS, host string, serial int64, until time.Time) {
	i.t.Helper()
	key := newECDSA(i.t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, i.cert, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	write := func(path, kind string, der []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			i.t.Fatal(err)
		}
	}
	write(files.Certificate, "CERTIFICATE", der)
	write(files.Key, "PRIVATE KEY", secret)
}

// A certificate that others vouch for is renewed, with another key, while
// clients are connected.
func TestCertificateIsRenewed(t *testing.T) {
	i := newIssuer(t)
	dir := t.TempDir()
	files := config.TLS{Certificate: filepath.Join(dir, "chain.pem"), Key: filepath.Join(dir, "key.pem")}
	i.issue(files, "localhost", 1, time.Now().Add(time.Hour))
	f := start(t, func(c *Config) { c.PublicHost, c.TLS = "localhost", files })
	link, err := wire.ParseLink(f.Link(nil))
	if err != nil || link.Pin != nil || link.Host != "localhost" {
		t.Fatalf("%+v %v", link, err)
	}
	dial := func() (*wire.Conn, error) {
		return wire.Dial(t.Context(), link, wire.DialOptions{RootCAs: i.pool})
	}
	before, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if f.figure("qpc_certificate_expiry_seconds") <= float64(time.Now().Unix()) {
		t.Error("expires in the past")
	}
	health := func(c *wire.Conn) {
		t.Helper()
		if err := c.Call(t.Context(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
			t.Error(err)
		}
	}
	old := f.figure("qpc_certificate_expiry_seconds")
	i.issue(files, "localhost", 2, time.Now().Add(20*time.Hour))
	if _, err := f.Reload(f.cfg); err != nil {
		t.Fatal(err)
	}
	if got := f.figure("qpc_certificate_expiry_seconds"); got <= old || f.logLines("configuration reloaded", "certificate_valid_until") != 1 {
		t.Errorf("valid until %v, before %v", got, old)
	}
	after, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	health(before)
	health(after)
	for name, spoil := range map[string]func(){
		"another host": func() { i.issue(files, "elsewhere.example", 3, time.Now().Add(time.Hour)) },
		"expired":      func() { i.issue(files, "localhost", 4, time.Now().Add(-time.Minute)) },
		"another key": func() {
			i.issue(config.TLS{Certificate: filepath.Join(dir, "other.pem"), Key: files.Key}, "localhost", 5, time.Now().Add(time.Hour))
		},
		"gone": func() { _ = os.Remove(files.Certificate) },
	} {
		spoil()
		if _, err := f.Reload(f.cfg); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
		still, err := dial()
		if err != nil {
			t.Fatalf("%s: the old one is not in force: %v", name, err)
		}
		health(still)
		_ = still.Close()
	}
	health(before)
	if s, err := New(f.cfg, nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("a start with a certificate that cannot be used: %v", err)
		_ = s.Shutdown(t.Context())
	}
}
