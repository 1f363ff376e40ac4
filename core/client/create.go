package client

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// StartDirect opens the chat with a person: the existing one if there is one.
//
// Errors: ErrUnknownUser, ErrYourself, ErrUnreachableUser, ErrOffline,
// ErrKeyChanged.
func (c *Client) StartDirect(ctx context.Context, name string) (Conversation, error) {
	peer, err := c.findUser(ctx, name)
	if err != nil {
		return Conversation{}, err
	}
	if peer.AccountID == c.self.account() {
		return Conversation{}, ErrYourself
	}
	c.starting.Lock() // two calls for one person must not make two chats
	defer c.starting.Unlock()
	if existing, ok, err := c.directWith(ctx, peer.AccountID); ok || err != nil {
		return existing, err
	}
	state := groupState{kind: KindDirect, admins: []AccountID{c.self.account(), peer.AccountID}}
	return c.create(ctx, state, []vault.Contact{peer})
}

func (c *Client) directWith(ctx context.Context, peer AccountID) (Conversation, bool, error) {
	var row vault.Conversation
	err := c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		row, err = tx.DirectConversation(peer)
		return err
	})
	if errors.Is(err, vault.ErrNotFound) {
		return Conversation{}, false, nil
	}
	return c.summary(row), err == nil, c.closedOr(err)
}

// CreateGroup makes a group with this account as its administrator. names may
// be empty.
//
// Errors: ErrTitleInvalid, ErrUnknownUser, ErrYourself, ErrUnreachableUser,
// ErrOffline, ErrKeyChanged, ErrGroupFull.
func (c *Client) CreateGroup(ctx context.Context, title string, names []string) (Conversation, error) {
	if err := checkTitle(title); err != nil {
		return Conversation{}, err
	}
	people, err := c.findAll(ctx, names)
	if err != nil {
		return Conversation{}, err
	}
	return c.create(ctx, groupState{kind: KindGroup, title: title, admins: []AccountID{c.self.account()}}, people)
}

// findAll looks names up, each person once. An error says whose.
func (c *Client) findAll(ctx context.Context, names []string) ([]vault.Contact, error) {
	var list []vault.Contact
	seen := make(map[AccountID]bool)
	for _, name := range names {
		p, err := c.findUser(ctx, name)
		switch {
		case err != nil:
			return nil, &NameError{Name: name, Err: err}
		case p.AccountID == c.self.account():
			return nil, ErrYourself
		case !seen[p.AccountID]:
			seen[p.AccountID] = true
			list = append(list, p)
		}
	}
	return list, nil
}

// create makes a conversation: the group, alone at first, then the channel, then
// the commit that adds everybody. All of it is in the vault before the first
// byte leaves, and carried on after a crash.
func (c *Client) create(ctx context.Context, state groupState, people []vault.Contact) (Conversation, error) {
	ctx, cancel := c.duringChange(ctx)
	defer cancel()
	if err := c.awaitOnline(ctx); err != nil {
		return Conversation{}, c.closedOr(err)
	}
	newcomers, err := c.gather(ctx, people)
	if err != nil {
		return Conversation{}, c.closedOr(err)
	}
	own, err := c.fetchDevices(ctx, c.self.credential(), c.self.certificate.DeviceID())
	if err != nil && !errors.Is(err, ErrUnreachableUser) {
		return Conversation{}, c.closedOr(err)
	}
	addresses, err := c.newAddresses(ctx, 1)
	if err != nil {
		return Conversation{}, c.closedOr(err)
	}
	newcomers = append(newcomers, own...)
	v, commit, err := c.foundPaid(ctx, state, people, newcomers, addresses[0])
	if err != nil {
		return Conversation{}, c.closedOr(err)
	}
	select {
	case <-commit.done:
	case <-ctx.Done():
		return Conversation{}, c.closedOr(ctx.Err())
	}
	if commit.outcome != nil {
		return Conversation{}, commit.outcome
	}
	return c.Conversation(ctx, v.id)
}

// gather claims KeyPackages of all devices of the people; each must have one.
func (c *Client) gather(ctx context.Context, people []vault.Contact) ([]newcomer, error) {
	lists, errs := make([][]newcomer, len(people)), make([]error, len(people))
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, p := range people {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			who := identity.Credential{AccountID: p.AccountID, AccountKey: p.AccountKey}
			lists[i], errs[i] = c.fetchDevices(ctx, who)
			if errs[i] == nil && len(lists[i]) == 0 {
				errs[i] = ErrUnreachableUser
			}
			if errs[i] != nil {
				errs[i] = &NameError{Name: p.Name, Err: errs[i]}
			}
		})
	}
	group.Wait()
	var all []newcomer
	for _, list := range lists {
		all = append(all, list...)
	}
	return all, errors.Join(errs...)
}

