package client

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// ChangePassword gives the account another password, with which this profile
// opens too. The account's other devices go on; their profiles keep opening
// with the password that they had (see UseAccountPassword).
//
// First the new password is let open this profile beside the present one, then
// the server is asked, and then the present one is shut out. So whenever this
// is interrupted, the profile opens with the password that the server has. A
// lost answer is asked for again; where it does not come before ctx ends, the
// error is ErrPasswordUncertain: then both passwords open the profile until the
// client has found out by itself which one counts, if need be after a restart.
//
// Errors: *WeakPasswordError, ErrPresentPassword, ErrAccountChanged, ErrOffline,
// ErrRateLimited; with these nothing was changed.
func (c *Client) ChangePassword(ctx context.Context, present, next string) error {
	if err := identity.CheckPassword(c.self.name, next); err != nil {
		return err
	}
	present, next = identity.NormalizePassword(present), identity.NormalizePassword(next)
	c.password.Lock()
	defer c.password.Unlock()
	ctx, cancel := c.during(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, entranceTimeout)
	defer cancelTimeout()
	if err := c.awaitOnline(ctx); err != nil {
		return err
	}
	if err := c.settleFirst(ctx, present); err != nil {
		return c.closedOr(err)
	}
	lost := false // an earlier try may have been carried out
	for {
		err := c.tryPassword(ctx, present, next)
		switch {
		case err == nil:
			return c.vault.AdoptStaged()
		case lost && errors.Is(err, ErrPresentPassword):
			err = c.settlePassword(ctx, []byte(next), true)
			if err == nil || errors.Is(err, ErrPresentPassword) {
				return c.closedOr(err)
			}
		case uncertain(err):
			lost = true
		case !lost:
			return c.closedOr(errors.Join(err, c.vault.DropStaged()))
		}
		if waitErr := c.account.await(ctx); waitErr != nil || ctx.Err() != nil {
			if c.ctx.Err() == nil {
				c.settleLater(next)
			}
			return errors.Join(ErrPasswordUncertain, err)
		}
		_ = sleep(ctx, pause) // what ends it ends the next wait
	}
}

// uncertainError: the connection was lost before the answer to a request.
type uncertainError struct{ err error }

func (e *uncertainError) Error() string { return "client: answer lost: " + e.err.Error() }
func (e *uncertainError) Unwrap() error { return e.err }

func uncertain(err error) bool {
	_, ok := errors.AsType[*uncertainError](err)
	return ok
}

// lostAnswer makes an uncertainError of what is no answer of the server's, and
// of its own failure, which may have come late.
func lostAnswer(err error) error {
	code := wire.CodeOf(err)
	if err == nil || code != qpcv1.ErrorCode_ERROR_CODE_UNSPECIFIED && code != qpcv1.ErrorCode_ERROR_CODE_INTERNAL {
		return fromWire(err)
	}
	return &uncertainError{fromWire(err)}
}

// tryPassword runs the exchange once. After an *uncertainError the server may
// have either password.
func (c *Client) tryPassword(ctx context.Context, present, next string) error {
	conn, _ := c.account.current()
	if conn == nil {
		return ErrOffline
	}
	finish, err := c.beginPassword(ctx, conn, present, next)
	if err != nil {
		return presentPassword(fromWire(err))
	}
	if err := c.vault.StagePassword(next); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = lostAnswer(conn.Call(limited, finish, new(qpcv1.ChangePasswordFinishResponse)))
	if uncertain(err) {
		_ = conn.Close() // it may be dead without knowing: ask on another one
	}
	return err
}

