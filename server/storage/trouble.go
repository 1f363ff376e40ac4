package storage

import (
	"errors"
	"time"
)

// Troubles of a database as a whole. They are in the tree of the error of any
// call that failed because of one; asking again when it is over does no harm.
var (
	// ErrFull: there is no space for a change.
	ErrFull = errors.New("the database's disk is full")
	// ErrReadOnly: the database or its disk takes no changes.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrDisk: reading or writing failed.
	ErrDisk = errors.New("the database's disk fails")
	// ErrDamaged: the database's content makes no sense.
	ErrDamaged = errors.New("the database is damaged")
	// ErrBusy: it did not get round to the call in time.
	ErrBusy = errors.New("the database is overloaded or locked")
	// ErrUnreachable: it does not answer.
	ErrUnreachable = errors.New("the database cannot be reached")
)

// TroubleOf returns which of the troubles is in err's tree, or nil.
func TroubleOf(err error) error {
	for _, trouble := range []error{ErrFull, ErrReadOnly, ErrDisk, ErrDamaged, ErrBusy, ErrUnreachable} {
		if errors.Is(err, trouble) {
			return trouble
		}
	}
	return nil
}

// Transaction is one try at a transaction that changes something, in figures.
type Transaction struct {
	// Calls is how many calls shared it.
	Calls int
	// Waited is how long the first of them had waited for its turn.
	Waited time.Duration
	// Took is how long it took to be durable, or to fail.
	Took time.Duration
	// Err is why it failed as a whole, or nil.
	Err error
}
