package keys

import (
	"crypto/ed25519"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// offering is a device with a KeyPackage that it may offer.
func offering(f testing.TB) (*Service, session.Device, []byte) {
	f.Helper()
	sealer := address.NewSealer([32]byte{1}, [32]byte{2})
	account, err := identity.NewAccountKey()
	if err != nil {
		f.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	id, now := identity.NewAccountID(), time.Now()
	cert, err := account.IssueCertificate(id, public, "device", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	d := session.Device{Account: id, ID: cert.DeviceID(), AccountKey: account.Public(), Key: public, Queue: storage.QueueID{3}}
	state, err := proto.Marshal(&qpcv1.LeafState{DeviceCertificate: cert.Raw, QueueAddress: sealer.NewAddress(d.Queue)})
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite:          mls.SuiteX25519,
		Signer:         private,
		Credential:     mls.BasicCredential(identity.Credential{AccountID: id, AccountKey: account.Public()}.Marshal()),
		LeafExtensions: []mls.Extension{{Type: extLeafState, Data: state}},
	})
	if err != nil {
		f.Fatal(err)
	}
	return New(nil, sealer, time.Now), d, bundle.KeyPackage()
}

// FuzzCheck feeds what a device could upload: it is refused with a typed error
// or is the one good KeyPackage, byte for byte, since every byte is signed.
func FuzzCheck(f *testing.F) {
	s, d, good := offering(f)
	now := time.Now()
	if _, err := s.check(good, d, now); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := s.check(raw, d, now)
		switch {
		case err == nil && string(raw) != string(good):
			t.Error("something else was taken")
		case err != nil && wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID:
			t.Errorf("got %v", err)
		}
	})
}
