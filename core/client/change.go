package client

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
)

// change finds a conversation and commits what is wanted of it.
func (c *Client) change(ctx context.Context, id ConversationID, want intent) error {
	v, err := c.find(id)
	if err != nil {
		return err
	}
	if err := c.awaitOnline(ctx); err != nil {
		return err
	}
	return v.commit(ctx, want)
}

// mayManage says whether this account may change a group's members and name.
func (v *conversation) mayManage() error {
	if v.state.kind != KindGroup || !v.state.isAdmin(v.c.self.account()) {
		return ErrNotAllowed
	}
	return nil
}

// AddMembers adds accounts to a group, with all their devices. Those who are in
// it already are left alone. It returns when the group has changed.
//
// Errors: ErrUnknownConversation, ErrNotMember, ErrNotAllowed, ErrUnknownUser,
// ErrYourself, ErrUnreachableUser, ErrOffline, ErrKeyChanged, ErrGroupFull,
// ErrBusy.
func (c *Client) AddMembers(ctx context.Context, id ConversationID, names []string) error {
	people, err := c.findAll(ctx, names)
	if err != nil {
		return err
	}
	v, err := c.find(id)
	if err != nil {
		return err
	}
	missing, err := v.missing(ctx, people)
	if err != nil || len(missing) == 0 {
		return c.closedOr(err)
	}
	if err := c.awaitOnline(ctx); err != nil {
		return err
	}
	newcomers, err := c.gather(ctx, missing)
	if err != nil {
		return c.closedOr(err)
	}
	if err := c.remember(ctx, missing); err != nil {
		return c.closedOr(err)
	}
	return v.commit(ctx, func(v *conversation) (*plan, error) {
		if err := v.mayManage(); err != nil {
			return nil, err
		}
		still := slices.DeleteFunc(slices.Clone(newcomers), func(n newcomer) bool { return v.accounts[n.account] > 0 })
		if len(still) == 0 {
			return nil, nil
		}
		return &plan{proposals: additions(still), newcomers: still}, nil
	})
}

// missing is who of the people is not in the group.
func (v *conversation) missing(ctx context.Context, people []vault.Contact) ([]vault.Contact, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.usable(); err != nil {
		return nil, err
	}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	if err := v.mayManage(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(people, func(p vault.Contact) bool { return v.accounts[p.AccountID] > 0 }), nil
}

// remember makes contacts of accounts.
func (c *Client) remember(ctx context.Context, contacts []vault.Contact) error {
	err := c.vault.Update(ctx, func(tx *vault.Tx) error { return putContacts(tx, contacts) })
	if err == nil {
		c.people.add(contacts...)
	}
	return err
}

// RemoveMember removes an account from a group, with all its devices; one that
// is not in it is left alone. To go oneself there is Leave.
//
// Errors: ErrUnknownConversation, ErrNotMember, ErrNotAllowed, ErrYourself,
// ErrOffline, ErrBusy.
func (c *Client) RemoveMember(ctx context.Context, id ConversationID, account AccountID) error {
	if account == c.self.account() {
		return ErrYourself
	}
	return c.change(ctx, id, func(v *conversation) (*plan, error) {
		if err := v.mayManage(); err != nil {
			return nil, err
		}
		p := new(plan)
		for _, m := range v.leavesOf(account) {
			if !slices.Contains(v.notes.Leavers, m.Index) { // is on the way out by itself
				p.proposals = append(p.proposals, mls.RemoveProposal(m.Index))
			}
		}
		if v.accounts[account] == 0 {
			return nil, nil
		}
		next := v.state
		next.admins = slices.DeleteFunc(slices.Clone(next.admins), func(a AccountID) bool { return a == account })
		return p, v.proposeState(p, next)
	})
}

// proposeState adds a new group state to a plan, where it differs.
func (v *conversation) proposeState(p *plan, next groupState) error {
	if next.title == v.state.title && slices.Equal(next.admins, v.state.admins) {
		return nil
	}
	data, err := next.marshal(v.id)
	if err != nil {
		return err
	}
	extensions := slices.Clone(v.group.GroupContextExtensions())
	for i := range extensions {
		if extensions[i].Type == extGroupState {
			extensions[i].Data = data
		}
	}
	p.proposals = append(p.proposals, mls.GroupContextExtensionsProposal(extensions))
	return nil
}

// Rename changes a group's title.
//
// Errors: ErrTitleInvalid, ErrUnknownConversation, ErrNotMember, ErrNotAllowed,
// ErrOffline, ErrBusy.
func (c *Client) Rename(ctx context.Context, id ConversationID, title string) error {
	if err := checkTitle(title); err != nil {
		return err
	}
	return c.change(ctx, id, func(v *conversation) (*plan, error) {
		if err := v.mayManage(); err != nil {
			return nil, err
		}
		if v.state.title == title {
			return nil, nil
		}
		next := v.state
		next.title = title
		p := new(plan)
		return p, v.proposeState(p, next)
	})
}

// RotateKeys commits fresh key material of this device to a conversation, so
// that whoever had stolen its keys before is shut out again (post-compromise
// security). It returns when the commit is merged; races with other members'
// commits are retried like any change.
func (c *Client) RotateKeys(ctx context.Context, id ConversationID) error {
	return c.change(ctx, id, func(*conversation) (*plan, error) { return new(plan), nil })
}

// GroupEpoch is where a conversation's MLS group stands. Two members that are
// in the same epoch with the same authenticator agree on everything.
type GroupEpoch struct {
	Epoch uint64
	// Authenticator is MLS's epoch authenticator (RFC 9420 §8.7).
	Authenticator []byte
}

// GroupEpoch tells where the conversation's group stands on this device.
// Errors: ErrUnknownConversation, ErrNotMember.
func (c *Client) GroupEpoch(ctx context.Context, id ConversationID) (GroupEpoch, error) {
	v, err := c.find(id)
	if err != nil {
		return GroupEpoch{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.usable(); err != nil {
		return GroupEpoch{}, err
	}
	if err := v.open(ctx); err != nil {
		return GroupEpoch{}, c.closedOr(err)
	}
	return GroupEpoch{Epoch: v.group.Epoch(), Authenticator: slices.Clone(v.group.EpochAuthenticator())}, nil
}

// Members lists who takes part, by name; nobody where this device does not take
// part any more.
func (c *Client) Members(ctx context.Context, id ConversationID) ([]Member, error) {
	v, err := c.find(id)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.usable() != nil {
		return nil, nil
	}
	if err := v.open(ctx); err != nil {
		return nil, c.closedOr(err)
	}
	list := make([]Member, 0, len(v.accounts))
	for account, devices := range v.accounts {
		list = append(list, Member{
			AccountID: account, Name: c.people.name(account), Me: account == c.self.account(),
			Admin: v.state.kind == KindGroup && v.state.isAdmin(account), Devices: devices,
		})
	}
	slices.SortFunc(list, compareMembers)
	return list, nil
}

func compareMembers(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.AccountID[:], b.AccountID[:]))
}
