package client

import (
	"context"
	"time"
)

// changeTimeout bounds a change to a group. One that has reached the outbox by
// then is carried on with all the same.
const changeTimeout = 2 * time.Minute

// Sync waits until the client is online, has taken in, into the vault, every
// queue item that waited on the server when it connected, and can be reached by
// others. Then history read from the vault is complete as of now. It returns
// ctx's error where that does not happen in time, and ErrClosed,
// ErrDeviceRevoked or ErrAccountDeleted where it never will.
func (c *Client) Sync(ctx context.Context) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	err := c.status.await(ctx, func() (bool, error) {
		s := c.status
		if s.combined.final() {
			return false, s.combined.Err
		}
		return s.combined.State == Online && s.cursor >= s.target && s.maintained, nil
	})
	return c.closedOr(err)
}

// awaitOnline waits while a connection is being made. ErrOffline where there is
// none, ErrClosed.
func (c *Client) awaitOnline(ctx context.Context) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	return c.closedOr(c.status.online(ctx))
}

// during is ctx that ends with the client too.
func (c *Client) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// duringChange is during for something that somebody waits for, but not for ever.
func (c *Client) duringChange(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := c.during(ctx)
	ctx, cancelTimeout := context.WithTimeout(ctx, changeTimeout)
	return ctx, func() { cancelTimeout(); cancel() }
}

// closedOr is ErrClosed where the client was closed.
func (c *Client) closedOr(err error) error {
	if err != nil && c.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}
