package client

import (
	"sync/atomic"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// ackDelay gathers acknowledgements: each costs the server a write, and nobody
// waits for them.
const ackDelay = 100 * time.Millisecond

// acks remembers how far the queue is in the vault. Acknowledgements are
// cumulative, so that the last of many stands for all.
type acks struct {
	upTo atomic.Uint64
	wake chan struct{}
}

func newAcks() *acks { return &acks{wake: make(chan struct{}, 1)} }

func (a *acks) put(seq uint64) {
	for old := a.upTo.Load(); old < seq && !a.upTo.CompareAndSwap(old, seq); old = a.upTo.Load() {
	}
	wake(a.wake)
}

// rewind forgets the position; an acknowledgement under way may still go out.
func (a *acks) rewind() { a.upTo.Store(0) }

// acknowledge tells the server what it need not keep any more. One that is lost
// is made good by the next, or by the cursor of the next subscription.
func (c *Client) acknowledge() {
	for {
		select {
		case <-c.acks.wake:
		case <-c.ctx.Done():
			return
		}
		if sleep(c.ctx, ackDelay) != nil {
			return
		}
		req := &qpcv1.AckRequest{UpToSeq: c.acks.upTo.Load()}
		if req.UpToSeq == 0 {
			continue
		}
		// What came from the queue was committed unsynced: see write.
		if err := c.vault.Sync(); err != nil {
			if c.ctx.Err() == nil {
				c.log.Error("acknowledge", "error", err)
			}
			continue
		}
		if err := c.account.call(c.ctx, req, new(qpcv1.AckResponse)); err != nil && c.ctx.Err() == nil {
			c.log.Warn("acknowledge", "error", err)
		}
	}
}
