package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"quicprochat/core/client"
)

// A device whose queue overflowed while it was away has missed what was done to the
// group. It finds out, although nobody writes, asks a member for the way back, says in
// one line what may be missing, and goes on with the others: nobody does anything for
// it.
func TestDeviceComesBackAfterItsQueueOverflowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stop()
	w.config.Limits.QueueItems = 200
	w.start()
	alice, bob, carol := w.register("alice"), w.register("bob"), w.register("carol")
	group, err := alice.CreateGroup(t.Context(), "crew", []string{"bob", "carol"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*person{bob, carol} {
		p.conversation("crew")
	}
	carol.sync()
	carol.close()
	for i := range 210 {
		alice.send(group.ID, fmt.Sprintf("while carol is away %d", i))
		// One at a time, or theirs would overflow too.
		bob.awaitText(group.ID, fmt.Sprintf("while carol is away %d", i))
	}
	if err := alice.RotateKeys(t.Context(), group.ID); err != nil {
		t.Fatal(err)
	}
	w.reopen(carol)
	carol.awaitEvent(group.ID, client.EventReturned)
	carol.send(group.ID, "I am")
	bob.awaitText(group.ID, "I am")
	alice.awaitText(group.ID, "I am")
	bob.send(group.ID, "good")
	carol.awaitText(group.ID, "good")
	if a, c := alice.groupEpoch(group.ID), carol.groupEpoch(group.ID); a.Epoch != c.Epoch || !bytes.Equal(a.Authenticator, c.Authenticator) {
		t.Errorf("epochs %d and %d do not agree", a.Epoch, c.Epoch)
	}
}

func (p *person) groupEpoch(id client.ConversationID) client.GroupEpoch {
	p.t.Helper()
	e, err := p.GroupEpoch(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

func (p *person) awaitText(id client.ConversationID, text string) {
	p.t.Helper()
	p.until(text, func() bool { return slices.Contains(texts(p.messages(id)), text) })
}

func (p *person) awaitEvent(id client.ConversationID, kind client.EventKind) {
	p.t.Helper()
	p.until(string(kind), func() bool {
		return slices.ContainsFunc(p.messages(id), func(m client.Message) bool { return m.Kind == client.KindEvent && m.Event.Kind == kind })
	})
}
