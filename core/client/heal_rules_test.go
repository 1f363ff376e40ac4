package client

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Where the server does not know the address of some member, a device comes back
// without its address being added, rather than not at all or by its own alone.
func TestComesBackBesideAForeignAddress(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.mu.Lock()
	f.foreign = alice.addressOf(id, bob.Me().AccountID)
	f.mu.Unlock()
	var alone atomic.Bool
	f.intercept(func(req any) {
		var m qpcv1.CommitBody
		if c, ok := req.(*qpcv1.CommitRequest); ok && proto.Unmarshal(c.Body, &m) == nil {
			alone.CompareAndSwap(false, len(m.AddAddresses) == 1)
		}
	}, nil)
	f.loseCommit(carol, id, bob.rotate(id))
	bob.send(id, "carol?")
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(bob, carol, id)
	if alone.Load() {
		t.Error("a commit with the own address alone")
	}
}

// Whoever was removed while it was lost gets no answer, from anybody, and stays out.
func TestRemovedMemberIsNotLetBackIn(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.loseCommit(carol, id, func() {
		alice.rotate(id)()
		if err := alice.RemoveMember(t.Context(), id, carol.Me().AccountID); err != nil {
			t.Fatal(err)
		}
	})
	awaitSame(alice, bob, id)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	var sealed [][]byte
	var mu sync.Mutex
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.DeliverSealedRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			sealed = append(sealed, r.Address)
		}
	}, nil)
	carol.send(id, "let me in")
	carol.until("the refusal", func() bool { return carol.lookup(id).waitsFor() > 0 })
	if err := carol.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := func() int { mu.Lock(); defer mu.Unlock(); return len(sealed) }
	carol.settledHealing("two questions", func() bool { return requests() >= 2 })
	for _, m := range []*member{alice, bob} { // what came before this they have dealt with
		m.until("the questions", func() bool {
			m.f.mu.Lock()
			defer m.f.mu.Unlock()
			return len(m.f.devices[m.Me().DeviceID].items) == 0
		})
		v := m.lookup(id)
		if _, _, err := v.wayBack(t.Context(), carol.self.certificate, bytes.Repeat([]byte{1}, 16)); !errors.Is(err, errNoAnswer) {
			t.Errorf("%s answers: %v", m.Me().Name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	me := carol.Me().DeviceID
	if slices.ContainsFunc(sealed, func(a []byte) bool { return bytes.Equal(a[:16], me[:]) }) {
		t.Error("somebody answered a removed member")
	}
	if c, _ := carol.Conversation(t.Context(), id); c.State != StateBroken {
		t.Errorf("state %v", c.State)
	}
}

// A member cannot have its way by breaking the rules and then showing the others the
// way into what it has made of the group.
func TestTheWayBackKeepsTheRules(t *testing.T) {
	for name, attack := range map[string]func(mallory *conversation, bob *member) mls.Proposal{
		"removes a member's only device": func(v *conversation, bob *member) mls.Proposal {
			return mls.RemoveProposal(v.leavesOf(bob.Me().AccountID)[0].Index)
		},
		"removes one of two devices": func(v *conversation, _ *member) mls.Proposal {
			leaves := v.leavesOf(v.state.admins[0])
			return mls.RemoveProposal(leaves[len(leaves)-1].Index)
		},
		"asks something of all members": func(v *conversation, _ *member) mls.Proposal {
			return mls.GroupContextExtensionsProposal(append(v.group.GroupContextExtensions(),
				mls.Extension{Type: mls.ExtRequiredCapabilities, Data: []byte{0, 0, 0}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, mallory, bob, carol := f.register("alice"), f.register("mallory"), f.register("bob"), f.register("carol")
			id := group(alice, mallory, bob, carol)
			laptop := f.login("alice", "laptop")
			if err := alice.SyncDevices(t.Context()); err != nil {
				t.Fatal(err)
			}
			laptop.awaitState(id, StateActive)
			for _, m := range []*member{mallory, bob, carol} {
				awaitSame(m, laptop, id)
			}
			err := mallory.lookup(id).commit(t.Context(), func(v *conversation) (*plan, error) {
				return &plan{proposals: []mls.Proposal{attack(v, bob)}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			carol.awaitEvent(id, EventBroken)
			v := carol.lookup(id)
			carol.settledHealing("mallory's answer", func() bool {
				v.mu.Lock()
				defer v.mu.Unlock()
				return v.row.State != stateBroken || slices.ContainsFunc(v.notes.Healing.Asked, func(a asked) bool {
					return a.Done && DeviceID(a.Device) == mallory.Me().DeviceID
				})
			})
			if c, err := carol.Conversation(t.Context(), id); err != nil || c.State != StateBroken {
				t.Errorf("state %v, %v", c.State, err)
			}
		})
	}
}

// revoke is what an account's own doing makes of its device.
func (f *fakeServer) revoke(m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices[m.Me().DeviceID].revoked = true
}

// That devices have come and gone is believed of anybody where the server says so too:
// their accounts do that without an administrator.
func TestComesBackThoughDevicesHaveChanged(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol, dave := f.register("alice"), f.register("bob"), f.register("carol"), f.register("dave")
	id := group(alice, bob, carol, dave)
	tablet := f.login("bob", "tablet")
	if err := bob.SyncDevices(t.Context()); err != nil {
		t.Fatal(err)
	}
	tablet.awaitState(id, StateActive)
	for _, m := range []*member{alice, bob, carol, dave} {
		awaitSame(m, tablet, id)
	}
	var phone *member
	f.loseCommit(carol, id, func() {
		f.revoke(tablet)
		phone = f.login("bob", "phone")
		if err := bob.SyncDevices(t.Context()); err != nil {
			t.Fatal(err)
		}
		phone.awaitState(id, StateActive)
		awaitSame(alice, phone, id)
		awaitSame(dave, phone, id)
	})
	for _, m := range []*member{alice, bob, phone} { // whoever may say more than dave
		f.hold(m.Client)
	}
	dave.send(id, "carol?")
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(dave, carol, id)
}
