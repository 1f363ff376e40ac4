package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// receiveCommit takes in the commit that ended an epoch. The server has made it
// the epoch's, so that where it cannot be followed the group goes on without
// this device.
func (v *conversation) receiveCommit(ctx context.Context, item *qpcv1.QueueItem, m *qpcv1.ChannelCommit) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := v.byItem(item.ItemId)
	if out != nil && out.Kind == outboxRejoin {
		return v.returned(ctx, out, m.ChannelSeq, item.Seq)
	}
	mine := out != nil && out.Kind == outboxCommit
	if !mine && !v.following() {
		return v.c.skip(ctx, item)
	}
	if err := v.open(ctx); err != nil {
		return v.unopened(ctx, item, err)
	}
	if mine {
		return v.won(ctx, out, m.ChannelSeq, item.Seq)
	}
	// The server's word for the epoch, not the message's: whatever is inside, the
	// channel has left that epoch.
	switch {
	case m.Epoch < v.epoch:
		return v.passed(ctx, item, m.Epoch)
	case m.Epoch > v.epoch:
		return v.refuse(ctx, item, mls.ErrFutureEpoch)
	}
	staged, contacts, err := v.examine(ctx, m.MlsMessage)
	switch {
	case err != nil && ctx.Err() != nil:
		v.close() // the message's key is used up in memory alone
		return err
	case err != nil:
		return v.refuse(ctx, item, err)
	}
	write := v.takeIn
	if v.notes.Leaving {
		write = v.write // it seals a new wish to leave, which goes out
	}
	err = write(ctx, func(t *transaction) error {
		t.seen, t.contacts = item.Seq, contacts
		if err := t.lost(); err != nil {
			return err
		}
		return t.apply(staged, func() error { return v.group.Merge(staged) }, m.ChannelSeq)
	})
	if err == nil {
		v.moved()
	}
	return err
}

// passed takes in a commit for an epoch that is over here: one that was merged
// before, such as one's own. Where the server had said that the own commit ended
// that epoch, and brings another, it leads its clients apart.
func (v *conversation) passed(ctx context.Context, item *qpcv1.QueueItem, epoch uint64) error {
	i := slices.IndexFunc(v.notes.Ahead, func(a aheadCommit) bool { return a.Epoch == epoch })
	if i < 0 {
		return v.c.skip(ctx, item)
	}
	if !bytes.Equal(v.notes.Ahead[i].Item, item.ItemId) {
		return v.refuse(ctx, item, errForked)
	}
	return v.write(ctx, func(t *transaction) error {
		t.seen = item.Seq
		t.notes.Ahead = slices.Delete(t.notes.Ahead, i, i+1)
		return nil
	})
}

// unopened gives up a conversation whose group cannot be loaded, so that the
// others go on. Any other error is passing, and returned.
func (v *conversation) unopened(ctx context.Context, item *qpcv1.QueueItem, err error) error {
	if errors.Is(err, ErrProfileCorrupt) {
		return v.refuse(ctx, item, err)
	}
	return err
}

// examine validates a commit, judges it, and gets to know whom it brings.
func (v *conversation) examine(ctx context.Context, message []byte) (*mls.StagedCommit, []vault.Contact, error) {
	if sealedRejoin(message) {
		key, err := v.rejoinKey()
		if err != nil {
			return nil, nil, err
		}
		defer clear(key)
		if message, err = openRejoin(key, v.id, v.group.Epoch(), message); err != nil {
			return nil, nil, err
		}
	}
	result, err := v.group.Process(message)
	if err != nil {
		return nil, nil, err
	}
	staged, ok := result.(*mls.StagedCommit)
	if !ok {
		return nil, nil, fmt.Errorf("%w: not a commit", errRule)
	}
	if err := v.judgeCommit(staged, v.notes.Leavers); err != nil {
		return nil, nil, err
	}
	var newcomers []identity.Credential
	for _, m := range staged.Added {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return nil, nil, err
		}
		newcomers = append(newcomers, leaf.credential())
	}
	contacts, err := v.c.introduce(ctx, newcomers)
	return staged, contacts, err
}

// refuse stops following a group that cannot be followed any more, such as
// because of a commit that cannot be accepted.
func (v *conversation) refuse(ctx context.Context, item *qpcv1.QueueItem, why error) error {
	v.c.log.Warn("group given up", "error", why)
	if changed, ok := errors.AsType[*keyChangedError](why); ok {
		v.c.warnOfKey(ctx, changed.account, v)
	}
	v.close() // whatever was begun
	return v.takeIn(ctx, func(t *transaction) error {
		t.seen = item.Seq
		return t.breakOff(why)
	})
}

// warnOfKey says in the direct chat with an account that it came with another
// key. It is told at once or not at all; except is held by the caller.
func (c *Client) warnOfKey(ctx context.Context, account AccountID, except *conversation) {
	for _, v := range c.all() {
		if v != except {
			v.recordKeyChange(ctx, account)
		}
	}
}

func (v *conversation) recordKeyChange(ctx context.Context, account AccountID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.row.Kind != vault.ConversationDirect || v.row.PeerID != account || v.usable() != nil {
		return
	}
	err := v.write(ctx, func(t *transaction) error {
		p := t.person(account)
		return t.record(SystemEvent{Kind: EventKeyChanged, Actor: p, Subjects: []Person{p}}, 0)
	})
	if err != nil {
		v.c.log.Error("record a changed key", "error", err)
	}
}
