package client

import (
	"bytes"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
)

var (
	errNotCertified = errors.New("client: the leaf's certificate does not fit it")
	errOtherDevice  = errors.New("client: the leaf is not the device it replaces")
)

// authService judges the leaves of all groups: a leaf is good where its device
// certificate is signed by the account key of its credential, is about its
// signature key, and holds now; and where that account key is the one first
// seen for the account.
type authService struct{ people *people }

func (a authService) ValidateLeaf(ctx mls.LeafContext, leaf *mls.LeafNode) error {
	m, err := readLeaf(leaf)
	if err != nil {
		return err
	}
	if err := m.certificate.CheckTime(ctx.Now); err != nil {
		return err
	}
	if err := a.people.check(m.credential()); err != nil {
		return err
	}
	if ctx.Previous == nil {
		return nil
	}
	// A device stays itself.
	if !bytes.Equal(ctx.Previous.SignatureKey, leaf.SignatureKey) ||
		!bytes.Equal(ctx.Previous.Credential.Identity, leaf.Credential.Identity) {
		return errOtherDevice
	}
	return nil
}

// credential is what the certificate says about the account.
func (s leafState) credential() identity.Credential {
	return identity.Credential{AccountID: s.certificate.AccountID, AccountKey: s.certificate.AccountKey}
}

// readLeaf decodes what a leaf says about its device and checks that credential,
// certificate and signature key belong together. Whether the account key is the
// account's, and the certificate in time, is for the caller to check.
func readLeaf(leaf *mls.LeafNode) (leafState, error) {
	if leaf.Credential.Type != mls.CredentialBasic {
		return leafState{}, fmt.Errorf("%w: credential of type %d", errNotCertified, leaf.Credential.Type)
	}
	credential, err := identity.ParseCredential(leaf.Credential.Identity)
	if err != nil {
		return leafState{}, err
	}
	data, ok := leaf.Extension(extLeafState)
	if !ok {
		return leafState{}, fmt.Errorf("%w: no leaf state", errNotCertified)
	}
	s, err := parseLeafState(data)
	if err != nil {
		return leafState{}, err
	}
	cert := s.certificate
	if cert.AccountID != credential.AccountID || !cert.AccountKey.Equal(credential.AccountKey) ||
		!bytes.Equal(cert.DeviceKey, leaf.SignatureKey) {
		return leafState{}, errNotCertified
	}
	return s, nil
}

// accountOf is the account of a member, whose leaf has been validated.
func accountOf(leaf *mls.LeafNode) (AccountID, error) {
	c, err := identity.ParseCredential(leaf.Credential.Identity)
	return c.AccountID, err
}
