package storagetest

import (
	"testing"

	"quicprochat/server/storage"
)

func testSessions(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	one, two := enrol(t, s), enrol(t, s)
	newest := func() map[[16]byte]storage.SessionID {
		found, err := s.NewestSessions(t.Context(), [][16]byte{one.ID, two.ID, random16()})
		must(t, err)
		return found
	}
	found := newest()
	equal(t, "devices", len(found), 2)
	equal(t, "before the first", found[one.ID], storage.SessionID{})
	first, second, other := storage.SessionID(random16()), storage.SessionID(random16()), storage.SessionID(random16())
	must(t, s.ClaimSession(t.Context(), one.Account, one.ID, first))
	must(t, s.ClaimSession(t.Context(), one.Account, one.ID, second))
	must(t, s.ClaimSession(t.Context(), one.Account, one.ID, second)) // again changes nothing
	must(t, s.ClaimSession(t.Context(), two.Account, two.ID, other))
	found = newest()
	equal(t, "the newest", found[one.ID], second)
	equal(t, "another's", found[two.ID], other)

	wantErr(t, s.ClaimSession(t.Context(), two.Account, one.ID, first), storage.ErrUnknownDevice)
	wantErr(t, s.ClaimSession(t.Context(), one.Account, random16(), first), storage.ErrUnknownDevice)
	equal(t, "after refusals", newest()[one.ID], second)

	renewed := storage.NewDevice{ID: one.ID, Account: one.Account, Certificate: []byte("renewed"), Now: today}
	_, err := s.AddDevice(t.Context(), renewed)
	must(t, err)
	equal(t, "after a new certificate", newest()[one.ID], second)

	must(t, s.RevokeDevice(t.Context(), one.Account, one.ID))
	wantErr(t, s.ClaimSession(t.Context(), one.Account, one.ID, first), storage.ErrDeviceRevoked)
	found = newest()
	equal(t, "devices after a revocation", len(found), 1)
	equal(t, "the one that is left", found[two.ID], other)
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
