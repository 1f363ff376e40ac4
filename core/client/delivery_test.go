package client

import (
	"context"
	"errors"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// blockRequests holds the next requests of a kind back, before the server looks at
// them; the channel tells of each. release lets them go, and no more are held.
func blockRequests[Req any](f *fakeServer) (came <-chan struct{}, release func()) {
	seen, gate := make(chan struct{}, 16), make(chan struct{})
	f.intercept(func(req any) {
		if _, ok := req.(Req); ok {
			seen <- struct{}{}
			<-gate
		}
	}, nil)
	return seen, func() {
		f.intercept(nil, nil)
		close(gate)
	}
}

// A message whose epoch ended before a crash is sealed anew after it, though
// nothing else happens in the conversation.
func TestStaleMessageAfterARestart(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	came, release := blockRequests[*qpcv1.PostRequest](f)
	alice.send(id, "late")
	<-came
	if err := bob.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	awaitSame(alice, bob, id)
	alice.close()
	release()
	c, err := Open(t.Context(), alice.o, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	alice.Client = c
	alice.awaitTexts(id, "late")
	bob.awaitTexts(id, "late")
}

// A refusal that is told late, when the channel has moved on again and the queue
// has told so, does not speak of a channel that went back.
func TestRefusalOvertakenByCommits(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	came, gate := make(chan struct{}, 16), make(chan struct{}) // 16: a call may be repeated
	hold := func(req any) {
		if _, ok := req.(*qpcv1.PostRequest); ok {
			came <- struct{}{}
			<-gate
		}
	}
	rotate := func() {
		t.Helper()
		if err := bob.RotateKeys(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		awaitSame(alice, bob, id)
	}
	f.intercept(hold, hold)
	alice.send(id, "late")
	<-came
	rotate()
	gate <- struct{}{} // it is refused
	<-came
	rotate()
	f.intercept(nil, nil)
	close(gate) // she is told
	bob.awaitTexts(id, "late")
	alice.until("the answer", func() bool { return lastText(alice, id).State == StateSent })
}

// A server that refuses a message for an epoch before its own has lost
// something: the message fails, and is not sent for ever.
func TestChannelWentBack(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.channels[id].epoch--
	f.mu.Unlock()
	alice.send(id, "hello?")
	alice.until("the failure", func() bool { return lastText(alice, id).State == StateFailed })
}

// Who leaves while an own commit is under way does not lose track of the group.
func TestLeaveWhileCommitting(t *testing.T) {
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob := f.register("alice"), f.register("bob")
			id := group(alice, bob)
			came, release := blockRequests[*qpcv1.CommitRequest](f)
			ctx, cancel := context.WithCancel(t.Context())
			rotated := make(chan error, 1)
			go func() { rotated <- bob.RotateKeys(ctx, id) }()
			<-came
			cancel() // the commit is on its way all the same
			if err := <-rotated; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err := bob.Leave(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if restart {
				bob.reopen()
			}
			release()
			alice.until("bob to be gone", func() bool {
				members, err := alice.Members(t.Context(), id)
				return err == nil && len(members) == 1
			})
			bob.awaitNoKeys(id)
		})
	}
}
