package vault

import (
	"context"
	"database/sql"
	"errors"
)

// Tx is a transaction: its methods are the tables of the vault. It is used by
// one goroutine, and only until the function that received it returns.
//
// After an error other than ErrNotFound, ErrDuplicate, ErrKeyChanged and
// ErrInvalid the transaction cannot be committed, whatever its function
// returns.
type Tx struct {
	ctx      context.Context
	conn     *conn
	writable bool
	done     bool
	failed   error
}

// Update runs fn in a write transaction and commits it, fsynced, if fn returns
// nil. If fn fails or panics, or ctx is done before the commit begins, nothing
// of it happens. Updates are serialised; waiting for one's turn ends with ctx.
func (v *Vault) Update(ctx context.Context, fn func(*Tx) error) error {
	return v.update(ctx, synced, fn)
}

func (v *Vault) update(ctx context.Context, s synchronous, fn func(*Tx) error) error {
	return v.with(ctx, v.writer, func(c *conn) error {
		if err := c.synchronize(s); err != nil {
			return err
		}
		if err := c.transact(ctx, beginWrite, fn); err != nil {
			return err
		}
		v.checkpointSoon()
		return nil
	})
}

// View runs fn on a snapshot of the vault, beside other Views and Updates,
// whose effects it does not see once it has begun to read.
func (v *Vault) View(ctx context.Context, fn func(*Tx) error) error {
	return v.with(ctx, v.readers, func(c *conn) error { return c.transact(ctx, beginRead, fn) })
}

const (
	beginWrite = "BEGIN IMMEDIATE"
	beginRead  = "BEGIN"
)

// transact runs fn between begin and COMMIT, or ROLLBACK where fn fails, panics
// or exits its goroutine.
func (c *conn) transact(ctx context.Context, begin string, fn func(*Tx) error) error {
	tx := &Tx{ctx: ctx, conn: c, writable: begin == beginWrite}
	if err := tx.control(begin); err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed && tx.control("ROLLBACK") != nil {
			c.broken = true
		}
		tx.done = true
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.failed != nil {
		return tx.failed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := tx.control("COMMIT"); err != nil {
		return err
	}
	committed = true
	return nil
}

// control runs a statement that begins or ends the transaction, whatever the
// state of tx.
func (tx *Tx) control(query string) error {
	stmt, err := tx.conn.prepare(query)
	if err == nil {
		_, err = stmt.Exec()
	}
	return storageError(query, err)
}

// prepare returns the cached statement for the query.
//
// Statements run without a context: with one the driver starts a goroutine for
// each row. The transaction's context is looked at before each.
func (tx *Tx) prepare(query string) (*sql.Stmt, error) {
	switch {
	case tx.done:
		return nil, ErrTxDone
	case tx.failed != nil:
		return nil, tx.failed
	}
	if err := tx.ctx.Err(); err != nil {
		return nil, tx.fail(err)
	}
	stmt, err := tx.conn.prepare(query)
	if err != nil {
		return nil, tx.fail(storageError("prepare", err))
	}
	return stmt, nil
}

// fail keeps the transaction from being committed.
func (tx *Tx) fail(err error) error {
	tx.failed = err
	return err
}

type execResult struct{ changed, rowID int64 }

func (tx *Tx) exec(query string, args ...any) (execResult, error) {
	if !tx.writable {
		return execResult{}, ErrReadOnly
	}
	stmt, err := tx.prepare(query)
	if err != nil {
		return execResult{}, err
	}
	res, err := stmt.Exec(args...)
	if err != nil {
		return execResult{}, tx.fail(storageError("write", err))
	}
	var r execResult
	// Neither can fail: the driver has both from the call above.
	r.changed, _ = res.RowsAffected()
	r.rowID, _ = res.LastInsertId()
	return r, nil
}

// queryOne scans the first row, or returns ErrNotFound.
func queryOne[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var zero T
	stmt, err := tx.prepare(query)
	if err != nil {
		return zero, err
	}
	value, err := scan(stmt.QueryRow(args...))
	if errors.Is(err, sql.ErrNoRows) {
		return zero, ErrNotFound
	}
	if err != nil {
		return zero, tx.fail(storageError("read", err))
	}
	return value, nil
}

// queryAll scans all rows before it returns, so that no statement stays open
// while another runs.
func queryAll[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	stmt, err := tx.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return nil, tx.fail(storageError("read", err))
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		value, err := scan(rows)
		if err != nil {
			return nil, tx.fail(storageError("read", err))
		}
		list = append(list, value)
	}
	if err := rows.Err(); err != nil {
		return nil, tx.fail(storageError("read", err))
	}
	return list, nil
}
