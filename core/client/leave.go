package client

import (
	"context"
	"slices"
	"time"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// leaveDelay, times the number of members, is how long they wait at most
	// before one commits what somebody who leaves has proposed, so that not all
	// do it at once.
	leaveDelay    = 50 * time.Millisecond
	maxLeaveDelay = 5 * time.Second
	// backgroundTimeout bounds a change that nobody waits for.
	backgroundTimeout = time.Minute
)

// Leave leaves a conversation, with all devices of the account. It is over for
// this device at once; the others learn of it when they are online. A group's
// only administrator hands over to the member who is in it longest.
//
// Errors: ErrUnknownConversation, ErrNotMember, and where others devices or
// administrators are concerned ErrOffline and ErrBusy.
func (c *Client) Leave(ctx context.Context, id ConversationID) error {
	v, err := c.find(id)
	if err != nil {
		return err
	}
	needsCommit, err := v.leavingNeedsCommit(ctx)
	if err != nil {
		return c.closedOr(err)
	}
	if needsCommit {
		if err := c.change(ctx, id, (*conversation).planLeaving); err != nil {
			return err
		}
	}
	return c.closedOr(v.leave(ctx))
}

func (v *conversation) leavingNeedsCommit(ctx context.Context) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch err := v.usable(); {
	case err == ErrBroken: //nolint:errorlint // usable returns it as it is
		return false, nil
	case err != nil:
		return false, err
	}
	if err := v.open(ctx); err != nil {
		return false, err
	}
	p, err := v.planLeaving()
	return p != nil, err
}

// planLeaving is what must be committed before this device can go: the other
// devices of the account go first, and the administrator's office is given up.
func (v *conversation) planLeaving() (*plan, error) {
	me := v.c.self.account()
	if v.alone() {
		return nil, nil
	}
	p := new(plan)
	for _, m := range v.leavesOf(me) {
		if m.Index != v.group.OwnIndex() {
			p.proposals = append(p.proposals, mls.RemoveProposal(m.Index))
		}
	}
	if v.mayManage() == nil {
		next := v.state
		next.admins = slices.DeleteFunc(slices.Clone(next.admins), func(a AccountID) bool { return a == me })
		if !slices.ContainsFunc(next.admins, func(a AccountID) bool { return v.accounts[a] > 0 }) {
			next.admins = append(next.admins, v.eldest())
		}
		if err := v.proposeState(p, next); err != nil {
			return nil, err
		}
	}
	if len(p.proposals) == 0 {
		return nil, nil
	}
	return p, nil
}

// eldest is the other account with the lowest leaf.
func (v *conversation) eldest() AccountID {
	for m := range v.group.Members() {
		if account, err := accountOf(m.LeafNode); err == nil && account != v.c.self.account() {
			return account
		}
	}
	return AccountID{}
}

// leave asks to be removed and ends the conversation here.
func (v *conversation) leave(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	err := v.usable()
	if err == ErrBroken || (err == nil && v.neverCreated()) { //nolint:errorlint // see above
		return v.write(ctx, func(t *transaction) error { return t.end(vault.ConversationLeft, ErrNotMember) })
	}
	if err != nil {
		return err
	}
	if err := v.open(ctx); err != nil {
		return err
	}
	if v.alone() && v.committing() == nil {
		return v.dissolve(ctx)
	}
	err = v.write(ctx, func(t *transaction) error {
		if err := t.failPosts(ErrNotMember); err != nil {
			return err
		}
		me := t.person(v.c.self.account())
		if err := t.record(SystemEvent{Kind: EventLeft, Actor: me, Subjects: []Person{me}}, 0); err != nil {
			return err
		}
		t.row.State = vault.ConversationLeft
		t.notes = notes{Leaving: true, Creating: t.notes.Creating, Ahead: t.notes.Ahead}
		if v.committing() != nil {
			return nil // the server may have taken it: asked when that is known
		}
		return t.askAgain()
	})
	if err == nil {
		v.deliver()
	}
	return err
}

// neverCreated tells whether the conversation is still being made and the server
// cannot know of it.
func (v *conversation) neverCreated() bool {
	return v.notes.Creating && slices.ContainsFunc(v.outbox, func(out *outgoing) bool {
		return out.Kind == outboxCreate && !out.repeated && !out.sending
	})
}

// askAgain proposes the own removal in the present epoch. Where that cannot be
// done the conversation just ends here.
func (t *transaction) askAgain() error {
	v := t.v
	for _, out := range v.outbox {
		if out.Kind == outboxProposal {
			if err := t.dequeue(out, nil); err != nil {
				return err
			}
		}
	}
	if v.alone() {
		return t.end(vault.ConversationLeft, ErrNotMember)
	}
	message, err := v.group.ProposeSelfRemove()
	if err != nil {
		v.c.log.Warn("ask to leave", "error", err)
		return t.end(vault.ConversationLeft, ErrNotMember)
	}
	item := vault.OutboxItem{Conversation: v.id, ItemID: random16(), Kind: outboxProposal, CreatedAt: v.c.now()}
	if item.Payload, err = v.post(item.ItemID, message); err != nil {
		return err
	}
	return t.enqueue(newOutgoing(item, false))
}

// dissolve ends a conversation that nobody else is in. That the channel is
// deleted is a courtesy to the server and may fail.
func (v *conversation) dissolve(ctx context.Context) error {
	key, err := v.signingKey()
	if err != nil {
		return err
	}
	body, signature, err := signed(key, labelDelete, &qpcv1.DeleteChannelBody{ChannelId: v.id[:], Epoch: v.group.Epoch()})
	if err != nil {
		return err
	}
	err = v.write(ctx, func(t *transaction) error {
		me := t.person(v.c.self.account())
		if err := t.record(SystemEvent{Kind: EventLeft, Actor: me, Subjects: []Person{me}}, 0); err != nil {
			return err
		}
		return t.end(vault.ConversationLeft, ErrNotMember)
	})
	if err != nil {
		return err
	}
	v.c.spawn(func() {
		ctx, cancel := context.WithTimeout(v.c.ctx, callTimeout)
		defer cancel()
		req := &qpcv1.DeleteChannelRequest{Body: body, Signature: signature}
		if err := v.c.anonymous.once(ctx, req, new(qpcv1.DeleteChannelResponse)); err != nil {
			v.c.log.Info("channel not deleted", "error", err)
		}
	})
	return nil
}

// commitLeaversSoon commits the removal of who has asked for it, unless another
// member was faster. The caller holds v.mu.
func (v *conversation) commitLeaversSoon() {
	delay := jitter(min(leaveDelay*time.Duration(len(v.accounts)-1), maxLeaveDelay))
	v.c.spawn(func() {
		if sleep(v.c.ctx, delay) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(v.c.ctx, backgroundTimeout)
		defer cancel()
		if err := v.commit(ctx, (*conversation).planLeavers); err != nil && v.c.ctx.Err() == nil {
			v.c.log.Warn("commit of a leave", "error", err)
		}
	})
}

// planLeavers commits the proposals that have been received: the group includes
// them by itself.
func (v *conversation) planLeavers() (*plan, error) {
	if len(v.notes.Leavers) == 0 {
		return nil, nil
	}
	return new(plan), nil
}
