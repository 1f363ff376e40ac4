package controller

import (
	"context"
	"strings"

	"quicprochat/core/client"
)

// NewChat starts a direct conversation with a person by name.
type NewChat struct {
	Form
	// OnContacts is called when the known people have been read.
	OnContacts func()

	main     *Main
	contacts []client.Contact
}

// NewChat makes the controller of the new-conversation dialog.
func (m *Main) NewChat() *NewChat {
	n := &NewChat{Form: Form{loop: m.loop}, main: m}
	background(m.loop, func() ([]client.Contact, error) {
		return m.session.Contacts(context.Background())
	}, func(contacts []client.Contact, err error) {
		n.contacts = contacts
		if err == nil && n.OnContacts != nil {
			n.OnContacts()
		}
	})
	return n
}

// Contacts are the known people whose name begins with a text.
func (n *NewChat) Contacts(prefix string) []client.Contact {
	var found []client.Contact
	for _, c := range n.contacts {
		if strings.HasPrefix(strings.ToLower(c.Name), strings.ToLower(strings.TrimSpace(prefix))) {
			found = append(found, c)
		}
	}
	return found
}

// Submit opens the conversation with that person.
func (n *NewChat) Submit(name string) {
	name = strings.TrimSpace(name)
	if name == "" {
		n.fail("Type a name.")
		return
	}
	n.reveal(func(ctx context.Context) (client.Conversation, error) { return n.main.session.StartDirect(ctx, name) })
}

func (n *NewChat) reveal(work func(context.Context) (client.Conversation, error)) {
	revealing(&n.Form, n.main, work)
}

// revealing runs work and opens the conversation that it makes.
func revealing(f *Form, m *Main, work func(context.Context) (client.Conversation, error)) {
	var made client.Conversation
	f.run(func(ctx context.Context) (err error) {
		made, err = work(ctx)
		return err
	}, func() { m.Reveal(made) })
}

// NewGroup makes a group.
type NewGroup struct {
	Form
	main *Main
}

// NewGroup makes the controller of the new-group dialog.
func (m *Main) NewGroup() *NewGroup { return &NewGroup{Form: Form{loop: m.loop}, main: m} }

// Submit makes the group with those people.
func (n *NewGroup) Submit(title string, names []string) {
	title = strings.TrimSpace(title)
	switch {
	case title == "":
		n.fail("Give the group a name.")
	case len(names) == 0:
		n.fail("Add at least one person.")
	default:
		revealing(&n.Form, n.main, func(ctx context.Context) (client.Conversation, error) {
			return n.main.session.CreateGroup(ctx, title, names)
		})
	}
}

// Settings of the open conversation: people, title, leaving.
type Settings struct {
	Form
	conversation *Conversation
}

// Settings makes the controller of the open conversation's dialogs.
func (c *Conversation) Settings() *Settings {
	return &Settings{Form: Form{loop: c.main.loop}, conversation: c}
}

// Conversation is the one whose settings these are.
func (s *Settings) Conversation() *Conversation { return s.conversation }

// Add adds people.
func (s *Settings) Add(names []string) {
	if len(names) == 0 {
		s.fail("Add at least one person.")
		return
	}
	s.change(func(ctx context.Context, session Session, id client.ConversationID) error {
		return session.AddMembers(ctx, id, names)
	})
}

// Remove removes a person.
func (s *Settings) Remove(account client.AccountID) {
	s.change(func(ctx context.Context, session Session, id client.ConversationID) error {
		return session.RemoveMember(ctx, id, account)
	})
}

// Rename changes the title.
func (s *Settings) Rename(title string) {
	title = strings.TrimSpace(title)
	if title == "" {
		s.fail("Give the group a name.")
		return
	}
	s.change(func(ctx context.Context, session Session, id client.ConversationID) error {
		return session.Rename(ctx, id, title)
	})
}

// Leave leaves the conversation.
func (s *Settings) Leave() {
	s.change(func(ctx context.Context, session Session, id client.ConversationID) error {
		return session.Leave(ctx, id)
	})
}

func (s *Settings) change(work func(context.Context, Session, client.ConversationID) error) {
	c := s.conversation
	s.run(func(ctx context.Context) error { return work(ctx, c.main.session, c.ID()) }, c.loadMembers)
}
