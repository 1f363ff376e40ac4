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
// Errors: ErrLastAdmin: others have accounts on the server and would have no
// admin; nothing was changed. ErrPresentPassword, ErrServerUnreachable,
// ErrRateLimited, ErrServer: the client goes on, and some conversations may have been left; where the account is
// gone all the same, because only the answer was lost, calling it again deletes
// the profile. After any other error, of deleting the files, the account is gone
// and the client closed.
func (c *Client) DeleteAccount(ctx context.Context, password string) error {
	err := c.requestDeletion(ctx, password, true)
	if err == nil {
		c.leaveAll(ctx)
		err = c.requestDeletion(ctx, password, false)
	}
	if errors.Is(err, ErrPresentPassword) && c.accountGone(ctx) {
		err = nil // nobody has a password any more
	}
	if err != nil {
		return err
	}
	return c.deleteProfile()
}

// requestDeletion has the account deleted, or only asks whether that would be
// refused.
func (c *Client) requestDeletion(ctx context.Context, password string, onlyCheck bool) error {
	return c.asOwner(ctx, password, func(ctx context.Context, o *owner) error {
		req := &qpcv1.DeleteAccountRequest{Signature: o.key.SignDeletion(c.self.account(), o.exporter), OnlyCheck: onlyCheck}
		return o.conn.Call(ctx, req, new(qpcv1.DeleteAccountResponse))
	})
}

// accountGone tells whether the server says that there is no such account.
func (c *Client) accountGone(ctx context.Context) bool {
	ctx, cancel := c.during(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, callTimeout)
	defer cancelTimeout()
	conn, err := wire.Dial(ctx, c.self.link, wire.DialOptions{})
	if err != nil {
		return false
	}
	defer conn.Close()
	err = conn.Call(ctx, &qpcv1.ResolveAccountRequest{AccountId: c.self.account().Bytes()}, new(qpcv1.ResolveAccountResponse))
	return wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT
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
