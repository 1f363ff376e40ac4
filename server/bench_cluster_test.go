package server

import (
	"fmt"
	"sync"
	"testing"

	"quicprochat/server/bus/nats/natstest"
)

// BenchmarkPostsPostgres measures durable posts a second of 1 KiB to one
// recipient each, of 64 senders spread over so many server processes that share
// a PostgreSQL and a NATS, all on this machine. QPC_TEST_POSTGRES_DIR says where
// PostgreSQL's files lie; without it, in memory.
func BenchmarkPostsPostgres(b *testing.B) {
	for _, servers := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) { benchmarkCluster(b, servers) })
	}
}

func benchmarkCluster(b *testing.B, servers int) {
	const senders = 64
	nodes := newCluster(b, servers, natstest.Run(b))
	next := 0
	f := &fixture{t: b, clock: &clock{}, link: func() string {
		next++
		return nodes[next%len(nodes)].link
	}}
	rooms := make([]*room, senders)
	for i := range rooms {
		rooms[i] = newRoom(f, f.register(fmt.Sprintf("recipient-%d", i)))
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
