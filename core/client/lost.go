package client

import (
	"context"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// findLost gives up conversations that wait for a commit that will never come,
// because this device was away for longer than the server keeps it or its queue
// was full. Without it their messages would wait for ever.
func (c *Client) findLost(ctx context.Context) error {
	waiting := make(map[*conversation]uint64)
	for _, v := range c.all() {
		if epoch := v.waitsFor(); epoch > 0 {
			waiting[v] = epoch
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	// The server had those commits when it called something stale: they are in the
	// vault, or in the queue behind the cursor, or nowhere.
	var m qpcv1.FetchResponse
	req := &qpcv1.FetchRequest{AfterSeq: c.status.position(), Limit: maxPage}
	if err := c.account.call(ctx, req, &m); err != nil || m.More {
		return err
	}
	for _, item := range m.Items {
		if v := c.addressee(item.GetCommit().GetChannelId()); v != nil {
			delete(waiting, v)
		}
	}
	for v, epoch := range waiting {
		if err := v.giveUpBefore(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
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
