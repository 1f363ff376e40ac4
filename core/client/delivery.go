package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// maxServerFailures is how often a server may answer that it failed before an
// item is given up.
const maxServerFailures = 10

// delivery is one attempt to bring an item to the server.
type delivery struct {
	out  *outgoing
	req  proto.Message
	resp proto.Message // nil for a post
	// seq is the place in the channel that the server gave the item.
	seq uint64
}

// deliver gets the outbox worked on. The caller holds v.mu.
func (v *conversation) deliver() {
	if !v.delivering && v.next() != nil {
		v.delivering = v.c.spawn(func() { v.deliverAll(v.c.ctx) })
	}
}

// deliverAll sends what is in the outbox, one item after the other, so that the
// channel's order is that of sending. It returns when there is nothing to do.
func (v *conversation) deliverAll(ctx context.Context) {
	for {
		if err := v.c.anonymous.await(ctx); err != nil {
			return
		}
		if delay := v.settleDebt(ctx); delay > 0 {
			if sleep(ctx, delay) != nil {
				return
			}
			continue
		}
		batch, err := v.prepare(ctx)
		delay := pause
		switch {
		case err != nil && ctx.Err() == nil:
			v.c.log.Error("outbox", "error", err)
		case batch == nil:
			return
		default:
			delay = v.bring(ctx, batch)
		}
		if delay > 0 && sleep(ctx, delay) != nil {
			return
		}
	}
}

// bring makes the call for what was prepared, and returns how long to wait
// before the next.
func (v *conversation) bring(ctx context.Context, batch []*delivery) time.Duration {
	if d := batch[0]; d.resp != nil {
		err := v.c.anonymous.once(ctx, d.req, d.resp)
		if r, ok := d.resp.(interface{ GetChannelSeq() uint64 }); ok {
			d.seq = r.GetChannelSeq()
		}
		return v.settle(ctx, d, err)
	}
	reqs := make([]*qpcv1.PostRequest, len(batch))
	for i, d := range batch {
		reqs[i] = d.req.(*qpcv1.PostRequest)
	}
	var delay time.Duration
	var stale error
	for i, o := range v.c.posts.send(ctx, reqs) {
		switch wire.CodeOf(o.err) {
		case qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH:
			stale = o.err
		case qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED:
			if stale != nil {
				o.err = stale // it is of that epoch too
			}
		}
		batch[i].seq = o.seq
		delay = max(delay, v.settle(ctx, batch[i], o.err))
	}
	return delay
}

// prepare picks the next item, and the posts that can go along with it; nil
// ends the work.
func (v *conversation) prepare(ctx context.Context) ([]*delivery, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		out := v.next()
		if why := v.c.status.ended(); why != nil && out != nil && out.Kind == outboxPost {
			if err := v.refused(ctx, out, why); err != nil {
				return nil, err
			}
			continue
		}
		if out == nil || ctx.Err() != nil {
			v.delivering = false
			return nil, nil
		}
		if out.Kind == outboxPost && len(out.Payload) == 0 {
			if err := v.sealQueued(ctx, out); err != nil {
				return nil, err
			}
			continue
		}
		d, err := newDelivery(out)
		if err != nil {
			if err := v.refused(ctx, out, err); err != nil {
				return nil, err
			}
			continue
		}
		batch := []*delivery{d}
		if out.Kind == outboxPost {
			batch = v.along(ctx, batch)
		}
		if !slices.Contains(v.outbox, out) {
			continue // sealing another one has ended the conversation
		}
		for _, d := range batch {
			d.out.sending = true
			if d.out.message != nil {
				v.c.events.publish(MessageChanged{v.c.message(*d.out.message, true)})
			}
		}
		return batch, nil
	}
}

