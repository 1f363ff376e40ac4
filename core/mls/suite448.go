package mls

import (
	"crypto"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"fmt"

	"github.com/cloudflare/circl/hpke"
	circlkem "github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/sign/ed448"
)

// x448KEM is HPKE over X448 by circl: the standard library does not have curve 448.
type x448KEM struct {
	suite  hpke.Suite
	scheme circlkem.Scheme
}

func newX448(aead hpke.AEAD) *x448KEM {
	id := hpke.KEM_X448_HKDF_SHA512
	return &x448KEM{hpke.NewSuite(id, hpke.KDF_HKDF_SHA512, aead), id.Scheme()}
}

// deriveKeyPair is DeriveKeyPair of RFC 9180 §7.1.3; circl's takes seeds of 56 bytes alone.
func (k *x448KEM) deriveKeyPair(ikm []byte) (private, public []byte, err error) {
	const suiteID = "KEM\x00\x21"
	prk, err := hkdf.Extract(sha512.New, append([]byte("HPKE-v1"+suiteID+"dkp_prk"), ikm...), nil)
	if err != nil {
		return nil, nil, err
	}
	n := k.scheme.PrivateKeySize()
	private, err = hkdf.Expand(sha512.New, prk, string([]byte{byte(n >> 8), byte(n)})+"HPKE-v1"+suiteID+"sk", n)
	if err != nil {
		return nil, nil, err
	}
	public, err = k.publicOf(private)
	return private, public, err
}

func (k *x448KEM) publicOf(private []byte) ([]byte, error) {
	sk, err := k.scheme.UnmarshalBinaryPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return sk.Public().MarshalBinary()
}

func (k *x448KEM) checkPublic(public []byte) error {
	if _, err := k.scheme.UnmarshalBinaryPublicKey(public); err != nil {
		return err
	}
	if lowOrder448[string(public)] {
		return fmt.Errorf("%w: public key of low order", ErrMalformed)
	}
	return nil
}

func (k *x448KEM) seal(public, info, plaintext []byte) (enc, ciphertext []byte, err error) {
	enc, sealer, err := k.sender(public, info)
	if err != nil {
		return nil, nil, err
	}
	ciphertext, err = sealer.Seal(plaintext, nil)
	return enc, ciphertext, err
}

func (k *x448KEM) exportTo(public []byte, label string, n int) (enc, secret []byte, err error) {
	enc, sealer, err := k.sender(public, nil)
	if err != nil {
		return nil, nil, err
	}
	return enc, sealer.Export([]byte(label), uint(n)), nil
}

func (k *x448KEM) sender(public, info []byte) (enc []byte, sealer hpke.Sealer, err error) {
	pk, err := k.scheme.UnmarshalBinaryPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: public key: %w", ErrMalformed, err)
	}
	sender, err := k.suite.NewSender(pk, info)
	if err != nil {
		return nil, nil, err
	}
	return sender.Setup(rand.Reader)
}

func (k *x448KEM) open(private, enc, info, ciphertext []byte) ([]byte, error) {
	opener, err := k.recipient(private, enc, info)
	if err != nil {
		return nil, err
	}
	plaintext, err := opener.Open(ciphertext, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (k *x448KEM) exportFrom(private, enc []byte, label string, n int) ([]byte, error) {
	opener, err := k.recipient(private, enc, nil)
	if err != nil {
		return nil, err
	}
	return opener.Export([]byte(label), uint(n)), nil
}

func (k *x448KEM) recipient(private, enc, info []byte) (hpke.Opener, error) {
	sk, err := k.scheme.UnmarshalBinaryPrivateKey(private)
	if err != nil {
		return nil, err
	}
	if len(enc) != k.scheme.CiphertextSize() {
		return nil, ErrDecrypt
	}
	receiver, err := k.suite.NewReceiver(sk, info)
	if err != nil {
		return nil, err
	}
	opener, err := receiver.Setup(enc)
	if err != nil {
		return nil, ErrDecrypt
	}
	return opener, nil
}

type ed448Scheme struct{}

func (ed448Scheme) generate() (crypto.Signer, error) {
	_, key, err := ed448.GenerateKey(rand.Reader)
	return key, err
}

func (ed448Scheme) marshalPrivate(signer crypto.Signer) ([]byte, error) {
	key, ok := signer.(ed448.PrivateKey)
	if !ok || len(key) != ed448.PrivateKeySize {
		return nil, fmt.Errorf("%w: want an Ed448 private key", ErrSigner)
	}
	return key.Seed(), nil
}

func (ed448Scheme) parsePrivate(private []byte) (crypto.Signer, error) {
	if len(private) != ed448.SeedSize {
		return nil, fmt.Errorf("%w: Ed448 seed of %d bytes", ErrSigner, len(private))
	}
	return ed448.NewKeyFromSeed(private), nil
}

func (ed448Scheme) publicOf(signer crypto.Signer) ([]byte, error) {
	public, ok := signer.Public().(ed448.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: want Ed448", ErrSigner)
	}
	return public, nil
}

func (ed448Scheme) sign(signer crypto.Signer, message []byte) ([]byte, error) {
	return signer.Sign(rand.Reader, message, crypto.Hash(0))
}

func (ed448Scheme) verify(public, message, signature []byte) bool {
	return len(public) == ed448.PublicKeySize && ed448.Verify(public, message, signature, "")
}
