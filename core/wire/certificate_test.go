package wire

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCertificateIsCreatedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := LoadOrCreateCertificate(dir, []string{"chat.example.org", "192.0.2.7", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreateCertificate(dir, []string{"other.example"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Certificate[0], second.Certificate[0]) || PinOf(first) != PinOf(second) {
		t.Error("the second start made another certificate")
	}
	leaf := first.Leaf
	if _, ok := leaf.PublicKey.(ed25519.PublicKey); !ok || leaf.NotAfter.Before(time.Now().AddDate(50, 0, 0)) {
		t.Errorf("%T until %v", leaf.PublicKey, leaf.NotAfter)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "chat.example.org", "192.0.2.7"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if len(leaf.DNSNames) != 2 || len(leaf.IPAddresses) != 3 || !leaf.IPAddresses[2].Equal(net.IPv4(192, 0, 2, 7)) {
		t.Errorf("%v %v", leaf.DNSNames, leaf.IPAddresses)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v %v", files, err)
	}
	for _, f := range []string{keyFile, certificateFile} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

func TestCertificateIsRemadeForItsKey(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadOrCreateCertificate(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, certificateFile)); err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreateCertificate(dir, nil)
	if err != nil || PinOf(first) != PinOf(second) {
		t.Errorf("the pin changed: %v", err)
	}
}

func TestCertificateWithoutKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadOrCreateCertificate(dir, nil); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, keyFile)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateCertificate(dir, nil); !errors.Is(err, ErrKeyMissing) {
		t.Error(err)
	}
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a new key was made")
	}
}

func TestBrokenKeyIsReportedAndKept(t *testing.T) {
	for _, content := range []string{"", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		dir := t.TempDir()
		path := filepath.Join(dir, keyFile)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateCertificate(dir, nil); err == nil {
			t.Errorf("%q was taken", content)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%q was overwritten", content)
		}
	}
}

func TestWriteNewNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := writeNew(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "one" {
		t.Errorf("%q", b)
	}
}
