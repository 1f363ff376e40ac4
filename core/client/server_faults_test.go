package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"quicprochat/core/identity"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// drop ends a member's connection to its queue.
func (f *fakeServer) drop(m *member) {
	f.mu.Lock()
	d := f.devices[m.Me().DeviceID]
	p := d.peer
	d.peer = nil
	f.mu.Unlock()
	p.Close(qpcv1.Goodbye_REASON_STOPPING)
}

// A queue that has gone back, as after the server was restored from a backup, is
// taken from its beginning: what is new in it is not mistaken for old.
func TestQueueGoesBack(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	bob.send(id, "one")
	bob.send(id, "two")
	alice.awaitTexts(id, "one", "two")
	came, release := blockRequests[*qpcv1.SubscribeRequest](f)
	f.drop(alice)
	<-came
	f.mu.Lock()
	d := f.devices[alice.Me().DeviceID]
	d.items, d.lastSeq = nil, 0
	f.mu.Unlock()
	bob.send(id, "three")
	bob.awaitTexts(id, "one", "two", "three")
	release()
	alice.awaitTexts(id, "one", "two", "three")
	bob.send(id, "four")
	alice.awaitTexts(id, "one", "two", "three", "four")
	alice.reopen()
	bob.send(id, "five")
	alice.awaitTexts(id, "one", "two", "three", "four", "five")
}

// Where commits are lost, as after a month away, messages do not wait for ever: the
// device asks for the way back, and sends them then.
func TestLostCommits(t *testing.T) {
	for name, hears := range map[string]bool{"somebody writes": true, "nobody writes": false} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob := f.register("alice"), f.register("bob")
			id := group(alice, bob)
			other := group(alice, bob)
			f.mu.Lock()
			f.strict = true
			f.mu.Unlock()
			f.hold(alice.Client)
			if err := bob.RotateKeys(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			f.mu.Lock()
			d := f.devices[alice.Me().DeviceID]
			d.items = slices.DeleteFunc(d.items, func(i *qpcv1.QueueItem) bool { return i.GetCommit() != nil })
			f.mu.Unlock()
			f.release(alice.Client)
			alice.send(id, "hello?")
			if hears {
				bob.send(id, "hello")
			} else {
				alice.until("the refusal", func() bool { return alice.lookup(id).waitsFor() > 0 })
				if err := alice.findLost(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			alice.until("the break", func() bool { return slices.Contains(alice.events(id), EventBroken) })
			bob.until("the message", func() bool { return slices.Contains(bob.texts(id), "hello?") })
			alice.until("the answer", func() bool { return lastText(alice, id).State == StateSent })
			bob.send(other, "fine")
			alice.awaitTexts(other, "fine")
		})
	}
}

// A commit that is still in the queue is not lost.
func TestCommitsStillToCome(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	f.hold(alice.Client)
	if err := bob.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	alice.send(id, "late")
	alice.until("the refusal", func() bool { return alice.lookup(id).waitsFor() > 0 })
	if err := alice.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.release(alice.Client)
	alice.awaitTexts(id, "late")
	bob.awaitTexts(id, "late")
}

