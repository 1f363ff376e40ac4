package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

var (
	errNotCertified = errors.New("client: the leaf's certificate does not fit it")
	errOtherDevice  = errors.New("client: the leaf is not the device it replaces")
	errOutsider     = errors.New("client: nobody outside a group has a say in it")
)

// authService judges the leaves of all groups: a leaf is good where its device
// certificate is signed by the account key of its credential, is about its
// signature key, and held when it came; where that account key is the one first
// seen for the account; and where a member keeps its device and queue address.
type authService struct{ people *people }

func (a authService) ValidateLeaf(ctx mls.LeafContext, leaf *mls.LeafNode) error {
	m, err := readLeaf(leaf)
	if err != nil {
		return err
	}
	if err := a.people.check(m.credential()); err != nil {
		return err
	}
	if ctx.Previous == nil {
		return m.certificate.CheckTime(ctx.Now)
	}
	// A device stays itself, and where it is.
	previous, err := readLeaf(ctx.Previous)
	if err != nil {
		return err
	}
	if !bytes.Equal(ctx.Previous.SignatureKey, leaf.SignatureKey) ||
		!bytes.Equal(ctx.Previous.Credential.Identity, leaf.Credential.Identity) ||
		!bytes.Equal(previous.queueAddress, m.queueAddress) {
		return errOtherDevice
	}
	if bytes.Equal(previous.certificate.Raw, m.certificate.Raw) {
		return nil // it was in time; this device's clock may be wrong
	}
	return m.certificate.CheckTime(ctx.Now)
}

// ValidateExternalSender refuses all: no group has any.
func (authService) ValidateExternalSender([]byte, mls.ExternalSender) error { return errOutsider }

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
	if err := checkCapabilities(leaf); err != nil {
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

// maxLeafExtensions bounds the extensions of a leaf, in bytes: every newcomer gets
// the leaves of all members.
const maxLeafExtensions = 4 << 10

// checkCapabilities refuses a leaf that does not understand what everybody must:
// without self-remove in each nobody could leave.
func checkCapabilities(leaf *mls.LeafNode) error {
	size := 0
	for _, e := range leaf.Extensions {
		size += len(e.Data)
	}
	c := leaf.Capabilities
	switch {
	case size > maxLeafExtensions:
		return fmt.Errorf("%w: leaf extensions of %d bytes", errNotCertified, size)
	case !slices.Contains(c.Proposals, uint16(mls.ProposalSelfRemove)),
		!slices.Contains(c.Extensions, extGroupState), !slices.Contains(c.Extensions, extLeafState):
		return fmt.Errorf("%w: lacks a capability", errNotCertified)
	}
	return nil
}

// queueAddressOf is the queue address of a leaf that has been validated.
func queueAddressOf(leaf *mls.LeafNode) string {
	data, _ := leaf.Extension(extLeafState)
	var m qpcv1.LeafState
	if proto.Unmarshal(data, &m) != nil {
		return ""
	}
	return string(m.QueueAddress)
}

// certificateOf is the device certificate of a leaf that has been validated.
func certificateOf(leaf *mls.LeafNode) []byte {
	data, _ := leaf.Extension(extLeafState)
	var m qpcv1.LeafState
	if proto.Unmarshal(data, &m) != nil {
		return nil
	}
	return m.DeviceCertificate
}

// accountOf is the account of a member, whose leaf has been validated.
func accountOf(leaf *mls.LeafNode) (AccountID, error) {
	c, err := identity.ParseCredential(leaf.Credential.Identity)
	return c.AccountID, err
}
