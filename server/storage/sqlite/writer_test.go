package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	sqlitedriver "modernc.org/sqlite"

	"quicprochat/server/storage"
)

// hold makes the writer busy until release is called, which gives the outcome.
func hold(s *Store) (release func() error) {
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.writer.do(context.Background(), func(*tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return func() error {
		close(leave)
		return <-done
	}
}

// waitFor waits until n calls wait for the writer.
func waitFor(s *Store, n int) {
	for len(s.writer.calls) < n {
		time.Sleep(time.Millisecond)
	}
}

// Calls that wait together share one commit.
func TestGroupCommit(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	var commits atomic.Int32
	must(t, s.writer.tx.conn.Raw(func(conn any) error {
		conn.(sqlitedriver.HookRegisterer).RegisterCommitHook(func() int32 {
			commits.Add(1)
			return 0
		})
		return nil
	}))
	const posts = 50
	s.writer.batchTime = time.Hour
	release := hold(s)
	results := make(chan error, posts)
	for i := range byte(posts) {
		go func() {
			_, err := s.Post(context.Background(), newPost(channel, storage.ItemID{i}))
			results <- err
		}()
	}
	waitFor(s, posts)
	must(t, release())
	for range posts {
		must(t, <-results)
	}
	if n := commits.Load(); n != 1 {
		t.Errorf("%d posts took %d commits", posts, n)
	}
}

// A call that nobody waits for any more is not carried out.
func TestAbandonedCall(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	release := hold(s)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPost(channel, storage.ItemID{1})
	result := make(chan error)
	go func() {
		_, err := s.Post(ctx, p)
		result <- err
	}()
	waitFor(s, 1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	must(t, release())
	posted, err := s.Post(t.Context(), p)
	if err != nil || posted.Duplicate || posted.ChannelSeq != 1 {
		t.Errorf("after an abandoned post: %+v, %v", posted, err)
	}
}

// A call that has begun is carried out, whatever becomes of its context.
func TestStartedCall(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPost(channel, storage.ItemID{1})
	p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) {
		cancel()
		return []byte("x"), nil
	}
	posted, err := s.Post(ctx, p)
	if err != nil || posted.ChannelSeq != 1 {
		t.Errorf("got %+v, %v", posted, err)
	}
}

// Close lets those finish that wait already.
func TestCloseFinishes(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	release := hold(s)
	result := make(chan error)
	go func() {
		_, err := s.Post(context.Background(), newPost(channel, storage.ItemID{1}))
		result <- err
	}()
	waitFor(s, 1)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for !s.closed.Load() {
		time.Sleep(time.Millisecond)
	}
	must(t, release())
	must(t, <-result)
	must(t, <-closed)
	posted, err := openAt(t, path, storage.DefaultLimits()).Post(t.Context(), newPost(channel, storage.ItemID{1}))
	if err != nil || !posted.Duplicate {
		t.Errorf("after reopening: %+v, %v", posted, err)
	}
}

// When the whole transaction is lost, those in it learn it, and the next goes on.
func TestLostTransaction(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	s.writer.batchTime = time.Hour
	release := hold(s)
	lost, next := newPost(channel, storage.ItemID{1}), newPost(channel, storage.ItemID{2})
	results := make([]chan error, 3)
	for i, do := range []func() error{
		func() error { _, err := s.Post(context.Background(), lost); return err },
		func() error {
			return s.writer.do(context.Background(), func(t *tx) error { return t.control(`ROLLBACK`) })
		},
		func() error { _, err := s.Post(context.Background(), next); return err },
	} {
		results[i] = make(chan error, 1)
		go func() { results[i] <- do() }()
		waitFor(s, i+1)
	}
	if err := release(); err == nil {
		t.Error("the first call of a lost transaction has no error")
	}
	if err := <-results[0]; err == nil {
		t.Error("a post in a lost transaction has no error")
	}
	if err := <-results[1]; err == nil {
		t.Error("the call that lost the transaction has no error")
	}
	must(t, <-results[2])
	posted, err := s.Post(t.Context(), lost)
	if err != nil || posted.Duplicate || posted.ChannelSeq != 2 {
		t.Errorf("again: %+v, %v", posted, err)
	}
}
