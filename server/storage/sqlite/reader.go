package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"quicprochat/server/storage"
)

// reader runs queries on a pool of connections, beside the writer. Each query
// sees what was committed when it began.
//
// A context ends what has not begun. It does not reach the statements, each of
// which would start two goroutines to watch it, and which take microseconds.
type reader struct {
	db *sql.DB

	mu         sync.RWMutex // held for reading while a query runs
	closed     bool
	statements sync.Map // string → *sql.Stmt
}

func (r *reader) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := r.statements.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := r.db.Prepare(query)
	if err != nil {
		return nil, withTrouble(fmt.Errorf("prepare query: %w", err))
	}
	if first, loaded := r.statements.LoadOrStore(query, stmt); loaded {
		_ = stmt.Close()
		return first.(*sql.Stmt), nil
	}
	return stmt, nil
}

// get reads one row into dest; sql.ErrNoRows where there is none.
func (r *reader) get(ctx context.Context, dest []any, query string, args ...any) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := r.prepare(query)
	if err != nil {
		return err
	}
	return withTrouble(stmt.QueryRow(args...).Scan(dest...))
}

// each calls scan for every row of a query.
func (r *reader) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := r.prepare(query)
	if err != nil {
		return err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return withTrouble(err)
	}
	return withTrouble(eachRow(rows, scan))
}

// close waits for the queries under way and closes the pool.
func (r *reader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.db.Close()
}
