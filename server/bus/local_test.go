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

func appendedTo(queues ...storage.QueueID) []storage.Appended {
	var all []storage.Appended
	for _, q := range queues {
		all = append(all, storage.Appended{Queue: q})
	}
	return all
}

// TestItem hands an item to every subscriber of its queue.
func TestItem(t *testing.T) {
	b := NewLocal()
	queue := newQueue()
	var got [2]storage.Item
	for i := range got {
		defer b.Subscribe(queue, func(item storage.Item) { got[i] = item })()
	}
	b.Wake(storage.Appended{Queue: queue, Item: storage.Item{Seq: 7, Sealed: []byte("sealed")}})
	for _, item := range got {
		if item.Seq != 7 || string(item.Sealed) != "sealed" {
			t.Errorf("got %+v", item)
		}
	}
}

func queuesWithSubscribers(b *Local) (n int) {
	for i := range b.shards {
		n += len(b.shards[i].queues)
	}
	return n
}

func TestWake(t *testing.T) {
	b := NewLocal()
	one, other := newQueue(), newQueue()
	other[0] = one[0] // in the same shard
	var first, second, apart int
	cancelFirst := b.Subscribe(one, func(storage.Item) { first++ })
	cancelSecond := b.Subscribe(one, func(storage.Item) { second++ })
	cancelApart := b.Subscribe(other, func(storage.Item) { apart++ })
	want := func(what string, f, s, a int) {
		t.Helper()
		if first != f || second != s || apart != a {
			t.Errorf("%s: woken %d, %d, %d times, want %d, %d, %d", what, first, second, apart, f, s, a)
		}
	}
	b.Wake()
	b.Wake(appendedTo(newQueue())...)
	want("nobody's queue", 0, 0, 0)
	b.Wake(appendedTo(one)...)
	want("one queue", 1, 1, 0)
	b.Wake(appendedTo(one, other)...)
	want("both queues", 2, 2, 1)
	cancelFirst()
	cancelFirst()
	b.Wake(appendedTo(one, other)...)
	want("after one cancelled", 2, 3, 2)
	cancelSecond()
	cancelApart()
	cancelFirst()
	b.Wake(appendedTo(one, other)...)
	want("after all cancelled", 2, 3, 2)
	if n := queuesWithSubscribers(b); n != 0 {
		t.Errorf("%d queues left behind", n)
	}
}

// A subscriber that looks before it waits misses nothing, and is not called
// after it cancelled.
func TestNothingIsMissed(t *testing.T) {
	b := NewLocal()
	const wakers, rounds = 4, 5000
	queues := [3]storage.QueueID{newQueue(), newQueue(), newQueue()}
	var appended [3]atomic.Int64
	var wg sync.WaitGroup
	for i, queue := range queues {
		for range 2 {
			woken := make(chan struct{}, 1)
			cancel := b.Subscribe(queue, func(storage.Item) {
				select {
				case woken <- struct{}{}:
				default:
				}
			})
			wg.Go(func() {
				defer cancel()
				for appended[i].Load() < wakers*rounds {
					<-woken
				}
			})
		}
	}
	for range wakers {
		wg.Go(func() {
			for range rounds {
				for i := range queues {
					appended[i].Add(1)
				}
				b.Wake(appendedTo(queues[:]...)...)
			}
		})
	}
	wg.Go(func() { // others come and go
		for range rounds {
			var cancelled atomic.Bool
			cancel := b.Subscribe(queues[0], func(storage.Item) {
				if cancelled.Load() {
					t.Error("woken after cancel")
				}
			})
			cancel()
			cancelled.Store(true)
		}
	})
	wg.Wait()
	if n := queuesWithSubscribers(b); n != 0 {
		t.Errorf("%d queues left behind", n)
	}
}

func BenchmarkWake(b *testing.B) {
	bus := NewLocal()
	b.RunParallel(func(pb *testing.PB) {
		queue := newQueue()
		woken := 0
		defer bus.Subscribe(queue, func(storage.Item) { woken++ })()
		for pb.Next() {
			bus.Wake(storage.Appended{Queue: queue})
		}
	})
}
