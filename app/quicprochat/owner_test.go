package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

const password = "seven gulls over the harbour"

// Who hosts a server is its admin; whom it invites is not.
func TestHostIsAdmin(t *testing.T) {
	dir := t.TempDir()
	h := newHost(filepath.Join(dir, "host"), slog.New(slog.DiscardHandler))
	text, err := h.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	link, err := client.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	link.Host = "127.0.0.1"
	profile := func(name string) controller.Profile {
		return controller.Profile{Options: client.Options{Dir: filepath.Join(dir, name), DeviceName: "test", Cost: client.CheapForTests()}}
	}
	role := func(s controller.Session, err error) client.Role {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := s.(interface {
			controller.Session
			Sync(context.Context) error
		})
		if err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		role, err := c.MyRole(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return role
	}
	guest := profile("guest")
	if got := role(guest.Register(t.Context(), link, "guest", password)); got != client.RoleUser {
		t.Errorf("the guest is %s", got)
	}
	own := ownerSDK{profile("own"), h}
	if got := role(own.Register(t.Context(), link, "own", password)); got != client.RoleAdmin {
		t.Errorf("the host is %s", got)
	}
	// A profile from before there were roles becomes one when it is opened.
	if got := role(ownerSDK{guest, h}.Open(t.Context(), password)); got != client.RoleAdmin {
		t.Errorf("the opened profile is %s", got)
	}
	// An account on another server does not matter here.
	elsewhere := link
	elsewhere.Pin = make([]byte, 32)
	h.own(&owner{link: elsewhere, me: client.Me{Name: "guest"}})
}
