package check

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicprochat/server/config"
)

func TestTrustedCertificate(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.DataDir, cfg.PublicHost = dir, "chat.example"
	cfg.TLS = config.TLS{Certificate: filepath.Join(dir, "chain.pem"), Key: filepath.Join(dir, "key.pem")}
	now := time.Now()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"chat.example"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, grade Grade, words string, at time.Time) {
		t.Helper()
		found := certificate(cfg, at)
		if len(found) != 1 || found[0].Grade != grade || !strings.Contains(found[0].Text, words) {
			t.Errorf("%s: %+v", what, found)
		}
	}
	want("missing", Wrong, "cannot be used", now)
	for path, block := range map[string]*pem.Block{
		cfg.TLS.Certificate: {Type: "CERTIFICATE", Bytes: der}, cfg.TLS.Key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want("an issuer that nobody knows", Warning, "does not trust the issuer", now)
	want("in its last days", Warning, "renew it", now.Add(25*24*time.Hour))
	want("expired", Wrong, "has expired", now.Add(31*24*time.Hour))
	cfg.PublicHost = "elsewhere.example"
	want("another host", Wrong, "not made for elsewhere.example", now)
}