// foundPaid is found with as many tokens as there are newcomers.
func (c *Client) foundPaid(ctx context.Context, state groupState, people []vault.Contact, newcomers []newcomer, address []byte) (*conversation, *outgoing, error) {
	for range maxCommitAttempts {
		if err := c.ensureTokens(ctx, len(newcomers)); err != nil {
			return nil, nil, err
		}
		v, commit, err := c.found(ctx, state, people, newcomers, address)
		if !errors.Is(err, errNoTokens) { // which somebody else has taken
			return v, commit, err
		}
	}
	return nil, nil, ErrBusy
}

// found writes a new conversation with its channel and first commit into the vault.
func (c *Client) found(ctx context.Context, state groupState, people []vault.Contact, newcomers []newcomer, address []byte) (*conversation, *outgoing, error) {
	c.signing.RLock()
	defer c.signing.RUnlock()
	if err := c.ctx.Err(); err != nil {
		return nil, nil, err
	}
	id := ConversationID(random16())
	group, err := c.newGroup(id, state, address)
	if err != nil {
		return nil, nil, err
	}
	v := &conversation{
		c: c, id: id, turn: make(chan struct{}, 1),
		row: vault.Conversation{ID: id, State: vault.ConversationActive, CreatedAt: c.now()},
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.enter(group); err != nil {
		return nil, nil, err
	}
	create, err := v.createItem(address)
	if err != nil {
		return nil, nil, err
	}
	item, err := v.stagePlan(&plan{proposals: additions(newcomers), newcomers: newcomers})
	if err != nil {
		return nil, nil, err
	}
	commit := newOutgoing(item, false)
	c.adopt(v) // whoever sees it in the vault finds it here
	err = v.write(ctx, func(t *transaction) error {
		t.contacts, t.notes = people, notes{Creating: true}
		t.describe()
		if state.kind == KindDirect {
			t.row.PeerID, t.row.Title = people[0].AccountID, people[0].Name
		}
		if err := t.PutConversation(t.row); err != nil {
			return err
		}
		return errors.Join(t.pay(commit, len(newcomers)), t.enqueue(newOutgoing(create, false)), t.enqueue(commit))
	})
	if err != nil {
		v.row.State = vault.ConversationRemoved
		c.forget(id)
		return nil, nil, err
	}
	v.deliver()
	return v, commit, nil
}

// newGroup makes the MLS group with this device alone in it.
func (c *Client) newGroup(id ConversationID, state groupState, address []byte) (*mls.Group, error) {
	data, err := state.marshal(id)
	if err != nil {
		return nil, err
	}
	leaf, err := c.leafExtensions(address)
	if err != nil {
		return nil, err
	}
	return mls.Create(c.groups, mls.CreateParams{
		GroupID: id[:], Suite: suite, Credential: c.mlsCredential(), Signer: c.self.signer,
		LeafExtensions:         leaf,
		GroupContextExtensions: []mls.Extension{{Type: extGroupState, Data: data}},
		ExtraCapabilities:      capabilities(),
	})
}

func (v *conversation) createItem(address []byte) (vault.OutboxItem, error) {
	key, err := v.signingKey()
	if err != nil {
		return vault.OutboxItem{}, err
	}
	payload, err := proto.Marshal(&qpcv1.CreateChannelRequest{
		ChannelId: v.id[:], Epoch: v.group.Epoch(), VerifyKey: key[32:], Addresses: [][]byte{address},
	})
	return vault.OutboxItem{
		Conversation: v.id, ItemID: random16(), Kind: outboxCreate, Payload: payload, CreatedAt: v.c.now(),
	}, err
}

func additions(newcomers []newcomer) []mls.Proposal {
	list := make([]mls.Proposal, len(newcomers))
	for i, n := range newcomers {
		list[i] = mls.AddProposal(n.keyPackage)
	}
	return list
}

// abandon deletes a conversation that the server will not have.
func (v *conversation) abandon(ctx context.Context, why error) error {
	err := v.c.vault.Update(ctx, func(tx *vault.Tx) error {
		return errors.Join(tx.DeleteConversation(v.id), tx.DeleteMLS(v.id))
	})
	if err != nil {
		return err
	}
	v.close()
	v.row.State = vault.ConversationRemoved
	v.c.forget(v.id)
	pending := v.outbox
	v.outbox = nil
	for _, out := range pending {
		out.resolve(why)
	}
	v.c.events.publish(ConversationRemoved{v.id})
	return nil
}
