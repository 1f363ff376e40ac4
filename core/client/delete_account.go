package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// partingTimeout bounds how long one waits for goodbyes to go out.
const partingTimeout = 15 * time.Second

// DeleteAccount leaves the conversations, as far as that can be done in a few
// seconds, deletes the account on the server with everything that names it,
// closes the client and deletes this profile. The account's other devices are
// logged out. What was sent stays with those who have it; the name can never be
// registered again.
//
// Errors: ErrPresentPassword, ErrServerUnreachable, ErrRateLimited: the account
// is still there, though some conversations may have been left. After any other
// error of deleting the files the account is gone and the client closed.
func (c *Client) DeleteAccount(ctx context.Context, password string) error {
	if err := c.asOwner(ctx, password, func(context.Context, *owner) error { return nil }); err != nil {
		return err // before anything is left
	}
	c.leaveAll(ctx)
	asked := false
	err := c.asOwner(ctx, password, func(ctx context.Context, o *owner) error {
		asked = true
		account := c.self.account()
		req := &qpcv1.DeleteAccountRequest{Signature: o.key.SignDeletion(account, o.exporter)}
		return o.conn.Call(ctx, req, new(qpcv1.DeleteAccountResponse))
	})
	if err != nil && !(asked && errors.Is(err, ErrPresentPassword)) {
		return err
	}
	// A password that was right a moment ago and no longer is, is an account
	// that has gone: only the answer was lost.
	return c.deleteProfile()
}

// leaveAll leaves what can be left, and gives the server a moment to take it.
func (c *Client) leaveAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, partingTimeout)
	defer cancel()
	if c.awaitOnline(ctx) != nil {
		return
	}
	var group sync.WaitGroup
	for _, v := range c.all() {
		group.Go(func() {
			err := c.Leave(ctx, v.id)
			if err != nil && !errors.Is(err, ErrNotMember) {
				c.log.Info("conversation not left", "error", err)
			}
		})
	}
	group.Wait()
	for ctx.Err() == nil && c.hasOutgoing() {
		_ = sleep(ctx, firstRetry/4)
	}
}

// hasOutgoing tells whether something waits to be sent.
func (c *Client) hasOutgoing() bool {
	for _, v := range c.all() {
		v.mu.Lock()
		waits := len(v.outbox) > 0
		v.mu.Unlock()
		if waits {
			return true
		}
	}
	return false
}

// deleteProfile closes the client and deletes its files. The vault's key goes
// first: without it the rest is noise.
func (c *Client) deleteProfile() error {
	if err := c.Close(); err != nil {
		c.log.Warn("close before deletion", "error", err)
	}
	if err := deleteVault(c.opts.vaultDir()); err != nil {
		return fmt.Errorf("client: delete the profile: %w", err)
	}
	_ = os.Remove(c.opts.Dir) // only if nothing else is in it
	return nil
}

// deleted tells whether the server says that the account is gone.
func deleted(err error) bool {
	closed, ok := errors.AsType[*wire.ClosedError](err)
	return ok && closed.Goodbye == qpcv1.Goodbye_REASON_DELETED
}
