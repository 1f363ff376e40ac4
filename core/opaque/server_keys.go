package opaque

import (
	"crypto/rand"
	"slices"
)

// ServerKeysSize is the length of encoded [ServerKeys] in bytes.
const ServerKeysSize = scalarSize + hashSize

// ServerKeys are a server's long-term secrets. All records depend on them:
// without them nobody can log in, and with them and the records, passwords can
// be guessed at.
type ServerKeys struct {
	redacted
	// PrivateKey is a ristretto255 scalar, not zero.
	PrivateKey [scalarSize]byte
	// OPRFSeed is random; each user's OPRF key derives from it.
	OPRFSeed [hashSize]byte
}

// GenerateServerKeys makes new random keys.
func GenerateServerKeys() (ServerKeys, error) {
	k := randomBlind() // a random scalar, not zero
	defer wipeScalar(k)
	encoded, err := k.MarshalBinary()
	if err != nil {
		return ServerKeys{}, err
	}
	defer clear(encoded)
	var keys ServerKeys
	copy(keys.PrivateKey[:], encoded)
	rand.Read(keys.OPRFSeed[:]) // never fails
	return keys, nil
}

// MarshalBinary returns the private key and the seed, [ServerKeysSize] bytes in
// the clear: the caller encrypts or guards them.
func (k ServerKeys) MarshalBinary() ([]byte, error) {
	return slices.Concat(k.PrivateKey[:], k.OPRFSeed[:]), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It returns a *LengthError or
// ErrServerKeys and then leaves k as it was.
func (k *ServerKeys) UnmarshalBinary(b []byte) error {
	if err := checkLength("server keys", b, ServerKeysSize); err != nil {
		return err
	}
	pair, err := newKeyPair(b[:scalarSize])
	if err != nil {
		return err
	}
	pair.wipe()
	copy(k.PrivateKey[:], b)
	copy(k.OPRFSeed[:], b[scalarSize:])
	return nil
}
