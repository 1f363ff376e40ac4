package client

import (
	"context"
	"errors"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// A connection is pinged every keepAlive and counts as lost when the server has
// been silent for idleTimeout.
const (
	keepAlive   = 10 * time.Second
	idleTimeout = 30 * time.Second
)

// dialAccount connects, proves which device this is, and subscribes to its
// queue from where the vault ends.
func (c *Client) dialAccount(ctx context.Context) (*wire.Conn, error) {
	conn, err := c.dial(ctx, wire.DialOptions{
		OnPush: c.pushed, KeepAlive: keepAlive, IdleTimeout: idleTimeout,
	})
	if err != nil {
		return nil, fromWire(err)
	}
	if err := c.introduceDevice(ctx, conn); err != nil {
		return nil, errors.Join(fromWire(err), conn.Close())
	}
	return conn, nil
}

func (c *Client) introduceDevice(ctx context.Context, conn *wire.Conn) error {
	if err := c.authenticate(ctx, conn); err != nil {
		return err
	}
	return c.subscribe(ctx, conn)
}

// authenticate proves which device this is.
func (c *Client) authenticate(ctx context.Context, conn *wire.Conn) error {
	exporter, err := conn.Exporter()
	if err != nil {
		return err
	}
	account, device := c.self.account(), c.self.certificate.DeviceID()
	return conn.Call(ctx, &qpcv1.AuthenticateRequest{
		AccountId: account.Bytes(), DeviceId: device.Bytes(),
		Signature: identity.SignDeviceAuth(c.self.signer, account, device, exporter),
	}, new(qpcv1.AuthenticateResponse))
}

func (c *Client) subscribe(ctx context.Context, conn *wire.Conn) error {
	var subscribed qpcv1.SubscribeResponse
	from := c.status.position()
	if err := conn.Call(ctx, &qpcv1.SubscribeRequest{AfterSeq: from}, &subscribed); err != nil {
		return err
	}
	if subscribed.LastSeq < from {
		if err := c.rewind(ctx); err != nil {
			return err
		}
		if err := conn.Call(ctx, &qpcv1.SubscribeRequest{}, &subscribed); err != nil {
			return err
		}
	}
	c.status.setTarget(subscribed.LastSeq)
	return nil
}

// dialAnonymous connects and says nothing about who this is. The server cannot
// tell a banned account there: it is this client that keeps to the ban.
func (c *Client) dialAnonymous(ctx context.Context) (*wire.Conn, error) {
	if c.status.banned() {
		return nil, ErrBanned
	}
	conn, err := c.dial(ctx, wire.DialOptions{KeepAlive: keepAlive, IdleTimeout: idleTimeout})
	return conn, fromWire(err)
}
