package client

import (
	"context"
	"errors"
	"slices"
	"testing"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// A reply that is lost with the process must cost nothing: the message is
// there, once, on both sides.
func TestReplyLostInACrash(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)

	accepted, release := make(chan struct{}), make(chan struct{})
	f.intercept(nil, func(req any) {
		if _, ok := req.(*qpcv1.PostRequest); ok {
			close(accepted)
			<-release
		}
	})
	f.hold(alice.Client) // the echo does not come either
	alice.send(id, "hello")
	<-accepted
	f.intercept(nil, nil)
	defer close(release)
	alice.reopen()
	if m := alice.messages(id); m[len(m)-1].State == StateSent {
		t.Error("sent, without anybody having said so")
	}
	alice.awaitTexts(id, "hello") // the repetition is answered
	f.release(alice.Client)
	bob.awaitTexts(id, "hello")
	alice.send(id, "again")
	alice.awaitTexts(id, "hello", "again")
	bob.awaitTexts(id, "hello", "again")
}

// A commit that the server took just before the client crashed is merged.
func TestCrashAfterACommitWon(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)

	accepted, release := make(chan struct{}), make(chan struct{})
	f.intercept(nil, func(req any) {
		if _, ok := req.(*qpcv1.CommitRequest); ok {
			close(accepted)
			<-release
		}
	})
	f.hold(alice.Client)
	renamed := make(chan error, 1)
	go func() { renamed <- alice.Rename(context.Background(), id, "new name") }()
	<-accepted
	f.intercept(nil, nil)
	defer close(release)
	alice.reopen()
	if err := <-renamed; !errors.Is(err, ErrClosed) {
		t.Errorf("rename during close: %v", err)
	}
	f.release(alice.Client)
	awaitSame(alice, bob, id)
	for _, m := range []*member{alice, bob} {
		if c, err := m.Conversation(t.Context(), id); err != nil || c.Title != "new name" {
			t.Errorf("title %q, %v", c.Title, err)
		}
	}
	if got := alice.events(id); !slices.Equal(got, []EventKind{EventCreated, EventAdded, EventRenamed}) {
		t.Errorf("events %v", got)
	}
}

// A commit that lost its race while the client was down is discarded.
func TestCrashAfterACommitLost(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)

	staged, release := make(chan struct{}), make(chan struct{})
	f.intercept(func(req any) {
		if _, ok := req.(*qpcv1.CommitRequest); ok {
			close(staged)
			<-release
		}
	}, nil)
	f.hold(alice.Client)
	go func() { _ = alice.Rename(context.Background(), id, "lost") }()
	<-staged
	f.intercept(nil, nil)
	if err := bob.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	alice.close()
	close(release) // its request is only looked at now
	c, err := Open(t.Context(), alice.o, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	alice.Client = c
	f.release(alice.Client)
	awaitSame(alice, bob, id)
	alice.send(id, "on we go")
	bob.awaitTexts(id, "on we go")
	if err := alice.Rename(t.Context(), id, "won"); err != nil {
		t.Fatal(err)
	}
	awaitSame(alice, bob, id)
}

