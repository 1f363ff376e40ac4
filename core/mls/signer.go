package mls

import "crypto"

// GenerateSigner makes a signature key for a suite: an ed25519.PrivateKey, an
// *ecdsa.PrivateKey, circl's ed448.PrivateKey or, for ML-DSA-44, a key of this
// package whose public key is circl's *mldsa44.PublicKey.
//
// Another crypto.Signer, such as one in hardware, will do as well, if its
// Public method gives the suite's type of key: it is called with crypto.Hash(0) and
// the message for Ed25519, Ed448 and ML-DSA-44 (whose context is the empty one),
// and with the suite's hash and a digest for ECDSA, which is to be signed in DER.
func GenerateSigner(id Suite) (crypto.Signer, error) {
	s, err := suiteOf(id)
	if err != nil {
		return nil, err
	}
	return s.sig.generate()
}

// MarshalSigner serialises a private signature key: the seed of 32 bytes
// (Ed25519, ML-DSA-44) or 57 (Ed448), or the big-endian scalar of 32, 48 or 66
// bytes (ECDSA on P-256, P-384, P-521). ErrSigner for a key of another kind, or one
// that cannot be had in this form.
func MarshalSigner(id Suite, signer crypto.Signer) ([]byte, error) {
	s, err := suiteOf(id)
	if err != nil {
		return nil, err
	}
	return s.sig.marshalPrivate(signer)
}

// ParseSigner is the inverse of MarshalSigner. Of an ECDSA scalar leading zeros
// may be missing. ErrSigner for what is not a private key of the suite.
func ParseSigner(id Suite, private []byte) (crypto.Signer, error) {
	s, err := suiteOf(id)
	if err != nil {
		return nil, err
	}
	return s.sig.parsePrivate(private)
}
