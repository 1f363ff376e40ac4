// Package transfer moves everything that a server keeps from a SQLite file to
// a PostgreSQL database or back, number by number and byte by byte.
//
// Which tables and columns there are is read from the two databases. They have
// to be the same in both but for the few that schema.go lists, so a table that
// a migration adds is carried without a word here, and one that only one of
// the two has makes every transfer fail, and a test of this package with it.
//
// A transfer is all or nothing. It streams, so its memory does not grow with
// the database. Before it counts, all that was written is read back and
// compared by a digest with what was read.
package transfer

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNotEmpty: there is something in the database to be filled.
	ErrNotEmpty = errors.New("the database to move to is not empty")
	// ErrDiffers: what was written is not what was read. Nothing was kept.
	ErrDiffers = errors.New("the copy differs from the original")
	// ErrSchemas: the schemas of the two databases do not match.
	ErrSchemas = errors.New("the two databases have different tables")
)

// Progress tells of a table that was copied.
type Progress struct {
	Table string
	Rows  int64
}

// database is one end of a transfer.
type database interface {
	// schema lists what is carried, in terms that both kinds share.
	schema(ctx context.Context) (schema, error)
	// read streams a table.
	read(ctx context.Context, t table) (rows, error)
	// clear empties a table, of the rows that a new database has.
	clear(ctx context.Context, t table) error
	// write appends rows to a table.
	write(ctx context.Context, t table, next nextRow) error
	// counters give the highest number ever given out, by table. They outlive
	// the rows: a number is never used again.
	counters(ctx context.Context) (map[string]int64, error)
	// finish sets the counters and fills in what is derived.
	finish(ctx context.Context, counters map[string]int64) error
}

// nextRow gives the next row of a table, then io.EOF. Values are nil, int64,
// string or []byte; a truth value is 0 or 1. They are valid until the next
// call.
type nextRow func() ([]any, error)

// rows is a table that is being read.
type rows interface {
	next() ([]any, error)
	close() error
}

// transfer copies everything, then compares.
func transfer(ctx context.Context, from, to database, report func(Progress)) error {
	tables, err := plan(ctx, from, to)
	if err != nil {
		return err
	}
	digests := make([]digest, len(tables))
	for i, t := range tables {
		if err := to.clear(ctx, t); err != nil {
			return fmt.Errorf("clear table %s: %w", t.name, err)
		}
		err := readAll(ctx, from, t, func(next nextRow) error { return to.write(ctx, t, digests[i].over(next)) })
		if err != nil {
			return fmt.Errorf("copy table %s: %w", t.name, err)
		}
		report(Progress{t.name, digests[i].rows})
	}
	counters, err := from.counters(ctx)
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	if err := to.finish(ctx, counters); err != nil {
		return fmt.Errorf("set counters: %w", err)
	}
	for i, t := range tables {
		written, err := digestOf(ctx, to, t)
		if err != nil {
			return fmt.Errorf("compare table %s: %w", t.name, err)
		}
		if written != digests[i] {
			return fmt.Errorf("table %s, %d rows of %d: %w", t.name, written.rows, digests[i].rows, ErrDiffers)
		}
	}
	return nil
}

// readAll hands a table's rows to use.
func readAll(ctx context.Context, db database, t table, use func(nextRow) error) error {
	r, err := db.read(ctx, t)
	if err != nil {
		return err
	}
	return errors.Join(use(r.next), r.close())
}
