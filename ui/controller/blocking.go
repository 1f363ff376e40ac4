package controller

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"quicprochat/core/client"
)

// Blocking is the people whose invitations are declined.
type Blocking struct {
	Form
	// OnList is called when the list has been read.
	OnList func()

	main     *Main
	blocked  []client.Contact
	contacts []client.Contact
	loaded   bool
}

// Blocking makes the controller of the list of blocked people.
func (m *Main) Blocking() *Blocking {
	b := &Blocking{Form: Form{loop: m.loop}, main: m}
	b.reload()
	return b
}

// Loaded says whether the list has been read.
func (b *Blocking) Loaded() bool { return b.loaded }

// List is the blocked people by name.
func (b *Blocking) List() []client.Contact { return b.blocked }

type blockingLists struct{ blocked, contacts []client.Contact }

func (b *Blocking) reload() {
	background(b.loop, func() (l blockingLists, err error) {
		if l.blocked, err = b.main.session.Blocked(context.Background()); err != nil {
			return l, err
		}
		l.contacts, err = b.main.session.Contacts(context.Background())
		return l, err
	}, func(l blockingLists, err error) {
		if err != nil {
			b.fail(client.UserMessage(err))
			return
		}
		slices.SortFunc(l.blocked, func(p, q client.Contact) int { return cmp.Compare(p.Name, q.Name) })
		b.blocked, b.contacts, b.loaded = l.blocked, l.contacts, true
		if b.OnList != nil {
			b.OnList()
		}
	})
}

// Block blocks a person whom this device has met.
func (b *Blocking) Block(name string) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		b.fail("Type a name.")
		return
	}
	i := slices.IndexFunc(b.contacts, func(c client.Contact) bool { return strings.ToLower(c.Name) == name })
	if i < 0 {
		b.fail("You have not met anybody of this name.")
		return
	}
	b.set(b.contacts[i].AccountID, true)
}

// BlockPerson blocks somebody by id.
func (b *Blocking) BlockPerson(account client.AccountID) { b.set(account, true) }

// Unblock takes the invitations of a person again.
func (b *Blocking) Unblock(account client.AccountID) { b.set(account, false) }

func (b *Blocking) set(account client.AccountID, on bool) {
	b.run(func(ctx context.Context) error { return b.main.session.SetBlocked(ctx, account, on) }, b.reload)
}