// along adds the posts that come right behind the first, as far as they can go
// out now and fit into a call.
func (v *conversation) along(ctx context.Context, batch []*delivery) []*delivery {
	bytes := len(batch[0].out.Payload)
	from := slices.Index(v.outbox, batch[0].out) + 1
	for _, out := range slices.Clone(v.outbox[from:]) {
		if len(batch) == maxPosts || out.Kind != outboxPost || out.answered || v.epoch < out.notBefore {
			break
		}
		if len(out.Payload) == 0 && v.sealQueued(ctx, out) != nil || len(out.Payload) == 0 {
			break // its turn will come, and then it is told why not
		}
		if bytes += len(out.Payload) + 8; bytes > maxPostBytes {
			break
		}
		d, err := newDelivery(out)
		if err != nil {
			break
		}
		batch = append(batch, d)
	}
	return batch
}

var errUnsendable = errors.New("client: an outbox item cannot be sent")

// newDelivery decodes the stored request.
func newDelivery(out *outgoing) (*delivery, error) {
	d := &delivery{out: out}
	switch out.Kind {
	case outboxPost, outboxProposal:
		d.req = new(qpcv1.PostRequest)
	case outboxCreate:
		d.req, d.resp = new(qpcv1.CreateChannelRequest), new(qpcv1.CreateChannelResponse)
	case outboxCommit, outboxRejoin:
		d.req, d.resp = new(qpcv1.CommitRequest), new(qpcv1.CommitResponse)
	default:
		return nil, fmt.Errorf("%w: kind %d", errUnsendable, out.Kind)
	}
	if err := proto.Unmarshal(out.Payload, d.req); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsendable, err)
	}
	return d, nil
}

// epoch is the one that a post was sealed for.
func (d *delivery) epoch() uint64 {
	req, _ := d.req.(*qpcv1.PostRequest)
	body := &qpcv1.PostBody{}
	if proto.Unmarshal(req.GetBody(), body) != nil {
		return 0 // this device has made it, so it is none
	}
	return body.Epoch
}

// sealQueued seals a queued message for the present epoch: one that waited for
// the group to be made, or whose epoch was over when it reached the server. One
// that cannot be sealed fails.
func (v *conversation) sealQueued(ctx context.Context, out *outgoing) error {
	if err := v.open(ctx); errors.Is(err, ErrProfileCorrupt) {
		return v.write(ctx, func(t *transaction) error { return t.breakOff(err) })
	} else if err != nil {
		return err
	}
	return v.write(ctx, func(t *transaction) error {
		m, err := t.MessageByID(v.id, out.MessageID)
		if errors.Is(err, vault.ErrNotFound) {
			return t.dequeue(out, nil)
		} else if err != nil {
			return err
		}
		payload, err := v.sealText(out.ItemID, m)
		if err != nil {
			return t.fail(out, err)
		}
		item := out.OutboxItem
		item.Payload = payload
		t.after(func() { out.Payload, out.message = payload, &m })
		return t.UpdateOutbox(item)
	})
}

// settle decides what a call's end means for its item, and returns how long to
// wait before the next.
func (v *conversation) settle(ctx context.Context, d *delivery, callErr error) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	d.out.sending = false
	if !slices.Contains(v.outbox, d.out) {
		return 0 // the echo was faster
	}
	delay, err := v.judge(ctx, d, callErr)
	if err != nil && ctx.Err() == nil {
		// The vault failed; the item is still in the outbox.
		v.c.log.Error("outbox", "error", err)
		return pause
	}
	return delay
}

