package server

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is what a round of posting showed.
type load struct {
	rate      float64 // posts a second
	latencies []time.Duration
}

// quantile gives the latency that a share q of the posts did not exceed, in
// milliseconds.
func (l load) quantile(q float64) float64 {
	if len(l.latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.latencies))
	return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
}

// run has each sender repeat step until it says that it is enough.
func run(b *testing.B, senders int, step func(sender int) (latency time.Duration, ok bool)) load {
	b.Helper()
	results := make([][]time.Duration, senders)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for {
				latency, ok := step(i)
				if !ok {
					return
				}
				results[i] = append(results[i], latency)
			}
		})
	}
	wg.Wait()
	l := load{latencies: slices.Concat(results...)}
	l.rate = float64(len(l.latencies)) / time.Since(began).Seconds()
	return l
}

// fullLoad has each sender post one after the other for a time.
func fullLoad(b *testing.B, senders int, d time.Duration, post func(sender int) error) load {
	b.Helper()
	until := time.Now().Add(d)
	return run(b, senders, func(sender int) (time.Duration, bool) {
		began := time.Now()
		if began.After(until) {
			return 0, false
		}
		if err := post(sender); err != nil {
			b.Error(err)
			return 0, false
		}
		return time.Since(began), true
	})
}

// steadyLoad posts at a rate, whether earlier posts are answered or not. A
// latency counts from when the post was due, so that a post that had to wait
// for a free sender is not flattered.
func steadyLoad(b *testing.B, senders int, rate float64, d time.Duration, post func(sender int) error) load {
	b.Helper()
	began := time.Now()
	var next atomic.Int64
	return run(b, senders, func(sender int) (time.Duration, bool) {
		after := time.Duration(float64(next.Add(1)) / rate * float64(time.Second))
		if after > d {
			return 0, false
		}
		due := began.Add(after)
		time.Sleep(time.Until(due))
		if err := post(sender); err != nil {
			b.Error(err)
			return 0, false
		}
		return time.Since(due), true
	})
}
