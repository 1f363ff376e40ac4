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

func startNode(t *testing.T, relay Relay) *node {
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
	n := &node{NewRegistry(relay), link, make(chan func(*wire.Peer) error, 1)}
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
	return n.connect(t, func(p *wire.Peer) error { return n.Bind(p, d) })
}

func (n *node) connectAccount(t *testing.T, a identity.AccountID) *wire.Conn {
	t.Helper()
	return n.connect(t, func(p *wire.Peer) error { return n.BindAccount(p, a) })
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
	n := startNode(t, nil)
	alice, bob := identity.NewAccountID(), identity.NewAccountID()
	phone, laptop, other := newDevice(alice), newDevice(alice), newDevice(bob)
	ended := map[string]*wire.Conn{
		"phone":        n.connectDevice(t, phone),
		"laptop":       n.connectDevice(t, laptop),
		"login":        n.connectAccount(t, alice),
		"second login": n.connectAccount(t, alice),
		// a new device logs in first, then authenticates
		"both": n.connect(t, func(p *wire.Peer) error {
			return errors.Join(n.BindAccount(p, alice), n.Bind(p, newDevice(alice)))
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
	n := startNode(t, nil)
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
	n := startNode(t, nil)
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

// toOther is a relay to one other node.
type toOther struct {
	t     *testing.T
	other func() *Registry
}

func (r toOther) Relay(e Ending) {
	parsed, err := ParseEnding(e.Marshal())
	if err != nil {
		r.t.Error(err)
	}
	r.other().Apply(parsed)
}

func TestEndingsReachTheOtherNode(t *testing.T) {
	var a, b *node
	a = startNode(t, toOther{t, func() *Registry { return b.Registry }})
	b = startNode(t, toOther{t, func() *Registry { return a.Registry }})
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
	f.Add(make([]byte, endingSize+1))
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
