package mls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"fmt"
	"hash"
)

// Suite is a cipher suite id (RFC 9420 §17.1).
type Suite uint16

// suite is one row of the table: a cipher suite as its building blocks.
type suite struct {
	id      Suite
	name    string
	hash    func() hash.Hash
	nh      int // length of the hash and of every secret
	nk      int // length of the AEAD's key
	newAEAD func(key []byte) (cipher.AEAD, error)
	kem     kem
	sig     signatureScheme
}

// nn is the nonce length of every AEAD in the table.
const nn = 12

// kem seals to a public key, and agrees on secrets with its owner, by HPKE's base
// mode (RFC 9180). Keys are in their serialised form.
type kem interface {
	deriveKeyPair(ikm []byte) (private, public []byte, err error)
	checkPublic(public []byte) error
	seal(public, info, plaintext []byte) (enc, ciphertext []byte, err error)
	open(private, enc, info, ciphertext []byte) ([]byte, error)
	// exportTo and exportFrom agree on a secret of n bytes, with no info and
	// label as the exporter context (RFC 9180 §5.3).
	exportTo(public []byte, label string, n int) (enc, secret []byte, err error)
	exportFrom(private, enc []byte, label string, n int) ([]byte, error)
}

// signatureScheme verifies with a serialised public key and signs with a
// crypto.Signer. A private key is serialised as its seed or, for ECDSA, as the
// scalar.
type signatureScheme interface {
	generate() (crypto.Signer, error)
	marshalPrivate(signer crypto.Signer) ([]byte, error)
	parsePrivate(private []byte) (crypto.Signer, error)
	publicOf(signer crypto.Signer) ([]byte, error)
	sign(signer crypto.Signer, message []byte) ([]byte, error)
	verify(public, message, signature []byte) bool
}

func suiteOf(id Suite) (*suite, error) {
	for _, s := range suites {
		if s.id == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: cipher suite %#04x", ErrUnsupported, uint16(id))
}

func supportedSuites() []uint16 {
	ids := make([]uint16, len(suites))
	for i, s := range suites {
		ids[i] = uint16(s.id)
	}
	return ids
}

// String gives the suite's name in the registry.
func (id Suite) String() string {
	if s, err := suiteOf(id); err == nil {
		return s.name
	}
	return fmt.Sprintf("suite %#04x", uint16(id))
}

func aesGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *suite) digest(parts ...[]byte) []byte {
	h := s.hash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (s *suite) mac(key, data []byte) []byte {
	h := hmac.New(s.hash, key)
	h.Write(data)
	return h.Sum(nil)
}

func (s *suite) verifyMAC(key, data, tag []byte) bool { return hmac.Equal(s.mac(key, data), tag) }

// extract is HKDF-Extract. It fails only in FIPS mode with short inputs, which
// MLS does not have.
func (s *suite) extract(salt, ikm []byte) []byte {
	prk, err := hkdf.Extract(s.hash, ikm, salt)
	if err != nil {
		panic(err)
	}
	return prk
}

func (s *suite) seal(key, nonce, aad, plaintext []byte) ([]byte, error) {
	aead, err := s.newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nonce, plaintext, aad), nil
}

func (s *suite) open(key, nonce, aad, ciphertext []byte) ([]byte, error) {
	aead, err := s.newAEAD(key)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nonce, ciphertext, aad)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (s *suite) validPublicKey(key []byte) bool { return s.kem.checkPublic(key) == nil }
