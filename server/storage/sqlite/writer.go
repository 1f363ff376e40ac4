package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quicprochat/server/storage"
)

const (
	// maxBatch bounds how many calls share a transaction, and batchTime for
	// how long it takes new ones in, so that none waits long for its fsync.
	maxBatch  = 256
	batchTime = 20 * time.Millisecond
)

// writer runs all changes, one after another, on one connection.
type writer struct {
	db        *sql.DB
	tx        *tx
	calls     chan *call
	batchTime time.Duration
	stopped   chan struct{}
	observe   atomic.Pointer[func(storage.Transaction)]

	mu     sync.RWMutex // held for reading while sending to calls
	closed bool
}

// call is one change that somebody waits for.
type call struct {
	run   func(*tx) error
	asked time.Time
	state atomic.Int32
	done  chan struct{} // closed when err and panicked are set

	err      error
	panicked any
}

const (
	callWaiting = iota
	callStarted
	callAbandoned
)

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		db:        db,
		tx:        &tx{conn: conn, statements: make(map[string]*sql.Stmt)},
		calls:     make(chan *call, maxBatch),
		batchTime: batchTime,
		stopped:   make(chan struct{}),
	}
	go w.serve()
	return w, nil
}

// do runs a change and returns when it is durable or has failed. A panic of
// run comes out of do.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	c := newCall(run)
	if err := w.submit(ctx, c); err != nil {
		return err
	}
	return c.wait(ctx)
}

func newCall(run func(*tx) error) *call {
	return &call{run: run, asked: time.Now(), done: make(chan struct{})}
}

// wait waits for a call that was submitted.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaiting, callAbandoned) {
			return ctx.Err()
		}
		<-c.done
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	return withTrouble(c.err)
}

func (w *writer) submit(ctx context.Context, c *call) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.calls <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close lets the calls that were submitted finish, then closes the database.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.calls)
	w.mu.Unlock()
	<-w.stopped
	_, err := w.tx.conn.ExecContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(err, w.tx.close(), w.db.Close())
}

func (w *writer) serve() {
	defer close(w.stopped)
	for c := range w.calls {
		w.batch(c)
	}
}

// batch runs a call, and those that wait behind it, in one transaction.
func (w *writer) batch(first *call) {
	began := time.Now()
	if err := w.tx.begin(); err != nil {
		w.report(1, first, began, err)
		first.err = err
		close(first.done)
		return
	}
	var ran []*call
	var broken error
	run := w.tx.first
	deadline := time.Now().Add(w.batchTime)
	for next := first; next != nil; next = w.waiting(len(ran), deadline) {
		if !next.state.CompareAndSwap(callWaiting, callStarted) {
			continue
		}
		ran = append(ran, next)
		if broken = run(next); broken != nil {
			break
		}
		run = w.tx.isolate
	}
	if broken == nil {
		if err := w.tx.control(`COMMIT`); err != nil {
			broken = fmt.Errorf("commit transaction: %w", err)
		}
	}
	if broken != nil {
		_ = w.tx.control(`ROLLBACK`) // fails where SQLite has rolled back already
	}
	w.report(len(ran), first, began, broken)
	for _, c := range ran {
		if c.err == nil {
			c.err = broken
		}
		close(c.done)
	}
}

// report tells the observer of a transaction.
func (w *writer) report(calls int, first *call, began time.Time, err error) {
	if observe := w.observe.Load(); observe != nil && calls > 0 {
		(*observe)(storage.Transaction{Calls: calls, Waited: began.Sub(first.asked), Took: time.Since(began), Err: withTrouble(err)})
	}
}

// waiting gives the next call, or nil where there is none or the batch is full.
func (w *writer) waiting(taken int, deadline time.Time) *call {
	if taken >= maxBatch || time.Now().After(deadline) {
		return nil
	}
	select {
	case c := <-w.calls: // nil once closed
		return c
	default:
		return nil
	}
}
