package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// ErrCredential says that the identity in an MLS credential is not the one
// encoding of an account id and an account key.
var ErrCredential = errors.New("identity: invalid account credential")

// Credential is the identity inside an MLS basic credential: which account,
// and under which key.
type Credential struct {
	AccountID  AccountID
	AccountKey ed25519.PublicKey
}

// Marshal returns the serialised qpc.v1.AccountCredential. Equal credentials
// have equal bytes.
func (c Credential) Marshal() []byte {
	raw, err := marshalStrict(&qpcv1.AccountCredential{
		AccountId:        c.AccountID[:],
		AccountPublicKey: c.AccountKey,
	})
	if err != nil {
		panic("identity: two byte fields always marshal: " + err.Error())
	}
	return raw
}

// ParseCredential decodes what [Credential.Marshal] wrote, and nothing else.
// It returns ErrCredential.
func ParseCredential(raw []byte) (Credential, error) {
	var m qpcv1.AccountCredential
	if err := unmarshalStrict(raw, &m); err != nil {
		return Credential{}, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	id, err := ParseAccountID(m.AccountId)
	if err != nil {
		return Credential{}, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	if err := checkPublicKey("account key", m.AccountPublicKey); err != nil {
		return Credential{}, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	return Credential{AccountID: id, AccountKey: m.AccountPublicKey}, nil
}
