package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// tx runs statements on the writer's connection. It belongs to the writer's
// goroutine. Statements are prepared once. Contexts do not reach them: a
// caller that gives up must not tear down a transaction that others share.
type tx struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

// first runs the first call of a transaction. It goes without a savepoint,
// which would make SQLite keep a copy of every page that the call touches:
// where it fails, the transaction is begun anew. The error is not the call's:
// it means that there is no transaction.
func (t *tx) first(c *call) error {
	if t.protect(c) {
		return nil
	}
	_ = t.control(`ROLLBACK`) // fails where SQLite has rolled back already
	return t.begin()
}

// isolate runs a further call, in a savepoint. The error is not the call's: it
// means that the whole transaction is lost.
func (t *tx) isolate(c *call) error {
	if err := t.control(`SAVEPOINT call`); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	if !t.protect(c) {
		if err := t.control(`ROLLBACK TO call`); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
	}
	if err := t.control(`RELEASE call`); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

// protect runs a call, keeps its error or panic for its caller, and tells
// whether it succeeded.
func (t *tx) protect(c *call) (ok bool) {
	defer func() {
		c.panicked = recover()
		ok = c.err == nil && c.panicked == nil
	}()
	c.err = c.run(t)
	return
}

func (t *tx) begin() error {
	if err := t.control(`BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	return nil
}

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := t.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare statement: %w", err)
	}
	t.statements[query] = stmt
	return stmt, nil
}

func (t *tx) control(query string) error {
	_, err := t.exec(query)
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int, error) {
	stmt, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// get reads one row into dest; sql.ErrNoRows where there is none.
func (t *tx) get(dest []any, query string, args ...any) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	return stmt.QueryRow(args...).Scan(dest...)
}

// each calls scan for every row of a query.
func (t *tx) each(scan func(*sql.Rows) error, query string, args ...any) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func (t *tx) close() error {
	for _, stmt := range t.statements {
		_ = stmt.Close() // the connection goes next
	}
	return t.conn.Close()
}

// into names where the columns of a row go.
func into(dest ...any) []any { return dest }

func eachRow(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
