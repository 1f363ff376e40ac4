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

func (ed25519Scheme) generate() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func (ed25519Scheme) marshalPrivate(signer crypto.Signer) ([]byte, error) {
	key, ok := signer.(ed25519.PrivateKey)
	if !ok || len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: want an Ed25519 private key", ErrSigner)
	}
	return key.Seed(), nil
}

func (ed25519Scheme) parsePrivate(private []byte) (crypto.Signer, error) {
	if len(private) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: Ed25519 seed of %d bytes", ErrSigner, len(private))
	}
	return ed25519.NewKeyFromSeed(private), nil
}

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

func (e *ecdsaScheme) generate() (crypto.Signer, error) {
	return ecdsa.GenerateKey(e.curve, rand.Reader)
}

func (e *ecdsaScheme) marshalPrivate(signer crypto.Signer) ([]byte, error) {
	key, ok := signer.(*ecdsa.PrivateKey)
	if !ok || key.Curve != e.curve {
		return nil, fmt.Errorf("%w: want an ECDSA private key on %s", ErrSigner, e.curve.Params().Name)
	}
	return key.Bytes()
}

// parsePrivate accepts scalars whose leading zero bytes were dropped.
func (e *ecdsaScheme) parsePrivate(private []byte) (crypto.Signer, error) {
	scalar := make([]byte, (e.curve.Params().BitSize+7)/8)
	if len(private) == 0 || len(private) > len(scalar) {
		return nil, fmt.Errorf("%w: ECDSA scalar of %d bytes", ErrSigner, len(private))
	}
	defer clear(scalar)
	copy(scalar[len(scalar)-len(private):], private)
	key, err := ecdsa.ParseRawPrivateKey(e.curve, scalar)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	return key, nil
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
