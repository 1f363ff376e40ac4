package storagetest

import (
	"testing"

	"quicprochat/server/storage"
)

// registered gives what the registration of a queue's device is; "": none.
func registered(t testing.TB, s storage.Store, queue storage.QueueID) string {
	t.Helper()
	targets, err := s.PushTargets(t.Context(), []storage.QueueID{queue})
	must(t, err)
	if len(targets) == 0 {
		return ""
	}
	equal(t, "targets", len(targets), 1)
	equal(t, "queue", targets[0].Queue, queue)
	return string(targets[0].Sealed)
}

func testPush(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	one, two := enrol(t, s), enrol(t, s)
	equal(t, "before", registered(t, s, one.Queue), "")
	must(t, s.DeletePush(t.Context(), one.ID))
	wantErr(t, s.PutPush(t.Context(), random16(), []byte("x")), storage.ErrUnknownDevice)
	must(t, s.PutPush(t.Context(), one.ID, []byte("first")))
	must(t, s.PutPush(t.Context(), two.ID, []byte("other")))
	must(t, s.PutPush(t.Context(), one.ID, []byte("second")))
	equal(t, "replaced", registered(t, s, one.Queue), "second")
	equal(t, "another device", registered(t, s, two.Queue), "other")

	// what a push service said of an earlier registration does not touch the present one
	must(t, s.ForgetPush(t.Context(), one.Queue, []byte("first")))
	equal(t, "not forgotten", registered(t, s, one.Queue), "second")
	must(t, s.ForgetPush(t.Context(), random16(), []byte("second")))
	must(t, s.ForgetPush(t.Context(), one.Queue, []byte("second")))
	equal(t, "forgotten", registered(t, s, one.Queue), "")

	must(t, s.PutPush(t.Context(), one.ID, []byte("third")))
	must(t, s.DeletePush(t.Context(), one.ID))
	must(t, s.DeletePush(t.Context(), one.ID))
	equal(t, "deleted", registered(t, s, one.Queue), "")
	equal(t, "another device", registered(t, s, two.Queue), "other")
}

func testPushTargets(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	devices := make(map[storage.QueueID]storage.Device)
	var queues []storage.QueueID
	for i := range storage.MaxPushTargets {
		d := enrol(t, s)
		devices[d.Queue] = d
		queues = append(queues, d.Queue)
		if i%3 == 0 {
			must(t, s.PutPush(t.Context(), d.ID, d.Queue[:]))
		}
	}
	c := newChannel(t, s, queues...)
	for range 3 {
		post(t, s, newPost(c.ID, 7, "text"))
	}
	must(t, s.AckItems(t.Context(), queues[3], 2))
	must(t, s.AckItems(t.Context(), queues[6], 3))
	targets, err := s.PushTargets(t.Context(), queues)
	must(t, err)
	equal(t, "targets", len(targets), (storage.MaxPushTargets+2)/3)
	for _, target := range targets {
		equal(t, "sealed", storage.QueueID(target.Sealed), target.Queue)
		equal(t, "last seq", target.LastSeq, 3)
		want := map[storage.QueueID]uint64{queues[3]: 2, queues[6]: 3}[target.Queue]
		equal(t, "acknowledged", target.Acked, want)
	}
	none, err := s.PushTargets(t.Context(), nil)
	must(t, err)
	equal(t, "targets of nothing", len(none), 0)
}

// A registration ends with its device, and with all devices of its account.
func testPushEnds(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	one := enrol(t, s)
	two := addDevice(t, s, one.Account)
	three := addDevice(t, s, one.Account)
	other := enrol(t, s)
	for _, d := range []storage.Device{one, two, three, other} {
		must(t, s.PutPush(t.Context(), d.ID, []byte("sealed")))
	}
	must(t, s.RevokeDevice(t.Context(), two.Account, two.ID))
	equal(t, "revoked", registered(t, s, two.Queue), "")
	wantErr(t, s.PutPush(t.Context(), two.ID, []byte("again")), storage.ErrDeviceRevoked)
	equal(t, "still there", registered(t, s, three.Queue), "sealed")
	must(t, s.DeletePushes(t.Context(), one.Account))
	equal(t, "one of the account", registered(t, s, one.Queue), "")
	equal(t, "another of the account", registered(t, s, three.Queue), "")
	equal(t, "another account", registered(t, s, other.Queue), "sealed")
}
