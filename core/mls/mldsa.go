package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// mldsa44Key signs in the hedged variant of FIPS 204, which its Sign of circl's does not.
type mldsa44Key struct{ *mldsa44.PrivateKey }

// Sign signs the message itself with the empty context; the randomness is
// crypto/rand's.
func (k mldsa44Key) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, fmt.Errorf("%w: ML-DSA signs messages, not hashes", ErrSigner)
	}
	signature := make([]byte, mldsa44.SignatureSize)
	return signature, mldsa44.SignTo(k.PrivateKey, message, nil, true, signature)
}

// mldsa44Scheme is ML-DSA-44 of FIPS 204 with the empty context; private keys
// are seeds of 32 bytes.
type mldsa44Scheme struct{}

func (mldsa44Scheme) generate() (crypto.Signer, error) {
	_, key, err := mldsa44.GenerateKey(rand.Reader)
	return mldsa44Key{key}, err
}

func (mldsa44Scheme) marshalPrivate(signer crypto.Signer) ([]byte, error) {
	var seed []byte
	switch key := signer.(type) {
	case mldsa44Key:
		seed = key.Seed()
	case *mldsa44.PrivateKey:
		seed = key.Seed()
	}
	if len(seed) != mldsa44.SeedSize {
		return nil, fmt.Errorf("%w: want an ML-DSA-44 key with its seed", ErrSigner)
	}
	return bytes.Clone(seed), nil
}

func (mldsa44Scheme) parsePrivate(private []byte) (crypto.Signer, error) {
	if len(private) != mldsa44.SeedSize {
		return nil, fmt.Errorf("%w: ML-DSA-44 seed of %d bytes", ErrSigner, len(private))
	}
	_, key := mldsa44.NewKeyFromSeed((*[mldsa44.SeedSize]byte)(private))
	return mldsa44Key{key}, nil
}

func (mldsa44Scheme) publicOf(signer crypto.Signer) ([]byte, error) {
	public, ok := signer.Public().(*mldsa44.PublicKey)
	if !ok || public == nil {
		return nil, fmt.Errorf("%w: want ML-DSA-44", ErrSigner)
	}
	return public.Bytes(), nil
}

func (mldsa44Scheme) sign(signer crypto.Signer, message []byte) ([]byte, error) {
	return signer.Sign(rand.Reader, message, crypto.Hash(0))
}

func (mldsa44Scheme) verify(public, message, signature []byte) bool {
	var key mldsa44.PublicKey
	return len(signature) == mldsa44.SignatureSize && key.UnmarshalBinary(public) == nil &&
		mldsa44.Verify(&key, message, nil, signature)
}
