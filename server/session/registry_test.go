package session

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for; it is no measure of anything.
const patience = 30 * time.Second

// node is a server whose only call binds the connection as the test says.
type node struct {
	*Registry
	link  wire.Link
	binds chan func(*wire.Peer) error
}

func startNode(t *testing.T, store Store, relay Relay) *node {
	t.Helper()
	cert, err := wire.LoadOrCreateCertificate(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link, err := wire.ParseLink("qpc://" + socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	pin := wire.PinOf(cert)
	link.Pin = pin[:]
	n := &node{NewRegistry(store, relay), link, make(chan func(*wire.Peer) error, 1)}
	r := wire.NewRouter()
	wire.Handle(r, func(_ context.Context, p *wire.Peer, _ *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) {
		return &qpcv1.HealthResponse{}, (<-n.binds)(p)
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- wire.Serve(ctx, socket, wire.ServerTLS(cert), r, wire.ServeOptions{Logger: slog.New(slog.DiscardHandler), Linger: time.Second})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n
}

// connect makes a connection that bind has bound.
func (n *node) connect(t *testing.T, bind func(*wire.Peer) error) *wire.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := wire.Dial(ctx, n.link, wire.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-c.Done()
	})
	n.binds <- bind
	if err := c.Call(ctx, &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (n *node) connectDevice(t *testing.T, d Device) *wire.Conn {
	t.Helper()
	n.store.(*books).add(d)
	return n.connect(t, func(p *wire.Peer) error { return n.Bind(t.Context(), p, d) })
}

func (n *node) connectAccount(t *testing.T, a identity.AccountID) *wire.Conn {
	t.Helper()
	b := n.store.(*books)
	b.addAccount(a)
	return n.connect(t, func(p *wire.Peer) error { return n.BindAccount(p, a, b.record(a)) })
}

func newDevice(account identity.AccountID) Device {
	d := Device{Account: account, Key: make(ed25519.PublicKey, ed25519.PublicKeySize)}
	rand.Read(d.ID[:])
	return d
}

// wantGoodbye waits for a connection's end.
func wantGoodbye(t *testing.T, what string, c *wire.Conn, want qpcv1.Goodbye_Reason) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatalf("%s: the connection stays", what)
	}
	if closed, ok := errors.AsType[*wire.ClosedError](c.Err()); !ok || closed.Goodbye != want {
		t.Errorf("%s: ended with %v, want %v", what, c.Err(), want)
	}
}

// wantAlive makes a call on a connection.
func (n *node) wantAlive(t *testing.T, what string, c *wire.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n.binds <- func(*wire.Peer) error { return nil }
	if err := c.Call(ctx, &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
		<-n.binds
		t.Errorf("%s: %v", what, err)
	}
}

func TestEndAccountEndsAllItsConnections(t *testing.T) {
	n := startNode(t, newBooks(), alone{})
	alice, bob := identity.NewAccountID(), identity.NewAccountID()
	phone, laptop, tablet, other := newDevice(alice), newDevice(alice), newDevice(alice), newDevice(bob)
	n.store.(*books).add(tablet)
	ended := map[string]*wire.Conn{
		"phone":        n.connectDevice(t, phone),
		"laptop":       n.connectDevice(t, laptop),
		"login":        n.connectAccount(t, alice),
		"second login": n.connectAccount(t, alice),
		// a new device logs in first, then authenticates
		"both": n.connect(t, func(p *wire.Peer) error {
			return errors.Join(n.BindAccount(p, alice, []byte("record")), n.Bind(t.Context(), p, tablet))
		}),
	}
	bobs, bobsLogin := n.connectDevice(t, other), n.connectAccount(t, bob)
	n.EndAccount(alice, qpcv1.Goodbye_REASON_BANNED)
	for name, c := range ended {
		wantGoodbye(t, name, c, qpcv1.Goodbye_REASON_BANNED)
	}
	n.wantAlive(t, "another account's device", bobs)
	n.wantAlive(t, "another account's login", bobsLogin)
	n.EndAccount(alice, qpcv1.Goodbye_REASON_BANNED) // again changes nothing

	// What comes later is not touched by what was.
	again := n.connectDevice(t, phone)
	n.wantAlive(t, "after the end", again)
}

func TestTheEndIsAnswered(t *testing.T) {
	n := startNode(t, newBooks(), alone{})
	alice := identity.NewAccountID()
	c := n.connectAccount(t, alice)
	n.binds <- func(*wire.Peer) error {
		n.EndAccount(alice, qpcv1.Goodbye_REASON_DELETED)
		return nil
	}
	if err := c.Call(t.Context(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
		t.Errorf("the call that ends the account: %v", err)
	}
	wantGoodbye(t, "then", c, qpcv1.Goodbye_REASON_DELETED)
}

func TestSweepForgetsWhatIsGone(t *testing.T) {
	n := startNode(t, newBooks(), alone{})
	alice := identity.NewAccountID()
	stays := n.connectAccount(t, alice)
	for _, c := range []*wire.Conn{n.connectDevice(t, newDevice(alice)), n.connectAccount(t, alice), n.connectAccount(t, identity.NewAccountID())} {
		c.Close()
	}
	size := func() (devices, accounts, connections int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, peers := range n.accounts {
			connections += len(peers)
		}
		return len(n.devices), len(n.accounts), connections
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // the server hears of it a little later
		n.Sweep()
		devices, accounts, connections := size()
		if devices == 0 && accounts == 1 && connections == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d devices, %d accounts with %d connections are kept", devices, accounts, connections)
		}
	}
	n.EndAccount(alice, qpcv1.Goodbye_REASON_BANNED)
	wantGoodbye(t, "the one that stayed", stays, qpcv1.Goodbye_REASON_BANNED)
}

// pair are two nodes with one store.
func pair(t *testing.T) (a, b *node, store *books, link *toOther) {
	store, link = newBooks(), &toOther{t: t}
	a = startNode(t, store, relayFunc(func(e Ending) { link.tell(b, e) }))
	b = startNode(t, store, relayFunc(func(e Ending) { link.tell(a, e) }))
	return a, b, store, link
}

func TestEndingsReachTheOtherNode(t *testing.T) {
	a, b, _, _ := pair(t)
	alice, bob := identity.NewAccountID(), identity.NewAccountID()
	phone, bobs := newDevice(alice), newDevice(bob)
	onA, onB := a.connectAccount(t, alice), b.connectDevice(t, phone)
	bobOnA, bobOnB := a.connectAccount(t, bob), b.connectDevice(t, bobs)

	a.EndAccount(alice, qpcv1.Goodbye_REASON_BANNED)
	wantGoodbye(t, "here", onA, qpcv1.Goodbye_REASON_BANNED)
	wantGoodbye(t, "there", onB, qpcv1.Goodbye_REASON_BANNED)

	a.End(bobs.ID, qpcv1.Goodbye_REASON_REVOKED)
	wantGoodbye(t, "the device there", bobOnB, qpcv1.Goodbye_REASON_REVOKED)
	a.wantAlive(t, "the account's login", bobOnA)
}

func TestADeviceMovesToTheOtherNode(t *testing.T) {
	a, b, _, link := pair(t)
	d := newDevice(identity.NewAccountID())
	onA := a.connectDevice(t, d)
	onB := b.connectDevice(t, d)
	<-a.Doubted()
	must(t, a.Settle(t.Context()))
	wantGoodbye(t, "the old one", onA, qpcv1.Goodbye_REASON_REPLACED)

	// It moves back, and what B had said arrives late.
	link.lost(true)
	again := a.connectDevice(t, d)
	a.Ended(Ending{Device: d.ID, Reason: qpcv1.Goodbye_REASON_REPLACED})
	<-a.Doubted()
	must(t, a.Settle(t.Context()))
	must(t, a.Recheck(t.Context()))
	a.wantAlive(t, "the newest", again)
	b.wantAlive(t, "as long as nobody tells it", onB)
	must(t, b.Settle(t.Context())) // nothing was said
	b.wantAlive(t, "as long as it does not ask", onB)
	must(t, b.Recheck(t.Context()))
	wantGoodbye(t, "the one that B had", onB, qpcv1.Goodbye_REASON_REPLACED)
}

// A device that moves on before the node that it left knows to have had it is
// not kept there.
func TestADeviceMovesWhileItConnects(t *testing.T) {
	a, b, store, _ := pair(t)
	d := newDevice(identity.NewAccountID())
	var onB *wire.Conn
	store.do(func() {
		store.afterClaim = func() {
			onB = b.connectDevice(t, d)
			<-a.Doubted()
			must(t, a.Settle(t.Context())) // cannot know yet
		}
	})
	onA := a.connectDevice(t, d)
	select {
	case <-a.Doubted():
	default:
		t.Fatal("the doubt is forgotten")
	}
	must(t, a.Settle(t.Context()))
	wantGoodbye(t, "the one that it left", onA, qpcv1.Goodbye_REASON_REPLACED)
	b.wantAlive(t, "the newest", onB)
}

// What a node was not told, or a program beside the server has done, is found
// in the store.
func TestRecheckFindsWhatWasNotTold(t *testing.T) {
	a, b, store, link := pair(t)
	link.lost(true)
	alice, bob, carol := identity.NewAccountID(), identity.NewAccountID(), identity.NewAccountID()
	deleted, revoked, stays := newDevice(alice), newDevice(bob), newDevice(carol)
	gone := map[*wire.Conn]qpcv1.Goodbye_Reason{
		b.connectDevice(t, deleted): qpcv1.Goodbye_REASON_DELETED,
		b.connectAccount(t, alice):  qpcv1.Goodbye_REASON_DELETED,
		b.connectDevice(t, revoked): qpcv1.Goodbye_REASON_REVOKED,
		b.connectAccount(t, carol):  qpcv1.Goodbye_REASON_PASSWORD_CHANGED,
	}
	kept := []*wire.Conn{b.connectAccount(t, bob), b.connectDevice(t, stays)}
	must(t, b.Recheck(t.Context()))
	store.deleteAccount(alice)
	store.revoke(revoked)
	store.setRecord(carol, []byte("after a new password"))
	a.EndAccount(alice, qpcv1.Goodbye_REASON_DELETED) // does not arrive
	for range 2 {
		must(t, b.Recheck(t.Context()))
	}
	for c, reason := range gone {
		wantGoodbye(t, "ended", c, reason)
	}
	for _, c := range kept {
		b.wantAlive(t, "not concerned", c)
	}
	store.fail(errors.New("the store is gone"))
	if err := b.Recheck(t.Context()); err == nil {
		t.Error("the store's error is kept to itself")
	}
	b.wantAlive(t, "without a store", kept[0])
}

// A device that was revoked while it connected comes to nothing.
func TestBindARevokedDevice(t *testing.T) {
	n := startNode(t, newBooks(), alone{})
	d := newDevice(identity.NewAccountID())
	result := make(chan error, 1)
	c := n.connect(t, func(p *wire.Peer) error {
		result <- n.Bind(t.Context(), p, d)
		return nil
	})
	if err := <-result; !errors.Is(err, storage.ErrUnknownDevice) {
		t.Errorf("got %v", err)
	}
	wantGoodbye(t, "then", c, qpcv1.Goodbye_REASON_REVOKED)
}

func FuzzParseEnding(f *testing.F) {
	account, device := identity.NewAccountID(), newDevice(identity.NewAccountID()).ID
	for _, e := range []Ending{
		{Account: account, Reason: qpcv1.Goodbye_REASON_BANNED},
		{Device: device, Reason: qpcv1.Goodbye_REASON_REVOKED},
		{Account: account, Device: device, Reason: qpcv1.Goodbye_REASON_REVOKED},
		{Reason: qpcv1.Goodbye_REASON_REVOKED},
		{Account: account},
		{Account: account, Reason: 0x7f},
	} {
		f.Add(e.Marshal())
	}
	f.Add([]byte(nil))
	f.Add(make([]byte, EndingSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnding(b)
		switch one := (e.Account == identity.AccountID{}) != (e.Device == identity.DeviceID{}); {
		case err != nil && (e != Ending{} || !errors.Is(err, ErrEnding)):
			t.Errorf("%+v with %v", e, err)
		case err == nil && (!one || e.Reason == qpcv1.Goodbye_REASON_UNSPECIFIED || string(e.Marshal()) != string(b)):
			t.Errorf("%x was taken as %+v", b, e)
		}
	})
}
