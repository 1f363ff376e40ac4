package mls

import (
	"crypto/hpke"
	"fmt"
)

// stdKEM is HPKE by the standard library.
type stdKEM struct {
	kem        hpke.KEM
	kdf        hpke.KDF
	aead       hpke.AEAD
	encSize    int
	scalarSize int // of a curve's private key; 0 where that is a seed
}

func (k *stdKEM) deriveKeyPair(ikm []byte) (private, public []byte, err error) {
	key, err := k.kem.DeriveKeyPair(ikm)
	if err != nil {
		return nil, nil, err
	}
	private, err = key.Bytes()
	return private, key.PublicKey().Bytes(), err
}

// private accepts scalars whose leading zero bytes were dropped.
func (k *stdKEM) private(b []byte) (hpke.PrivateKey, error) {
	if n := len(b); n > 0 && n < k.scalarSize {
		padded := make([]byte, k.scalarSize)
		copy(padded[k.scalarSize-n:], b)
		b = padded
	}
	return k.kem.NewPrivateKey(b)
}

func (k *stdKEM) checkPublic(public []byte) error {
	if n, ok := mlkem768KeySize(k.kem); ok {
		if len(public) != n || !mlkem768Valid(public) {
			return fmt.Errorf("%w: public key", ErrMalformed)
		}
	} else if _, err := k.kem.NewPublicKey(public); err != nil {
		return err
	}
	if endsInX25519(k.kem) && hasLowOrder25519(public[len(public)-32:]) {
		return fmt.Errorf("%w: public key of low order", ErrMalformed)
	}
	return nil
}

func (k *stdKEM) seal(public, info, plaintext []byte) (enc, ciphertext []byte, err error) {
	key, err := k.kem.NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: public key: %w", ErrMalformed, err)
	}
	enc, sender, err := hpke.NewSender(key, k.kdf, k.aead, info)
	if err != nil {
		return nil, nil, err
	}
	ciphertext, err = sender.Seal(nil, plaintext)
	return enc, ciphertext, err
}

func (k *stdKEM) exportTo(public []byte, label string, n int) (enc, secret []byte, err error) {
	key, err := k.kem.NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: public key: %w", ErrMalformed, err)
	}
	enc, sender, err := hpke.NewSender(key, k.kdf, k.aead, nil)
	if err != nil {
		return nil, nil, err
	}
	secret, err = sender.Export(label, n)
	return enc, secret, err
}

func (k *stdKEM) exportFrom(private, enc []byte, label string, n int) ([]byte, error) {
	recipient, err := k.recipient(private, enc, nil)
	if err != nil {
		return nil, err
	}
	return recipient.Export(label, n)
}

func (k *stdKEM) open(private, enc, info, ciphertext []byte) ([]byte, error) {
	recipient, err := k.recipient(private, enc, info)
	if err != nil {
		return nil, err
	}
	plaintext, err := recipient.Open(nil, ciphertext)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (k *stdKEM) recipient(private, enc, info []byte) (*hpke.Recipient, error) {
	key, err := k.private(private)
	if err != nil {
		return nil, err
	}
	if len(enc) != k.encSize {
		return nil, ErrDecrypt
	}
	recipient, err := hpke.NewRecipient(enc, key, k.kdf, k.aead, info)
	if err != nil {
		return nil, ErrDecrypt
	}
	return recipient, nil
}
