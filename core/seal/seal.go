package seal

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const (
	// PublicKeySize is the length of an X-Wing public key in bytes.
	PublicKeySize = 1216
	// PrivateKeySize is the length of an X-Wing private key, a seed, in bytes.
	PrivateKeySize = 32

	encapsulatedSize = 1120
	tagSize          = 16

	// Overhead is by how many bytes a sealed message is longer than the padded
	// plaintext.
	Overhead = encapsulatedSize + tagSize
)

var (
	// ErrOpen says that a message does not open: it is malformed, was changed,
	// or was sealed to another key or for another purpose. Drop it.
	ErrOpen = errors.New("seal: the message does not open")
	// ErrPublicKey says that bytes are no X-Wing public key.
	ErrPublicKey = errors.New("seal: invalid public key")
	// ErrPrivateKey says that bytes are no X-Wing private key.
	ErrPrivateKey = errors.New("seal: invalid private key")
)

func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()
}

// PrivateKey opens what is sealed to its public key. It shows itself neither
// in logs nor in fmt, and is safe for concurrent use.
type PrivateKey struct {
	key hpke.PrivateKey
}

// GenerateKey makes a new random key.
func GenerateKey() (*PrivateKey, error) {
	kem, _, _ := suite()
	key, err := kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("seal: key: %w", err)
	}
	return &PrivateKey{key: key}, nil
}

// ParsePrivateKey reads what [PrivateKey.Bytes] returned, or gives
// ErrPrivateKey.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	kem, _, _ := suite()
	key, err := kem.NewPrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPrivateKey, err)
	}
	return &PrivateKey{key: key}, nil
}

// Bytes returns the private key, 32 secret bytes.
func (k *PrivateKey) Bytes() []byte {
	b, err := k.key.Bytes()
	if err != nil {
		panic("seal: an X-Wing key always has its seed: " + err.Error())
	}
	return b
}

// Public returns the public key, 1216 bytes.
func (k *PrivateKey) Public() []byte { return k.key.PublicKey().Bytes() }

// LogValue hides the key.
func (*PrivateKey) LogValue() slog.Value { return slog.StringValue("[private key]") }

// Format hides the key from every verb of fmt.
func (*PrivateKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[private key]") }

// Seal encrypts the plaintext, padded, to the holder of recipientPub. The info
// names the purpose; aad is authenticated and not sent. It returns ErrPublicKey
// where recipientPub is none.
func Seal(recipientPub, info, aad, plaintext []byte) ([]byte, error) {
	kem, kdf, aead := suite()
	pub, err := kem.NewPublicKey(recipientPub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	enc, sender, err := hpke.NewSender(pub, kdf, aead, info)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	padded := Pad(plaintext, Floor)
	defer clear(padded)
	box, err := sender.Seal(aad, padded)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return append(enc, box...), nil
}

// Open decrypts what [Seal] made with the same info and aad, or returns
// ErrOpen.
func (k *PrivateKey) Open(info, aad, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	_, kdf, aead := suite()
	recipient, err := hpke.NewRecipient(sealed[:encapsulatedSize], k.key, kdf, aead, info)
	if err != nil {
		return nil, ErrOpen
	}
	padded, err := recipient.Open(aad, sealed[encapsulatedSize:])
	if err != nil {
		return nil, ErrOpen
	}
	plaintext, err := Unpad(padded)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}
