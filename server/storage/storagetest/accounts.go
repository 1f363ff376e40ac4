package storagetest

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func newInvite(t testing.TB, s storage.Store, uses int) storage.InviteHash {
	t.Helper()
	id := random16()
	invite := storage.Invite{Hash: sha256.Sum256(id[:]), Uses: uses, Expires: today.Add(time.Hour)}
	must(t, s.CreateInvite(t.Context(), invite))
	return invite.Hash
}

func testInvites(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	hash := newInvite(t, s, 2)
	wantErr(t, s.CreateInvite(t.Context(), storage.Invite{Hash: hash, Uses: 9, Expires: today}), storage.ErrInviteExists)

	must(t, s.CheckInvite(t.Context(), hash, today))
	must(t, s.CheckInvite(t.Context(), hash, today.Add(time.Hour-time.Second)))
	wantErr(t, s.CheckInvite(t.Context(), hash, today.Add(time.Hour)), storage.ErrInviteExpired)
	wantErr(t, s.CheckInvite(t.Context(), storage.InviteHash{}, today), storage.ErrInviteUnknown)

	for _, name := range []string{"ada", "ben"} {
		a := newAccount(name)
		a.Invite = &hash
		_, err := s.CreateAccount(t.Context(), a)
		must(t, err)
	}
	wantErr(t, s.CheckInvite(t.Context(), hash, today), storage.ErrInviteUsedUp)
	a := newAccount("eve")
	a.Invite = &hash
	_, err := s.CreateAccount(t.Context(), a)
	wantErr(t, err, storage.ErrInviteUsedUp)
	a.Invite = &storage.InviteHash{1}
	_, err = s.CreateAccount(t.Context(), a)
	wantErr(t, err, storage.ErrInviteUnknown)
	a.Invite, a.Now = &hash, today.Add(2*time.Hour)
	_, err = s.CreateAccount(t.Context(), a)
	wantErr(t, err, storage.ErrInviteExpired)
	_, err = s.AccountByName(t.Context(), "eve")
	wantErr(t, err, storage.ErrUnknownAccount)
}

func testListInvites(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	create := func(uses int, valid time.Duration) storage.Invite {
		t.Helper()
		id := random16()
		invite := storage.Invite{Hash: sha256.Sum256(id[:]), Uses: uses, Expires: today.Add(valid)}
		must(t, s.CreateInvite(t.Context(), invite))
		return invite
	}
	list := func(now time.Time, limit int, want ...storage.Invite) {
		t.Helper()
		got, err := s.Invites(t.Context(), now, limit)
		must(t, err)
		if len(got) != len(want) {
			t.Fatalf("%d invites, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].Hash != want[i].Hash || got[i].Uses != want[i].Uses || !got[i].Expires.Equal(want[i].Expires) {
				t.Fatalf("got %+v, want %+v", got[i], want[i])
			}
		}
	}
	list(today, 10)
	late, soon, once := create(3, 2*time.Hour), create(1, time.Hour), create(1, 3*time.Hour)
	list(today, 10, soon, late, once)
	list(today, 2, soon, late)
	list(today.Add(time.Hour), 10, late, once)

	a := newAccount("ada")
	a.Invite = &once.Hash
	_, err := s.CreateAccount(t.Context(), a)
	must(t, err)
	list(today, 10, soon, late) // the other one is used up
	must(t, s.DeleteInvite(t.Context(), late.Hash))
	list(today, 10, soon)
	wantErr(t, s.DeleteInvite(t.Context(), late.Hash), storage.ErrInviteUnknown)
	wantErr(t, s.CheckInvite(t.Context(), late.Hash, today), storage.ErrInviteUnknown)
	must(t, s.CheckInvite(t.Context(), soon.Hash, today))
}

