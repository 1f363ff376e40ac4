package server

import (
	"fmt"
	"sync"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// BenchmarkPosts measures durable posts a second: 16 senders, each with a
// connection of its own, each waiting for one post before the next, over QUIC
// on loopback, to channels of so many members who are not connected.
func BenchmarkPosts(b *testing.B) {
	for _, members := range []int{1, 2, 10} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) { benchmarkPosts(b, 16, members) })
	}
}

// BenchmarkPostsOneSender is the same with one sender: the time of one post.
func BenchmarkPostsOneSender(b *testing.B) { benchmarkPosts(b, 1, 2) }

func benchmarkPosts(b *testing.B, senders, members int) {
	f := start(b, func(c *Config) { c.Limits.QueueItems, c.Limits.QueueBytes = 1<<30, 1<<40 })
	var devices []*member
	for i := range members {
		devices = append(devices, f.register(fmt.Sprintf("m%d", i)))
	}
	rooms := make([]*room, senders)
	for i := range rooms {
		rooms[i] = newRoom(f, devices...)
	}
	message := random(1024)
	work := make(chan struct{})
	var wg sync.WaitGroup
	for _, r := range rooms {
		wg.Go(func() {
			for range work {
				r.post(message)
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkPostToPush measures the way of one message: from the call of the
// poster to the push at a subscriber, durable in between.
func BenchmarkPostToPush(b *testing.B) {
	f := start(b)
	alice := f.register("alice")
	alice.subscribe(0)
	r := newRoom(f, alice)
	message := random(1024)
	var total time.Duration
	var calls sync.WaitGroup
	defer calls.Wait()
	b.ResetTimer()
	for range b.N {
		req := r.postRequest(r.postBody(message), r.keys[0])
		began := time.Now()
		calls.Go(func() {
			if _, err := call[qpcv1.PostResponse](r.anon, req); err != nil {
				b.Error(err)
			}
		})
		item := alice.next()
		total += time.Since(began)
		if item.Seq%64 == 0 {
			must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: item.Seq})
		}
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/push")
}