// A message whose epoch is over when it arrives is sealed anew.
func TestStaleMessage(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	f.hold(alice.Client) // she does not hear of the new epoch
	for range 3 {
		if err := bob.RotateKeys(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	refused := make(chan struct{}, 1)
	f.intercept(nil, func(req any) {
		if _, ok := req.(*qpcv1.PostRequest); ok {
			wake(refused)
		}
	})
	alice.send(id, "late")
	alice.send(id, "later")
	<-refused
	if got := bob.texts(id); got != nil {
		t.Fatalf("bob has %q", got)
	}
	f.release(alice.Client)
	bob.awaitTexts(id, "late", "later")
	alice.awaitTexts(id, "late", "later")
}

// Two members change the group at once: both changes are made.
func TestChangesAtOnce(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	errs := make(chan error, 2)
	for range 10 {
		go func() { errs <- alice.RotateKeys(context.Background(), id) }()
		go func() { errs <- bob.RotateKeys(context.Background(), id) }()
		for range 2 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	}
	awaitSame(alice, bob, id)
}

// The server cannot judge a commit, so the members do.
func TestCommitAgainstTheRules(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	other := group(alice, bob)

	// Bob's own client would not let him: he goes past it.
	err := bob.lookup(id).commit(t.Context(), func(v *conversation) (*plan, error) {
		leaf := v.leavesOf(carol.Me().AccountID)[0]
		return &plan{proposals: []mls.Proposal{mls.RemoveProposal(leaf.Index)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	alice.awaitState(id, StateBroken)
	if got := alice.events(id); got[len(got)-1] != EventBroken {
		t.Errorf("events %v", got)
	}
	if _, err := alice.Send(t.Context(), id, "hello?"); !errors.Is(err, ErrBroken) {
		t.Errorf("send: %v", err)
	}
	alice.send(other, "this one is fine")
	bob.awaitTexts(other, "this one is fine")
	if err := alice.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	alice.awaitState(id, StateLeft)
}

// After a transaction that failed the group is where the vault has it: no
// message key is lost, and none used twice.
func TestFailedTransaction(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	alice.send(id, "one")
	failure := errors.New("the disk is full")
	v := alice.lookup(id)
	v.mu.Lock()
	err := v.write(t.Context(), func(*transaction) error {
		if _, err := v.sealText(random16(), vault.Message{MessageID: random16(), Body: "never"}); err != nil {
			return err
		}
		return failure
	})
	loaded := v.group != nil
	v.mu.Unlock()
	if !errors.Is(err, failure) || loaded {
		t.Fatalf("%v, group kept: %v", err, loaded)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := alice.Send(cancelled, id, "nor this"); err == nil {
		t.Error("sent with a context that is over")
	}
	alice.send(id, "two")
	bob.awaitTexts(id, "one", "two")
	bob.send(id, "three")
	alice.awaitTexts(id, "one", "two", "three")
}

// Nobody is brought into a group by somebody who may not do that.
func TestWelcomeAgainstTheRules(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob)
	who, err := bob.findUser(t.Context(), "carol")
	if err != nil {
		t.Fatal(err)
	}
	newcomers, err := bob.gather(t.Context(), []vault.Contact{who})
	if err != nil {
		t.Fatal(err)
	}
	err = bob.lookup(id).commit(t.Context(), func(*conversation) (*plan, error) {
		return &plan{proposals: additions(newcomers), newcomers: newcomers}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	alice.awaitState(id, StateBroken)
	fine := group(alice, carol) // comes after the other in her queue
	if _, err := carol.Conversation(t.Context(), id); !errors.Is(err, ErrUnknownConversation) {
		t.Errorf("carol took part: %v", err)
	}
	alice.send(fine, "welcome")
	carol.awaitTexts(fine, "welcome")
}

// Nothing that the server puts into the queue blocks it or changes a group.
func TestGarbageInTheQueue(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	bob.send(id, "before")
	alice.awaitTexts(id, "before")
	before := alice.epoch(id)
	unknown := random16()
	item := func(body *qpcv1.QueueItem) *qpcv1.QueueItem {
		r := random16()
		body.ItemId = r[:]
		return body
	}
	message := func(channel, mlsMessage []byte) *qpcv1.QueueItem {
		return item(&qpcv1.QueueItem{Body: &qpcv1.QueueItem_Message{Message: &qpcv1.ChannelMessage{ChannelId: channel, MlsMessage: mlsMessage, ChannelSeq: 9}}})
	}
	for _, i := range []*qpcv1.QueueItem{
		item(&qpcv1.QueueItem{}),
		item(&qpcv1.QueueItem{Body: &qpcv1.QueueItem_Message{}}),
		item(&qpcv1.QueueItem{Body: &qpcv1.QueueItem_Welcome{Welcome: &qpcv1.SealedWelcome{Sealed: []byte("welcome")}}}),
		item(&qpcv1.QueueItem{Body: &qpcv1.QueueItem_Commit{Commit: &qpcv1.ChannelCommit{ChannelId: unknown[:]}}}),
		message(unknown[:], []byte("who?")), message([]byte("short"), nil), message(id[:], nil), message(id[:], []byte("garbage")),
	} {
		f.inject(alice.Client, i)
	}
	bob.send(id, "after")
	alice.awaitTexts(id, "before", "after")
	if after := alice.epoch(id); after.Epoch != before.Epoch {
		t.Error("the group has changed")
	}
	unreadable := slices.DeleteFunc(alice.events(id), func(k EventKind) bool { return k != EventUnreadable })
	if len(unreadable) != 1 {
		t.Errorf("%d events about what could not be read", len(unreadable))
	}
}

// What is delivered twice is shown once.
func TestDuplicates(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.hold(alice.Client)
	bob.send(id, "once")
	bob.awaitTexts(id, "once")
	if err := bob.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	d := f.devices[alice.Me().DeviceID]
	items := slices.Clone(d.items)
	d.held = false
	for _, i := range items { // as new items, with new places in the queue
		f.deliver(d, i)
		f.deliver(d, i)
	}
	f.push(d, items...)
	f.mu.Unlock()
	f.release(alice.Client)
	awaitSame(alice, bob, id)
	bob.send(id, "done")
	alice.awaitTexts(id, "once", "done")
	for _, e := range alice.events(id) {
		if e == EventUnreadable || e == EventBroken {
			t.Errorf("event %v", e)
		}
	}
}

// Who lies about keys is not believed.
func TestChangedKeys(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	id := group(alice, bob)
	f.mu.Lock()
	f.accounts[bob.Me().AccountID].devices, f.accounts[mallory.Me().AccountID].devices = f.accounts[mallory.Me().AccountID].devices, f.accounts[bob.Me().AccountID].devices
	f.mu.Unlock()
	if _, err := alice.StartDirect(t.Context(), "bob"); !errors.Is(err, ErrUnreachableUser) {
		t.Errorf("another's device was taken for bob's: %v", err)
	}
	f.mu.Lock()
	f.accounts[bob.Me().AccountID].name = "robert"
	f.accounts[bob.Me().AccountID].key = f.accounts[mallory.Me().AccountID].key
	f.mu.Unlock()
	if _, err := alice.FindUser(t.Context(), "robert"); !errors.Is(err, ErrKeyChanged) {
		t.Errorf("another key was taken for bob's: %v", err)
	}
	alice.send(id, "still fine")
	bob.awaitTexts(id, "still fine")
}

// KeyPackages are made again when others have used them.
func TestKeyPackagesAreToppedUp(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	count := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.devices[bob.Me().DeviceID].keyPackages)
	}
	if n := count(); n != enoughKeyPackages {
		t.Fatalf("%d key packages", n)
	}
	for range enoughKeyPackages - fewKeyPackages + 1 {
		group(alice, bob)
	}
	bob.until("new key packages", func() bool { return count() > fewKeyPackages })
	// With none left the one of last resort serves, again and again.
	f.mu.Lock()
	f.devices[bob.Me().DeviceID].keyPackages = nil
	f.mu.Unlock()
	f.hold(bob.Client)
	var ids []ConversationID
	for range 2 {
		c, err := alice.CreateGroup(t.Context(), "last resort", []string{"bob"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	f.release(bob.Client)
	for _, id := range ids {
		bob.awaitState(id, StateActive)
	}
}

func TestRevokedDevice(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	f.mu.Lock()
	f.devices[alice.Me().DeviceID].revoked = true
	f.mu.Unlock()
	alice.reopen()
	if err := alice.Sync(t.Context()); !errors.Is(err, ErrDeviceRevoked) {
		t.Errorf("sync: %v", err)
	}
	if c := alice.Connection(); c.State != Offline || !c.Retry.IsZero() {
		t.Errorf("connection %+v", c)
	}
}

func TestProfile(t *testing.T) {
	f := newFakeServer(t)
	if HasProfile(f.options("alice").Dir) {
		t.Fatal("a profile before there is one")
	}
	alice := f.register("alice")
	if _, err := Open(t.Context(), alice.o, testPassword); !errors.Is(err, ErrProfileInUse) {
		t.Errorf("open twice: %v", err)
	}
	if _, err := Register(t.Context(), alice.o, f.link, "other", testPassword); !errors.Is(err, ErrProfileExists) {
		t.Errorf("register over a profile: %v", err)
	}
	me := alice.Me()
	alice.reopen()
	if alice.Me() != me {
		t.Error("another device after a restart")
	}
	alice.close()
	if _, err := Open(t.Context(), alice.o, "wrong"); !errors.Is(err, ErrVaultPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := Open(t.Context(), f.options("nobody"), testPassword); !errors.Is(err, ErrNoProfile) {
		t.Errorf("no profile: %v", err)
	}
	if _, err := alice.Send(t.Context(), ConversationID{}, "x"); !errors.Is(err, ErrUnknownConversation) {
		t.Errorf("send after close: %v", err)
	}
}
