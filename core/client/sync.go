package client

import "context"

// Sync waits until the client is online and has taken in, into the vault,
// every queue item that waited on the server when it connected; then history
// read from the vault is complete as of now. It returns ctx's error where that
// does not happen in time, and ErrClosed or ErrDeviceRevoked where it never will.
func (c *Client) Sync(ctx context.Context) error { return errTODO }
