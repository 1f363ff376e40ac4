// Package bus tells those who wait for a queue that something was appended.
//
// A wake-up brings the item where it can, which spares a subscriber that has
// everything before it to read the store. That is a hint: wake-ups come in any
// order, and may bring no item. A subscriber therefore subscribes first, then
// reads the store until nothing is left, and only then waits; that way it misses
// nothing.
//
// A wake-up is a call, so that a connection that waits for its queue costs no
// goroutine.
package bus

import (
	"slices"
	"sync"

	"quicprochat/server/storage"
)

// Bus connects wakers and subscribers within one process. It is safe for
// concurrent use, runs no goroutine and needs no closing.
type Bus struct {
	shards [shardCount]shard
}

// shardCount keeps the users of different queues out of each other's way.
const shardCount = 64

type shard struct {
	mu     sync.RWMutex
	queues map[storage.QueueID][]*subscription
}

type subscription struct{ wake func(storage.Item) }

// New gives a bus without subscribers.
func New() *Bus {
	b := new(Bus)
	for i := range b.shards {
		b.shards[i].queues = make(map[storage.QueueID][]*subscription)
	}
	return b
}

// shardOf goes by the first byte: queue ids are random.
func (b *Bus) shardOf(queue storage.QueueID) *shard {
	return &b.shards[queue[0]%shardCount]
}

// Wake wakes the subscribers of each queue. It is called after what they
// should see is durable.
func (b *Bus) Wake(appended ...storage.Appended) {
	for _, a := range appended {
		b.shardOf(a.Queue).wake(a)
	}
}

func (s *shard) wake(a storage.Appended) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sub := range s.queues[a.Queue] {
		sub.wake(a.Item)
	}
}

// Subscribe has wake called whenever something came into a queue, possibly by
// several goroutines at once. It must return at once and must not use the bus.
//
// The caller must call cancel when done; calling it again does nothing. When
// cancel has returned, wake is not running and is not called any more.
func (b *Bus) Subscribe(queue storage.QueueID, wake func(storage.Item)) (cancel func()) {
	s := b.shardOf(queue)
	sub := &subscription{wake: wake}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[queue] = append(s.queues[queue], sub)
	return func() { s.cancel(queue, sub) }
}

func (s *shard) cancel(queue storage.QueueID, sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(s.queues[queue], func(other *subscription) bool { return other == sub })
	if len(left) == 0 {
		delete(s.queues, queue)
		return
	}
	s.queues[queue] = left
}
