package client

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// A Welcome that is delivered again brings nobody back into a group, also where it
// answers a KeyPackage of last resort.
func TestWelcomeReplayed(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	f.mu.Lock()
	f.devices[bob.Me().DeviceID].keyPackages = nil
	f.mu.Unlock()
	var welcome []byte
	f.intercept(func(req any) {
		if c, ok := req.(*qpcv1.CommitRequest); ok {
			var body qpcv1.CommitBody
			if err := proto.Unmarshal(c.Body, &body); err == nil && len(body.Welcomes) > 0 {
				welcome = body.Welcomes[0].Sealed
			}
		}
	}, nil)
	id := group(alice, bob)
	f.intercept(nil, nil)
	if err := bob.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	bob.awaitNoKeys(id)
	r := random16()
	f.inject(bob.Client, &qpcv1.QueueItem{ItemId: r[:], Body: &qpcv1.QueueItem_Welcome{Welcome: &qpcv1.SealedWelcome{Sealed: welcome}}})
	fine := group(alice, bob) // comes after it
	if c, err := bob.Conversation(t.Context(), id); err != nil || c.State != StateLeft {
		t.Errorf("state %v, %v", c.State, err)
	}
	alice.send(fine, "still fine")
	bob.awaitTexts(fine, "still fine")
	// Who is asked again comes back.
	if err := alice.AddMembers(t.Context(), id, []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	bob.awaitState(id, StateActive)
}

// A server that calls a commit the epoch's and then brings another one is found out.
func TestServerLeadsApart(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.hold(alice.Client)
	if err := alice.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	for _, item := range f.devices[alice.Me().DeviceID].items {
		if item.GetCommit() != nil {
			r := random16()
			item.ItemId = r[:]
		}
	}
	f.mu.Unlock()
	f.release(alice.Client)
	alice.awaitState(id, StateBroken)
}

// A group that cannot be loaded does not keep the others from going on.
func TestDamagedGroup(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id, other := group(alice, bob), group(alice, bob)
	v := alice.lookup(id)
	v.mu.Lock()
	v.close()
	err := alice.vault.Update(t.Context(), func(tx *vault.Tx) error {
		return tx.PutMLS(id, records([]mls.Change{{Key: []byte("epoch"), Value: []byte("damaged")}}))
	})
	v.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	bob.send(id, "lost")
	bob.send(other, "not lost")
	alice.awaitTexts(other, "not lost")
	alice.awaitState(id, StateBroken)
}

// What somebody said before being removed is heard, also by whoever removed them
// and had not got it yet.
func TestLastWords(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	f.hold(alice.Client)
	bob.send(id, "last words")
	carol.awaitTexts(id, "last words")
	if err := alice.RemoveMember(t.Context(), id, bob.Me().AccountID); err != nil {
		t.Fatal(err)
	}
	f.release(alice.Client)
	alice.awaitTexts(id, "last words")
}
