package client

import (
	"sync/atomic"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// acks remembers how far the queue is in the vault. Acknowledgements are
// cumulative, so that while one is under way the next ones become one.
type acks struct {
	upTo atomic.Uint64
	wake chan struct{}
}

func newAcks() *acks { return &acks{wake: make(chan struct{}, 1)} }

func (a *acks) put(seq uint64) {
	a.upTo.Store(seq)
	wake(a.wake)
}

// acknowledge tells the server what it need not keep any more. One that is lost
// is made good by the next, or by the cursor of the next subscription.
func (c *Client) acknowledge() {
	for {
		select {
		case <-c.acks.wake:
		case <-c.ctx.Done():
			return
		}
		req := &qpcv1.AckRequest{UpToSeq: c.acks.upTo.Load()}
		if err := c.account.call(c.ctx, req, new(qpcv1.AckResponse)); err != nil && c.ctx.Err() == nil {
			c.log.Warn("acknowledge", "error", err)
		}
	}
}
