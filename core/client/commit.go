package client

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// maxCommitAttempts bounds how often a change is tried when others commit first.
const maxCommitAttempts = 32

// errLostRace is the outcome of a commit whose epoch another commit has ended.
var errLostRace = errors.New("client: another commit came first")

// plan is what a commit does.
type plan struct {
	proposals []mls.Proposal
	newcomers []newcomer
}

// intent is what somebody wants of a group. It is asked again for each attempt,
// as the group may have changed meanwhile: nil means that nothing is left to
// do. It is called with v.mu held and the group open.
type intent func(v *conversation) (*plan, error)

// commit changes the group: stage, publish, merge. It returns when the change
// is merged, or with the reason why it never will be.
func (v *conversation) commit(ctx context.Context, want intent) error {
	ctx, cancel := v.c.duringChange(ctx)
	defer cancel()
	if err := v.take(ctx); err != nil {
		return v.c.closedOr(err)
	}
	defer v.giveBack()
	for range maxCommitAttempts {
		out, mine, err := v.stage(ctx, want)
		if short, ok := errors.AsType[*shortOfTokens](err); ok {
			if err := v.c.ensureTokens(ctx, short.want); err != nil {
				return v.c.closedOr(err)
			}
			continue
		}
		if err != nil || out == nil {
			return v.c.closedOr(err)
		}
		select {
		case <-out.done:
		case <-ctx.Done():
			return v.c.closedOr(ctx.Err())
		}
		if mine && !errors.Is(out.outcome, errLostRace) {
			return out.outcome
		}
	}
	return ErrBusy
}

// stage makes a commit and puts it into the vault and the outbox. Where an
// earlier one is still undecided it returns that one instead, which is not mine.
func (v *conversation) stage(ctx context.Context, want intent) (out *outgoing, mine bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.usable(); err != nil {
		return nil, false, err
	}
	if out := v.committing(); out != nil {
		return out, false, nil
	}
	if err := v.open(ctx); err != nil {
		return nil, false, err
	}
	p, err := want(v)
	if err != nil || p == nil {
		return nil, false, err
	}
	item, err := v.stagePlan(p)
	if err != nil {
		v.close() // whatever was begun
		return nil, false, err
	}
	out = newOutgoing(item, false)
	err = v.write(ctx, func(t *transaction) error {
		return errors.Join(t.pay(out, len(p.newcomers)), t.enqueue(out))
	})
	if err != nil {
		return nil, false, err
	}
	v.deliver()
	return out, true, nil
}

// stagePlan stages the commit in the group and makes its request.
func (v *conversation) stagePlan(p *plan) (vault.OutboxItem, error) {
	key, err := v.signingKey()
	if err != nil {
		return vault.OutboxItem{}, err
	}
	staged, err := v.group.Commit(mls.CommitOptions{Proposals: p.proposals})
	if err != nil {
		return vault.OutboxItem{}, err
	}
	nextKey, err := v.channelKey(staged)
	if err != nil {
		return vault.OutboxItem{}, err
	}
	defer clear(nextKey)
	item := vault.OutboxItem{
		Conversation: v.id, ItemID: random16(), Kind: outboxCommit, CreatedAt: v.c.now(),
	}
	body := &qpcv1.CommitBody{
		ChannelId: v.id[:], Epoch: staged.Epoch, ItemId: item.ItemID[:], MlsMessage: staged.Message,
		NextVerifyKey: slices.Clone(nextKey[32:]),
	}
	if err := v.judgeAddresses(staged); err != nil {
		return vault.OutboxItem{}, err
	}
	if err := v.addressees(body, staged, p.newcomers); err != nil {
		return vault.OutboxItem{}, err
	}
	raw, signature, err := signed(key, labelCommit, body)
	if err != nil {
		return vault.OutboxItem{}, err
	}
	item.Payload, err = proto.Marshal(&qpcv1.CommitRequest{Body: raw, Signature: signature})
	return item, err
}

// addressees tells the server which queues come and go with the commit.
func (v *conversation) addressees(body *qpcv1.CommitBody, staged *mls.StagedCommit, newcomers []newcomer) error {
	me, _ := v.group.Member(v.group.OwnIndex())
	own := len(queueAddressOf(me.LeafNode))
	for _, m := range staged.Removed {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return err
		}
		if len(leaf.queueAddress) == own { // others are none of this server's
			body.RemoveAddresses = append(body.RemoveAddresses, leaf.queueAddress)
		}
	}
	expires := v.c.now().Add(welcomeLifetime)
	for _, n := range newcomers {
		sealed, err := v.c.sealContact(n.hybridKey, &qpcv1.ContactBody{Body: &qpcv1.ContactBody_Invitation{
			Invitation: &qpcv1.Invitation{Welcome: staged.Welcome, KeyPackageRef: n.ref},
		}}, expires)
		if err != nil {
			return err
		}
		body.AddAddresses = append(body.AddAddresses, n.queueAddress)
		body.Welcomes = append(body.Welcomes, &qpcv1.AddressedWelcome{Address: n.queueAddress, Sealed: sealed})
	}
	return nil
}

// won merges the own commit, which the server has made the epoch's. seen is the
// queue item that said so, or 0.
func (v *conversation) won(ctx context.Context, out *outgoing, seq, seen uint64) error {
	if err := v.open(ctx); err != nil {
		return err
	}
	staged := v.group.Pending()
	if staged == nil {
		return v.write(ctx, func(t *transaction) error {
			t.seen = seen
			return t.dequeue(out, errLostRace)
		})
	}
	err := v.write(ctx, func(t *transaction) error {
		t.seen = seen
		if err := t.dequeue(out, nil); err != nil {
			return err
		}
		if seen == 0 {
			t.notes.Ahead = append(t.notes.Ahead, aheadCommit{staged.Epoch, out.ItemID[:]})
			t.notes.Ahead = t.notes.Ahead[max(0, len(t.notes.Ahead)-maxAhead):]
		}
		return t.apply(staged, v.group.MergePending, seq)
	})
	if err == nil {
		v.moved()
	}
	return err
}

// lost discards the own pending commit, if there is one, because another ended
// its epoch.
func (t *transaction) lost() error {
	out := t.v.committing()
	if out == nil {
		return nil
	}
	t.v.group.DiscardPending()
	return t.dequeue(out, errLostRace)
}

// moved does what a new epoch makes possible.
func (v *conversation) moved() {
	if v.group != nil {
		v.epoch = v.group.Epoch()
	}
	v.deliver()
}
