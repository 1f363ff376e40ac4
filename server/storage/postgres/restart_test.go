package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/storagetest"
)

// acknowledged is what callers were told.
type acknowledged struct {
	mu   sync.Mutex
	seqs map[storage.ItemID]uint64
}

func (a *acknowledged) add(item storage.ItemID, seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seqs[item] = seq
}

func (a *acknowledged) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seqs)
}

// postUntil posts to a channel until ctx ends; a post that failed is repeated
// with the same item id, as clients do.
func (a *acknowledged) postUntil(ctx context.Context, t *testing.T, s storage.Store, channel storage.ChannelID) {
	var item storage.ItemID
	rand.Read(item[:])
	for ctx.Err() == nil {
		posted, err := s.Post(context.WithoutCancel(ctx), newPost(channel, item))
		if err != nil {
			continue
		}
		a.add(item, posted.ChannelSeq)
		rand.Read(item[:])
	}
}

// check compares what was told with what there is: every acknowledged item
// once, at its place, and none twice.
func (a *acknowledged) check(t *testing.T, s storage.Store, queue storage.QueueID) {
	t.Helper()
	found := make(map[storage.ItemID]uint64)
	after := uint64(0)
	for more := true; more; {
		var items []storage.Item
		var err error
		items, more, err = s.FetchItems(t.Context(), queue, after, 1000, 1<<24)
		must(t, err)
		for _, item := range items {
			if after++; item.Seq != after {
				t.Fatalf("seq %d follows %d", item.Seq, after-1)
			}
			id := storage.ItemID(item.Sealed)
			if found[id] != 0 {
				t.Fatalf("an item is there twice, at %d and %d", found[id], item.Seq)
			}
			found[id] = item.Seq
		}
	}
	for id, seq := range a.seqs {
		if found[id] != seq { // one channel and one queue: the seqs are the same
			t.Fatalf("an item was acknowledged at %d and is at %d", seq, found[id])
		}
	}
}

// PostgreSQL crashes under load, several times. Nothing acknowledged is lost,
// nothing is there twice, and the store goes on by itself.
func TestRestart(t *testing.T) {
	cluster := postgrestest.Own(t)
	u, err := cluster.NewDatabase(t.Context())
	must(t, err)
	s := openAt(t, u, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	told := &acknowledged{seqs: make(map[storage.ItemID]uint64)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { told.postUntil(ctx, t, s, channel) })
	}
	var reads atomic.Int32
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.LastSeq(context.WithoutCancel(ctx), d.Queue); err != nil {
				t.Errorf("read: %v", err)
				return
			}
			reads.Add(1)
		}
	})
	more := func() {
		n := told.len()
		waitUntil(t, func() bool { return told.len() > n+100 })
	}
	for range 3 {
		more()
		must(t, cluster.Kill())
		must(t, cluster.Run())
	}
	more()
	cancel()
	wg.Wait()
	told.check(t, s, d.Queue)
}

// While PostgreSQL is gone, calls wait for a while and then say so; a caller
// who gives up is let go.
func TestGone(t *testing.T) {
	cluster := postgrestest.Own(t)
	u, err := cluster.NewDatabase(t.Context())
	must(t, err)
	s := openAt(t, u, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	must(t, cluster.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.LastSeq(ctx, d.Queue); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read with a deadline: %v", err)
	}
	if err := s.AckItems(ctx, d.Queue, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("change with a deadline: %v", err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("ping: no error")
	}
	results := make(chan error, 2)
	go func() { _, err := s.Post(context.Background(), newPost(channel, storage.ItemID{1})); results <- err }()
	go func() { results <- s.PutHybridKey(context.Background(), d.ID, []byte("h")) }()
	must(t, cluster.Run())
	must(t, <-results)
	must(t, <-results)
	must(t, s.Ping(t.Context()))

	// closing does not wait for a database that is gone
	must(t, cluster.Kill())
	p := newPost(channel, storage.ItemID{2})
	c := &call{channel: p.Channel, item: p.Item, resolve: p.Resolve, seal: p.Seal, now: p.Now}
	go func() { _, err := s.do(context.Background(), c); results <- err }()
	waitUntil(t, func() bool { return c.state.Load() == callStarted })
	must(t, s.Close())
	if err := <-results; err == nil {
		t.Error("a post to a database that is gone: no error")
	}
}

// Commits stay linearizable while PostgreSQL crashes among them.
func TestLinearizableRestart(t *testing.T) {
	cluster := postgrestest.Own(t)
	u, err := cluster.NewDatabase(t.Context())
	must(t, err)
	stores := []storage.Store{openAt(t, u, storage.DefaultLimits()), openAt(t, u, storage.DefaultLimits()), openAt(t, u, storage.DefaultLimits())}
	d, _ := oneQueue(t, stores[0])
	for range 2 {
		storagetest.CheckLinearizable(t, stores, []storage.QueueID{d.Queue}, func() {
			must(t, cluster.Kill())
			must(t, cluster.Run())
		})
	}
}

func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
		time.Sleep(time.Millisecond)
	}
}
