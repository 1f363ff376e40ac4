package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/seal"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// welcomeLifetime is how long a Welcome may take to arrive: a little less than
// what recipients accept, as clocks differ.
const welcomeLifetime = seal.MaxFirstContactLife - 48*time.Hour

var (
	errWelcome = errors.New("client: unacceptable welcome")
	errBlocked = errors.New("client: welcome from a blocked account")
)

// invitation is a Welcome that has been opened and found good.
type invitation struct {
	group    *mls.Group
	state    groupState
	sender   AccountID // of the member that sent it
	members  []identity.Credential
	ref      []byte
	reusable bool // the KeyPackage is one of last resort
}

// receiveWelcome joins the group that a device invites to. An invitation that is
// not acceptable is dropped: nobody who could be told is known to have sent it.
func (c *Client) receiveWelcome(ctx context.Context, item *qpcv1.QueueItem, sender *identity.Certificate, welcome *qpcv1.Invitation) error {
	in, err := c.openWelcome(ctx, sender, welcome)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return c.dropWelcome(ctx, item, err)
	}
	contacts, err := c.introduce(ctx, in.members)
	if err != nil {
		return c.dropWelcome(ctx, item, err)
	}
	if ctx.Err() != nil {
		return ctx.Err() // names were not asked for to the end
	}
	if err := c.join(ctx, item, in, contacts); err != nil {
		return err
	}
	wake(c.start) // a KeyPackage has been used up
	return nil
}

func (c *Client) dropWelcome(ctx context.Context, item *qpcv1.QueueItem, why error) error {
	c.log.Warn("welcome dropped", "error", why)
	if changed, ok := errors.AsType[*keyChangedError](why); ok {
		c.warnOfKey(ctx, changed.account, nil)
	}
	return c.skip(ctx, item)
}

// openWelcome opens, verifies and judges a Welcome; it changes nothing.
func (c *Client) openWelcome(ctx context.Context, sender *identity.Certificate, welcome *qpcv1.Invitation) (*invitation, error) {
	if c.shared.has(sharedBlocked, sender.AccountID) {
		return nil, errBlocked
	}
	var raw []byte
	err := c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		raw, err = tx.KeyPackage(welcome.KeyPackageRef)
		return err
	})
	if err != nil {
		return nil, err
	}
	bundle, err := mls.ParseKeyPackageBundle(raw)
	clear(raw)
	if err != nil {
		return nil, err
	}
	defer bundle.Destroy()
	group, err := mls.Join(c.groups, c.self.signer, bundle, welcome.Welcome, nil)
	if err != nil {
		return nil, err
	}
	in := &invitation{
		group: group, ref: welcome.KeyPackageRef, reusable: bundle.Public().LastResort(),
	}
	return in, in.check(sender, c.self.account())
}

// check holds the group that was joined against the product's rules.
func (in *invitation) check(sender *identity.Certificate, me AccountID) error {
	id := in.group.ID()
	if len(id) != len(ConversationID{}) {
		return fmt.Errorf("%w: group id of %d bytes", errWelcome, len(id))
	}
	data, _ := in.group.GroupContextExtension(extGroupState)
	var err error
	if in.state, err = parseGroupState(ConversationID(id), data); err != nil {
		return err
	}
	accounts, addresses := make(map[AccountID]bool), make(map[string]bool)
	for m := range in.group.Members() {
		credential, err := identity.ParseCredential(m.Credential.Identity)
		if err != nil {
			return err
		}
		if !accounts[credential.AccountID] {
			accounts[credential.AccountID] = true
			in.members = append(in.members, credential)
		}
		if bytes.Equal(m.SignatureKey, sender.DeviceKey) {
			in.sender = credential.AccountID
		}
		address := queueAddressOf(m.LeafNode)
		if addresses[address] {
			return fmt.Errorf("%w: two devices with one queue address", errWelcome)
		}
		addresses[address] = true
	}
	switch {
	case in.sender != sender.AccountID:
		return fmt.Errorf("%w: the sender is not a member", errWelcome)
	case in.state.kind == KindGroup && in.sender != me && !in.state.isAdmin(in.sender):
		return fmt.Errorf("%w: the sender is not an administrator", errWelcome)
	case in.state.kind == KindDirect && len(accounts) != 2:
		return fmt.Errorf("%w: a direct chat of %d accounts", errWelcome, len(accounts))
	}
	return nil
}

// join makes the conversation, or revives one that this device was removed from.
func (c *Client) join(ctx context.Context, item *qpcv1.QueueItem, in *invitation, contacts []vault.Contact) error {
	id := ConversationID(in.group.ID())
	now := c.now()
	v := c.lookup(id)
	isNew := v == nil
	if isNew {
		v = &conversation{c: c, id: id, turn: make(chan struct{}, 1), row: vault.Conversation{ID: id, CreatedAt: now}}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !isNew && v.following() {
		return c.skip(ctx, item) // never let a Welcome replace a group that is alive
	}
	if !isNew && in.group.Epoch() <= v.notes.Last {
		return c.dropWelcome(ctx, item, fmt.Errorf("%w: from before this device left", errWelcome))
	}
	if err := v.enter(in.group); err != nil {
		return c.dropWelcome(ctx, item, err)
	}
	c.adopt(v) // whoever sees it in the vault finds it here
	err := v.write(ctx, func(t *transaction) error {
		t.seen, t.contacts = item.Seq, contacts
		t.row.State, t.notes = vault.ConversationActive, notes{NewHere: true}
		t.describe()
		if err := errors.Join(t.DeleteMLS(id), t.forgetReturn()); err != nil {
			return err
		}
		if !in.reusable {
			if err := t.DeleteKeyPackage(in.ref); err != nil {
				return err
			}
		}
		if err := t.PutConversation(t.row); err != nil {
			return err
		}
		return t.record(t.arrival(in), 0)
	})
	if err != nil && isNew {
		c.forget(id)
	}
	if err == nil {
		v.deliver() // what has waited since this device lost the group
	}
	return err
}

// forgetReturn ends the own way back into a group: somebody has brought this device
// in anew.
func (t *transaction) forgetReturn() error {
	for _, out := range t.v.outbox {
		if out.Kind == outboxRejoin {
			if err := t.dequeue(out, nil); err != nil {
				return err
			}
		}
	}
	return t.DeleteMLS(returnID(t.v.id))
}

// arrival is the first event of a conversation that one was brought into.
func (t *transaction) arrival(in *invitation) SystemEvent {
	me, sender := t.v.c.self.account(), t.person(in.sender)
	switch {
	case in.sender == me:
		return SystemEvent{Kind: EventDeviceAdded, Actor: sender, Title: t.v.c.self.certificate.DeviceName}
	case in.state.kind == KindDirect:
		return SystemEvent{Kind: EventCreated, Actor: sender}
	default:
		return SystemEvent{Kind: EventAdded, Actor: sender, Subjects: []Person{t.person(me)}}
	}
}
