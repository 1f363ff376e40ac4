package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"quicprochat/core/client"
)

// TestLeaveUnheard leaves while nobody else is there: whoever comes next sees to it,
// and those who come later find it done.
func TestLeaveUnheard(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.register("alice"), w.register("bob"), w.register("carol")
	group, err := alice.CreateGroup(t.Context(), "quiet", []string{"bob", "carol"})
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("quiet")
	carol.conversation("quiet")
	alice.close()
	carol.close()
	if err := bob.Leave(t.Context(), group.ID); err != nil {
		t.Fatal(err)
	}
	w.reopen(bob) // with the wish in his outbox or on the server
	for _, p := range []*person{carol, alice} {
		w.reopen(p)
		p.until("bob to be gone", func() bool {
			members, err := p.Members(t.Context(), group.ID)
			return err == nil && len(members) == 2
		})
	}
	if _, err := bob.Send(t.Context(), group.ID, "still here"); !errors.Is(err, client.ErrNotMember) {
		t.Errorf("who has left sent: %v", err)
	}
}

// TestNewcomersReadWhatFollows adds somebody while others write: what is sent when
// AddMembers has returned, the newcomer can read.
func TestNewcomersReadWhatFollows(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.register("alice"), w.register("bob"), w.register("carol")
	group, err := alice.CreateGroup(t.Context(), "growing", []string{"bob"})
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("growing")
	const before = 20
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range before {
			_, _ = bob.Send(t.Context(), group.ID, fmt.Sprint("early ", i))
		}
	}()
	if err := alice.AddMembers(t.Context(), group.ID, []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	alice.send(group.ID, "welcome")
	<-done
	want := texts(whileIn(t, alice, group.ID, before+1, carol))
	carol.conversation("growing")
	carol.until("what was said since she came", func() bool { return len(texts(carol.messages(group.ID))) >= len(want) })
	got := texts(carol.messages(group.ID))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("carol has\n%q\nand should have\n%q", got, want)
	}
}

// whileIn waits for n texts and returns those from somebody's coming on.
func whileIn(t *testing.T, p *person, id client.ConversationID, n int, who *person) []client.Message {
	t.Helper()
	p.awaitTexts(id, n)
	messages := p.messages(id)
	for i, m := range messages {
		if m.Event != nil && m.Event.Kind == client.EventAdded && concerns(m.Event, who.Me().AccountID) {
			return messages[i:]
		}
	}
	t.Fatal("nobody was added")
	return nil
}

// TestRemovedWithMessagesToSend removes somebody who has not heard of it and still
// writes: the server refuses it, and it says so to its sender.
func TestRemovedWithMessagesToSend(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	group, err := alice.CreateGroup(t.Context(), "strict", []string{"bob"})
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("strict")
	who := bob.Me().AccountID
	w.stop()
	bob.until("bob to notice", func() bool { return bob.Connection().State != client.Online })
	bob.send(group.ID, "from outside")
	bob.close()
	w.start()
	alice.sync()
	if err := alice.RemoveMember(t.Context(), group.ID, who); err != nil {
		t.Fatal(err)
	}
	w.reopen(bob)
	bob.state(group.ID, client.StateRemoved)
	bob.until("the message to fail", func() bool {
		return slices.ContainsFunc(bob.messages(group.ID), func(m client.Message) bool {
			return m.Kind == client.KindText && m.State == client.StateFailed && m.Err != ""
		})
	})
	alice.send(group.ID, "alone")
	if got := alice.awaitTexts(group.ID, 1); got[0] != "alone" {
		t.Errorf("alice has %q", got)
	}
}