func testAccounts(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	n := newAccount("ada")
	n.Role = storage.RoleAdmin
	device, err := s.CreateAccount(t.Context(), n)
	must(t, err)

	want := storage.Account{
		ID: n.ID, Name: "ada", Record: n.Record, PublicKey: n.PublicKey, SealedKey: n.SealedKey,
		CreatedDay: uint64(time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).Unix()), Role: storage.RoleAdmin,
	}
	byName, err := s.AccountByName(t.Context(), "ada")
	must(t, err)
	byID, err := s.Account(t.Context(), n.ID)
	must(t, err)
	if !reflect.DeepEqual(byName, want) || !reflect.DeepEqual(byID, want) {
		t.Fatalf("got %+v and %+v, want %+v", byName, byID, want)
	}
	got, err := s.Device(t.Context(), n.ID, n.DeviceID)
	must(t, err)
	if !reflect.DeepEqual(got, device) || got.Queue == (storage.QueueID{}) || !bytes.Equal(got.Certificate, n.DeviceCertificate) {
		t.Fatalf("got device %+v, want %+v", got, device)
	}

	for _, name := range []string{"ADA", "ad", "", "ada "} {
		_, err = s.AccountByName(t.Context(), name)
		wantErr(t, err, storage.ErrUnknownAccount)
	}
	_, err = s.Account(t.Context(), random16())
	wantErr(t, err, storage.ErrUnknownAccount)
}

// A failed CreateAccount leaves no account, no device and no used invite.
func testAccountAtomic(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	first := newAccount("ada")
	_, err := s.CreateAccount(t.Context(), first)
	must(t, err)
	hash := newInvite(t, s, 1)

	for want, change := range map[error]func(*storage.NewAccount){
		storage.ErrNameTaken:     func(a *storage.NewAccount) { a.Name = "ada" },
		storage.ErrAccountExists: func(a *storage.NewAccount) { a.ID = first.ID },
		storage.ErrDeviceExists:  func(a *storage.NewAccount) { a.DeviceID = first.DeviceID },
	} {
		a := newAccount("eve")
		a.Invite = &hash
		change(&a)
		_, err := s.CreateAccount(t.Context(), a)
		wantErr(t, err, want)
		must(t, s.CheckInvite(t.Context(), hash, today))
		_, err = s.AccountByName(t.Context(), "eve")
		wantErr(t, err, storage.ErrUnknownAccount)
	}

	// of many that want the last use, one gets it
	var created atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			a := newAccount(string(rune('a'+i)) + "-user")
			a.Invite = &hash
			if _, err := s.CreateAccount(t.Context(), a); err == nil {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	equal(t, "accounts created with one use", created.Load(), 1)
}

func addDevice(t testing.TB, s storage.Store, account [16]byte) storage.Device {
	t.Helper()
	d, err := s.AddDevice(t.Context(), storage.NewDevice{ID: random16(), Account: account, Certificate: []byte("c"), Now: today})
	must(t, err)
	return d
}

func testDevices(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	first := enrol(t, s)
	other := enrol(t, s)
	second := addDevice(t, s, first.Account)
	third := addDevice(t, s, first.Account)

	list, err := s.Devices(t.Context(), first.Account)
	must(t, err)
	if want := []storage.Device{first, second, third}; !reflect.DeepEqual(list, want) {
		t.Fatalf("got devices %+v, want %+v", list, want)
	}

	renewed, err := s.AddDevice(t.Context(), storage.NewDevice{ID: second.ID, Account: second.Account, Certificate: []byte("newer"), Now: today.Add(48 * time.Hour)})
	must(t, err)
	want := second
	want.Certificate = []byte("newer")
	got, err := s.Device(t.Context(), second.Account, second.ID)
	must(t, err)
	if !reflect.DeepEqual(renewed, want) || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v and %+v, want %+v", renewed, got, want)
	}

	_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: second.ID, Account: other.Account, Now: today})
	wantErr(t, err, storage.ErrDeviceExists)
	_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: random16(), Account: random16(), Now: today})
	wantErr(t, err, storage.ErrUnknownAccount)
	_, err = s.Device(t.Context(), other.Account, second.ID)
	wantErr(t, err, storage.ErrUnknownDevice)
	_, err = s.Device(t.Context(), other.Account, random16())
	wantErr(t, err, storage.ErrUnknownDevice)
	list, err = s.Devices(t.Context(), random16())
	must(t, err)
	equal(t, "devices of an unknown account", len(list), 0)
}

