package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// unknownName is shown for an account whose name is not known yet.
const unknownName = "unknown"

// keyChangedError says that an account came with another key than the known one.
type keyChangedError struct{ account AccountID }

func (e *keyChangedError) Error() string        { return ErrKeyChanged.Error() }
func (e *keyChangedError) Is(target error) bool { return target == ErrKeyChanged }

// people is the contacts in memory: names for showing, and the account keys
// that were seen first and are trusted since.
type people struct {
	me AccountID

	mu   sync.RWMutex
	byID map[AccountID]vault.Contact
}

func newPeople(me AccountID, contacts []vault.Contact) *people {
	p := &people{me: me, byID: make(map[AccountID]vault.Contact, len(contacts))}
	p.add(contacts...)
	return p
}

// add takes over what is in the vault.
func (p *people) add(contacts ...vault.Contact) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range contacts {
		p.byID[c.AccountID] = c
	}
}

func (p *people) get(id AccountID) (vault.Contact, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	c, ok := p.byID[id]
	return c, ok
}

func (p *people) name(id AccountID) string {
	if c, ok := p.get(id); ok && c.Name != "" {
		return c.Name
	}
	return unknownName
}

func (p *people) person(id AccountID) Person {
	return Person{AccountID: id, Name: p.name(id), Me: id == p.me}
}

func (p *people) byName(name string) (vault.Contact, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, c := range p.byID {
		if c.Name == name {
			return c, true
		}
	}
	return vault.Contact{}, false
}

// check refuses a key other than the one known for the account.
func (p *people) check(c identity.Credential) error {
	if known, ok := p.get(c.AccountID); ok && !bytes.Equal(known.AccountKey, c.AccountKey) {
		return &keyChangedError{c.AccountID}
	}
	return nil
}

// others lists everybody with a name but oneself, by name.
func (p *people) others() []Contact {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []Contact
	for id, c := range p.byID {
		if id != p.me && c.Name != "" {
			list = append(list, Contact{AccountID: id, Name: c.Name})
		}
	}
	slices.SortFunc(list, func(a, b Contact) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// nameless lists the contacts whose names are still to be asked for.
func (p *people) nameless() []identity.Credential {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []identity.Credential
	for id, c := range p.byID {
		if c.Name == "" {
			list = append(list, identity.Credential{AccountID: id, AccountKey: c.AccountKey})
		}
	}
	return list
}

// Contacts lists the accounts that this device has met, by name, without
// oneself.
func (c *Client) Contacts(context.Context) ([]Contact, error) { return c.people.others(), nil }

// FindUser looks a name up, on the server if need be. Errors: ErrUnknownUser,
// ErrNameInvalid, ErrOffline, ErrKeyChanged.
func (c *Client) FindUser(ctx context.Context, name string) (Contact, error) {
	found, err := c.findUser(ctx, name)
	if err != nil {
		return Contact{}, err
	}
	return Contact{AccountID: found.AccountID, Name: found.Name}, nil
}

func (c *Client) findUser(ctx context.Context, name string) (vault.Contact, error) {
	name = cleanName(name)
	if err := identity.CheckName(name); err != nil {
		return vault.Contact{}, fmt.Errorf("%w: %w", ErrNameInvalid, err)
	}
	if known, ok := c.people.byName(name); ok {
		return known, nil
	}
	if err := c.awaitOnline(ctx); err != nil {
		return vault.Contact{}, err
	}
	var m qpcv1.ResolveUserResponse
	if err := c.anonymous.call(ctx, &qpcv1.ResolveUserRequest{Name: name}, &m); err != nil {
		return vault.Contact{}, c.closedOr(err)
	}
	id, err := identity.ParseAccountID(m.AccountId)
	if err != nil || len(m.AccountPublicKey) != ed25519.PublicKeySize {
		return vault.Contact{}, fmt.Errorf("%w: resolve user", ErrServerIncompatible)
	}
	if err := c.people.check(identity.Credential{AccountID: id, AccountKey: m.AccountPublicKey}); err != nil {
		return vault.Contact{}, err
	}
	if known, ok := c.people.get(id); ok && known.Name != "" {
		return known, nil // whom one knows by another name does not lose it
	}
	return vault.Contact{AccountID: id, AccountKey: m.AccountPublicKey, Name: name, FirstSeen: c.now()}, nil
}

// introduceTimeout bounds how long names are waited for where something else
// waits for them.
const introduceTimeout = 3 * time.Second

// introduce returns contacts for the accounts that are not known yet, with the
// names that the server gives. Where it cannot be asked the name stays empty
// for now. A key that is not the account's, by the server's word or by what
// was seen before, is a *keyChangedError; the others are returned all the same.
func (c *Client) introduce(ctx context.Context, credentials []identity.Credential) ([]vault.Contact, error) {
	ctx, cancel := context.WithTimeout(ctx, introduceTimeout)
	defer cancel()
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		found []vault.Contact
		wrong error
		slots = make(chan struct{}, 8)
	)
	seen := make(map[AccountID]identity.Credential)
	for _, cr := range credentials {
		if earlier, ok := seen[cr.AccountID]; ok {
			if !earlier.AccountKey.Equal(cr.AccountKey) {
				return nil, &keyChangedError{cr.AccountID}
			}
			continue
		}
		seen[cr.AccountID] = cr
		if err := c.people.check(cr); err != nil {
			return nil, err
		}
		if known, ok := c.people.get(cr.AccountID); ok && known.Name != "" {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			contact, err := c.introduceOne(ctx, cr)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				wrong = errors.Join(wrong, err)
				return
			}
			found = append(found, contact)
		})
	}
	group.Wait()
	return found, wrong
}

func (c *Client) introduceOne(ctx context.Context, cr identity.Credential) (vault.Contact, error) {
	contact := vault.Contact{AccountID: cr.AccountID, AccountKey: cr.AccountKey, FirstSeen: c.now()}
	var m qpcv1.ResolveAccountResponse
	if err := c.anonymous.await(ctx); err != nil {
		return contact, nil
	}
	if err := c.anonymous.call(ctx, &qpcv1.ResolveAccountRequest{AccountId: cr.AccountID.Bytes()}, &m); err != nil {
		return contact, nil
	}
	if !bytes.Equal(m.AccountPublicKey, cr.AccountKey) {
		return contact, &keyChangedError{cr.AccountID}
	}
	if identity.CheckName(m.Name) != nil {
		return contact, nil
	}
	if other, ok := c.people.byName(m.Name); !ok || other.AccountID == cr.AccountID {
		contact.Name = m.Name // nobody gets the name of somebody else
	}
	return contact, nil
}

func putContacts(tx *vault.Tx, contacts []vault.Contact) error {
	for _, contact := range contacts {
		if err := tx.PutContact(contact); err != nil {
			return err
		}
	}
	return nil
}
