package storagetest

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"quicprochat/server/storage"
)

// BenchmarkPost measures posts of 1 KiB: one after another to channels of
// several sizes, and from 64 callers at once to a channel each of two queues.
func BenchmarkPost(b *testing.B, open Open) {
	for _, recipients := range []int{1, 16, 1000} {
		b.Run(fmt.Sprintf("%d", recipients), func(b *testing.B) {
			s := open(b, storage.DefaultLimits())
			queues := enrolQueues(b, s, recipients)
			c := newChannel(b, s, queues...)
			p := kilobyte(c.ID)
			n := 0
			for b.Loop() {
				p.Item = random16()
				if _, err := s.Post(b.Context(), p); err != nil {
					b.Fatal(err)
				}
				if n++; n%200 == 0 { // as devices that read now and then
					b.StopTimer()
					ackAll(b, s, queues)
					b.StartTimer()
				}
			}
			report(b, b.N, b.N*recipients)
		})
	}
	b.Run("parallel64", func(b *testing.B) {
		s := open(b, storage.DefaultLimits())
		const callers = 64
		var channels []storage.ChannelID
		for range callers {
			channels = append(channels, newChannel(b, s, enrolQueues(b, s, 2)...).ID)
		}
		var next atomic.Int32
		b.SetParallelism(callers) // times GOMAXPROCS
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			p := kilobyte(channels[next.Add(1)%callers])
			for pb.Next() {
				p.Item = random16()
				if _, err := s.Post(b.Context(), p); err != nil {
					b.Error(err)
				}
			}
		})
		report(b, b.N, b.N*2)
	})
}

// BenchmarkFetch measures reading and acknowledging 100 items of 1 KiB.
func BenchmarkFetch(b *testing.B, open Open) {
	s := open(b, storage.DefaultLimits())
	queues := enrolQueues(b, s, 1)
	c := newChannel(b, s, queues...)
	p := kilobyte(c.ID)
	for range 100 {
		p.Item = random16()
		post(b, s, p)
	}
	for b.Loop() {
		items, _, err := s.FetchItems(b.Context(), queues[0], 0, 100, 1<<20)
		if err != nil || len(items) != 100 {
			b.Fatalf("%d items, %v", len(items), err)
		}
	}
}

func kilobyte(channel storage.ChannelID) storage.Post {
	p := newPost(channel, 7, "")
	payload := make([]byte, 1024)
	p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) { return payload, nil }
	return p
}

func ackAll(b *testing.B, s storage.Store, queues []storage.QueueID) {
	for _, q := range queues {
		if err := s.AckItems(b.Context(), q, math.MaxUint64); err != nil {
			b.Fatal(err)
		}
	}
}

func report(b *testing.B, posts, items int) {
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(posts)/seconds, "posts/s")
	b.ReportMetric(float64(items)/seconds, "items/s")
}
