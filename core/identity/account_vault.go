package identity

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	vaultKeyLabel = "qpc account vault v1"

	// VaultKeySize is the length of a vault key in bytes.
	VaultKeySize = 32
	// MaxSealedVault is the greatest length in bytes of a sealed vault.
	MaxSealedVault = 64 << 10
	// VaultOverhead is by how many bytes a vault grows when it is sealed.
	VaultOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

var (
	// ErrVaultKey says that a vault key is not 32 bytes long.
	ErrVaultKey = errors.New("identity: a vault key is 32 bytes long")
	// ErrSealedVault says that a sealed vault does not open: it is another
	// account's, of another version, or was changed.
	ErrSealedVault = errors.New("identity: the sealed vault does not open")
)

// VaultKey seals what the devices of an account share. Each device keeps it
// from the moment in which it was enrolled; the account key, from which it
// derives, none of them keeps. It shows itself neither in logs nor in fmt.
type VaultKey struct{ key [VaultKeySize]byte }

// VaultKey derives the account's vault key. It is the same for ever.
func (k *AccountKey) VaultKey() *VaultKey {
	b, err := hkdf.Key(sha512.New, k.private[:ed25519.SeedSize], nil, vaultKeyLabel, VaultKeySize)
	if err != nil {
		panic("identity: 32 bytes are not too many for HKDF: " + err.Error())
	}
	defer clear(b)
	return &VaultKey{key: [VaultKeySize]byte(b)}
}

// ParseVaultKey reads what [VaultKey.Bytes] gives, or returns ErrVaultKey.
func ParseVaultKey(b []byte) (*VaultKey, error) {
	if len(b) != VaultKeySize {
		return nil, ErrVaultKey
	}
	return &VaultKey{key: [VaultKeySize]byte(b)}, nil
}

// Bytes is the key itself, for an encrypted database.
func (k *VaultKey) Bytes() []byte { return append([]byte(nil), k.key[:]...) }

// Destroy wipes the key, which cannot be used any more.
func (k *VaultKey) Destroy() { clear(k.key[:]) }

func (k *VaultKey) aead() cipher.AEAD {
	aead, err := chacha20poly1305.NewX(k.key[:])
	if err != nil {
		panic("identity: the key has 32 bytes: " + err.Error())
	}
	return aead
}

func vaultData(a AccountID, version uint64) []byte {
	return binary.BigEndian.AppendUint64(labelled(vaultKeyLabel, a[:]), version)
}

// Seal encrypts a version of the vault: XChaCha20-Poly1305 with a random nonce
// in front, and account id and version as associated data.
func (k *VaultKey) Seal(a AccountID, version uint64, contents []byte) []byte {
	sealed := make([]byte, chacha20poly1305.NonceSizeX, VaultOverhead+len(contents))
	rand.Read(sealed) // never fails
	return k.aead().Seal(sealed, sealed, contents, vaultData(a, version))
}

// Open opens what [VaultKey.Seal] made, or returns ErrSealedVault.
func (k *VaultKey) Open(a AccountID, version uint64, sealed []byte) ([]byte, error) {
	if len(sealed) < VaultOverhead {
		return nil, ErrSealedVault
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	contents, err := k.aead().Open(nil, nonce, box, vaultData(a, version))
	if err != nil {
		return nil, ErrSealedVault
	}
	return contents, nil
}

// LogValue hides the key.
func (*VaultKey) LogValue() slog.Value { return slog.StringValue("[vault key]") }

// Format hides the key from every verb of fmt.
func (*VaultKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[vault key]") }
