package keys

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// extLeafState is the leaf-node extension with a qpc.v1.LeafState.
const extLeafState uint16 = 0xf0c2

// maxKeyPackage bounds one KeyPackage, in bytes. The largest suite needs less
// than half.
const maxKeyPackage = 16 << 10

func invalid(message string) *wire.Error {
	return wire.NewError(qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID, message)
}

var (
	errParse         = invalid("A KeyPackage is malformed.")
	errVerify        = invalid("A KeyPackage does not verify, or is outside its lifetime.")
	errSigner        = invalid("A KeyPackage is not signed by this device.")
	errCredential    = invalid("A KeyPackage is not of this account.")
	errLeafState     = invalid("A KeyPackage lacks the leaf state.")
	errLeafDevice    = invalid("A KeyPackage does not carry this device's certificate, or one that is not valid now.")
	errLeafAddress   = invalid("A KeyPackage does not carry an address of this device's queue.")
	errNotLastResort = invalid("The last-resort KeyPackage is not marked as one.")
)

// check parses a KeyPackage and tells whether d may offer it: it verifies now,
// d's key signed it, and its leaf names d's account, d's certificate and d's
// queue, so that whoever claims it reaches d and nobody else.
func (s *Service) check(raw []byte, d session.Device, now time.Time) (*mls.KeyPackage, error) {
	if len(raw) > maxKeyPackage {
		return nil, errOversized
	}
	kp, err := mls.ParseKeyPackage(raw)
	if err != nil {
		return nil, errParse
	}
	leaf := kp.LeafNode()
	if !bytes.Equal(leaf.SignatureKey, d.Key) {
		return nil, errSigner
	}
	if err := kp.Verify(now); err != nil {
		return nil, errVerify
	}
	return kp, s.checkLeaf(leaf, d, now)
}

func (s *Service) checkLeaf(leaf *mls.LeafNode, d session.Device, now time.Time) error {
	credential, err := identity.ParseCredential(leaf.Credential.Identity)
	if err != nil || leaf.Credential.Type != mls.CredentialBasic || credential.AccountID != d.Account {
		return errCredential
	}
	extension, ok := leaf.Extension(extLeafState)
	var state qpcv1.LeafState
	if !ok || proto.Unmarshal(extension, &state) != nil {
		return errLeafState
	}
	cert, err := identity.ParseCertificate(state.DeviceCertificate)
	if err != nil || cert.CheckTime(now) != nil || cert.AccountID != d.Account ||
		!bytes.Equal(cert.DeviceKey, d.Key) || !bytes.Equal(cert.AccountKey, d.AccountKey) {
		return errLeafDevice
	}
	if !bytes.Equal(credential.AccountKey, d.AccountKey) {
		return errCredential
	}
	queue, err := s.sealer.OpenAddress(state.QueueAddress)
	if err != nil || queue != d.Queue {
		return errLeafAddress
	}
	return nil
}

func stored(kp *mls.KeyPackage) storage.KeyPackage {
	return storage.KeyPackage{
		Ref:     kp.Ref(),
		Data:    kp.Bytes(),
		Expires: expiry(kp.LeafNode().Lifetime.NotAfter),
	}
}

// expiry keeps lifetimes without an end inside what a time can hold.
func expiry(notAfter uint64) time.Time {
	const endOf9999 = 253402300799
	return time.Unix(int64(min(notAfter, endOf9999)), 0)
}
