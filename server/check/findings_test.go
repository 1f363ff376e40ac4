package check

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func grade(findings []Finding) Grade {
	worst := OK
	for _, f := range findings {
		if f.Grade == Wrong || worst == OK {
			worst = f.Grade
		}
	}
	return worst
}

func TestSpace(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		free, total uint64
		want        Grade
	}{
		{500 * gib, 1000 * gib, OK},
		{2 * gib, 1000 * gib, OK},
		{gib - 1, 1000 * gib, Warning},
		{600 << 20, 10 * gib, OK}, // a small disk, and a good part of it
		{400 << 20, 10 * gib, Warning},
		{99 << 20, 1000 * gib, Wrong},
		{0, 1, Wrong},
	} {
		if got := grade(judgeSpace(c.free, c.total)); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.free, c.total, got, c.want)
		}
	}
	if found := disk(t.TempDir()); len(found) != 1 || !strings.Contains(found[0].Text, "are free") {
		t.Errorf("this disk: %v", found)
	}
	if found := disk(filepath.Join(t.TempDir(), "none")); len(found) != 0 {
		t.Errorf("no folder: %v", found)
	}
}

// What people did tells what day it is at least.
func TestClockBehindTheDatabase(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	path := filepath.Join(cfg.DataDir, secrets.DatabaseName)
	s, err := sqlite.Open(t.Context(), path, storage.DefaultLimits())
	must(t, err)
	now := time.Now()
	if got := grade(clock(t.Context(), cfg, now)); got != OK {
		t.Errorf("an empty database: %s", got)
	}
	_, err = s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{1}, Name: "ada", DeviceID: [16]byte{1}, Now: now.Add(72 * time.Hour)})
	must(t, err)
	must(t, s.Close())
	if got := grade(clock(t.Context(), cfg, now)); got != Wrong {
		t.Errorf("a device from the day after tomorrow: %s", got)
	}
	if got := grade(clock(t.Context(), cfg, now.Add(72*time.Hour))); got != OK {
		t.Errorf("the same day: %s", got)
	}
	if got := grade(clock(t.Context(), cfg, time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC))); got != Wrong {
		t.Errorf("before the program was written: %s", got)
	}
}

func TestCertificateTimes(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir, cfg.PublicHost = t.TempDir(), "chat.example.org"
	now := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	writeCertificate(t, cfg.DataDir, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	for _, c := range []struct {
		at   time.Duration
		want string
	}{
		{0, "fits its key and names"},
		{20 * 24 * time.Hour, "expires on 2026-06-03"},
		{31 * 24 * time.Hour, "has expired"},
		{-2 * time.Hour, "not valid yet"},
	} {
		found := certificate(cfg, now.Add(c.at))
		if len(found) != 1 || !strings.Contains(found[0].Text, c.want) {
			t.Errorf("after %v: %v", c.at, found)
		}
	}
	must(t, os.Chmod(filepath.Join(cfg.DataDir, keyFile), 0o644))
	if got := grade(certificate(cfg, now)); got != Wrong {
		t.Errorf("a key that others can read: %s", got)
	}
	must(t, os.Remove(filepath.Join(cfg.DataDir, keyFile)))
	if got := grade(certificate(cfg, now)); got != Wrong {
		t.Errorf("no key: %s", got)
	}
	if err := Live(t.Context(), cfg); !errors.Is(err, ErrSilent) {
		t.Errorf("nobody there: %v", err)
	}
}

func writeCertificate(t *testing.T, dir string, from, to time.Time) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"chat.example.org"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, certificateFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}
