package push

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Sizes in RFC 8188 and RFC 8291, in bytes.
const (
	publicKeySize = 65
	authSize      = 16
	saltSize      = 16
	recordSize    = 4096 // the largest that every push service takes
	// paddedSize is how long what is encrypted is: nothing, its end, and zeros.
	paddedSize = 256
)

// encrypt seals a message for the holder of a key and a secret, in one record
// of the content coding aes128gcm (RFC 8291 §3.4). sender is used for this
// message alone.
func encrypt(message []byte, padTo int, to *ecdh.PublicKey, auth []byte, sender *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	shared, err := sender.ECDH(to)
	if err != nil {
		return nil, fmt.Errorf("key agreement: %w", err)
	}
	from := sender.PublicKey().Bytes()
	key, nonce, err := contentKeys(shared, auth, to.Bytes(), from, salt)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("content key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("content key: %w", err)
	}
	plaintext := make([]byte, max(padTo, len(message)+1))
	copy(plaintext, message)
	plaintext[len(message)] = 2 // the delimiter of the last record
	out := append([]byte(nil), salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(out, byte(len(from)))
	out = append(out, from...)
	return aead.Seal(out, nonce, plaintext, nil), nil
}

// contentKeys derives the content encryption key and the nonce.
func contentKeys(shared, auth, to, from, salt []byte) (key, nonce []byte, err error) {
	info := "WebPush: info\x00" + string(to) + string(from)
	input, err := hkdf.Key(sha256.New, shared, auth, info, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving keys: %w", err)
	}
	key, err = hkdf.Key(sha256.New, input, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving keys: %w", err)
	}
	nonce, err = hkdf.Key(sha256.New, input, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving keys: %w", err)
	}
	return key, nonce, nil
}

// emptyMessage is the one message that this package sends: nothing, padded.
func emptyMessage(r registration) ([]byte, error) {
	sender, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return encrypt(nil, paddedSize, r.key, r.auth, sender, salt)
}
