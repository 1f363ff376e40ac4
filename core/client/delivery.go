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
	out       *outgoing
	req, resp proto.Message
}

// seq is the place in the channel that the server gave the item.
func (d *delivery) seq() uint64 {
	if r, ok := d.resp.(interface{ GetChannelSeq() uint64 }); ok {
		return r.GetChannelSeq()
	}
	return 0
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
		d, err := v.prepare(ctx)
		delay := pause
		switch {
		case err != nil && ctx.Err() == nil:
			v.c.log.Error("outbox", "error", err)
		case d == nil:
			return
		default:
			delay = v.settle(ctx, d, v.c.anonymous.once(ctx, d.req, d.resp))
		}
		if delay > 0 && sleep(ctx, delay) != nil {
			return
		}
	}
}

// prepare picks the next item; nil ends the work.
func (v *conversation) prepare(ctx context.Context) (*delivery, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		out := v.next()
		if out != nil && out.Kind == outboxPost && v.c.status.revoked() {
			if err := v.refused(ctx, out, ErrDeviceRevoked); err != nil {
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
		out.sending = true
		if out.message != nil {
			v.c.events.publish(MessageChanged{v.c.message(*out.message, true)})
		}
		return d, nil
	}
}

var errUnsendable = errors.New("client: an outbox item cannot be sent")

// newDelivery decodes the stored request.
func newDelivery(out *outgoing) (*delivery, error) {
	d := &delivery{out: out}
	switch out.Kind {
	case outboxPost, outboxProposal:
		d.req, d.resp = new(qpcv1.PostRequest), new(qpcv1.PostResponse)
	case outboxCreate:
		d.req, d.resp = new(qpcv1.CreateChannelRequest), new(qpcv1.CreateChannelResponse)
	case outboxCommit:
		d.req, d.resp = new(qpcv1.CommitRequest), new(qpcv1.CommitResponse)
	default:
		return nil, fmt.Errorf("%w: kind %d", errUnsendable, out.Kind)
	}
	if err := proto.Unmarshal(out.Payload, d.req); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsendable, err)
	}
	return d, nil
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
		return 0, v.accepted(ctx, out, d.seq())
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
	case qpcv1.ErrorCode_ERROR_CODE_INTERNAL:
		if out.failures++; out.failures < maxServerFailures {
			return pause << min(out.failures, 6), nil
		}
	case qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH:
		return 0, v.stale(ctx, out, e)
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
	}
	if out.repeated || !v.c.account.online() {
		return v.write(ctx, func(t *transaction) error { return t.confirm(out, seq) })
	}
	out.answered = true
	return nil
}

// stale: the channel has left the epoch of the item.
func (v *conversation) stale(ctx context.Context, out *outgoing, e *wire.Error) error {
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
	case current < v.epoch:
		return v.refused(ctx, out, fmt.Errorf("%w: the channel went back", ErrServer))
	}
	// Sealed anew, with the same message id, when the queue has brought us there.
	out.Payload, out.notBefore = nil, current
	return nil
}

// refused: the server will never take the item.
func (v *conversation) refused(ctx context.Context, out *outgoing, why error) error {
	switch {
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
