package opaque

import (
	"fmt"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
)

// Lengths in bytes, named as in RFC 9807 §2 and RFC 9497 §2.1.
const (
	elementSize = 32 // Noe, Npk
	scalarSize  = 32 // Nsk, Nok
	seedSize    = 32 // Nseed
	nonceSize   = 32 // Nn
	hashSize    = 64 // Nh, Nm, Nx
)

// decodeElement decodes a ristretto255 element (RFC 9496 §4.3.1). It refuses
// encodings that are not canonical, and the identity, with ErrMalformed.
func decodeElement(what string, b []byte) (group.Element, error) {
	if err := checkLength(what, b, elementSize); err != nil {
		return nil, err
	}
	e := group.Ristretto255.NewElement()
	if err := e.UnmarshalBinary(b); err != nil || e.IsIdentity() {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	return e, nil
}

func encodeElement(e group.Element) []byte {
	b, err := e.MarshalBinaryCompress()
	if err != nil {
		panic("opaque: every ristretto255 element encodes: " + err.Error())
	}
	return b
}

// keyPair is a Diffie-Hellman key pair.
type keyPair struct {
	private group.Scalar
	public  []byte
}

// deriveKeyPair is DeriveDiffieHellmanKeyPair of RFC 9807 §2.
func deriveKeyPair(seed []byte) (keyPair, error) {
	key, err := oprf.DeriveKey(oprf.SuiteRistretto255, oprf.BaseMode, seed, []byte("OPAQUE-DeriveDiffieHellmanKeyPair"))
	if err != nil {
		return keyPair{}, fmt.Errorf("opaque: key pair: %w", err)
	}
	encoded, err := key.MarshalBinary()
	if err != nil {
		return keyPair{}, fmt.Errorf("opaque: key pair: %w", err)
	}
	defer clear(encoded)
	return newKeyPair(encoded)
}

// newKeyPair decodes a private key, which must be a canonical scalar and not
// zero.
func newKeyPair(private []byte) (keyPair, error) {
	k := group.Ristretto255.NewScalar()
	if err := k.UnmarshalBinary(private); err != nil || k.IsZero() {
		return keyPair{}, ErrServerKeys
	}
	return keyPair{private: k, public: encodeElement(group.Ristretto255.NewElement().MulGen(k))}, nil
}

func (k keyPair) wipe() { wipeScalar(k.private) }

func (k keyPair) diffieHellman(public group.Element) []byte {
	return encodeElement(group.Ristretto255.NewElement().Mul(public, k.private))
}

func wipeScalar(s group.Scalar) {
	if s != nil {
		s.SetUint64(0)
	}
}
