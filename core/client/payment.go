package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// shortOfTokens says how many tokens there should be for something.
type shortOfTokens struct{ want int }

func (e *shortOfTokens) Error() string        { return errNoTokens.Error() }
func (e *shortOfTokens) Is(target error) bool { return target == errNoTokens }

// pay puts n tokens from the vault into a commit's request. *shortOfTokens.
func (t *transaction) pay(out *outgoing, n int) error {
	if n == 0 {
		return nil
	}
	list, err := takeTokens(t.Tx, n, t.v.c.now())
	if errors.Is(err, errNoTokens) {
		return &shortOfTokens{n}
	} else if err != nil {
		return err
	}
	more, err := proto.Marshal(&qpcv1.CommitRequest{Tokens: list})
	if err != nil {
		return err
	}
	out.Payload = append(out.Payload, more...) // which is how protobuf adds to a list
	return nil
}

// refund takes the tokens out of a commit that was not accepted.
func (t *transaction) refund(out *outgoing) error {
	var req qpcv1.CommitRequest
	if err := proto.Unmarshal(out.Payload, &req); err != nil {
		return nil //nolint:nilerr // there is nothing to get out of it
	}
	return returnTokens(t.Tx, req.Tokens)
}

// indebted notes that the server has refused the tokens of a commit. They are
// replaced, as are all that came with them: what is wrong with one may be
// wrong with all.
func (v *conversation) indebted(ctx context.Context, out *outgoing) error {
	var req qpcv1.CommitRequest
	var body qpcv1.CommitBody
	if err := errors.Join(proto.Unmarshal(out.Payload, &req), proto.Unmarshal(req.Body, &body)); err != nil {
		return v.refused(ctx, out, fmt.Errorf("%w: %w", errUnsendable, err))
	}
	req.Tokens = nil
	payload, err := proto.Marshal(&req)
	if err != nil {
		return err
	}
	item := out.OutboxItem
	item.Payload = payload
	return v.write(ctx, func(t *transaction) error {
		t.after(func() { out.Payload, out.owes = payload, len(body.Welcomes) })
		return errors.Join(discardTokens(t.Tx), t.UpdateOutbox(item))
	})
}

// settleDebt gets new tokens for a commit whose own were refused, and returns how
// long to wait before the next attempt.
func (v *conversation) settleDebt(ctx context.Context) time.Duration {
	v.mu.Lock()
	out := v.next()
	n := 0
	if out != nil {
		n = out.owes
	}
	v.mu.Unlock()
	if n == 0 {
		return 0
	}
	err := v.c.ensureTokens(ctx, n)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case out.owes == 0 || ctx.Err() != nil:
		return 0
	case errors.Is(err, ErrOffline), errors.Is(err, context.DeadlineExceeded):
		return pause
	case err != nil:
		err = v.refused(ctx, out, err)
	default:
		err = v.repay(ctx, out, n)
	}
	if err != nil {
		v.c.log.Error("pay", "error", err)
		return pause
	}
	return 0
}

func (v *conversation) repay(ctx context.Context, out *outgoing, n int) error {
	paid := newOutgoing(out.OutboxItem, true)
	err := v.write(ctx, func(t *transaction) error {
		if err := t.pay(paid, n); err != nil {
			return err
		}
		t.after(func() { out.Payload, out.owes = paid.Payload, 0 })
		return t.UpdateOutbox(paid.OutboxItem)
	})
	if errors.Is(err, errNoTokens) {
		return nil // somebody else took them: again
	}
	return err
}
