// Package franking lets a recipient prove to somebody else what an account has
// sent it, and nothing besides.
//
// A sender franks a content before it goes into MLS: it draws a key, commits to
// the content with it, and signs the commitment with its device key,
//
//	commitment = HMAC-SHA256(key, content)
//	signature  = Ed25519(device, "qpc franking v1" || 0x00 || account id || commitment)
//
// All three travel together as a qpc.v1.FrankedContent. A recipient opens it
// with the keys of the leaf that MLS says it comes from, and takes nothing in
// that does not verify: so whatever a person sees can be reported. Whoever is
// shown a FrankedContent with the sender's device certificate can verify the
// same, while the signature of MLS would show the group, its epoch and tree.
//
// The account id is signed as well: whoever knows a device's public key can
// certify it for an account of its own, which must not make it the sender.
package franking

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// KeySize is the length of a franking key in bytes. Keys of other lengths are
// refused: HMAC commits to its message under keys of one length only.
const KeySize = 32

const label = "qpc franking v1"

// ErrFranking: a content is not proved to be from the sender. Take nothing of
// it in.
var ErrFranking = errors.New("franking: the content is not proved to be the sender's")

// Seal franks a content as the account's device, and serialises it.
func Seal(device ed25519.PrivateKey, account identity.AccountID, content []byte) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	return proto.Marshal(&qpcv1.FrankedContent{
		Content: content, Key: key, Signature: ed25519.Sign(device, signed(account, key, content)),
	})
}

// Open decodes what a device of the account has sealed and verifies it.
// ErrFranking.
func Open(device ed25519.PublicKey, account identity.AccountID, raw []byte) (*qpcv1.FrankedContent, error) {
	var f qpcv1.FrankedContent
	if err := proto.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFranking, err)
	}
	if err := Verify(device, account, &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// Verify tells whether a device of the account has franked the content.
// ErrFranking.
func Verify(device ed25519.PublicKey, account identity.AccountID, f *qpcv1.FrankedContent) error {
	switch {
	case len(f.GetKey()) != KeySize:
		return fmt.Errorf("%w: key of %d bytes", ErrFranking, len(f.GetKey()))
	case len(f.GetContent()) == 0:
		return fmt.Errorf("%w: no content", ErrFranking)
	case len(f.ProtoReflect().GetUnknown()) > 0:
		return fmt.Errorf("%w: something beside it", ErrFranking)
	case len(device) != ed25519.PublicKeySize || !ed25519.Verify(device, signed(account, f.Key, f.Content), f.Signature):
		return fmt.Errorf("%w: signature", ErrFranking)
	}
	return nil
}

// signed is what the device signs.
func signed(account identity.AccountID, key, content []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return mac.Sum(slices.Concat([]byte(label), []byte{0}, account[:]))
}
