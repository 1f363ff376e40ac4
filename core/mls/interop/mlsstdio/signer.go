package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/cloudflare/circl/sign/ed448"

	"quicprochat/core/mls"
)

// signatureKey is a client's signature key, which can be told and taken in again.
type signatureKey struct {
	crypto.Signer
	public, private []byte
}

// newSignatureKey makes a key for a suite, or takes the private one given: the seed
// of Ed25519 and Ed448, the scalar of ECDSA in the length of the curve's order.
func newSignatureKey(suite mls.Suite, private []byte) (*signatureKey, error) {
	name := suite.String()
	switch name[strings.LastIndexByte(name, '_')+1:] {
	case "Ed25519":
		return ed25519Key(private)
	case "Ed448":
		return ed448Key(private)
	case "P256":
		return ecdsaKey(elliptic.P256(), private)
	case "P384":
		return ecdsaKey(elliptic.P384(), private)
	case "P521":
		return ecdsaKey(elliptic.P521(), private)
	default:
		return nil, fmt.Errorf("%w: cipher suite %#04x", mls.ErrUnsupported, uint16(suite))
	}
}

// seedOr gives the seed itself, a fresh one of n bytes where there is none, and an
// error where it has another length.
func seedOr(seed []byte, n int) ([]byte, error) {
	if seed == nil {
		seed = make([]byte, n)
		rand.Read(seed)
	}
	if len(seed) != n {
		return nil, badRequest("signature_private_key has %d bytes instead of %d", len(seed), n)
	}
	return seed, nil
}

func ed25519Key(private []byte) (*signatureKey, error) {
	seed, err := seedOr(private, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	return &signatureKey{key, key.Public().(ed25519.PublicKey), seed}, nil
}

func ed448Key(private []byte) (*signatureKey, error) {
	seed, err := seedOr(private, ed448.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed448.NewKeyFromSeed(seed)
	return &signatureKey{key, key.Public().(ed448.PublicKey), seed}, nil
}

func ecdsaKey(curve elliptic.Curve, private []byte) (*signatureKey, error) {
	var key *ecdsa.PrivateKey
	var err error
	if private == nil {
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	} else {
		key, err = ecdsa.ParseRawPrivateKey(curve, private)
	}
	if err != nil {
		return nil, badRequest("signature_private_key: %v", err)
	}
	if private, err = key.Bytes(); err != nil {
		return nil, err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	return &signatureKey{key, public, private}, nil
}
