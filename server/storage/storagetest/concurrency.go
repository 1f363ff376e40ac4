package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"quicprochat/server/storage"
)

// Of many that want to end an epoch, one does, and the others learn who.
func testCommitRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	const committers, epochs = 32, 10
	var mu sync.Mutex
	winners := make(map[uint64]storage.ItemID)
	told := make(map[uint64][]storage.ItemID)
	var wg sync.WaitGroup
	for range committers {
		wg.Go(func() {
			for epoch := uint64(7); epoch < 7+epochs; {
				com := newCommit(c.ID, epoch, fmt.Sprint(epoch))
				_, err := s.Commit(t.Context(), com)
				mu.Lock()
				if stale, ok := errors.AsType[*storage.StaleError](err); ok && stale.Winner != nil && stale.Current > epoch {
					told[epoch] = append(told[epoch], *stale.Winner)
				} else if err != nil {
					t.Errorf("commit: %v", err)
				} else if _, twice := winners[epoch]; twice {
					t.Errorf("epoch %d was won twice", epoch)
				} else {
					winners[epoch] = com.Item
				}
				mu.Unlock()
				epoch++
			}
		})
	}
	wg.Wait()
	equal(t, "epochs won", len(winners), epochs)
	for epoch, items := range told {
		equal(t, "losers", len(items), committers-1)
		for _, item := range items {
			equal(t, "winner that a loser was told", item, winners[epoch])
		}
	}
	items := fetchAll(t, s, queue, 0)
	equal(t, "commits delivered", len(items), epochs)
	for i, item := range items {
		equal(t, "commit", textOf(item), fmt.Sprint(7+i))
	}
}

// Every queue shows every channel's items in the channel's order, all of them.
func testOrder(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 5)
	const channels, posters, posts = 3, 8, 20
	ids := make([]storage.ChannelID, channels)
	for i := range ids {
		ids[i] = newChannel(t, s, queues[i:i+3]...).ID
	}
	var wg sync.WaitGroup
	for poster := range posters {
		wg.Go(func() {
			for i := range posts {
				which := (poster + i) % channels
				p := newPost(ids[which], 7, fmt.Sprint(which))
				if _, err := s.Post(t.Context(), p); err != nil {
					t.Errorf("post: %v", err)
				}
			}
		})
	}
	// acknowledging beside it must not disturb
	wg.Go(func() {
		for range 50 {
			if _, _, err := s.FetchItems(t.Context(), queues[4], 0, 10, 1<<20); err != nil {
				t.Errorf("fetch: %v", err)
			}
			if err := s.AckItems(t.Context(), queues[0], 0); err != nil {
				t.Errorf("ack: %v", err)
			}
		}
	})
	wg.Wait()
	total := 0
	for _, q := range queues {
		next := make(map[string]uint64)
		items := fetchAll(t, s, q, 0)
		for _, item := range items {
			next[textOf(item)]++
			equal(t, "channel seq", channelSeqOf(item), next[textOf(item)])
		}
		total += len(items)
	}
	equal(t, "items in all queues", total, posters*posts*3)
}

// One that fails takes nothing from those that run beside it.
func testIsolation(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	broken := errors.New("cannot seal")
	var seqs sync.Map
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			p := newPost(c.ID, 7, "x")
			if i%4 == 0 {
				p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) { return nil, broken }
			}
			posted, err := s.Post(t.Context(), p)
			switch {
			case i%4 == 0 && !errors.Is(err, broken), i%4 != 0 && err != nil:
				t.Errorf("post %d: %v", i, err)
			case err == nil:
				if _, twice := seqs.LoadOrStore(posted.ChannelSeq, true); twice {
					t.Errorf("channel seq %d was given twice", posted.ChannelSeq)
				}
			}
		})
	}
	wg.Wait()
	items := fetchAll(t, s, queue, 0)
	equal(t, "items", len(items), 150)
	for i, item := range items {
		equal(t, "channel seq", channelSeqOf(item), uint64(i+1))
	}
}

func testContext(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPost(c.ID, 7, "a")
	_, err := s.Post(ctx, p)
	wantErr(t, err, context.Canceled)
	wantErr(t, s.AckItems(ctx, queue, 1), context.Canceled)
	_, err = s.Channel(ctx, c.ID)
	wantErr(t, err, context.Canceled)
	_, err = s.Expire(ctx, today, 10)
	wantErr(t, err, context.Canceled)
	equal(t, "duplicate", post(t, s, p).Duplicate, false)

	// a context that ends while changes go on: each is done or not done
	var acknowledged atomic.Int32
	var wg sync.WaitGroup
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, err := s.Post(ctx, newPost(c.ID, 7, "b"))
				switch {
				case err == nil:
					if acknowledged.Add(1) == 100 {
						cancel()
					}
				case !errors.Is(err, context.Canceled):
					t.Errorf("post: %v", err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "items", len(fetchAll(t, s, queue, 1)), int(acknowledged.Load()))
}

func testClosed(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	must(t, s.Ping(t.Context()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				_, err := s.Post(t.Context(), newPost(c.ID, 7, "a"))
				if errors.Is(err, storage.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("post: %v", err)
				}
				if _, err := s.Channel(t.Context(), c.ID); err != nil && !errors.Is(err, storage.ErrClosed) {
					t.Errorf("channel: %v", err)
				}
			}
		})
	}
	must(t, s.Close())
	wg.Wait()
	wantErr(t, s.Ping(t.Context()), storage.ErrClosed)
	wantErr(t, s.AckItems(t.Context(), queue, math.MaxUint64), storage.ErrClosed)
	_, _, err := s.FetchItems(t.Context(), queue, 0, 1, 1)
	wantErr(t, err, storage.ErrClosed)
	wantErr(t, s.Close(), storage.ErrClosed)
}