// The echo of a message that did not fit into the full queue is asked for.
func TestEchoLostInAnOverflow(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.hold(alice.Client)
	alice.send(id, "hello")
	bob.awaitTexts(id, "hello")
	f.mu.Lock()
	f.devices[alice.Me().DeviceID].items = nil
	f.mu.Unlock()
	f.release(alice.Client)
	f.inject(alice.Client, &qpcv1.QueueItem{Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	alice.awaitTexts(id, "hello")
	if !slices.Contains(alice.events(id), EventOverflow) {
		t.Error("nothing tells of the overflow")
	}
}

// The echo may be lost before the answer to its post is there.
func TestOverflowBeforeTheAnswer(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	came, release := blockRequests[*qpcv1.PostRequest](f)
	alice.send(id, "hello")
	<-came
	f.inject(alice.Client, &qpcv1.QueueItem{Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	alice.until("the overflow", func() bool { return slices.Contains(alice.events(id), EventOverflow) })
	f.hold(alice.Client)
	release()
	bob.awaitTexts(id, "hello")
	alice.until("the answer", func() bool { return lastText(alice, id).State == StateSent })
}

// What a removed device still had to send fails, and says why.
func TestMessagesOfARevokedDevice(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(bob, alice)
	came, release := blockRequests[*qpcv1.PostRequest](f)
	alice.send(id, "one")
	alice.send(id, "two")
	<-came
	f.mu.Lock()
	f.devices[alice.Me().DeviceID].revoked = true
	f.mu.Unlock()
	f.drop(alice)
	alice.until("failure", func() bool {
		m := lastText(alice, id)
		return m.State == StateFailed && m.Err == UserMessage(ErrDeviceRevoked)
	})
	release()
	if _, err := alice.Send(t.Context(), id, "three"); !errors.Is(err, ErrDeviceRevoked) {
		t.Errorf("send: %v", err)
	}
	if err := alice.Leave(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// KeyPackages that the server refuses do not pile up.
func TestRefusedKeyPackages(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	count := func() (n int) {
		err := alice.vault.View(t.Context(), func(tx *vault.Tx) (err error) {
			n, err = tx.KeyPackageCount(false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	f.mu.Lock()
	f.refuseKeys = true
	f.mu.Unlock()
	for range 3 {
		if err := alice.makeKeyPackages(t.Context(), 2, true); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID {
			t.Fatal(err)
		}
	}
	if n := count(); n != before {
		t.Errorf("%d key packages, %d before", n, before)
	}
}

// A name that is known belongs to the account that it is known of, and one liar
// does not keep the names of others away.
func TestNamesAreNotTaken(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol, mallory := f.register("alice"), f.register("bob"), f.register("carol"), f.register("mallory")
	if _, err := alice.StartDirect(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.accounts[mallory.Me().AccountID].name = "bob"
	f.mu.Unlock()
	credential := func(m *member) identity.Credential { return m.self.credential() }
	contacts, err := alice.introduce(t.Context(), []identity.Credential{credential(mallory)})
	if err != nil || len(contacts) != 1 || contacts[0].Name != "" {
		t.Errorf("%+v, %v", contacts, err)
	}
	liar := credential(mallory)
	liar.AccountKey = credential(bob).AccountKey
	contacts, err = alice.introduce(t.Context(), []identity.Credential{liar, credential(carol)})
	if !errors.Is(err, ErrKeyChanged) || len(contacts) != 1 || contacts[0].Name != "carol" {
		t.Errorf("%+v, %v", contacts, err)
	}
}

// The inbox makes the server wait when it is full.
func TestInboxIsBounded(t *testing.T) {
	b := newInbox()
	b.put(t.Context(), make([]*qpcv1.QueueItem, maxInbox))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.put(ctx, []*qpcv1.QueueItem{{Seq: 1}})
	if n := len(b.items); n != maxInbox {
		t.Fatalf("%d items", n)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.put(t.Context(), []*qpcv1.QueueItem{{Seq: 2}})
	}()
	b.next()
	<-done
	if got := b.items[len(b.items)-1].Seq; got != 2 {
		t.Errorf("item %d", got)
	}
}

// Close may come in the middle of anything.
func TestCloseInTheMiddle(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	for range 4 {
		var group sync.WaitGroup
		ctx := t.Context()
		for _, do := range []func() error{
			func() error { _, err := alice.Send(ctx, id, "x"); return err },
			func() error { return alice.RotateKeys(ctx, id) },
			func() error { _, err := alice.CreateGroup(ctx, "new", []string{"bob"}); return err },
			func() error { return alice.Rename(ctx, id, "renamed") },
			func() error { return alice.SyncDevices(ctx) },
			func() error { _, err := alice.Messages(ctx, id, Page{}); return err },
		} {
			group.Go(func() {
				for {
					if err := do(); errors.Is(err, ErrClosed) {
						return
					} else if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrOffline) {
						t.Error(err)
						return
					}
				}
			})
		}
		bob.send(id, "y")
		alice.until("a message", func() bool { return len(alice.texts(id)) > 0 })
		alice.close()
		group.Wait()
		c, err := Open(t.Context(), alice.o, testPassword)
		if err != nil {
			t.Fatal(err)
		}
		alice.Client = c
	}
	alice.sync()
	awaitSame(alice, bob, id)
}
