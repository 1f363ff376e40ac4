package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"quicprochat/core/client"
)

// TestDirectChat lets two people talk, both ways.
func TestDirectChat(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if chat.Title != "bob" || chat.Kind != client.KindDirect || chat.Peer != bob.Me().AccountID {
		t.Errorf("alice's chat is %+v", chat)
	}
	alice.send(chat.ID, "hello")
	if got := bob.conversation("alice"); got.ID != chat.ID {
		t.Fatal("bob has another conversation")
	}
	bob.awaitTexts(chat.ID, 1)
	bob.send(chat.ID, "hi")
	for _, p := range []*person{alice, bob} {
		if got := p.awaitTexts(chat.ID, 2); got[0] != "hello" || got[1] != "hi" {
			t.Errorf("%s has %q", p.name, got)
		}
	}
	again, err := bob.StartDirect(t.Context(), "alice")
	if err != nil || again.ID != chat.ID {
		t.Errorf("a second chat was started: %v", err)
	}
}

// TestGroup takes a group through its life: made, renamed, grown, shrunk, left.
func TestGroup(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.register("alice"), w.register("bob"), w.register("carol")
	group, err := alice.CreateGroup(t.Context(), "climbing", []string{"bob"})
	if err != nil {
		t.Fatal(err)
	}
	if !group.CanManage {
		t.Error("the creator cannot manage the group")
	}
	if got := bob.conversation("climbing"); got.CanManage {
		t.Error("a member can manage the group")
	}
	alice.send(group.ID, "one")
	bob.awaitTexts(group.ID, 1)

	if err := bob.Rename(t.Context(), group.ID, "hiking"); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("a member renamed the group: %v", err)
	}
	if err := alice.Rename(t.Context(), group.ID, "hiking"); err != nil {
		t.Fatal(err)
	}
	bob.conversation("hiking")
	if err := alice.AddMembers(t.Context(), group.ID, []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	carol.conversation("hiking")
	carol.send(group.ID, "two")
	bob.awaitTexts(group.ID, 2)

	if err := alice.RemoveMember(t.Context(), group.ID, bob.Me().AccountID); err != nil {
		t.Fatal(err)
	}
	bob.state(group.ID, client.StateRemoved)
	if _, err := bob.Send(t.Context(), group.ID, "still here"); !errors.Is(err, client.ErrNotMember) {
		t.Errorf("a removed member sent: %v", err)
	}

	// The only administrator leaves: Carol takes over.
	if err := alice.Leave(t.Context(), group.ID); err != nil {
		t.Fatal(err)
	}
	alice.state(group.ID, client.StateLeft)
	carol.until("alice to be gone", func() bool {
		members, err := carol.Members(t.Context(), group.ID)
		return err == nil && len(members) == 1
	})
	if c, err := carol.Conversation(t.Context(), group.ID); err != nil || !c.CanManage {
		t.Errorf("nobody manages the group: %+v, %v", c, err)
	}
	// Who was removed can come back.
	if err := carol.AddMembers(t.Context(), group.ID, []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	bob.state(group.ID, client.StateActive)
	bob.send(group.ID, "back")
	carol.awaitTexts(group.ID, 2) // not what was said before she came
}

// TestOffline sends while the server is down, and over restarts of both sides.
func TestOffline(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("alice")
	w.stop()
	alice.until("alice to notice", func() bool { return alice.Connection().State != client.Online })
	alice.send(chat.ID, "first")
	w.reopen(alice)
	alice.send(chat.ID, "second")
	if _, err := alice.StartDirect(t.Context(), "nobody"); !errors.Is(err, client.ErrOffline) {
		t.Errorf("looking somebody up offline: %v", err)
	}
	w.start()
	want := []string{"first", "second"}
	if got := bob.awaitTexts(chat.ID, 2); !slices.Equal(got, want) {
		t.Errorf("bob has %q", got)
	}
	w.reopen(bob)
	if got := bob.awaitTexts(chat.ID, 2); !slices.Equal(got, want) {
		t.Errorf("after a restart bob has %q", got)
	}
	alice.awaitTexts(chat.ID, 2)
}

// TestSecondDevice logs in on another device, which then takes part in what
// the first one is in.
func TestSecondDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("alice")
	laptop := w.login("alice", "laptop")
	if err := alice.SyncDevices(t.Context()); err != nil {
		t.Fatal(err)
	}
	laptop.conversation("bob")
	bob.send(chat.ID, "to both")
	alice.awaitTexts(chat.ID, 1)
	laptop.awaitTexts(chat.ID, 1)
	laptop.send(chat.ID, "from the laptop")
	for _, p := range []*person{alice, bob, laptop} {
		p.awaitTexts(chat.ID, 2)
	}
	if m := alice.messages(chat.ID); !m[len(m)-1].Mine {
		t.Error("a message from one's other device is not one's own")
	}
	// A new conversation has both devices from the start.
	carol := w.register("carol")
	other, err := carol.StartDirect(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	carol.send(other.ID, "hello")
	alice.conversation("carol")
	alice.awaitTexts(other.ID, 1)
	laptop.conversation("carol")
	laptop.awaitTexts(other.ID, 1)
}

// TestEntrance tells each refusal by its own error, and leaves no profile.
func TestEntrance(t *testing.T) {
	w := newWorld(t)
	w.register("alice")
	for _, c := range []struct {
		how            func(context.Context, client.Options, client.Link, string, string) (*client.Client, error)
		name, password string
		want           error
	}{
		{client.Register, "alice", password, client.ErrNameTaken},
		{client.Register, "-", password, client.ErrNameInvalid},
		{client.Login, "alice", "wrong " + password, client.ErrWrongPassword},
		{client.Login, "nobody", password, client.ErrWrongPassword},
	} {
		dir := filepath.Join(t.TempDir(), "profile")
		_, err := c.how(t.Context(), w.options(dir), w.link, c.name, c.password)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, not %v", c.name, err, c.want)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: a profile was left: %v", c.name, err)
		}
	}
	_, err := client.Register(t.Context(), w.options(t.TempDir()), w.link, "dora", "password12")
	if _, ok := errors.AsType[*client.WeakPasswordError](err); !ok {
		t.Errorf("a weak password: %v", err)
	}
}
