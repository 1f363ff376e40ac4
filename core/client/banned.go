package client

import (
	"context"
	"errors"

	"quicprochat/core/vault"
)

// heedBan takes note of what a change of the account connection says about a
// ban. From then on, until the server lets the account in again, the anonymous
// connection stays down (see dialAnonymous), also after a restart: what is to be
// sent waits.
func (c *Client) heedBan(s ConnectionChanged) {
	was := c.status.banned()
	switch {
	case errors.Is(s.Err, ErrBanned) && !was:
		c.status.setBanned(true)
		c.anonymous.drop()
		c.noteBan(func(tx *vault.Tx) error { return tx.PutSetting(settingBanned, nil) })
	case s.State == Online && was:
		c.status.setBanned(false)
		c.anonymous.retry()
		c.noteBan(func(tx *vault.Tx) error { return tx.DeleteSetting(settingBanned) })
	}
}

// noteBan keeps the change for the next start.
func (c *Client) noteBan(change func(*vault.Tx) error) {
	c.spawn(func() {
		if err := c.vault.Update(context.WithoutCancel(c.ctx), change); err != nil {
			c.log.Error("note a ban", "error", err)
		}
	})
}
