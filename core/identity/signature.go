package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// The labels that keep the signatures of this package apart. Each is followed
// by a zero byte and then by what is signed.
const (
	certificateLabel = "qpc device certificate v1"
	deviceAuthLabel  = "qpc device auth v1"
	hybridKeyLabel   = "qpc hybrid key v1"
)

// HybridKeySize is the length of an X-Wing public key in bytes.
const HybridKeySize = 1216

// ErrHybridKey says that a signed hybrid key is malformed or not signed by the
// device. Whoever handed it out is broken or lies: do not seal to it.
var ErrHybridKey = errors.New("identity: invalid signed hybrid key")

// labelled returns label || 0x00 || parts.
func labelled(label string, parts ...[]byte) []byte {
	return slices.Concat(append([][]byte{[]byte(label), {0}}, parts...)...)
}

// SignDeviceAuth proves to a server that the connection with this TLS
// exporter (32 bytes) belongs to the device: 64 bytes of Ed25519 over
// "qpc device auth v1" || 0x00 || account id || device id || exporter.
func SignDeviceAuth(device ed25519.PrivateKey, a AccountID, d DeviceID, exporter []byte) []byte {
	return ed25519.Sign(device, labelled(deviceAuthLabel, a[:], d[:], exporter))
}

// VerifyDeviceAuth tells whether sig is what [SignDeviceAuth] makes with the
// private key of device. It is false for keys and signatures of wrong lengths,
// for an exporter that is not 32 bytes long, and where d is not the key's id.
func VerifyDeviceAuth(device ed25519.PublicKey, a AccountID, d DeviceID, exporter, sig []byte) bool {
	if len(device) != ed25519.PublicKeySize || len(exporter) != 32 || d != DeviceIDOf(device) {
		return false
	}
	return ed25519.Verify(device, labelled(deviceAuthLabel, a[:], d[:], exporter), sig)
}

// SignHybridKey returns a serialised SignedHybridKey: the device's X-Wing
// public key (1216 bytes) and the device's signature over it.
func SignHybridKey(device ed25519.PrivateKey, hybridPub []byte) []byte {
	raw, err := marshalStrict(&qpcv1.SignedHybridKey{
		PublicKey: hybridPub,
		Signature: ed25519.Sign(device, labelled(hybridKeyLabel, hybridPub)),
	})
	if err != nil {
		panic("identity: two byte fields always marshal: " + err.Error())
	}
	return raw
}

// VerifyHybridKey decodes a serialised SignedHybridKey and checks that the
// device signed it. It returns the X-Wing public key, or ErrHybridKey.
func VerifyHybridKey(device ed25519.PublicKey, signed []byte) (hybridPub []byte, err error) {
	if len(device) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: device key of %d bytes", ErrHybridKey, len(device))
	}
	var m qpcv1.SignedHybridKey
	if err := unmarshalStrict(signed, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHybridKey, err)
	}
	if len(m.PublicKey) != HybridKeySize {
		return nil, fmt.Errorf("%w: key of %d bytes", ErrHybridKey, len(m.PublicKey))
	}
	if !ed25519.Verify(device, labelled(hybridKeyLabel, m.PublicKey), m.Signature) {
		return nil, fmt.Errorf("%w: signature", ErrHybridKey)
	}
	return m.PublicKey, nil
}
