package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// maxInbox is how many items may wait before the server has to.
const maxInbox = 1024

// inbox holds what the server has pushed until it is in the vault.
type inbox struct {
	wake chan struct{} // something has come
	room chan struct{} // something has gone

	mu    sync.Mutex
	items []*qpcv1.QueueItem
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits while the inbox is full.
func (b *inbox) put(ctx context.Context, items []*qpcv1.QueueItem) {
	for !b.tryPut(items) {
		select {
		case <-b.room:
		case <-ctx.Done():
			return
		}
	}
	wake(b.wake)
}

func (b *inbox) tryPut(items []*qpcv1.QueueItem) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= maxInbox {
		return false
	}
	b.items = append(b.items, items...)
	return true
}

// next takes the oldest item out; nil where there is none.
func (b *inbox) next() *qpcv1.QueueItem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		return nil
	}
	item := b.items[0]
	b.items[0] = nil
	if b.items = b.items[1:]; len(b.items) < maxInbox {
		wake(b.room)
	}
	return item
}

func (b *inbox) empty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = nil
	wake(b.room)
}

// wake lets whoever waits for c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pushed takes what the server pushes on the account connection.
func (c *Client) pushed(event qpcv1.EventType, payload []byte) {
	if event != qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS {
		return
	}
	var m qpcv1.QueueItems
	if err := proto.Unmarshal(payload, &m); err != nil {
		c.log.Error("queue", "error", err)
		return
	}
	c.inbox.put(c.ctx, m.Items)
}

// receive is the one pipeline through which everything from the queue goes, in
// its order.
func (c *Client) receive() {
	for {
		select {
		case <-c.inbox.wake:
		case <-c.ctx.Done():
			return
		}
		for c.receiveNext() {
		}
	}
}

// receiveNext is false where nothing waits.
func (c *Client) receiveNext() bool {
	c.intake.Lock()
	defer c.intake.Unlock()
	item := c.inbox.next()
	if item == nil || !c.receiveItem(item) {
		return false
	}
	c.acks.put(item.Seq)
	return true
}

// rewind takes the queue from its beginning again: the server has an older copy
// of it than this device has seen, or another queue. What comes twice is known by
// the groups; what was skipped, or acknowledged unseen, would be lost.
func (c *Client) rewind(ctx context.Context) error {
	c.intake.Lock()
	defer c.intake.Unlock()
	c.log.Warn("the server's queue has gone back")
	if err := c.vault.Update(ctx, func(tx *vault.Tx) error { return putCursor(tx, 0) }); err != nil {
		return err
	}
	c.inbox.empty()
	c.acks.rewind()
	c.status.rewind()
	return nil
}

// receiveItem takes one item in; it only gives up, with false, when the client
// closes. Where the vault fails, such as on a full disk, it tries until that is
// over: nothing is acknowledged that is not safe.
func (c *Client) receiveItem(item *qpcv1.QueueItem) bool {
	for failures := 0; ; failures++ {
		if c.ctx.Err() != nil {
			return false
		}
		err := c.takeIn(c.ctx, item)
		if err == nil {
			return true
		}
		if c.ctx.Err() == nil {
			c.log.Error("queue item", "error", err)
		}
		if sleep(c.ctx, pause<<min(failures, 6)) != nil {
			return false
		}
	}
}

// takeIn processes an item and puts what came of it, and the cursor, into the
// vault in one transaction. An error is one of this device, such as of the
// vault; whatever is wrong with the item itself is dealt with.
func (c *Client) takeIn(ctx context.Context, item *qpcv1.QueueItem) error {
	if item.Seq <= c.status.position() {
		return nil // delivered again
	}
	switch body := item.Body.(type) {
	case *qpcv1.QueueItem_Message:
		if v := c.addressee(body.Message.GetChannelId()); v != nil {
			return v.receiveMessage(ctx, item, body.Message)
		}
	case *qpcv1.QueueItem_Commit:
		if v := c.addressee(body.Commit.GetChannelId()); v != nil {
			return v.receiveCommit(ctx, item, body.Commit)
		}
	case *qpcv1.QueueItem_Welcome:
		return c.receiveContact(ctx, item, body.Welcome.GetSealed())
	case *qpcv1.QueueItem_Overflow:
		return c.receiveOverflow(ctx, item)
	}
	return c.skip(ctx, item)
}

// addressee is the conversation of a channel, or nil.
func (c *Client) addressee(channel []byte) *conversation {
	if len(channel) != len(ConversationID{}) {
		return nil
	}
	return c.lookup(ConversationID(channel))
}

// skip only moves the cursor.
func (c *Client) skip(ctx context.Context, item *qpcv1.QueueItem) error {
	err := c.vault.UpdateUnsynced(ctx, func(tx *vault.Tx) error { return putCursor(tx, item.Seq) })
	if err == nil {
		c.status.setCursor(item.Seq)
	}
	return err
}

// skip only moves the cursor, and keeps what processing has used up in the group.
func (v *conversation) skip(ctx context.Context, item *qpcv1.QueueItem) error {
	return v.takeIn(ctx, func(t *transaction) error {
		t.seen = item.Seq
		return nil
	})
}

// receiveOverflow tells in each conversation that messages may be missing.
func (c *Client) receiveOverflow(ctx context.Context, item *qpcv1.QueueItem) error {
	for _, v := range c.all() {
		if err := v.recordOverflow(ctx); err != nil {
			return err
		}
	}
	return c.skip(ctx, item)
}

func (v *conversation) recordOverflow(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.usable() != nil {
		return nil
	}
	v.askAfterPosts()
	return v.write(ctx, func(t *transaction) error {
		t.notes.Ahead = nil // their echoes may be lost
		t.notes.Doubt = true
		t.after(func() { wake(v.c.start) })
		return t.record(SystemEvent{Kind: EventOverflow}, 0)
	})
}

// askAfterPosts sends again what was answered and whose echo may be lost: the
// server answers a repetition like the first time. What is on its way now will be
// settled by its answer, as its echo may be lost just as well.
func (v *conversation) askAfterPosts() {
	for _, out := range v.outbox {
		if out.Kind != outboxCommit && (out.answered || out.sending) {
			out.answered, out.repeated = false, true
		}
	}
	v.deliver()
}

// receivedAt is when the server got an item, but never in the future.
func (c *Client) receivedAt(item *qpcv1.QueueItem) time.Time {
	now := c.now()
	const maxMillis = 253402300799_000 // end of the year 9999
	at := time.UnixMilli(int64(min(item.ReceivedAt, maxMillis)))
	if item.ReceivedAt == 0 || at.After(now) {
		return now
	}
	return at
}
