package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// dialTimeout bounds one attempt to connect and introduce oneself.
	dialTimeout = 15 * time.Second
	// callTimeout is how long a server may take to answer; after it the
	// connection counts as dead.
	callTimeout = 20 * time.Second
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 30 * time.Second
	// bannedRetry is the wait of a banned account before it asks again.
	bannedRetry = 5 * time.Minute
	// manyFailures is after how many the wait is lastRetry.
	manyFailures = 8
	// pause is the wait after a server's failure that names no other.
	pause = 500 * time.Millisecond
	// maxUnavailable is how often a server may say that it cannot do something
	// at the moment before somebody who waits for it is told.
	maxUnavailable = 3
)

// connection keeps one connection to the server, for ever: it dials again
// whenever it is lost.
type connection struct {
	// dial connects and introduces itself.
	dial func(context.Context) (*wire.Conn, error)
	// report is told of every change.
	report func(ConnectionChanged)
	now    func() time.Time
	nudge  chan struct{} // ends a wait between attempts

	mu   sync.Mutex
	conn *wire.Conn
	up   chan struct{} // closed while conn is set
}

func newConnection(now func() time.Time, dial func(context.Context) (*wire.Conn, error), report func(ConnectionChanged)) *connection {
	return &connection{dial: dial, report: report, now: now, nudge: make(chan struct{}, 1), up: make(chan struct{})}
}

// run returns when ctx is done.
func (n *connection) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		n.report(ConnectionChanged{State: Connecting})
		conn, err := n.attempt(ctx)
		if err == nil {
			failures = 0
			n.set(conn)
			n.report(ConnectionChanged{State: Online})
			select {
			case <-conn.Done():
				err = conn.Err()
			case <-ctx.Done():
			}
			n.set(nil)
			_ = conn.Close()
			if replaced(err) {
				failures = manyFailures
			}
			if deleted(err) {
				err = errors.Join(ErrAccountDeleted, err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		n.wait(ctx, fromWire(err), failures)
		failures++
	}
}

// replaced tells whether the same device has connected from somewhere else, such
// as from a copy of the profile: the two must not take turns in quick succession.
func replaced(err error) bool {
	closed, ok := errors.AsType[*wire.ClosedError](err)
	return ok && closed.Goodbye == qpcv1.Goodbye_REASON_REPLACED
}

func (n *connection) attempt(ctx context.Context) (*wire.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := n.dial(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(ErrServerUnreachable, err)
	}
	return conn, err
}

// wait is longer after each failure, and random so that a server that comes
// back is not met by everybody at once. A device that will never be let in only
// tries when asked.
func (n *connection) wait(ctx context.Context, err error, failures int) {
	if isFinal(err) {
		n.report(ConnectionChanged{State: Offline, Err: err})
		select {
		case <-n.nudge:
		case <-ctx.Done():
		}
		return
	}
	delay := min(firstRetry<<min(failures, manyFailures), lastRetry)
	if said, ok := errors.AsType[*wire.Error](err); ok && errors.Is(err, ErrBanned) {
		if delay = bannedRetry; said.RetryAfter > 0 {
			delay = min(delay, max(said.RetryAfter, firstRetry))
		}
	}
	delay = delay/2 + jitter(delay/2)
	n.report(ConnectionChanged{State: Offline, Err: err, Retry: n.now().Add(delay)})
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-n.nudge:
	case <-ctx.Done():
	}
}

// retry ends the present wait between attempts.
func (n *connection) retry() {
	select {
	case n.nudge <- struct{}{}:
	default:
	}
}

func (n *connection) set(conn *wire.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case conn != nil:
		n.conn = conn
		close(n.up)
	case n.conn != nil:
		n.conn = nil
		n.up = make(chan struct{})
	}
}

// drop ends the present connection, so that it is made anew.
func (n *connection) drop() {
	if conn, _ := n.current(); conn != nil {
		_ = conn.Close()
	}
}

// current is the connection, or nil, and a channel that closes when there is one.
func (n *connection) current() (*wire.Conn, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conn, n.up
}

func (n *connection) online() bool {
	conn, _ := n.current()
	return conn != nil
}

// await waits for a connection.
func (n *connection) await(ctx context.Context) error {
	_, up := n.current()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once calls on the present connection: ErrOffline where there is none, or it
// is lost before the answer, so that the call may or may not have had its effect.
func (n *connection) once(ctx context.Context, req, resp proto.Message) error {
	conn, _ := n.current()
	if conn == nil {
		return ErrOffline
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := conn.Call(limited, req, resp)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		_ = conn.Close() // it answers pings at best
		return errors.Join(ErrOffline, err)
	}
	return fromWire(err)
}

// call is once, but waits where the server asks for it, and tries again after a
// lost connection where a repetition does no harm, or a few times where the
// server cannot at the moment. ErrOffline while there is no connection;
// ErrUnavailable.
func (n *connection) call(ctx context.Context, req, resp proto.Message) error {
	method, _ := wire.MethodOf(req)
	for unavailable := 0; ; {
		err := n.once(ctx, req, resp)
		if err == nil || ctx.Err() != nil {
			return err
		}
		delay, again := retryAfter(err)
		if errors.Is(err, ErrUnavailable) { // it may have had its effect
			unavailable++
			again = method.Idempotent && unavailable <= maxUnavailable
			if !again {
				return err
			}
		}
		switch {
		case again:
			if err := sleep(ctx, delay); err != nil {
				return err
			}
			proto.Reset(resp)
		case errors.Is(err, ErrOffline) && method.Idempotent && n.online():
			// A new connection has taken the lost one's place.
			proto.Reset(resp)
		default:
			return err
		}
	}
}

// retryAfter tells whether the server asks to try again, and when.
func retryAfter(err error) (time.Duration, bool) {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || e.Code != qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED && e.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE {
		return 0, false
	}
	return max(e.RetryAfter, pause/10), true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
