package client

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// rejoinKeyLabel derives the key under which an external commit is sealed.
	rejoinKeyLabel = "qpc rejoin seal"
	rejoinKeySize  = chacha20poly1305.KeySize
)

// rejoinMark is how a sealed external commit begins. An MLSMessage begins with the
// version, 1.
var rejoinMark = []byte{0xff, 0x01}

var errRejoinSeal = errors.New("client: an external commit is not sealed with the key of its epoch")

// MLS cannot encrypt an external commit: its sender has no keys of the epoch. In
// the clear it would tell the server who comes back, and how many are in the
// group. Its sender has been given a key of the epoch for this alone.

func rejoinCipher(key []byte) (cipher.AEAD, error) { return chacha20poly1305.NewX(key) }

// rejoinContext binds the seal to the channel and epoch.
func rejoinContext(id ConversationID, epoch uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Concat([]byte("qpc external commit v1\x00"), id[:]), epoch)
}

// sealRejoin seals an external commit, an MLSMessage, for the members of an epoch.
func sealRejoin(key []byte, id ConversationID, epoch uint64, commit []byte) ([]byte, error) {
	aead, err := rejoinCipher(key)
	if err != nil {
		return nil, fmt.Errorf("client: rejoin key: %w", err)
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails
	return aead.Seal(slices.Concat(rejoinMark, nonce), nonce, commit, rejoinContext(id, epoch)), nil
}

// sealedRejoin tells a sealed external commit from an MLSMessage.
func sealedRejoin(message []byte) bool {
	return len(message) >= len(rejoinMark) && slices.Equal(message[:len(rejoinMark)], rejoinMark)
}

// openRejoin returns the MLSMessage in a sealed external commit. errRejoinSeal.
func openRejoin(key []byte, id ConversationID, epoch uint64, sealed []byte) ([]byte, error) {
	aead, err := rejoinCipher(key)
	if err != nil {
		return nil, fmt.Errorf("client: rejoin key: %w", err)
	}
	if !sealedRejoin(sealed) || len(sealed) < len(rejoinMark)+aead.NonceSize() {
		return nil, errRejoinSeal
	}
	rest := sealed[len(rejoinMark):]
	commit, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], rejoinContext(id, epoch))
	if err != nil {
		return nil, errRejoinSeal
	}
	return commit, nil
}
