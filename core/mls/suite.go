package mls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	circl "github.com/cloudflare/circl/hpke"
	"golang.org/x/crypto/chacha20poly1305"
)

// Suite is a cipher suite id (RFC 9420 §17.1).
type Suite uint16

// The suites this package knows.
const (
	SuiteX25519    Suite = 0x0001 // MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
	SuiteP256      Suite = 0x0002 // MLS_128_DHKEMP256_AES128GCM_SHA256_P256
	SuiteX25519Cha Suite = 0x0003 // MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
	SuiteX448      Suite = 0x0004 // MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448
	SuiteP521      Suite = 0x0005 // MLS_256_DHKEMP521_AES256GCM_SHA512_P521
	SuiteX448Cha   Suite = 0x0006 // MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448
	SuiteP384      Suite = 0x0007 // MLS_256_DHKEMP384_AES256GCM_SHA384_P384
	// SuiteXWing is MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519 of
	// draft-ietf-mls-pq-ciphersuites, under a private-use id until it has its own.
	SuiteXWing Suite = 0xF002
)

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
// crypto.Signer.
type signatureScheme interface {
	publicOf(signer crypto.Signer) ([]byte, error)
	sign(signer crypto.Signer, message []byte) ([]byte, error)
	verify(public, message, signature []byte) bool
}

var suites = []*suite{
	{
		SuiteX25519, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", sha256.New, 32, 16, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES128GCM(), 32, 32},
		ed25519Scheme{},
	},
	{
		SuiteP256, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", sha256.New, 32, 16, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.P256()), hpke.HKDFSHA256(), hpke.AES128GCM(), 65, 32}, &ecdsaScheme{elliptic.P256(), crypto.SHA256},
	},
	{
		SuiteX25519Cha, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", sha256.New, 32, 32, chacha20poly1305.New,
		&stdKEM{hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), 32, 32},
		ed25519Scheme{},
	},
	{
		SuiteX448, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448", sha512.New, 64, 32, aesGCM,
		newX448(circl.AEAD_AES256GCM),
		ed448Scheme{},
	},
	{
		SuiteP521, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", sha512.New, 64, 32, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.P521()), hpke.HKDFSHA512(), hpke.AES256GCM(), 133, 66}, &ecdsaScheme{elliptic.P521(), crypto.SHA512},
	},
	{
		SuiteX448Cha, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", sha512.New, 64, 32, chacha20poly1305.New,
		newX448(circl.AEAD_ChaCha20Poly1305),
		ed448Scheme{},
	},
	{
		SuiteP384, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.P384()), hpke.HKDFSHA384(), hpke.AES256GCM(), 97, 48}, &ecdsaScheme{elliptic.P384(), crypto.SHA384},
	},
	{
		SuiteXWing, "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.MLKEM768X25519(), hpke.HKDFSHA384(), hpke.AES256GCM(), 1120, 32},
		ed25519Scheme{},
	},
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
