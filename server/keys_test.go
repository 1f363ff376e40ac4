package server

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func signDeviceAuth(d *member, exporter []byte) []byte {
	return identity.SignDeviceAuth(d.private, d.person.id, d.id, exporter)
}

// leaf describes a KeyPackage of d to make, good as it stands.
type leaf struct {
	mls.KeyPackageOptions
	credential identity.Credential
	state      *qpcv1.LeafState
}

func (d *member) leaf() *leaf {
	return &leaf{
		KeyPackageOptions: mls.KeyPackageOptions{Suite: mls.SuiteXWing, Signer: d.private},
		credential:        identity.Credential{AccountID: d.person.id, AccountKey: d.key.Public()},
		state:             &qpcv1.LeafState{DeviceCertificate: d.cert.Raw, QueueAddress: d.address()},
	}
}

func (l *leaf) keyPackage(t testing.TB) []byte {
	t.Helper()
	o := l.KeyPackageOptions
	if o.Credential.Type == 0 {
		o.Credential = mls.BasicCredential(l.credential.Marshal())
	}
	if l.state != nil {
		state, err := proto.Marshal(l.state)
		if err != nil {
			t.Fatal(err)
		}
		o.LeafExtensions = append(o.LeafExtensions, mls.Extension{Type: 0xf0c2, Data: state})
	}
	bundle, err := mls.NewKeyPackage(o)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.KeyPackage()
}

func (d *member) uploadHybrid() []byte {
	d.t.Helper()
	signed := identity.SignHybridKey(d.private, random(1216))
	must[qpcv1.UploadHybridKeyResponse](d.conn, &qpcv1.UploadHybridKeyRequest{HybridKey: signed})
	return signed
}

func TestKeyPackagesAreGivenOutOnce(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	hybrid := alice.uploadHybrid()
	var single [][]byte
	for range 10 {
		single = append(single, alice.leaf().keyPackage(t))
	}
	lastResort := alice.leaf()
	lastResort.LastResort = true
	last := lastResort.keyPackage(t)
	for range 2 { // again changes nothing
		up := must[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: single, LastResort: last})
		if up.Count != 10 {
			t.Errorf("%d stored", up.Count)
		}
	}
	// Ten claims at once get ten different ones.
	got := make([][]byte, 10)
	var wg sync.WaitGroup
	for i := range got {
		anon := f.dial()
		wg.Go(func() {
			resp, err := call[qpcv1.FetchKeyPackageResponse](anon, &qpcv1.FetchKeyPackageRequest{AccountId: alice.person.id[:]})
			if err != nil || len(resp.Devices) != 1 || resp.Devices[0].LastResort {
				t.Errorf("claim: %v, %v", resp, err)
				return
			}
			got[i] = resp.Devices[0].KeyPackage
		})
	}
	wg.Wait()
	slices.SortFunc(got, bytes.Compare)
	slices.SortFunc(single, bytes.Compare)
	if !slices.EqualFunc(got, single, bytes.Equal) {
		t.Error("what was claimed is not what was uploaded, each once")
	}
	// Then the last resort, as often as one likes.
	anon := f.dial()
	for range 3 {
		d := must[qpcv1.FetchKeyPackageResponse](anon, &qpcv1.FetchKeyPackageRequest{AccountId: alice.person.id[:]}).Devices[0]
		if !d.LastResort || !bytes.Equal(d.KeyPackage, last) || !bytes.Equal(d.HybridKey, hybrid) || !bytes.Equal(d.DeviceId, alice.id[:]) {
			t.Errorf("last resort: %v", d.LastResort)
		}
	}
	count := must[qpcv1.CountKeyPackagesResponse](alice.conn, &qpcv1.CountKeyPackagesRequest{})
	if count.Count != 0 || !count.HasLastResort {
		t.Errorf("count: %v", count)
	}
	// A claimed one cannot be brought back.
	up := must[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: single[:1]})
	if up.Count != 0 {
		t.Errorf("a claimed one counts again: %d", up.Count)
	}
}

