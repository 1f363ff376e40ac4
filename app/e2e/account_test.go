package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"quicprochat/core/client"
)

// A person changes the password, loses it, comes back by the recovery code with
// a new device, and the conversation goes on through all of it.
func TestAccountThroughItsLife(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	laptop := w.login("alice", "laptop")
	group, err := alice.CreateGroup(t.Context(), "Readers", []string{"bob"})
	if err != nil {
		t.Fatal(err)
	}
	bob.state(group.ID, client.StateActive)
	laptop.state(group.ID, client.StateActive)

	const second, third = "another anvil entirely", "a third one, later"
	if err := alice.ChangePassword(t.Context(), password, second); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	laptop.sync()
	alice.send(group.ID, "one")
	laptop.send(group.ID, "two")
	bob.awaitTexts(group.ID, 2)
	if _, err := client.Login(t.Context(), w.options(filepath.Join(w.dir, "none")), w.link, "alice", password); !errors.Is(err, client.ErrWrongPassword) {
		t.Errorf("the old password: %v", err)
	}

	if _, err := alice.CreateRecoveryCode(t.Context(), password); !errors.Is(err, client.ErrPresentPassword) {
		t.Errorf("a code for the old password: %v", err)
	}
	code, err := alice.CreateRecoveryCode(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "rescued")
	c, next, err := client.RecoverAccount(t.Context(), w.options(dir), w.link, "Alice", code, third)
	if err != nil || next == "" || next == code {
		t.Fatalf("recovery: %q, %v", next, err)
	}
	rescued := &person{t: t, name: "rescued", dir: dir}
	rescued.use(c)
	rescued.sync() // others find its keys now, and look for it once a minute by themselves
	alice.until("the other device in step", func() bool { return alice.SyncDevices(t.Context()) == nil })
	rescued.state(group.ID, client.StateActive)
	rescued.send(group.ID, "three")
	bob.awaitTexts(group.ID, 3)
	alice.awaitTexts(group.ID, 3)
	if _, again, err := client.RecoverAccount(t.Context(), w.options(filepath.Join(w.dir, "none")), w.link, "alice", code, third); !errors.Is(err, client.ErrWrongRecoveryCode) || again != "" {
		t.Errorf("a spent code: %v", err)
	}

	for _, wrong := range []string{password, second} {
		if err := rescued.DeleteAccount(t.Context(), wrong); !errors.Is(err, client.ErrPresentPassword) {
			t.Errorf("deletion with %q: %v", wrong, err)
		}
	}
	rescued.state(group.ID, client.StateActive) // nothing was left for that
	if err := rescued.DeleteAccount(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the profile is still there: %v", err)
	}
	for _, p := range []*person{alice, laptop} {
		p.until("the end of the account", func() bool { return errors.Is(p.Connection().Err, client.ErrAccountDeleted) })
		if err := p.Sync(t.Context()); !errors.Is(err, client.ErrAccountDeleted) {
			t.Errorf("%s: %v", p.name, err)
		}
		if _, err := p.Send(t.Context(), group.ID, "anybody?"); err == nil {
			t.Errorf("%s can still write", p.name)
		}
	}
	bob.until("alice to be gone", func() bool {
		members, err := bob.Members(t.Context(), group.ID)
		return err == nil && len(members) == 1
	})
	if _, err := client.Login(t.Context(), w.options(filepath.Join(w.dir, "none")), w.link, "alice", third); !errors.Is(err, client.ErrWrongPassword) {
		t.Errorf("login: %v", err)
	}
	if _, err := client.Register(t.Context(), w.options(filepath.Join(w.dir, "none")), w.link, "alice", third); !errors.Is(err, client.ErrNameTaken) {
		t.Errorf("registration: %v", err)
	}
}
