package mls

import (
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/sha512"

	circl "github.com/cloudflare/circl/hpke"
	"golang.org/x/crypto/chacha20poly1305"
)

// The suites this package knows. The comments give the names in the registry and
// what a signer's public key has to be: see [GenerateSigner].
const (
	SuiteX25519    Suite = 0x0001 // MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519: ed25519.PublicKey
	SuiteP256      Suite = 0x0002 // MLS_128_DHKEMP256_AES128GCM_SHA256_P256: *ecdsa.PublicKey on P-256
	SuiteX25519Cha Suite = 0x0003 // MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: ed25519.PublicKey
	SuiteX448      Suite = 0x0004 // MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448: circl's ed448.PublicKey
	SuiteP521      Suite = 0x0005 // MLS_256_DHKEMP521_AES256GCM_SHA512_P521: *ecdsa.PublicKey on P-521
	SuiteX448Cha   Suite = 0x0006 // MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448: circl's ed448.PublicKey
	SuiteP384      Suite = 0x0007 // MLS_256_DHKEMP384_AES256GCM_SHA384_P384: *ecdsa.PublicKey on P-384
)

// Suites of draft-ietf-mls-pq-ciphersuites-06, which hold against quantum
// computers: 0xF000 plus the number that the draft gives the suite, private-use
// ids until it has ids of its own. X-Wing is the hybrid of ML-KEM-768 and X25519.
const (
	SuiteXWing128        Suite = 0xF001 // MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519: ed25519.PublicKey
	SuiteXWing           Suite = 0xF002 // MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519: ed25519.PublicKey
	SuiteMLKEM1024P384   Suite = 0xF005 // MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384: *ecdsa.PublicKey on P-384
	SuiteMLKEM768        Suite = 0xF006 // MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519: ed25519.PublicKey
	SuiteXWingChaMLDSA44 Suite = 0xF009 // MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44: circl's *mldsa44.PublicKey
)

var suites = []*suite{
	{
		SuiteX25519, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", sha256.New, 32, 16, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES128GCM(), 32, 32},
		ed25519Scheme{},
	},
	{
		SuiteP256, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", sha256.New, 32, 16, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.P256()), hpke.HKDFSHA256(), hpke.AES128GCM(), 65, 32},
		&ecdsaScheme{elliptic.P256(), crypto.SHA256},
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
		&stdKEM{hpke.DHKEM(ecdh.P521()), hpke.HKDFSHA512(), hpke.AES256GCM(), 133, 66},
		&ecdsaScheme{elliptic.P521(), crypto.SHA512},
	},
	{
		SuiteX448Cha, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", sha512.New, 64, 32, chacha20poly1305.New,
		newX448(circl.AEAD_ChaCha20Poly1305),
		ed448Scheme{},
	},
	{
		SuiteP384, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.DHKEM(ecdh.P384()), hpke.HKDFSHA384(), hpke.AES256GCM(), 97, 48},
		&ecdsaScheme{elliptic.P384(), crypto.SHA384},
	},
	{
		SuiteXWing128, "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519", sha256.New, 32, 16, aesGCM,
		&stdKEM{hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.AES128GCM(), 1120, 0},
		ed25519Scheme{},
	},
	{
		SuiteXWing, "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.MLKEM768X25519(), hpke.HKDFSHA384(), hpke.AES256GCM(), 1120, 0},
		ed25519Scheme{},
	},
	{
		SuiteMLKEM1024P384, "MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.MLKEM1024P384(), hpke.HKDFSHA384(), hpke.AES256GCM(), 1665, 0},
		&ecdsaScheme{elliptic.P384(), crypto.SHA384},
	},
	{
		SuiteMLKEM768, "MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519", sha512.New384, 48, 32, aesGCM,
		&stdKEM{hpke.MLKEM768(), hpke.HKDFSHA384(), hpke.AES256GCM(), 1088, 0},
		ed25519Scheme{},
	},
	{
		SuiteXWingChaMLDSA44, "MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44", sha512.New384, 48, 32, chacha20poly1305.New,
		&stdKEM{hpke.MLKEM768X25519(), hpke.HKDFSHA384(), hpke.ChaCha20Poly1305(), 1120, 0},
		mldsa44Scheme{},
	},
}
