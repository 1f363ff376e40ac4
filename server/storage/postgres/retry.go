package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"quicprochat/server/storage"
)

const (
	// patience is for how long a call is tried again while the database cannot
	// be reached. A restart is over sooner.
	patience = 10 * time.Second
	// The pauses between tries double from one to the other.
	firstPause, longestPause = 5 * time.Millisecond, 500 * time.Millisecond
)

// uncertainError: the connection was lost while a commit was under way, so
// that the change may have been made or not.
type uncertainError struct{ err error }

func (e *uncertainError) Error() string { return "connection lost during commit: " + e.err.Error() }
func (e *uncertainError) Unwrap() error { return e.err }

// retry calls try until it succeeds or fails for good. uncertain tells it that
// an earlier try may have been carried out. It gives up at the deadline, when
// the store closes, and when ctx ends and nothing was changed for certain; the
// error is then storage.ErrUncertain where a change may have been made.
func (s *Store) retry(ctx context.Context, deadline time.Time, try func(uncertain bool) error) error {
	uncertain := false
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try(uncertain)
		if _, ok := errors.AsType[*uncertainError](err); ok {
			uncertain = true
		} else if err == nil || !passing(err) {
			return withTrouble(connectError(err))
		}
		if time.Now().Add(pause).After(deadline) || !s.wait(ctx, pause, uncertain) {
			return gaveUp(ctx, err, uncertain)
		}
	}
}

// wait pauses, and tells whether to go on. A call that nobody waits for any
// more goes on only to find out what became of it.
func (s *Store) wait(ctx context.Context, pause time.Duration, uncertain bool) bool {
	done := ctx.Done()
	if uncertain {
		done = nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	case <-s.closing:
		return false
	}
}

func gaveUp(ctx context.Context, err error, uncertain bool) error {
	switch {
	case uncertain:
		return fmt.Errorf("%w: %w", storage.ErrUncertain, withTrouble(connectError(err)))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("database does not answer: %w", withTrouble(connectError(err)))
}

// troubles are the SQLSTATEs that concern the whole database.
var troubles = map[string]error{
	"53100": storage.ErrFull,
	"25006": storage.ErrReadOnly,
	"58030": storage.ErrDisk,
	"XX001": storage.ErrDamaged,
	"XX002": storage.ErrDamaged,
	"53200": storage.ErrBusy,
	"53300": storage.ErrBusy,
	"55P03": storage.ErrBusy,
	"57014": storage.ErrBusy,
}

// withTrouble adds to an error which trouble of the database it is.
func withTrouble(err error) error {
	if err == nil || storage.TroubleOf(err) != nil {
		return err
	}
	trouble := troubles[code(err)]
	if strings.HasPrefix(code(err), "40") { // rolled back again and again
		trouble = storage.ErrBusy
	}
	if trouble == nil && (passing(err) || isConnectError(err)) {
		trouble = storage.ErrUnreachable
	}
	if uncertain, ok := errors.AsType[*uncertainError](err); ok && trouble == nil && connectionLost(uncertain.err) {
		trouble = storage.ErrUnreachable
	}
	if trouble == nil {
		return err
	}
	return fmt.Errorf("%w: %w", trouble, err)
}

func isConnectError(err error) bool {
	_, ok := errors.AsType[*ConnectError](err)
	return ok
}

// passing tells an error that goes away by itself, and after which nothing of
// the transaction is left.
func passing(err error) bool {
	switch c := code(err); {
	case c == "":
		return connectionLost(err)
	case strings.HasPrefix(c, "08"), strings.HasPrefix(c, "40"):
		return true // connection exceptions; transactions rolled back
	default:
		// lock not available, too many connections, shutdowns and starts
		return c == "55P03" || c == "53300" || c == "57P01" || c == "57P02" || c == "57P03" || c == "57P05" || c == "25P03"
	}
}

// connectionLost tells whether the connection broke or could not be made.
func connectionLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

// refused tells that PostgreSQL does not accept what it was asked.
func refused(err error) bool {
	return code(err) != "" && !passing(err) && !errors.Is(err, storage.ErrUncertain)
}

// code is PostgreSQL's SQLSTATE, or empty.
func code(err error) string {
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failed.Code
	}
	return ""
}

// commitError tells a commit that PostgreSQL refused, which changed nothing,
// from one whose answer was lost.
func commitError(err error) error {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	if ok && failed.Severity == "ERROR" || pgconn.SafeToRetry(err) {
		return err
	}
	return &uncertainError{err}
}
