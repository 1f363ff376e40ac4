package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"quicprochat/server/storage"
)

// testLinearizable lets 32 committers race and has what they were told checked
// against an order in which it could have happened.
func testLinearizable(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	CheckLinearizable(t, []storage.Store{s}, enrolQueues(t, s, 2), func() {})
}

// CheckLinearizable lets the committers of [CheckCommits] race through stores of
// one database, while disturb does harm to it. The queues get the commits.
func CheckLinearizable(t *testing.T, stores []storage.Store, queues []storage.QueueID, disturb func()) {
	t.Helper()
	c := newChannel(t, stores[0], queues...)
	before := len(fetchAll(t, stores[0], queues[0], 0))
	commit := func(ctx context.Context, client int, epoch uint64, item storage.ItemID) error {
		com := newCommit(c.ID, epoch, "c")
		com.Item = item
		_, err := stores[client%len(stores)].Commit(ctx, com)
		return err
	}
	ended := CheckCommits(t, commit, func() uint64 { return channelOf(t, stores[0], c.ID).Epoch }, disturb)
	items := fetchAll(t, stores[0], queues[0], 0)
	equal(t, "commits in the queue", len(items)-before, ended)
}

// FirstEpoch is the epoch in which a channel for CheckCommits begins.
const FirstEpoch = 7

const (
	committers, perCommitter = 32, 12
	// lastEpoch is the last that is ended, so that all winners are remembered.
	lastEpoch = FirstEpoch + storage.WinnerEpochs - 1
	// disturbAnswers and disturbEpoch are when the harm is done: whichever comes
	// first.
	disturbAnswers, disturbEpoch = 64, FirstEpoch + 8
	// commitPatience is how long all commits together may take.
	commitPatience = 2 * time.Minute
)

// CheckCommits lets 32 committers race, and disturb do harm to whoever serves
// them in the middle of it, and fails where no order of the commits, each at one
// moment between its call and its return, explains what was answered. It returns
// how many epochs were ended, at most storage.WinnerEpochs.
//
// commit commits for one of the committers: nil where it has won,
// *storage.StaleError where it has lost, and another error where it may have
// been carried out or not; then it is repeated until it is answered, as clients
// do. current is the channel's epoch when all is done.
func CheckCommits(t *testing.T, commit CommitFunc, current func() uint64, disturb func()) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commitPatience)
	defer cancel()
	middle := make(chan struct{})
	r := &race{commit: commit, start: time.Now(), reached: sync.OnceFunc(func() { close(middle) })}
	var wg sync.WaitGroup
	for client := range committers {
		wg.Go(func() { r.run(ctx, client) })
	}
	<-middle
	disturb()
	wg.Wait()
	if r.err != nil {
		t.Fatal("a commit was not answered: ", r.err)
	}
	called := time.Since(r.start)
	now := current()
	history := append(r.history, call{client: committers, current: now, called: called, returned: time.Since(r.start)})
	if err := checkCommits(history); err != nil {
		t.Fatalf("%d commits are not linearizable: %v", len(history), err)
	}
	return int(now - FirstEpoch)
}

// CommitFunc is a try of a commit.
type CommitFunc func(ctx context.Context, client int, epoch uint64, item storage.ItemID) error

// call is a commit and what came of it, or, where item is zero, a look at the
// channel.
type call struct {
	client int
	epoch  uint64
	item   storage.ItemID

	// won: the epoch was ended by this item.
	won bool
	// current is the epoch that a loser, or who looked, was told.
	current uint64
	// winner is who ended the epoch of a loser, as it was told.
	winner storage.ItemID

	called, returned time.Duration
}

// race is what the committers have in common.
type race struct {
	commit CommitFunc
	start  time.Time
	// reached tells that they are in the middle.
	reached func()

	mu      sync.Mutex
	history []call
	err     error // of a commit that was never answered
}

func (r *race) run(ctx context.Context, client int) {
	epoch := uint64(FirstEpoch)
	for done := 0; done < perCommitter && epoch <= lastEpoch; done++ {
		c := call{client: client, epoch: epoch, item: random16()}
		err := r.try(ctx, &c)
		if epoch++; !c.won {
			epoch = c.current
		}
		r.record(c, epoch, err)
		if err != nil {
			return
		}
	}
}

// try commits until it is answered, and makes one call of all tries. One that
// was lost in the end was never carried out: else it had been told to have won,
// and after that its epoch is over. One that has won was carried out once, in
// one of the tries.
func (r *race) try(ctx context.Context, c *call) error {
	first := time.Since(r.start)
	for {
		c.called = time.Since(r.start)
		err := r.commit(ctx, c.client, c.epoch, c.item)
		c.returned = time.Since(r.start)
		if err == nil {
			c.won, c.called = true, first
			return nil
		}
		if stale, ok := errors.AsType[*storage.StaleError](err); ok {
			c.current = stale.Current
			if stale.Winner != nil {
				c.winner = *stale.Winner
			}
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond) // as a client between tries
	}
}

func (r *race) record(c call, epoch uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	if err == nil {
		r.history = append(r.history, c)
	}
	if r.err != nil || len(r.history) >= disturbAnswers || epoch >= disturbEpoch {
		r.reached()
	}
}
