package client

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Waiting is what waits on the server for a device.
type Waiting struct {
	// Items are messages and changes of groups, Bytes what they take there.
	Items, Bytes uint64
	// Oldest is the day of the first; zero where nothing waits.
	Oldest time.Time
	// Last is the number of the newest item that ever came, Acked of the newest
	// that the device has taken in, or that has expired.
	Last, Acked uint64
}

// Waiting asks the server what waits for this device: what has come and is not
// acknowledged yet. Errors: ErrOffline.
func (c *Client) Waiting(ctx context.Context) (Waiting, error) {
	if err := c.awaitOnline(ctx); err != nil {
		return Waiting{}, err
	}
	var m qpcv1.PeekResponse
	if err := c.account.call(ctx, &qpcv1.PeekRequest{}, &m); err != nil {
		return Waiting{}, c.closedOr(err)
	}
	return waitingOf(&m), nil
}

// Status is what Peek finds.
type Status struct {
	Me         Me
	Link       Link
	Rendezvous []Link
	Waiting    Waiting
}

// Peek unlocks a profile, asks the server what waits for its device, and takes
// nothing of it in.
//
// Errors: those of Open, and those of reaching a server; for the latter, Status
// has what the profile knows.
func Peek(ctx context.Context, o Options, password string) (status Status, err error) {
	o = o.withDefaults()
	v, err := openVault(o.vaultDir(), password, o.vaultOptions())
	if err != nil {
		return Status{}, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	c := &Client{log: slog.New(slog.DiscardHandler), now: o.Now, vault: v}
	err = v.View(ctx, func(tx *vault.Tx) (err error) {
		if c.self, err = loadProfile(tx); err != nil {
			return err
		}
		c.route, err = loadRoute(tx, c.self.link)
		return err
	})
	if err != nil {
		return Status{}, err
	}
	defer c.self.wipe()
	waiting, err := c.peek(ctx)
	return Status{Me: c.Me(), Link: c.Link(), Rendezvous: c.Rendezvous(), Waiting: waiting}, err
}

func (c *Client) peek(ctx context.Context) (Waiting, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.route.failures = askAfter - 1 // there is one attempt only
	conn, err := c.dial(ctx, wire.DialOptions{})
	if err != nil {
		return Waiting{}, fromWire(err)
	}
	defer conn.Close()
	if err := c.authenticate(ctx, conn); err != nil {
		return Waiting{}, fromWire(err)
	}
	var m qpcv1.PeekResponse
	if err := conn.Call(ctx, &qpcv1.PeekRequest{}, &m); err != nil {
		return Waiting{}, fromWire(err)
	}
	return waitingOf(&m), nil
}

func waitingOf(m *qpcv1.PeekResponse) Waiting {
	w := Waiting{Items: m.Count, Bytes: m.Bytes, Last: m.LastSeq, Acked: m.AckedSeq}
	if m.OldestDay > 0 {
		w.Oldest = time.Unix(int64(min(m.OldestDay, 1<<40)), 0).UTC()
	}
	return w
}
