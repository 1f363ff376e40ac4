package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// loseCommit makes a member miss a commit of another, so that it can follow no more.
func (f *fakeServer) loseCommit(m *member, id ConversationID, commit func()) {
	f.t.Helper()
	f.hold(m.Client)
	commit()
	f.mu.Lock()
	d := f.devices[m.Me().DeviceID]
	d.items = slices.DeleteFunc(d.items, func(i *qpcv1.QueueItem) bool {
		return i.GetCommit() != nil && bytes.Equal(i.GetCommit().ChannelId, id[:])
	})
	f.mu.Unlock()
	f.release(m.Client)
}

func (m *member) rotate(id ConversationID) func() {
	return func() {
		m.t.Helper()
		if err := m.RotateKeys(m.t.Context(), id); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *member) awaitEvent(id ConversationID, kind EventKind) {
	m.t.Helper()
	m.until(string(kind), func() bool { return slices.Contains(m.events(id), kind) })
}

func (m *member) count(id ConversationID, kind EventKind) int {
	n := 0
	for _, k := range m.events(id) {
		if k == kind {
			n++
		}
	}
	return n
}

// settledHealing runs maintenance as time goes by, until ok.
func (m *member) settledHealing(what string, ok func() bool) {
	m.t.Helper()
	m.until(what, func() bool {
		if ok() {
			return true
		}
		m.f.advance(20 * time.Second)
		ctx, cancel := context.WithTimeout(m.t.Context(), patience)
		defer cancel()
		if err := m.heal(ctx); err != nil && !errors.Is(err, ErrOffline) {
			m.t.Error(err)
		}
		return ok()
	})
}

// A device that has lost commits comes back without anybody's doing, says so in one
// line, and everybody goes on together.
func TestComesBackByItself(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	var seen [][]byte
	var mu sync.Mutex
	f.intercept(func(req any) {
		if c, ok := req.(*qpcv1.CommitRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, c.Body)
		}
	}, nil)
	f.loseCommit(carol, id, bob.rotate(id))
	bob.send(id, "lost on carol")
	carol.awaitEvent(id, EventReturned)
	carol.awaitState(id, StateActive)
	awaitSame(alice, carol, id)
	awaitSame(bob, carol, id)
	carol.send(id, "back")
	bob.awaitTexts(id, "lost on carol", "back")
	alice.awaitTexts(id, "lost on carol", "back")
	bob.send(id, "welcome")
	carol.awaitTexts(id, "back", "welcome")
	if n := carol.count(id, EventReturned); n != 1 {
		t.Errorf("%d lines about the return", n)
	}
	for _, m := range carol.messages(id) {
		if m.Kind == KindEvent && m.Event.Kind == EventReturned {
			if m.Event.From.IsZero() || m.Event.Until.Before(m.Event.From) || !strings.Contains(m.Text, "may be missing") {
				t.Errorf("%q, %+v", m.Text, m.Event)
			}
		}
	}
	// To the others nothing has happened, and nobody was added or removed.
	for _, m := range []*member{alice, bob} {
		if got := m.events(id); slices.ContainsFunc(got, func(k EventKind) bool {
			return k == EventDeviceAdded || k == EventDeviceRemoved || k == EventBroken || k == EventReturned
		}) {
			t.Errorf("%s has %v", m.Me().Name, got)
		}
		list, err := m.Members(t.Context(), id)
		if err != nil || len(list) != 3 {
			t.Errorf("members %v, %v", list, err)
		}
	}
	// The server saw a commit like any other: not who came back.
	mu.Lock()
	defer mu.Unlock()
	account := carol.Me().AccountID
	for _, body := range seen {
		var m qpcv1.CommitBody
		if err := proto.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		if sealedRejoin(m.MlsMessage) && (len(m.AddAddresses) != 3 || !slices.IsSortedFunc(m.AddAddresses, bytes.Compare)) {
			t.Errorf("%d addresses tell the server who comes back", len(m.AddAddresses))
		}
		if bytes.Contains(body, account[:]) || bytes.Contains(body, carol.self.certificate.DeviceKey) {
			t.Error("a commit shows its sender to the server")
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d commits", len(seen))
	}
	carol.reopen()
	carol.send(id, "still here")
	bob.awaitTexts(id, "lost on carol", "back", "welcome", "still here")
}

// In a direct chat the other one shows the way.
func TestComesBackToADirectChat(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	c, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.awaitState(c.ID, StateActive)
	f.loseCommit(alice, c.ID, bob.rotate(c.ID))
	alice.send(c.ID, "waits")
	bob.send(c.ID, "hello")
	alice.awaitEvent(c.ID, EventReturned)
	bob.until("the message", func() bool { return slices.Contains(bob.texts(c.ID), "waits") })
	awaitSame(alice, bob, c.ID)
	if list, err := alice.Conversation(t.Context(), c.ID); err != nil || list.Title != "bob" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A device whose address somebody has taken from the channel gets it back.
func TestComesBackToTheChannel(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	address := alice.addressOf(id, carol.Me().AccountID)
	f.loseCommit(carol, id, bob.rotate(id))
	f.mu.Lock()
	ch := f.channels[id]
	ch.addresses = slices.DeleteFunc(ch.addresses, func(a []byte) bool { return bytes.Equal(a, address) })
	f.strict = true
	f.mu.Unlock()
	carol.send(id, "is anybody there?")
	carol.until("the refusal", func() bool { return carol.lookup(id).waitsFor() > 0 })
	if err := carol.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	carol.awaitEvent(id, EventReturned)
	bob.until("the message", func() bool { return slices.Contains(bob.texts(id), "is anybody there?") })
	bob.send(id, "yes")
	carol.awaitTexts(id, "is anybody there?", "yes")
}

// Who is there now, and was not before, is told: they read what has waited.
func TestComesBackToOthers(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	f.register("dave")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.loseCommit(carol, id, func() {
		if err := alice.RemoveMember(t.Context(), id, bob.Me().AccountID); err != nil {
			t.Fatal(err)
		}
		if err := alice.AddMembers(t.Context(), id, []string{"dave"}); err != nil {
			t.Fatal(err)
		}
		if err := alice.Rename(t.Context(), id, "others"); err != nil {
			t.Fatal(err)
		}
	})
	alice.send(id, "carol?")
	carol.awaitEvent(id, EventReturned)
	awaitSame(alice, carol, id)
	var told []string
	for _, m := range carol.messages(id) {
		if m.Kind == KindEvent && m.Event.Kind != EventReturned {
			told = append(told, m.Text)
		}
	}
	for _, want := range []string{"Somebody added dave.", "Bob left.", "Somebody renamed the group to “others”."} {
		if !slices.Contains(told, want) && !slices.Contains(told, strings.ToLower(want[:1])+want[1:]) {
			t.Errorf("%q is not in %q", want, told)
		}
	}
}
