package bus

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"quicprochat/server/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newQueue() (q storage.QueueID) {
	rand.Read(q[:])
	return q
}

// woken takes a wake-up, if there is one.
func woken(wake <-chan struct{}) bool {
	select {
	case <-wake:
		return true
	default:
		return false
	}
}

func subscriptions(b *Bus) (n int) {
	for i := range b.shards {
		n += len(b.shards[i].queues)
	}
	return n
}

func TestPublish(t *testing.T) {
	b := New()
	one, other := newQueue(), newQueue()
	other[0] = one[0] // in the same shard
	first, cancelFirst := b.Subscribe(one)
	second, cancelSecond := b.Subscribe(one)
	apart, cancelApart := b.Subscribe(other)

	b.Publish()
	b.Publish(newQueue())
	if woken(first) || woken(second) || woken(apart) {
		t.Error("woken for nothing")
	}
	b.Publish(one)
	if !woken(first) || !woken(second) || woken(apart) {
		t.Error("wrong subscribers woken")
	}
	b.Publish(one, other, one)
	b.Publish(one)
	if !woken(first) || !woken(second) || !woken(apart) {
		t.Error("not all subscribers woken")
	}
	if woken(first) || woken(second) {
		t.Error("wake-ups do not coalesce")
	}

	cancelFirst()
	cancelFirst()
	b.Publish(one)
	if woken(first) || !woken(second) {
		t.Error("wrong subscribers woken after a cancel")
	}
	cancelSecond()
	cancelApart()
	cancelFirst()
	if n := subscriptions(b); n != 0 {
		t.Errorf("%d queues left behind", n)
	}
}

// A subscriber that looks before it waits misses nothing.
func TestNothingIsMissed(t *testing.T) {
	b := New()
	const publishers, rounds = 4, 5000
	queues := [3]storage.QueueID{newQueue(), newQueue(), newQueue()}
	var published [3]atomic.Int64
	var wg sync.WaitGroup
	for i, queue := range queues {
		for range 2 {
			wake, cancel := b.Subscribe(queue)
			wg.Go(func() {
				defer cancel()
				for published[i].Load() < publishers*rounds {
					<-wake
				}
			})
		}
	}
	for range publishers {
		wg.Go(func() {
			for range rounds {
				for i := range queues {
					published[i].Add(1)
				}
				b.Publish(queues[:]...)
			}
		})
	}
	wg.Go(func() { // others come and go
		for range rounds {
			_, cancel := b.Subscribe(queues[0])
			cancel()
		}
	})
	wg.Wait()
	if n := subscriptions(b); n != 0 {
		t.Errorf("%d queues left behind", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	bus := New()
	b.RunParallel(func(pb *testing.PB) {
		queue := newQueue()
		wake, cancel := bus.Subscribe(queue)
		defer cancel()
		for pb.Next() {
			bus.Publish(queue)
			woken(wake)
		}
	})
}
