package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// IDSize is the length of an account id and of a device id in bytes.
const IDSize = 16

// ErrID says that bytes are no account or device id: not [IDSize] long.
var ErrID = errors.New("identity: an id is 16 bytes long")

// AccountID names an account for ever, whatever the person is called. It is
// random and chosen by the server.
type AccountID [IDSize]byte

// DeviceID names a device: the first 16 bytes of SHA-256 of its public key.
type DeviceID [IDSize]byte

// NewAccountID returns a random account id.
func NewAccountID() AccountID {
	var id AccountID
	rand.Read(id[:]) // never fails
	return id
}

// ParseAccountID copies an account id out of b. It returns ErrID where b is
// not 16 bytes long.
func ParseAccountID(b []byte) (AccountID, error) {
	if len(b) != IDSize {
		return AccountID{}, fmt.Errorf("%w, not %d", ErrID, len(b))
	}
	return AccountID(b), nil
}

// ParseDeviceID copies a device id out of b. It returns ErrID where b is not
// 16 bytes long.
func ParseDeviceID(b []byte) (DeviceID, error) {
	if len(b) != IDSize {
		return DeviceID{}, fmt.Errorf("%w, not %d", ErrID, len(b))
	}
	return DeviceID(b), nil
}

// DeviceIDOf returns the id of the device that holds the key.
func DeviceIDOf(pub ed25519.PublicKey) DeviceID {
	sum := sha256.Sum256(pub)
	return DeviceID(sum[:IDSize])
}

// Bytes returns a copy of the id.
func (id AccountID) Bytes() []byte { return id[:] }

// Bytes returns a copy of the id.
func (id DeviceID) Bytes() []byte { return id[:] }

// String returns the id in hexadecimal.
func (id AccountID) String() string { return hex.EncodeToString(id[:]) }

// String returns the id in hexadecimal.
func (id DeviceID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the id in hexadecimal.
func (id AccountID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText returns the id in hexadecimal.
func (id DeviceID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// LogValue keeps ids out of logs: who talks when is nobody's business.
func (AccountID) LogValue() slog.Value { return slog.StringValue("[account]") }

// LogValue keeps ids out of logs.
func (DeviceID) LogValue() slog.Value { return slog.StringValue("[device]") }
