package client

import (
	"context"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// PushEndpoint is a Web Push subscription of this device, as a UnifiedPush
// distributor or a browser gives it.
type PushEndpoint struct {
	// URL is https, at most 1024 bytes.
	URL string
	// Key is the subscription's P-256 public key, uncompressed, 65 bytes.
	Key []byte
	// Auth is its secret, 16 bytes.
	Auth []byte
}

// RegisterPush has the server wake this device through a push service while it
// is not connected. What comes there is an encrypted, empty message: whoever
// gets it opens the client, which fetches what waits. A device has one
// registration; a new one takes its place. The server's key at push services is
// returned; ServerInfo has it too, for distributors that want it first.
//
// Errors: ErrPushDisabled, ErrPushInvalid, ErrOffline.
func (c *Client) RegisterPush(ctx context.Context, e PushEndpoint) (serverKey []byte, err error) {
	if err := c.awaitOnline(ctx); err != nil {
		return nil, err
	}
	var m qpcv1.RegisterPushResponse
	if err := c.account.call(ctx, &qpcv1.RegisterPushRequest{Endpoint: e.URL, P256Dh: e.Key, Auth: e.Auth}, &m); err != nil {
		return nil, c.closedOr(err)
	}
	return m.PushKey, nil
}

// UnregisterPush ends the registration of this device. Errors: ErrOffline.
func (c *Client) UnregisterPush(ctx context.Context) error {
	if err := c.awaitOnline(ctx); err != nil {
		return err
	}
	return c.closedOr(c.account.call(ctx, &qpcv1.UnregisterPushRequest{}, new(qpcv1.UnregisterPushResponse)))
}
