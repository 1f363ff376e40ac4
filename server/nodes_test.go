package server

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/bus/nats/natstest"
)

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: in vain", what)
		}
	}
}

// well waits until the bus of every node works.
func well(t testing.TB, nodes []*fixture) {
	t.Helper()
	waitFor(t, "the bus works", func() bool {
		for _, n := range nodes {
			if n.BusHealth() != nil {
				return false
			}
		}
		return true
	})
}

// moveTo gives a device a connection to another node.
func moveTo(f *fixture, d *member) {
	f.t.Helper()
	f.reconnect(d)
	d.subscribe(0)
}

func TestNodesServeOneAnother(t *testing.T) {
	nodes := startNodes(t, 3, natstest.Run(t))
	well(t, nodes)
	alice, bob := nodes[0].register("alice"), nodes[1].register("bob")
	alice.subscribe(0)
	bob.subscribe(0)
	r := newRoom(nodes[2], alice, bob)
	for i := range 10 {
		var item []byte
		if i == 5 {
			item = r.commit()
		} else {
			item = r.post([]byte("x"))
		}
		for _, m := range []*member{alice, bob} {
			if got := m.next(); !bytes.Equal(got.ItemId, item) {
				t.Fatalf("item %d is another one", i)
			}
		}
	}
}

func TestSessionsEndOnTheOtherNode(t *testing.T) {
	nodes := startNodes(t, 2, natstest.Run(t))
	well(t, nodes)
	a, b := nodes[0], nodes[1]
	alice, bob := a.register("alice"), a.register("bob")
	old := bob.conn
	moveTo(b, bob)
	if reason := old.goodbye(); reason != qpcv1.Goodbye_REASON_REPLACED {
		t.Errorf("moved: %v", reason)
	}
	old = bob.conn
	moveTo(a, bob)
	if reason := old.goodbye(); reason != qpcv1.Goodbye_REASON_REPLACED {
		t.Errorf("moved back: %v", reason)
	}

	second := a.newDevice(alice.person)
	must[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	moveTo(b, second)
	must[qpcv1.RevokeDeviceResponse](alice.conn, &qpcv1.RevokeDeviceRequest{DeviceId: second.id[:]})
	if reason := second.goodbye(); reason != qpcv1.Goodbye_REASON_REVOKED {
		t.Errorf("revoked: %v", reason)
	}

	login := b.dial()
	if _, err := b.tryLogin(login, "alice", alice.password); err != nil {
		t.Fatal(err)
	}
	a.sessions.EndAccount(alice.person.id, qpcv1.Goodbye_REASON_BANNED)
	for _, c := range []*conn{login, alice.conn} {
		if reason := c.goodbye(); reason != qpcv1.Goodbye_REASON_BANNED {
			t.Errorf("banned: %v", reason)
		}
	}
	bob.subscribe(0) // he is not concerned
}

// With the bus gone, nodes find in the store what they are not told.
func TestNodesWithoutTheirBus(t *testing.T) {
	bus := natstest.New(t, nil)
	nodes := startNodes(t, 2, bus)
	a, b := nodes[0], nodes[1]
	if err := a.BusHealth(); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("health: %v", err)
	}
	alice, bob := a.register("alice"), a.register("bob")
	alice.subscribe(0)
	old := bob.conn
	moveTo(b, bob)
	// nothing but the clock makes the nodes look
	if reason := old.goodbye(); reason != qpcv1.Goodbye_REASON_REPLACED {
		t.Errorf("moved: %v", reason)
	}
	r := newRoom(a, alice, bob)
	item := r.post([]byte("x"))
	if got := bob.next(); !bytes.Equal(got.ItemId, item) {
		t.Error("another item")
	}
	second := a.newDevice(alice.person)
	must[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	moveTo(b, second)
	must[qpcv1.RevokeDeviceResponse](alice.conn, &qpcv1.RevokeDeviceRequest{DeviceId: second.id[:]})
	if reason := second.goodbye(); reason != qpcv1.Goodbye_REASON_REVOKED {
		t.Errorf("revoked: %v", reason)
	}

	bus.Start()
	well(t, nodes)
	item = r.post([]byte("y"))
	if got := bob.next(); !bytes.Equal(got.ItemId, item) {
		t.Error("another item")
	}
	bus.Stop()
	waitFor(t, "the bus is gone", func() bool { return b.BusHealth() != nil })
	waitFor(t, "it is said", func() bool { return bytes.Contains(b.logs.Bytes(), []byte("the bus is gone")) })
	item = r.post([]byte("z"))
	if got := bob.next(); !bytes.Equal(got.ItemId, item) {
		t.Error("another item")
	}
}

// An upload goes on at another server of the store, what it brought is read and
// deleted at either, quotas are counted together, and both clear away.
func TestBlobsOnPostgres(t *testing.T) {
	nodes := startNodes(t, 2, natstest.Run(t))
	a, b := nodes[0], nodes[1]
	objects := a.objects.(*bucket)
	alice := a.register("alice")
	anonA, anonB := a.dial(), b.dial()
	u := newUpload(5*mib + 17)
	u.create(alice.conn)
	u.send(alice.conn, 4, 0, 2)
	u.wantUnknown(anonB)

	moveTo(b, alice)
	if missing := fmt.Sprint(u.create(alice.conn)); missing != "[1 3 5]" {
		t.Errorf("missing: %v", missing)
	}
	u.run(alice.conn)
	for _, anon := range []*conn{anonA, anonB} {
		u.wantDownload(anon)
	}
	_, err := call[qpcv1.FinishUploadResponse](alice.conn, &qpcv1.FinishUploadRequest{UploadSecret: u.secret, Sha256: random(32)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT)

	kept, begun := newUpload(mib).run(alice.conn), newUpload(3*mib)
	begun.create(alice.conn)
	begun.send(alice.conn, 1)
	must[qpcv1.DeleteBlobResponse](anonA, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
	for _, anon := range []*conn{anonA, anonB} {
		u.wantUnknown(anon)
	}
	waitFor(t, "the deleted are cleared away", func() bool { return objects.len() == 2 })
	later := func(d time.Duration) {
		var wg sync.WaitGroup
		for _, n := range nodes {
			n.clock.advance(d)
			wg.Go(func() { n.expire(t.Context()) })
		}
		wg.Wait()
	}
	later(49 * time.Hour) // uploads are out of time
	begun.wantUnknown(anonB)
	waitFor(t, "the unfinished are cleared away", func() bool { return objects.len() == 1 })
	kept.wantDownload(anonA)
	later(40 * 24 * time.Hour)
	kept.wantUnknown(anonB)
	waitFor(t, "all is cleared away", func() bool { return objects.len() == 0 })
}

func TestBlobQuotaOnPostgres(t *testing.T) {
	url := onPostgres(t)
	f, alice, _ := blobServer(t, nil, url, func(c *Config) { c.Limits.BlobBytesPerDay = 4 * mib })
	newUpload(3 * mib).run(alice.conn)
	_, err := call[qpcv1.CreateUploadResponse](alice.conn, newUpload(2*mib).createRequest())
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_QUOTA)
	f.restart()
	f.reconnect(alice)
	_, err = call[qpcv1.CreateUploadResponse](alice.conn, newUpload(2*mib).createRequest())
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_QUOTA)
	newUpload(mib).run(alice.conn).wantDownload(f.dial())
}

func TestBusWithoutTheProgramForIt(t *testing.T) {
	cfg := testConfig(t)
	onPostgres(t)(&cfg)
	cfg.Bus.URL = "nats://127.0.0.1:1"
	s, err := New(cfg, nil, shared()[0]) // a store and no bus
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	if err := s.Start(); !errors.Is(err, ErrNoBus) {
		t.Errorf("got %v, want ErrNoBus", err)
	}
}