func testDeviceBound(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.Devices = 3
	s := open(t, limits)
	first := enrol(t, s)
	second := addDevice(t, s, first.Account)
	addDevice(t, s, first.Account)
	fourth := storage.NewDevice{ID: random16(), Account: first.Account, Certificate: []byte("c"), Now: today}
	_, err := s.AddDevice(t.Context(), fourth)
	wantErr(t, err, storage.ErrTooManyDevices)
	// one that is there already is not one more
	_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: second.ID, Account: first.Account, Certificate: second.Certificate, Now: today})
	must(t, err)
	must(t, s.RevokeDevice(t.Context(), first.Account, second.ID))
	_, err = s.AddDevice(t.Context(), fourth)
	must(t, err)
}

func testRevoke(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	kept, other := enrol(t, s), enrol(t, s)
	gone := addDevice(t, s, kept.Account)
	c := newChannel(t, s, kept.Queue, gone.Queue)
	post(t, s, newPost(c.ID, 7, "before"))
	putKeys(t, s, gone.ID, 2, true)
	putKeys(t, s, kept.ID, 2, true)

	wantErr(t, s.RevokeDevice(t.Context(), other.Account, gone.ID), storage.ErrUnknownDevice)
	wantErr(t, s.RevokeDevice(t.Context(), kept.Account, random16()), storage.ErrUnknownDevice)
	must(t, s.RevokeDevice(t.Context(), kept.Account, gone.ID))
	must(t, s.RevokeDevice(t.Context(), kept.Account, gone.ID))
	wantErr(t, s.RevokeDevice(t.Context(), other.Account, gone.ID), storage.ErrUnknownDevice)

	_, err := s.Device(t.Context(), gone.Account, gone.ID)
	wantErr(t, err, storage.ErrDeviceRevoked)
	_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: gone.ID, Account: gone.Account, Certificate: gone.Certificate, Now: today})
	wantErr(t, err, storage.ErrDeviceRevoked)
	_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: gone.ID, Account: other.Account, Now: today})
	wantErr(t, err, storage.ErrDeviceRevoked)
	_, err = s.PutKeyPackages(t.Context(), storage.KeyPackageUpload{Device: gone.ID, Now: today})
	wantErr(t, err, storage.ErrDeviceRevoked)
	wantErr(t, s.PutHybridKey(t.Context(), gone.ID, []byte("h")), storage.ErrDeviceRevoked)
	_, err = s.HybridKey(t.Context(), gone.ID)
	wantErr(t, err, storage.ErrUnknownDevice)
	_, _, err = s.CountKeyPackages(t.Context(), gone.ID, today)
	wantErr(t, err, storage.ErrUnknownDevice)
	_, _, err = s.FetchItems(t.Context(), gone.Queue, 0, 10, 1000)
	wantErr(t, err, storage.ErrUnknownQueue)
	_, err = s.LastSeq(t.Context(), gone.Queue)
	wantErr(t, err, storage.ErrUnknownQueue)
	wantErr(t, s.AckItems(t.Context(), gone.Queue, 1), storage.ErrUnknownQueue)
	list, err := s.Devices(t.Context(), kept.Account)
	must(t, err)
	equal(t, "devices left", len(list), 1)

	// the others go on, and nothing of the device comes back with a new one
	posted := post(t, s, newPost(c.ID, 7, "after"))
	equal(t, "queues woken", len(posted.Appended), 1)
	equal(t, "kept queue", texts(t, s, kept.Queue), "before after")
	next := addDevice(t, s, kept.Account)
	equal(t, "new queue", texts(t, s, next.Queue), "")
	count, lastResort, err := s.CountKeyPackages(t.Context(), next.ID, today)
	must(t, err)
	equal(t, "key packages of the new device", count, 0)
	equal(t, "last resort of the new device", lastResort, false)
	count, lastResort, err = s.CountKeyPackages(t.Context(), kept.ID, today)
	must(t, err)
	equal(t, "key packages of the kept device", count, 2)
	equal(t, "last resort of the kept device", lastResort, true)
}

// Revoked devices are remembered up to a bound, the latest first.
func testRevokedBound(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	first := enrol(t, s)
	var revoked [][16]byte
	for range storage.RevokedDevices + 3 {
		d := addDevice(t, s, first.Account)
		must(t, s.RevokeDevice(t.Context(), d.Account, d.ID))
		revoked = append(revoked, d.ID)
	}
	for i, id := range revoked {
		_, err := s.Device(t.Context(), first.Account, id)
		want := storage.ErrDeviceRevoked
		if i < 3 {
			want = storage.ErrUnknownDevice
		}
		wantErr(t, err, want)
	}
}
