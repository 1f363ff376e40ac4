package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/auth"
	"quicprochat/server/storage"
)

// failing is a store that fails to read an account the second time, after
// something else has happened.
type failing struct {
	storage.Store
	reads int
	first func()
}

func (s *failing) Account(ctx context.Context, id [16]byte) (storage.Account, error) {
	if s.reads++; s.reads == 2 {
		s.first()
		return storage.Account{}, errors.New("the store fails")
	}
	return s.Store.Account(ctx, id)
}

// A device whose connection counts already, and for which the store then fails,
// is not told that it is banned; and a newer connection of it stays.
func TestStoreFailsBehindAuthentication(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	store := &failing{Store: f.store, first: func() { f.reconnect(alice) }}
	r := wire.NewRouter()
	auth.New(auth.Options{Store: store, Sessions: f.sessions, Now: f.clock.now, Log: f.log}).Register(r)
	c := dialLink(t, f.serveBeside(r))
	wantCode(t, alice.authenticate(c), qpcv1.ErrorCode_ERROR_CODE_INTERNAL)
	if reason := c.goodbye(); reason == qpcv1.Goodbye_REASON_BANNED {
		t.Error("who is not banned was told so")
	}
	must[qpcv1.GetRoleResponse](alice.conn, &qpcv1.GetRoleRequest{})
}

// serveBeside serves other methods on a port of their own, and returns the link.
func (f *fixture) serveBeside(r *wire.Router) string {
	f.t.Helper()
	cert, err := wire.LoadOrCreateCertificate(f.t.TempDir(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	socket, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	link, err := wire.ParseLink("qpc://" + socket.LocalAddr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	pin := wire.PinOf(cert)
	link.Pin = pin[:]
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- wire.Serve(ctx, socket, wire.ServerTLS(cert), r, wire.ServeOptions{Logger: f.log, Linger: time.Second})
	}()
	f.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	return link.String()
}
