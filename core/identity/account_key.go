package identity

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	accountKeyLabel = "qpc account key v1"
	exportKeySize   = 64

	// SealedAccountKeySize is the length in bytes of what [AccountKey.Seal]
	// returns: nonce, encrypted seed, tag.
	SealedAccountKeySize = chacha20poly1305.NonceSize + ed25519.SeedSize + chacha20poly1305.Overhead
)

var (
	// ErrSealedAccountKey says that a sealed account key does not open: the
	// export key or the public key is not the one it was sealed with, or the
	// bytes were changed. The server that handed it out is broken or lies.
	ErrSealedAccountKey = errors.New("identity: the sealed account key does not open")
	// ErrExportKey says that an export key is not 64 bytes long.
	ErrExportKey = errors.New("identity: an export key is 64 bytes long")
)

// AccountKey is the private key of an account. It certifies devices. It shows
// itself neither in logs nor in fmt.
type AccountKey struct {
	private ed25519.PrivateKey
}

// NewAccountKey makes a new random account key.
func NewAccountKey() (*AccountKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: account key: %w", err)
	}
	return &AccountKey{private: private}, nil
}

// Public returns a copy of the public key, 32 bytes.
func (k *AccountKey) Public() ed25519.PublicKey {
	return append(ed25519.PublicKey(nil), k.private[ed25519.SeedSize:]...)
}

// Destroy wipes the key, which cannot be used any more.
func (k *AccountKey) Destroy() { clear(k.private) }

// Seal encrypts the key under OPAQUE's export key (64 bytes) for the server to
// keep: ChaCha20-Poly1305 under HKDF-SHA512 of the export key, with the public
// key as associated data. It returns ErrExportKey where the length is wrong.
func (k *AccountKey) Seal(exportKey []byte) ([]byte, error) {
	aead, err := accountKeyAEAD(exportKey)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, chacha20poly1305.NonceSize, SealedAccountKeySize)
	rand.Read(sealed) // never fails
	return aead.Seal(sealed, sealed, k.private[:ed25519.SeedSize], k.Public()), nil
}

// OpenAccountKey opens what [AccountKey.Seal] made for the public key. It
// returns ErrSealedAccountKey where that fails for whatever reason, and
// ErrExportKey where the export key is not 64 bytes long.
func OpenAccountKey(sealed, exportKey []byte, pub ed25519.PublicKey) (*AccountKey, error) {
	aead, err := accountKeyAEAD(exportKey)
	if err != nil {
		return nil, err
	}
	if len(sealed) != SealedAccountKeySize || len(pub) != ed25519.PublicKeySize {
		return nil, ErrSealedAccountKey
	}
	nonce, box := sealed[:chacha20poly1305.NonceSize], sealed[chacha20poly1305.NonceSize:]
	seed, err := aead.Open(nil, nonce, box, pub)
	if err != nil {
		return nil, ErrSealedAccountKey
	}
	defer clear(seed)
	k := &AccountKey{private: ed25519.NewKeyFromSeed(seed)}
	if !k.Public().Equal(pub) {
		k.Destroy()
		return nil, ErrSealedAccountKey
	}
	return k, nil
}

func accountKeyAEAD(exportKey []byte) (cipher.AEAD, error) {
	if len(exportKey) != exportKeySize {
		return nil, fmt.Errorf("%w, not %d", ErrExportKey, len(exportKey))
	}
	key, err := hkdf.Key(sha512.New, exportKey, nil, accountKeyLabel, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("identity: sealing key: %w", err)
	}
	defer clear(key)
	return chacha20poly1305.New(key)
}

// LogValue hides the key.
func (*AccountKey) LogValue() slog.Value { return slog.StringValue("[account key]") }

// Format hides the key from every verb of fmt.
func (*AccountKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[account key]") }
