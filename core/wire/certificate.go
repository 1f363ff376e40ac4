package wire

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The names of the two files in a server's data directory.
const (
	certificateFile = "server.crt"
	keyFile         = "server.key"
)

// certificateLife is long because the pin, not the date, is what counts.
const certificateLife = 99 * 365 * 24 * time.Hour

// ErrKeyMissing: server.crt is there but server.key is not. A new key would
// change the pin in every link, so none is made: restore the file, or remove
// server.crt too.
var ErrKeyMissing = errors.New("wire: server.crt has no server.key beside it")

// LoadOrCreateCertificate reads dir/server.crt and dir/server.key (PEM). Where
// neither exists it makes an Ed25519 key and a self-signed certificate for
// localhost, the loopback addresses and names (DNS names or IP addresses), and
// writes both, the key readable by its owner only. Where only the key exists it
// makes a certificate for that key, which keeps the pin. It never overwrites.
func LoadOrCreateCertificate(dir string, names []string) (tls.Certificate, error) {
	certPath, keyPath := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	hasCert, err := exists(certPath)
	if err != nil {
		return tls.Certificate{}, err
	}
	hasKey, err := exists(keyPath)
	if err != nil {
		return tls.Certificate{}, err
	}
	switch {
	case hasCert && !hasKey:
		return tls.Certificate{}, ErrKeyMissing
	case !hasKey:
		if err := createKey(dir, keyPath); err != nil {
			return tls.Certificate{}, fmt.Errorf("wire: create server key: %w", err)
		}
		fallthrough
	case !hasCert:
		if err := createCertificate(dir, certPath, keyPath, names); err != nil {
			return tls.Certificate{}, fmt.Errorf("wire: create server certificate: %w", err)
		}
	}
	cert, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("wire: load server certificate: %w", err)
	}
	return cert, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func createKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	defer clear(key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(der)
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(block)
	return writeNew(path, block)
}

func createCertificate(dir, path, keyPath string, names []string) error {
	key, err := readKey(keyPath)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "quicprochat server"},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	all := append([]string{"localhost", "127.0.0.1", "::1"}, names...)
	for i, name := range all {
		if slices.Contains(all[:i], name) {
			continue
		}
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	return writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func readKey(path string) (crypto.Signer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	block, rest := pem.Decode(b)
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("%s: not one PEM block", filepath.Base(path))
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: not a signing key", filepath.Base(path))
	}
	return signer, nil
}

// writeNew writes a file that must not exist yet, completely or not at all,
// and so that a power cut does not take it back.
func writeNew(path string, data []byte) error {
	if err := placeNew(path, data); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	_ = dir.Sync() // not every system can
	return nil
}

func placeNew(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// A hard link fails where the name is taken; a rename would replace it. Some
	// file systems have no hard links.
	if err := os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(f.Name(), path)
}
