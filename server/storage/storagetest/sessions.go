package storagetest

import (
	"testing"

	"quicprochat/server/storage"
)

func testDeviceNodes(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	one, two := enrol(t, s), enrol(t, s)
	nodes := func() map[[16]byte]storage.NodeID {
		found, err := s.DeviceNodes(t.Context(), [][16]byte{one.ID, two.ID, random16()})
		must(t, err)
		return found
	}
	claim := func(d storage.Device, node storage.NodeID, wantMoved bool) {
		t.Helper()
		moved, err := s.ClaimDevice(t.Context(), d.Account, d.ID, node)
		must(t, err)
		equal(t, "moved", moved, wantMoved)
	}
	found := nodes()
	equal(t, "devices", len(found), 2)
	equal(t, "before the first", found[one.ID], storage.NodeID{})
	a, b := storage.NodeID(random16()), storage.NodeID(random16())
	claim(one, a, false)
	claim(one, a, false) // again changes nothing
	equal(t, "the first", nodes()[one.ID], a)
	claim(one, b, true)
	claim(two, a, false)
	found = nodes()
	equal(t, "the newest", found[one.ID], b)
	equal(t, "another's", found[two.ID], a)

	refused := func(account, device [16]byte, node storage.NodeID, want error) {
		t.Helper()
		_, err := s.ClaimDevice(t.Context(), account, device, node)
		wantErr(t, err, want)
	}
	refused(two.Account, one.ID, a, storage.ErrUnknownDevice)
	refused(two.Account, one.ID, b, storage.ErrUnknownDevice)
	refused(one.Account, random16(), a, storage.ErrUnknownDevice)
	equal(t, "after refusals", nodes()[one.ID], b)

	_, err := s.AddDevice(t.Context(), storage.NewDevice{ID: one.ID, Account: one.Account, Certificate: []byte("renewed"), Now: today})
	must(t, err)
	equal(t, "after a new certificate", nodes()[one.ID], b)

	must(t, s.RevokeDevice(t.Context(), one.Account, one.ID))
	refused(one.Account, one.ID, a, storage.ErrDeviceRevoked)
	refused(one.Account, one.ID, b, storage.ErrDeviceRevoked)
	found = nodes()
	equal(t, "devices after a revocation", len(found), 1)
	equal(t, "the one that is left", found[two.ID], a)
}

func testLookUps(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	none, err := s.Records(t.Context(), nil)
	must(t, err)
	equal(t, "records of nobody", len(none), 0)
	a := newAccount("ann")
	a.Record = append([]byte("ann's own record"), make([]byte, 176)...)
	one, err := s.CreateAccount(t.Context(), a)
	must(t, err)
	two := enrol(t, s)
	records, err := s.Records(t.Context(), [][16]byte{a.ID, random16(), two.Account})
	must(t, err)
	equal(t, "records", len(records), 2)
	equal(t, "record", string(records[a.ID]), string(a.Record))

	c := newChannel(t, s, one.Queue)
	post(t, s, newPost(c.ID, 7, "x"))
	post(t, s, newPost(c.ID, 7, "y"))
	must(t, s.AckItems(t.Context(), one.Queue, 1))
	seqs, err := s.LastSeqs(t.Context(), []storage.QueueID{one.Queue, random16(), two.Queue, one.Queue})
	must(t, err)
	equal(t, "queues", len(seqs), 2)
	equal(t, "last seq", seqs[one.Queue], 2)
	equal(t, "last seq of an empty queue", seqs[two.Queue], 0)
}

// More than an implementation asks for in one statement.
func testLookUpMany(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	first, last := enrol(t, s), enrol(t, s)
	queues := []storage.QueueID{first.Queue}
	for range 2500 {
		queues = append(queues, random16())
	}
	seqs, err := s.LastSeqs(t.Context(), append(queues, last.Queue))
	must(t, err)
	equal(t, "queues", len(seqs), 2)
	_, there := seqs[last.Queue]
	equal(t, "the last one", there, true)
}
