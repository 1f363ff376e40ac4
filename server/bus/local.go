package bus

import (
	"slices"
	"sync"

	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Local is the bus of a server of one node: it connects wakers and subscribers
// within one process, loses nothing and runs no goroutine.
type Local struct {
	shards [shardCount]shard
}

// shardCount keeps the users of different queues out of each other's way.
const shardCount = 64

type shard struct {
	mu     sync.RWMutex
	queues map[storage.QueueID][]*subscription
}

type subscription struct{ wake func(storage.Item) }

// NewLocal gives a bus without subscribers.
func NewLocal() *Local {
	b := new(Local)
	for i := range b.shards {
		b.shards[i].queues = make(map[storage.QueueID][]*subscription)
	}
	return b
}

// shardOf goes by the first byte: queue ids are random.
func (b *Local) shardOf(queue storage.QueueID) *shard {
	return &b.shards[queue[0]%shardCount]
}

// Wake implements Bus.
func (b *Local) Wake(appended ...storage.Appended) {
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

// Subscribe implements Bus.
func (b *Local) Subscribe(queue storage.QueueID, wake func(storage.Item)) (cancel func()) {
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

// Relay implements Bus: there is nobody else.
func (b *Local) Relay(session.Ending) {}

// Health implements Bus: nothing is between the two ends.
func (b *Local) Health() error { return nil }

// Close implements Bus.
func (b *Local) Close() error { return nil }