func TestClaimForEveryDeviceButSome(t *testing.T) {
	f := start(t)
	first := f.register("alice")
	second := f.newDevice(first.person)
	must[qpcv1.EnrolDeviceResponse](first.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	f.reconnect(second)
	anon := f.dial()
	claim := func(except ...[]byte) (*qpcv1.FetchKeyPackageResponse, error) {
		return call[qpcv1.FetchKeyPackageResponse](anon, &qpcv1.FetchKeyPackageRequest{AccountId: first.person.id[:], ExceptDeviceIds: except})
	}
	_, err := claim()
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE)
	_, err = claim(first.id[:])
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE)
	if resp, err := claim(first.id[:], second.id[:]); err != nil || len(resp.Devices) != 0 {
		t.Errorf("without any device: %v, %v", resp, err)
	}
	for _, d := range []*member{first, second} {
		d.uploadHybrid()
		must[qpcv1.UploadKeyPackagesResponse](d.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{d.leaf().keyPackage(t), d.leaf().keyPackage(t)}})
	}
	if resp, err := claim(); err != nil || len(resp.Devices) != 2 || !bytes.Equal(resp.Devices[0].DeviceId, first.id[:]) {
		t.Errorf("both: %v, %v", resp, err)
	}
	if resp, err := claim(first.id[:]); err != nil || len(resp.Devices) != 1 || !bytes.Equal(resp.Devices[0].DeviceId, second.id[:]) {
		t.Errorf("the second: %v, %v", resp, err)
	}
	_, err = claim([]byte("short"))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	_, err = call[qpcv1.FetchKeyPackageResponse](anon, &qpcv1.FetchKeyPackageRequest{AccountId: random(16)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	_, err = call[qpcv1.FetchKeyPackageResponse](anon, &qpcv1.FetchKeyPackageRequest{AccountId: random(3)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
}

func TestKeyPackagesAreValidated(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	now := time.Now()
	expiredCert, err := alice.key.IssueCertificate(alice.person.id, publicOf(alice.private), "x", now.Add(-2*time.Hour), now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	otherKey := f.newDevice(alice.person)
	for name, change := range map[string]func(*leaf){
		"expired":                    func(l *leaf) { l.NotBefore, l.NotAfter = now.Add(-48*time.Hour), now.Add(-24*time.Hour) },
		"not valid yet":              func(l *leaf) { l.NotBefore, l.NotAfter = now.Add(24*time.Hour), now.Add(48*time.Hour) },
		"another device's signature": func(l *leaf) { l.Signer = otherKey.private },
		"another account":            func(l *leaf) { l.credential.AccountID = bob.person.id },
		"another account key":        func(l *leaf) { l.credential.AccountKey = bob.key.Public() },
		"credential of rubbish":      func(l *leaf) { l.Credential = mls.BasicCredential([]byte("alice")) },
		"no leaf state":              func(l *leaf) { l.state = nil },
		"another's certificate":      func(l *leaf) { l.state.DeviceCertificate = bob.cert.Raw },
		"another device's":           func(l *leaf) { l.state.DeviceCertificate = otherKey.cert.Raw },
		"expired certificate":        func(l *leaf) { l.state.DeviceCertificate = expiredCert.Raw },
		"no certificate":             func(l *leaf) { l.state.DeviceCertificate = nil },
		"another's queue":            func(l *leaf) { l.state.QueueAddress = bob.address() },
		"no queue":                   func(l *leaf) { l.state.QueueAddress = nil },
		"rubbish for a queue":        func(l *leaf) { l.state.QueueAddress = random(56) },
	} {
		l := alice.leaf()
		change(l)
		raw := l.keyPackage(t)
		for _, req := range []*qpcv1.UploadKeyPackagesRequest{
			{KeyPackages: [][]byte{alice.leaf().keyPackage(t), raw}},
			{KeyPackages: [][]byte{alice.leaf().keyPackage(t)}, LastResort: raw},
		} {
			if _, err := call[qpcv1.UploadKeyPackagesResponse](alice.conn, req); err == nil {
				t.Errorf("%s was taken", name)
			} else {
				wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID)
			}
		}
	}
	good := alice.leaf().keyPackage(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for _, raw := range [][]byte{{}, {1, 2, 3}, random(500), flipped, append(bytes.Clone(good), 0), good[:len(good)-1], make([]byte, 20<<10)} {
		_, err := call[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{good, raw}})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID)
	}
	// One that is not marked as the last resort is not taken as one.
	_, err = call[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{LastResort: good})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID)
	// All or none: none of the good ones that came with bad ones was stored.
	count := must[qpcv1.CountKeyPackagesResponse](alice.conn, &qpcv1.CountKeyPackagesRequest{})
	if count.Count != 0 || count.HasLastResort {
		t.Errorf("count: %v", count)
	}
	many := make([][]byte, 101)
	_, err = call[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: many})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
}

func TestExpiredKeyPackagesAreNotGivenOut(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	alice.uploadHybrid()
	l := alice.leaf()
	l.NotBefore, l.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	must[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{l.keyPackage(t)}})
	f.clock.advance(48 * time.Hour)
	_, err := call[qpcv1.FetchKeyPackageResponse](f.dial(), &qpcv1.FetchKeyPackageRequest{AccountId: alice.person.id[:]})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE)
}

func TestHybridKeyIsValidated(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	for _, raw := range [][]byte{nil, random(1300), identity.SignHybridKey(bob.private, random(1216))} {
		_, err := call[qpcv1.UploadHybridKeyResponse](alice.conn, &qpcv1.UploadHybridKeyRequest{HybridKey: raw})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
}