func (v *conversation) judge(ctx context.Context, d *delivery, callErr error) (time.Duration, error) {
	out := d.out
	if callErr == nil {
		return 0, v.accepted(ctx, out, d.seq)
	}
	e, answered := errors.AsType[*wire.Error](callErr)
	if !answered {
		if errors.Is(callErr, wire.ErrTooLarge) {
			return 0, v.refused(ctx, out, callErr)
		}
		out.repeated = true // nobody knows whether it arrived
		return pause / 10, nil
	}
	switch e.Code {
	case qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED:
		return max(e.RetryAfter, pause/10), nil
	case qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE:
		out.repeated = true // a change whose outcome the server does not know may have been made
		return max(e.RetryAfter, pause/10), nil
	case qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED:
		return 0, nil // what comes before it was settled, and it comes next
	case qpcv1.ErrorCode_ERROR_CODE_INTERNAL:
		if out.failures++; out.failures < maxServerFailures {
			return pause << min(out.failures, 6), nil
		}
	case qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH:
		return 0, v.stale(ctx, d, e)
	case qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID, qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY,
		qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT, qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING:
		if out.failures++; out.Kind == outboxCommit && out.failures < maxServerFailures {
			return 0, v.indebted(ctx, out)
		}
	case qpcv1.ErrorCode_ERROR_CODE_CHANNEL_EXISTS:
		if out.Kind == outboxCreate && out.repeated {
			return 0, v.accepted(ctx, out, 0)
		}
	}
	return 0, v.refused(ctx, out, callErr)
}

// accepted: the server has taken the item. For a post the echo on the queue,
// which is about to come, is what goes into the vault, so that it costs one
// transaction and not two; unless there may never be one.
func (v *conversation) accepted(ctx context.Context, out *outgoing, seq uint64) error {
	switch out.Kind {
	case outboxCreate:
		return v.write(ctx, func(t *transaction) error { return t.dequeue(out, nil) })
	case outboxCommit:
		return v.won(ctx, out, seq, 0)
	case outboxRejoin:
		return v.returned(ctx, out, seq, 0)
	}
	if out.repeated || !v.c.account.online() {
		return v.write(ctx, func(t *transaction) error { return t.confirm(out, seq) })
	}
	out.answered = true
	return nil
}

// stale: the channel has left the epoch of the item. Meanwhile it may have moved
// on from the epoch in the answer too, and the queue may have told so.
func (v *conversation) stale(ctx context.Context, d *delivery, e *wire.Error) error {
	out := d.out
	if out.Kind == outboxRejoin {
		return v.missedReturn(ctx, out, e) // others were faster
	}
	if err := v.open(ctx); err != nil {
		return err // its epoch says whether the queue has brought us there already
	}
	current := e.Stale.GetCurrentEpoch()
	switch {
	case out.Kind == outboxCommit:
		out.answered, out.notBefore = true, current // the queue brings the commit that won
		return nil
	case out.Kind == outboxProposal:
		// Whoever still wants to leave proposes again in each epoch.
		return v.write(ctx, func(t *transaction) error { return t.dequeue(out, nil) })
	case current < d.epoch():
		return v.refused(ctx, out, fmt.Errorf("%w: the channel went back", ErrServer))
	}
	// Sealed anew, with the same message id, when the queue has brought us there.
	out.Payload, out.notBefore = nil, current
	return nil
}

// refused: the server will never take the item.
func (v *conversation) refused(ctx context.Context, out *outgoing, why error) error {
	switch {
	case out.Kind == outboxRejoin:
		return v.missedReturn(ctx, out, why)
	case v.notes.Creating && out.Kind != outboxPost:
		return v.abandon(ctx, why)
	case out.Kind == outboxCommit:
		if err := v.open(ctx); err != nil {
			return err
		}
		v.group.DiscardPending()
	}
	return v.write(ctx, func(t *transaction) error {
		switch {
		case out.Kind == outboxProposal && gone(why):
			return t.end(vault.ConversationLeft, why)
		case out.Kind == outboxCommit && t.notes.Leaving:
			return errors.Join(t.fail(out, why), t.askAgain())
		}
		return t.fail(out, why)
	})
}

// gone tells whether the channel knows nothing of this member's epoch any more,
// so that nobody is left who could be asked for anything.
func gone(err error) bool {
	code := wire.CodeOf(err)
	return code == qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL || code == qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE
}
