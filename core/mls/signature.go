package mls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha256" // registers crypto.SHA256
	_ "crypto/sha512" // registers crypto.SHA384 and crypto.SHA512
	"fmt"
)

type ed25519Scheme struct{}

func (ed25519Scheme) publicOf(signer crypto.Signer) ([]byte, error) {
	if key, ok := signer.(ed25519.PrivateKey); ok && len(key) != ed25519.PrivateKeySize {
		return nil, ErrSigner
	}
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: want Ed25519", ErrSigner)
	}
	return public, nil
}

func (ed25519Scheme) sign(signer crypto.Signer, message []byte) ([]byte, error) {
	return signer.Sign(rand.Reader, message, crypto.Hash(0))
}

func (ed25519Scheme) verify(public, message, signature []byte) bool {
	return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
}

// ecdsaScheme has uncompressed points as keys and DER signatures (RFC 9420 §5.1.2).
type ecdsaScheme struct {
	curve elliptic.Curve
	hash  crypto.Hash
}

func (e *ecdsaScheme) publicOf(signer crypto.Signer) ([]byte, error) {
	public, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != e.curve {
		return nil, fmt.Errorf("%w: want ECDSA on %s", ErrSigner, e.curve.Params().Name)
	}
	return public.Bytes()
}

func (e *ecdsaScheme) digest(message []byte) []byte {
	h := e.hash.New()
	h.Write(message)
	return h.Sum(nil)
}

func (e *ecdsaScheme) sign(signer crypto.Signer, message []byte) ([]byte, error) {
	return signer.Sign(rand.Reader, e.digest(message), e.hash)
}

func (e *ecdsaScheme) verify(public, message, signature []byte) bool {
	key, err := ecdsa.ParseUncompressedPublicKey(e.curve, public)
	return err == nil && ecdsa.VerifyASN1(key, e.digest(message), signature)
}
