package client

import (
	"errors"
	"slices"
	"testing"

	"quicprochat/core/vault"
)

// awaitNoKeys waits until a conversation that was left has no keys left.
func (m *member) awaitNoKeys(id ConversationID) {
	m.t.Helper()
	m.until("the keys to be gone", func() bool {
		n := 0
		err := m.vault.View(m.t.Context(), func(tx *vault.Tx) error {
			records, err := tx.MLSRecords(id)
			if err != nil {
				return err
			}
			for range records {
				n++
			}
			return nil
		})
		return err == nil && n == 0
	})
}

func TestLeaveDirect(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.awaitState(chat.ID, StateActive)
	if err := bob.Leave(t.Context(), chat.ID); err != nil {
		t.Fatal(err)
	}
	bob.awaitState(chat.ID, StateLeft)
	bob.awaitNoKeys(chat.ID)
	alice.awaitState(chat.ID, StateLeft)
	if got := alice.events(chat.ID); !slices.Equal(got, []EventKind{EventCreated, EventLeft}) {
		t.Errorf("events %v", got)
	}
	if _, err := alice.Send(t.Context(), chat.ID, "hello?"); !errors.Is(err, ErrNotMember) {
		t.Errorf("send to nobody: %v", err)
	}
	again, err := alice.StartDirect(t.Context(), "bob")
	if err != nil || again.ID == chat.ID {
		t.Errorf("the chat that is over was opened again: %v", err)
	}
}

// Who asks to leave in an epoch that is just ending asks again in the next, and
// so after a restart.
func TestLeaveWhileTheGroupMoves(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.hold(bob.Client)
	if err := alice.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := bob.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	bob.reopen()
	f.release(bob.Client)
	bob.awaitNoKeys(id)
	alice.until("bob to be gone", func() bool {
		members, err := alice.Members(t.Context(), id)
		return err == nil && len(members) == 1
	})
	if got := alice.events(id); got[len(got)-1] != EventLeft {
		t.Errorf("events %v", got)
	}
}

// The last one out needs nobody.
func TestLeaveAlone(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	id := group(alice)
	if err := alice.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	alice.awaitState(id, StateLeft)
	alice.awaitNoKeys(id)
	alice.until("the channel to be deleted", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.channels[id] == nil
	})
}

// Leaving takes all devices of the account along.
func TestLeaveWithTwoDevices(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	laptop := &member{t: t, f: f, o: f.options("laptop")}
	c, err := Login(t.Context(), laptop.o, f.link, "alice", testPassword)
	if err != nil {
		t.Fatal(err)
	}
	laptop.Client = c
	t.Cleanup(laptop.close)
	laptop.sync()
	id := group(alice, bob)
	laptop.awaitState(id, StateActive)
	if m, err := bob.Members(t.Context(), id); err != nil || m[0].Name != "alice" || m[0].Devices != 2 {
		t.Fatalf("members %+v, %v", m, err)
	}
	if err := laptop.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	laptop.awaitState(id, StateLeft)
	alice.awaitState(id, StateLeft)
	bob.until("alice to be gone", func() bool {
		members, err := bob.Members(t.Context(), id)
		return err == nil && len(members) == 1
	})
	if c, err := bob.Conversation(t.Context(), id); err != nil || !c.CanManage {
		t.Error("nobody was left to manage the group")
	}
}
