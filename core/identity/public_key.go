package identity

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"filippo.io/edwards25519"
)

// checkPublicKey refuses what is no honest Ed25519 key: a wrong length, an
// encoding that is not canonical, no point of the curve, or a point of small
// order, under which one signature can fit many messages.
func checkPublicKey(what string, pub []byte) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("%s is %d bytes long, not %d", what, len(pub), ed25519.PublicKeySize)
	}
	p, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return fmt.Errorf("%s is no point of the curve", what)
	}
	if !bytes.Equal(p.Bytes(), pub) {
		return fmt.Errorf("%s is not canonical", what)
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("%s is of small order", what)
	}
	return nil
}
