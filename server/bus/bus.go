// Package bus tells those who wait for a queue that something was appended.
//
// It carries wake-ups and no data: who is woken reads the store. Wake-ups of
// one queue coalesce while nobody looks, so a slow reader holds up no one. A
// subscriber therefore subscribes first, then reads the store until nothing is
// left, and only then waits; that way it misses nothing.
package bus

import (
	"sync"

	"quicprochat/server/storage"
)

// Bus connects publishers and subscribers within one process. It is safe for
// concurrent use, runs no goroutine and needs no closing.
type Bus struct {
	shards [shardCount]shard
}

// shardCount keeps publishers of different queues out of each other's way.
const shardCount = 64

type shard struct {
	mu     sync.RWMutex
	queues map[storage.QueueID][]chan struct{}
}

// New gives a bus without subscribers.
func New() *Bus {
	b := new(Bus)
	for i := range b.shards {
		b.shards[i].queues = make(map[storage.QueueID][]chan struct{})
	}
	return b
}

// shardOf goes by the first byte: queue ids are random.
func (b *Bus) shardOf(queue storage.QueueID) *shard {
	return &b.shards[queue[0]%shardCount]
}

// Publish wakes the subscribers of each queue. It never blocks. It is called
// after what they should see is durable.
func (b *Bus) Publish(queues ...storage.QueueID) {
	for _, queue := range queues {
		b.shardOf(queue).publish(queue)
	}
}

func (s *shard) publish(queue storage.QueueID) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, wake := range s.queues[queue] {
		select {
		case wake <- struct{}{}:
		default: // it will wake anyway
		}
	}
}

// Subscribe gives a channel that holds at most one wake-up for a queue. The
// caller must call cancel when done; calling it again does nothing. After that
// the channel gets no more, and it is never closed.
func (b *Bus) Subscribe(queue storage.QueueID) (wake <-chan struct{}, cancel func()) {
	s := b.shardOf(queue)
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[queue] = append(s.queues[queue], c)
	return c, func() { s.unsubscribe(queue, c) }
}

func (s *shard) unsubscribe(queue storage.QueueID, c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.queues[queue]
	for i, other := range all {
		if other != c {
			continue
		}
		if len(all) == 1 {
			delete(s.queues, queue)
			return
		}
		last := len(all) - 1
		all[i], all[last] = all[last], nil
		s.queues[queue] = all[:last]
		return
	}
}
