package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Two that are lost come back one after the other: whoever is slower asks again.
func TestTwoComeBackAtOnce(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	awaitSame(alice, bob, id)
	f.hold(carol.Client)
	f.loseCommit(bob, id, alice.rotate(id))
	f.loseCommit(carol, id, func() {})
	alice.send(id, "anybody?")
	for _, m := range []*member{bob, carol} {
		m.awaitEvent(id, EventBroken)
	}
	for _, m := range []*member{bob, carol} {
		m.settledHealing("the return", func() bool { return slices.Contains(m.events(id), EventReturned) })
	}
	alice.until("both", func() bool { return alice.epoch(id).Epoch >= 4 })
	awaitSame(alice, bob, id)
	awaitSame(alice, carol, id)
	bob.send(id, "bob is back")
	carol.until("bob's message", func() bool { return slices.Contains(carol.texts(id), "bob is back") })
}

// Others change the group while somebody comes back: the way is asked for again.
func TestComingBackRacesWithCommits(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	awaitSame(alice, bob, id)
	f.loseCommit(carol, id, bob.rotate(id))
	awaitSame(alice, bob, id)
	var once sync.Once
	faster := make(chan struct{})
	f.intercept(func(req any) {
		c, ok := req.(*qpcv1.CommitRequest)
		if !ok {
			return
		}
		var body qpcv1.CommitBody
		if proto.Unmarshal(c.Body, &body) != nil || !sealedRejoin(body.MlsMessage) {
			return
		}
		once.Do(func() {
			if err := bob.RotateKeys(context.Background(), id); err != nil {
				t.Error(err)
			}
			close(faster)
		})
	}, nil)
	bob.send(id, "carol?")
	<-faster
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(bob, carol, id)
	awaitSame(alice, carol, id)
	if n := carol.count(id, EventReturned); n != 1 {
		t.Errorf("%d returns", n)
	}
}

// A crash at any step of the way back costs at most a new start.
func TestComingBackSurvivesACrash(t *testing.T) {
	isRejoin := func(req any) bool {
		c, ok := req.(*qpcv1.CommitRequest)
		var body qpcv1.CommitBody
		return ok && proto.Unmarshal(c.Body, &body) == nil && sealedRejoin(body.MlsMessage)
	}
	isSealed := func(req any) bool { _, ok := req.(*qpcv1.DeliverSealedRequest); return ok }
	isGet := func(req any) bool { _, ok := req.(*qpcv1.GetChannelRequest); return ok }
	for name, step := range map[string]struct {
		at    func(any) bool
		after bool // when the server has done it, before the answer
	}{
		"asking": {isSealed, false}, "asked": {isSealed, true}, "looking at the channel": {isGet, false},
		"coming back": {isRejoin, false}, "come back": {isRejoin, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob := f.register("alice"), f.register("bob")
			id := group(alice, bob)
			awaitSame(alice, bob, id)
			reached, gate := make(chan struct{}), make(chan struct{})
			var once sync.Once
			hook := func(req any) {
				if step.at(req) {
					once.Do(func() {
						close(reached)
						<-gate
					})
				}
			}
			if step.after {
				f.intercept(nil, hook)
			} else {
				f.intercept(hook, nil)
			}
			f.loseCommit(bob, id, alice.rotate(id))
			alice.send(id, "bob?")
			<-reached
			bob.close()
			close(gate)
			c, err := Open(t.Context(), bob.o, testPassword)
			if err != nil {
				t.Fatal(err)
			}
			bob.Client = c
			bob.settledHealing("the return", func() bool { return slices.Contains(bob.events(id), EventReturned) })
			awaitSame(alice, bob, id)
			bob.send(id, "here")
			alice.awaitTexts(id, "bob?", "here")
			alice.send(id, "good")
			bob.until("the answer", func() bool { return slices.Contains(bob.texts(id), "good") })
			if n := bob.count(id, EventReturned); n != 1 {
				t.Errorf("%d returns", n)
			}
		})
	}
}

// After an overflow a device finds out by itself that it has missed a commit, also in
// a conversation where nobody writes; and where it has missed none, it goes on.
func TestOverflowHidesNoLostCommit(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id, other := group(alice, bob), group(alice, bob)
	awaitSame(alice, bob, id)
	epoch := bob.epoch(other)
	f.loseCommit(bob, id, alice.rotate(id))
	f.inject(bob.Client, &qpcv1.QueueItem{ItemId: make([]byte, 16), Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	bob.awaitEvent(id, EventReturned)
	awaitSame(alice, bob, id)
	bob.until("the end of the doubt", func() bool {
		v := bob.lookup(other)
		v.mu.Lock()
		doubt := v.notes.Doubt
		v.mu.Unlock()
		return !doubt && slices.Contains(bob.events(other), EventOverflow)
	})
	if now := bob.epoch(other); now.Epoch != epoch.Epoch || slices.Contains(bob.events(other), EventBroken) {
		t.Errorf("epoch %d, then %d", epoch.Epoch, now.Epoch)
	}
}

// What is not answered is asked again, and a conversation about which nothing can be
// found out keeps no other from it.
func TestDoubtStaysUntilItIsAnswered(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	damaged, id := group(alice, bob), group(alice, bob)
	awaitSame(alice, bob, id)
	awaitSame(alice, bob, damaged)
	f.mu.Lock()
	f.busy = true
	f.mu.Unlock()
	f.loseCommit(bob, id, alice.rotate(id))
	f.inject(bob.Client, &qpcv1.QueueItem{ItemId: make([]byte, 16), Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	bob.awaitEvent(id, EventOverflow)
	bob.awaitEvent(damaged, EventOverflow)
	if err := bob.findLost(t.Context()); err == nil {
		t.Error("nothing was found out, and nobody says so")
	}
	v := bob.lookup(damaged)
	v.mu.Lock()
	v.close()
	err := bob.vault.Update(t.Context(), func(tx *vault.Tx) error {
		return tx.PutMLS(damaged, records([]mls.Change{{Key: []byte("epoch"), Value: []byte("damaged")}}))
	})
	v.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.busy = false
	f.mu.Unlock()
	if err := bob.findLost(t.Context()); !errors.Is(err, ErrProfileCorrupt) {
		t.Errorf("got %v", err)
	}
	bob.awaitEvent(id, EventReturned)
}
