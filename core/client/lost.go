package client

import (
	"context"
	"crypto/ed25519"
	"errors"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// findLost gives up conversations that wait for a commit that will never come,
// because this device was away for longer than the server keeps it or its queue
// was full. Without it their messages would wait for ever.
// Where something was lost from the queue, it asks whether a commit was.
func (c *Client) findLost(ctx context.Context) error {
	waiting := make(map[*conversation]uint64)
	var errs []error
	for _, v := range c.all() {
		epoch := v.waitsFor()
		if epoch == 0 {
			var err error
			epoch, err = v.resolveDoubt(ctx)
			errs = append(errs, err) // the others go on
		}
		if epoch > 0 {
			waiting[v] = epoch
		}
	}
	if len(waiting) == 0 {
		return errors.Join(errs...)
	}
	// The server had those commits when it called something stale: they are in the
	// vault, or in the queue behind the cursor, or nowhere.
	var m qpcv1.FetchResponse
	req := &qpcv1.FetchRequest{AfterSeq: c.status.position(), Limit: maxPage}
	if err := c.account.call(ctx, req, &m); err != nil || m.More {
		return errors.Join(append(errs, err)...)
	}
	for _, item := range m.Items {
		if v := c.addressee(item.GetCommit().GetChannelId()); v != nil {
			delete(waiting, v)
		}
	}
	for v, epoch := range waiting {
		errs = append(errs, v.giveUpBefore(ctx, epoch))
	}
	return errors.Join(errs...)
}

// waitsFor is the epoch that something in the outbox waits for; 0 for none.
func (v *conversation) waitsFor() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, out := range v.outbox {
		if out.notBefore > v.epoch {
			return out.notBefore
		}
	}
	return 0
}

// resolveDoubt asks the server, where something was lost, whether the channel is ahead
// of this device, and returns its epoch then; otherwise 0. Without it nobody would
// notice until somebody writes.
func (v *conversation) resolveDoubt(ctx context.Context) (uint64, error) {
	key, epoch, err := v.doubt(ctx)
	if err != nil || key == nil {
		return 0, err
	}
	defer clear(key)
	current, err := v.channelEpoch(ctx, key, epoch)
	stale, answered := errors.AsType[*wire.Error](err)
	switch {
	case answered && stale.Stale != nil:
		current = stale.Stale.CurrentEpoch
	case err != nil && !gone(err):
		return 0, err // the doubt stays: nothing is known yet
	}
	if current > epoch {
		return current, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.notes.Doubt || v.epoch != epoch {
		return 0, nil
	}
	return 0, v.write(ctx, func(t *transaction) error {
		t.notes.Doubt = false
		return nil
	})
}

// doubt is the key and the epoch to ask with; none where there is no doubt.
func (v *conversation) doubt(ctx context.Context) (ed25519.PrivateKey, uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.notes.Doubt || v.usable() != nil || v.notes.Creating {
		return nil, 0, nil
	}
	if err := v.open(ctx); err != nil {
		return nil, 0, err
	}
	key, err := v.channelKey(v.group)
	return key, v.epoch, err
}

// channelEpoch asks for the epoch in which the channel is, with the key of an epoch.
func (v *conversation) channelEpoch(ctx context.Context, key ed25519.PrivateKey, epoch uint64) (uint64, error) {
	body, signature, err := signed(key, labelGet, &qpcv1.GetChannelBody{ChannelId: v.id[:], Epoch: epoch})
	if err != nil {
		return 0, err
	}
	var m qpcv1.GetChannelResponse
	err = v.c.anonymous.call(ctx, &qpcv1.GetChannelRequest{Body: body, Signature: signature}, &m)
	return m.CurrentEpoch, err
}

// giveUpBefore stops following a group that has not reached an epoch.
func (v *conversation) giveUpBefore(ctx context.Context, epoch uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.following() || v.epoch >= epoch {
		return nil
	}
	return v.write(ctx, func(t *transaction) error { return t.breakOff(mls.ErrFutureEpoch) })
}

// failMessages fails what waits to be sent by a device that will never be let in
// again: nobody would take it any more.
func (c *Client) failMessages(why error) {
	for _, v := range c.all() {
		v.mu.Lock()
		if v.row.State == vault.ConversationActive && len(v.outbox) > 0 {
			err := v.write(c.ctx, func(t *transaction) error { return t.failPosts(why) })
			if err != nil && c.ctx.Err() == nil {
				c.log.Error("fail messages", "error", err)
			}
		}
		v.mu.Unlock()
	}
}