// beginPassword proves the present password and registers the next one, up to
// the request that makes it count.
func (c *Client) beginPassword(ctx context.Context, conn *wire.Conn, present, next string) (*qpcv1.ChangePasswordFinishRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	old, fresh := []byte(present), []byte(next)
	defer clear(old)
	defer clear(fresh)
	config := c.opts.Cost.opaque()
	login, ke1, err := config.StartLogin(old)
	if err != nil {
		return nil, err
	}
	registration, request, err := config.StartRegistration(fresh)
	if err != nil {
		return nil, err
	}
	var start qpcv1.ChangePasswordStartResponse
	if err := conn.Call(ctx, &qpcv1.ChangePasswordStartRequest{Ke1: ke1, OpaqueRequest: request}, &start); err != nil {
		return nil, err
	}
	ke3, exportKey, err := finishLogin(login, start.Ke2)
	if err != nil {
		return nil, err
	}
	defer clear(exportKey)
	key, err := identity.OpenAccountKey(start.SealedAccountKey, exportKey, c.self.certificate.AccountKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServerIdentity, err)
	}
	defer key.Destroy()
	record, nextKey, err := registration.Finish(start.OpaqueResponse, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	defer clear(nextKey)
	sealed, err := key.Seal(nextKey)
	if err != nil {
		return nil, err
	}
	return &qpcv1.ChangePasswordFinishRequest{Ke3: ke3, OpaqueRecord: record, SealedAccountKey: sealed}, nil
}

// settlePassword ends the time in which two passwords open the profile: the one
// that the server has stays. staged tells which of the two is given here.
// ErrPresentPassword: it is not the staged one.
func (c *Client) settlePassword(ctx context.Context, password []byte, staged bool) error {
	defer clear(password)
	right, err := c.knowsPassword(ctx, password)
	switch {
	case err != nil:
		return err
	case right == staged:
		return c.vault.AdoptStaged()
	}
	return errors.Join(ErrPresentPassword, c.vault.DropStaged())
}

// settleFirst ends an earlier change that is still uncertain, before another one
// takes the place of its staged password: that may be the one which the server
// has. It goes by the password that the server accepts, and nothing is changed
// where that is not this one.
func (c *Client) settleFirst(ctx context.Context, present string) error {
	if !c.vault.Staged() {
		return nil
	}
	right, err := c.knowsPassword(ctx, []byte(present))
	switch {
	case err != nil:
		return err
	case !right:
		return ErrPresentPassword
	}
	staged, err := c.vault.IsStaged(present)
	switch {
	case err != nil:
		return err
	case staged:
		return c.vault.AdoptStaged()
	}
	return c.vault.DropStaged()
}

// settleLater settles the password when the client is online.
func (c *Client) settleLater(password string) {
	secret := []byte(password)
	c.spawn(func() {
		defer clear(secret)
		for c.account.await(c.ctx) == nil {
			ctx, cancel := context.WithTimeout(c.ctx, entranceTimeout)
			err := c.settle(ctx, secret)
			cancel()
			if err == nil || errors.Is(err, ErrPresentPassword) {
				return
			}
			c.log.Warn("settle the password", "error", err)
			if sleep(c.ctx, lastRetry) != nil {
				return
			}
		}
	})
}

// settle is settlePassword for whichever of the two passwords this is.
func (c *Client) settle(ctx context.Context, secret []byte) error {
	c.password.Lock()
	defer c.password.Unlock()
	if !c.vault.Staged() {
		return nil // settled by another change
	}
	isStaged, err := c.vault.IsStaged(string(secret))
	if err != nil {
		return err
	}
	return c.settlePassword(ctx, append([]byte(nil), secret...), isStaged)
}

// UseAccountPassword makes this profile open with the account's password, after
// that was changed on another device. ErrPresentPassword: it is not the
// account's; ErrServerUnreachable and the like. Then nothing was changed.
func (c *Client) UseAccountPassword(ctx context.Context, password string) error {
	password = identity.NormalizePassword(password)
	c.password.Lock()
	defer c.password.Unlock()
	ctx, cancel := c.during(ctx)
	defer cancel()
	secret := []byte(password)
	defer clear(secret)
	right, err := c.knowsPassword(ctx, secret)
	switch {
	case err != nil:
		return c.closedOr(err)
	case !right:
		return ErrPresentPassword
	}
	return c.closedOr(errors.Join(c.vault.StagePassword(password), c.vault.AdoptStaged()))
}
