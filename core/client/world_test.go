package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

const (
	testPassword = "seven gulls over the harbour"
	// patience is how long something that must happen is waited for.
	patience = 20 * time.Second
)

// member is a client of the fake server.
type member struct {
	*Client
	t testing.TB
	f *fakeServer
	o Options
}

func (f *fakeServer) register(name string) *member {
	f.t.Helper()
	m := &member{t: f.t, f: f, o: f.options(name)}
	c, err := Register(f.t.Context(), m.o, f.link, name, testPassword)
	if err != nil {
		f.t.Fatalf("register %s: %v", name, err)
	}
	m.Client = c
	f.t.Cleanup(func() { m.close() })
	m.sync()
	return m
}

func (m *member) close() {
	if err := m.Close(); err != nil {
		m.t.Error(err)
	}
}

// reopen is a crash and a restart: nothing is written on the way out.
func (m *member) reopen() {
	m.t.Helper()
	m.close()
	c, err := Open(m.t.Context(), m.o, testPassword)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Client = c
}

func (m *member) sync() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if err := m.Sync(ctx); err != nil {
		m.t.Fatalf("sync: %v", err)
	}
}

// until looks again and again: not everything that a test asks about is an event.
func (m *member) until(what string, ok func() bool) {
	m.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			m.t.Fatalf("%s still waits for %s", m.Me().Name, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (m *member) messages(id ConversationID) []Message {
	m.t.Helper()
	list, err := m.Messages(m.t.Context(), id, Page{Limit: maxPage})
	if errors.Is(err, ErrUnknownConversation) {
		return nil
	} else if err != nil {
		m.t.Fatal(err)
	}
	return list
}

func (m *member) texts(id ConversationID) []string {
	var list []string
	for _, msg := range m.messages(id) {
		if msg.Kind == KindText {
			list = append(list, msg.Text)
		}
	}
	return list
}

func (m *member) events(id ConversationID) []EventKind {
	var list []EventKind
	for _, msg := range m.messages(id) {
		if msg.Kind == KindEvent {
			list = append(list, msg.Event.Kind)
		}
	}
	return list
}

func (m *member) awaitTexts(id ConversationID, want ...string) {
	m.t.Helper()
	m.until("texts", func() bool {
		settled := !slices.ContainsFunc(m.messages(id), func(msg Message) bool {
			return msg.State == StateQueued || msg.State == StateSending
		})
		return settled && len(m.texts(id)) >= len(want)
	})
	if got := m.texts(id); !slices.Equal(got, want) {
		m.t.Fatalf("%s has %q, not %q", m.Me().Name, got, want)
	}
}

func (m *member) awaitState(id ConversationID, want ConversationState) {
	m.t.Helper()
	m.until("a state", func() bool {
		c, err := m.Conversation(m.t.Context(), id)
		return err == nil && c.State == want
	})
}

func (m *member) send(id ConversationID, text string) Message {
	m.t.Helper()
	msg, err := m.Send(m.t.Context(), id, text)
	if err != nil {
		m.t.Fatal(err)
	}
	return msg
}

func (m *member) epoch(id ConversationID) GroupEpoch {
	m.t.Helper()
	e, err := m.GroupEpoch(m.t.Context(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return e
}

// awaitSame waits until two members are in the same state of the group.
func awaitSame(a, b *member, id ConversationID) {
	a.t.Helper()
	b.until("the other's epoch", func() bool { return b.epoch(id).Epoch >= a.epoch(id).Epoch })
	a.until("the other's epoch", func() bool { return a.epoch(id).Epoch >= b.epoch(id).Epoch })
	if x, y := a.epoch(id), b.epoch(id); x.Epoch != y.Epoch || !bytes.Equal(x.Authenticator, y.Authenticator) {
		a.t.Fatalf("the group is forked: epochs %d and %d", x.Epoch, y.Epoch)
	}
}

// group makes a group of the first member and the others.
func group(a *member, others ...*member) ConversationID {
	a.t.Helper()
	var names []string
	for _, o := range others {
		names = append(names, o.Me().Name)
	}
	c, err := a.CreateGroup(a.t.Context(), "group", names)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, o := range others {
		o.awaitState(c.ID, StateActive)
	}
	return c.ID
}
