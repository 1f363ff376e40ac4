package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"quicprochat/server/storage"
)

const (
	// maxBatch bounds how many posts share a transaction, and maxDeliveries how
	// many items they put into queues, unless one does so alone.
	maxBatch      = 64
	maxDeliveries = 4096
)

// lane carries out posts and commits, one transaction after another.
type lane struct {
	store   *Store
	calls   chan *call
	held    *call // was taken from calls and comes first next time
	stopped chan struct{}
}

// call is a post or a commit that somebody waits for.
type call struct {
	channel  storage.ChannelID
	item     storage.ItemID
	epoch    uint64
	resolve  storage.ResolveFunc
	seal     storage.SealFunc
	now      time.Time
	commit   *storage.Commit // nil: a post
	deadline time.Time       // for trying again
	// before is the post of the same batch to the same channel that comes
	// before this one; where it fails, this one is not tried.
	before *call
	asked  time.Time

	state atomic.Int32
	done  chan struct{} // closed when the rest is set

	posted   storage.Posted
	err      error
	panicked any
	// lost is the outcome of a try whose commit was not answered.
	lost *storage.Posted
}

const (
	callWaiting = iota
	callStarted
	callAbandoned
)

func newLane(s *Store) *lane {
	l := &lane{store: s, calls: make(chan *call, maxBatch), stopped: make(chan struct{})}
	go l.serve()
	return l
}

// laneOf gives the lane of a channel. Channel ids are random.
func (s *Store) laneOf(id storage.ChannelID) *lane { return s.lanes[id[0]%lanes] }

// do carries out a call and returns when it is durable or has failed. A panic
// of its functions comes out of do.
func (s *Store) do(ctx context.Context, c *call) (storage.Posted, error) {
	leave, err := s.enter()
	if err != nil {
		return storage.Posted{}, err
	}
	defer leave()
	if err := ctx.Err(); err != nil {
		return storage.Posted{}, err
	}
	if err := s.submit(ctx, c); err != nil {
		return storage.Posted{}, err
	}
	return c.wait(ctx)
}

func (s *Store) submit(ctx context.Context, c *call) error {
	c.asked = time.Now()
	c.deadline = c.asked.Add(patience)
	c.done = make(chan struct{})
	select {
	case s.laneOf(c.channel).calls <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits for a call that was submitted.
func (c *call) wait(ctx context.Context) (storage.Posted, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaiting, callAbandoned) {
			return storage.Posted{}, ctx.Err()
		}
		<-c.done
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	if c.err != nil {
		return storage.Posted{}, c.err
	}
	return c.posted, nil
}

// close ends a lane to which nothing is sent any more.
func (l *lane) close() {
	close(l.calls)
	<-l.stopped
}

func (l *lane) serve() {
	defer close(l.stopped)
	for {
		calls := l.next()
		if calls == nil {
			return
		}
		l.carryOut(calls)
	}
}

// next waits for calls and takes those that go together: posts, or one commit.
// It gives nil when the lane is closed.
func (l *lane) next() []*call {
	var calls []*call
	for len(calls) < maxBatch {
		c, ok := l.take(len(calls) == 0)
		if !ok {
			break
		}
		if c.state.Load() != callStarted && !c.state.CompareAndSwap(callWaiting, callStarted) {
			continue // abandoned
		}
		if c.commit != nil && len(calls) > 0 {
			l.held = c
			break
		}
		calls = append(calls, c)
		if c.commit != nil {
			break
		}
	}
	return calls
}

// take gives a call, where wait is set as soon as there is one.
func (l *lane) take(wait bool) (*call, bool) {
	if c := l.held; c != nil {
		l.held = nil
		return c, true
	}
	if wait {
		c, ok := <-l.calls
		return c, ok
	}
	select {
	case c, ok := <-l.calls:
		return c, ok
	default:
		return nil, false
	}
}

// carryOut brings calls to their end. Where the database refuses the
// transaction of several, each is tried alone, so that one which it cannot
// take does not touch the others.
func (l *lane) carryOut(calls []*call) {
	for len(calls) > 0 {
		left, err := l.transact(calls)
		switch {
		case err == nil:
			calls = left
		case len(calls) > 1 && refused(err):
			for _, c := range calls {
				l.carryOut([]*call{c})
			}
			return
		default:
			for _, c := range calls {
				c.finish(storage.Posted{}, err)
			}
			return
		}
	}
}

// transact carries out calls in one transaction and returns those that it left
// for the next. After an error none of them is finished.
func (l *lane) transact(calls []*call) (left []*call, err error) {
	err = l.store.retry(context.Background(), calls[0].deadline, func(uncertain bool) error {
		b := &batch{calls: calls, limits: l.store.limits}
		began := time.Now()
		err := l.store.try(context.Background(), uncertain, b.run)
		l.store.report(len(calls), calls[0].asked, began, err)
		if err == nil {
			left = b.finish()
		}
		return err
	})
	return left, err
}

func (c *call) finish(posted storage.Posted, err error) {
	c.posted, c.err = posted, err
	close(c.done)
}
