package server

import (
	"bytes"
	"errors"
	"strings"
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
