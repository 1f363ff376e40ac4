package identity

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	recoverySecretSize = 16 // 128 bits: more than anybody can guess, so it needs no stretching
	recoveryCharacters = 28 // 128 bits and 12 of a checksum, 5 in each
	recoveryGroup      = 4

	recoverySealLabel  = "qpc recovery seal v1"
	recoveryProofLabel = "qpc recovery proof v1"
	recoverySumLabel   = "qpc recovery code v1"

	// SealedRecoverySize is the length in bytes of what [RecoveryCode.Seal]
	// returns: nonce, encrypted seed, tag.
	SealedRecoverySize = chacha20poly1305.NonceSizeX + ed25519.SeedSize + chacha20poly1305.Overhead
)

// recoveryAlphabet is Crockford's: without I, L, O and U, so that a code can be
// read aloud and copied by hand.
const recoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var (
	// ErrRecoveryCode says that a text is no recovery code: it has another
	// length, other characters, or was copied with a mistake.
	ErrRecoveryCode = errors.New("identity: not a recovery code")
	// ErrSealedRecovery says that a recovery bundle does not open with the code.
	// The server that handed it out is broken or lies.
	ErrSealedRecovery = errors.New("identity: the recovery bundle does not open")
)

// RecoveryCode opens an account without its password. It is 128 random bits,
// from which a sealing key and a signature key are derived that say nothing
// about each other. It shows itself neither in logs nor in fmt.
type RecoveryCode struct{ secret [recoverySecretSize]byte }

// NewRecoveryCode makes a random code.
func NewRecoveryCode() *RecoveryCode {
	c := new(RecoveryCode)
	rand.Read(c.secret[:]) // never fails
	return c
}

// ParseRecoveryCode reads a code as a person types it: in any case, with or
// without dashes and spaces, with O for 0 and I or L for 1. It returns
// ErrRecoveryCode. One mistake goes unnoticed in one of 4096 cases.
func ParseRecoveryCode(text string) (*RecoveryCode, error) {
	var bits [recoveryCharacters]byte
	n := 0
	for _, r := range strings.ToUpper(text) {
		switch r {
		case '-', ' ', '\t', '\n', '\r', '\u2013', '\u00a0':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		value := strings.IndexRune(recoveryAlphabet, r)
		if value < 0 || n == recoveryCharacters {
			return nil, ErrRecoveryCode
		}
		bits[n] = byte(value)
		n++
	}
	if n != recoveryCharacters {
		return nil, ErrRecoveryCode
	}
	packed := pack(bits)
	c := &RecoveryCode{secret: [recoverySecretSize]byte(packed[:])}
	if c.unpacked() != bits {
		return nil, ErrRecoveryCode
	}
	return c, nil
}

// Text writes the code in groups, as ParseRecoveryCode reads it.
func (c *RecoveryCode) Text() string {
	var b strings.Builder
	for i, v := range c.unpacked() {
		if i > 0 && i%recoveryGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(recoveryAlphabet[v])
	}
	return b.String()
}

// pack puts 28 times 5 bits into 17.5 bytes.
func pack(bits [recoveryCharacters]byte) (packed [18]byte) {
	for i, v := range bits {
		for k := range 5 {
			if v>>(4-k)&1 == 1 {
				at := 5*i + k
				packed[at/8] |= 1 << (7 - at%8)
			}
		}
	}
	return packed
}

// unpacked is the secret and the first 12 bits of its checksum, 5 in each.
func (c *RecoveryCode) unpacked() (bits [recoveryCharacters]byte) {
	sum := sha256.Sum256(labelled(recoverySumLabel, c.secret[:]))
	all := append(slices.Clone(c.secret[:]), sum[0], sum[1])
	for at := range 5 * recoveryCharacters {
		if all[at/8]>>(7-at%8)&1 == 1 {
			bits[at/5] |= 1 << (4 - at%5)
		}
	}
	clear(all)
	return bits
}

// Destroy wipes the code, which cannot be used any more.
func (c *RecoveryCode) Destroy() { clear(c.secret[:]) }

func (c *RecoveryCode) derive(label string) []byte {
	key, err := hkdf.Key(sha512.New, c.secret[:], nil, label, 32)
	if err != nil {
		panic("identity: 32 bytes are not too many for HKDF: " + err.Error())
	}
	return key
}

func (c *RecoveryCode) signer() ed25519.PrivateKey {
	seed := c.derive(recoveryProofLabel)
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed)
}

// Verifier is the public key by which a server tells who has the code.
func (c *RecoveryCode) Verifier() ed25519.PublicKey {
	private := c.signer()
	defer clear(private)
	return slices.Clone(private.Public().(ed25519.PublicKey))
}

// Prove shows a server, on the connection with this TLS exporter (32 bytes),
// that one has the code of the account with the name, in lower case.
func (c *RecoveryCode) Prove(name string, exporter []byte) []byte {
	private := c.signer()
	defer clear(private)
	return ed25519.Sign(private, labelled(recoveryProofLabel, exporter, []byte(name)))
}

// VerifyRecoveryProof tells whether proof is what [RecoveryCode.Prove] makes
// with the verifier's code.
func VerifyRecoveryProof(verifier ed25519.PublicKey, name string, exporter, proof []byte) bool {
	if len(verifier) != ed25519.PublicKeySize || len(exporter) != 32 {
		return false
	}
	return ed25519.Verify(verifier, labelled(recoveryProofLabel, exporter, []byte(name)), proof)
}

func (c *RecoveryCode) aead() cipher.AEAD {
	key := c.derive(recoverySealLabel)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("identity: the key has 32 bytes: " + err.Error())
	}
	return aead
}

// Seal encrypts the account key for the server to keep: XChaCha20-Poly1305
// with the account's id and public key as associated data.
func (c *RecoveryCode) Seal(a AccountID, k *AccountKey) []byte {
	sealed := make([]byte, chacha20poly1305.NonceSizeX, SealedRecoverySize)
	rand.Read(sealed) // never fails
	return c.aead().Seal(sealed, sealed, k.private[:ed25519.SeedSize], slices.Concat(a[:], k.Public()))
}

// Open opens what [RecoveryCode.Seal] made for the account. It returns
// ErrSealedRecovery where that fails for whatever reason.
func (c *RecoveryCode) Open(sealed []byte, a AccountID, pub ed25519.PublicKey) (*AccountKey, error) {
	if len(sealed) != SealedRecoverySize || len(pub) != ed25519.PublicKeySize {
		return nil, ErrSealedRecovery
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	seed, err := c.aead().Open(nil, nonce, box, slices.Concat(a[:], pub))
	if err != nil {
		return nil, ErrSealedRecovery
	}
	defer clear(seed)
	k := &AccountKey{private: ed25519.NewKeyFromSeed(seed)}
	if !k.Public().Equal(pub) {
		k.Destroy()
		return nil, fmt.Errorf("%w: another account's key", ErrSealedRecovery)
	}
	return k, nil
}

// LogValue hides the code.
func (*RecoveryCode) LogValue() slog.Value { return slog.StringValue("[recovery code]") }

// Format hides the code from every verb of fmt.
func (*RecoveryCode) Format(f fmt.State, _ rune) { io.WriteString(f, "[recovery code]") }
