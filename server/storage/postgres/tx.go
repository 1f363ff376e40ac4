package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"quicprochat/server/storage"
)

// tx is a transaction on a connection. Its context is not its caller's: one
// who gives up must not break a change that has begun.
type tx struct {
	ctx  context.Context
	conn *pgxpool.Conn
	// uncertain: an earlier try of this change may have been carried out.
	uncertain bool
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int, error) {
	tag, err := t.conn.Exec(t.ctx, query, args...)
	return int(tag.RowsAffected()), err
}

// get reads one row into dest; pgx.ErrNoRows where there is none.
func (t *tx) get(dest []any, query string, args ...any) error {
	return t.conn.QueryRow(t.ctx, query, args...).Scan(dest...)
}

// each calls scan for every row of a query.
func (t *tx) each(scan func(pgx.Rows) error, query string, args ...any) error {
	rows, err := t.conn.Query(t.ctx, query, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// run sends statements together and takes their results in turn. After an
// error those behind it have not run.
func (t *tx) run(b *pgx.Batch) error { return t.conn.SendBatch(t.ctx, b).Close() }

// begin puts the statement that begins a transaction in front of others, so
// that it costs no round trip.
func begin() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(`BEGIN`)
	return b
}

// commit runs the last statements of a transaction and ends it.
func (t *tx) commit(b *pgx.Batch) error {
	b.Queue(`COMMIT`)
	if err := t.run(b); err != nil {
		return commitError(err)
	}
	return nil
}

// rollback ends a transaction without a change.
func (t *tx) rollback() {
	if t.conn.Conn().PgConn().TxStatus() == 'I' || t.conn.Conn().IsClosed() {
		return
	}
	_, _ = t.conn.Exec(t.ctx, `ROLLBACK`) // where it fails, the pool drops the connection
}

// change carries out a change and returns when it is durable, or has failed
// and changed nothing. run may be called more than once.
func (s *Store) change(ctx context.Context, run func(*tx) error) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, time.Now().Add(patience), func(uncertain bool) error {
		began := time.Now()
		var declined error // by the call, which is no failure of the transaction
		err := s.try(ctx, uncertain, func(t *tx) error {
			if err := t.run(begin()); err != nil {
				return err
			}
			if declined = run(t); declined != nil {
				return declined
			}
			return t.commit(&pgx.Batch{})
		})
		if err != nil && (err != declined || code(err) != "" || connectionLost(err)) {
			s.report(1, began, began, err)
		} else {
			s.report(1, began, began, nil)
		}
		return err
	})
}

// try runs something on a connection with a transaction that it begins and
// commits itself.
func (s *Store) try(ctx context.Context, uncertain bool, run func(*tx) error) error {
	if uncertain {
		ctx = context.WithoutCancel(ctx)
	}
	return s.onConn(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		t := &tx{ctx: ctx, conn: conn, uncertain: uncertain}
		defer t.rollback()
		return run(t)
	})
}

// read runs a query. It sees what was committed when it began.
func (s *Store) read(ctx context.Context, run func(context.Context, *pgxpool.Conn) error) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, time.Now().Add(patience), func(bool) error { return s.onConn(ctx, run) })
}

// get reads one row into dest; pgx.ErrNoRows where there is none.
func (s *Store) get(ctx context.Context, dest []any, query string, args ...any) error {
	return s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, query, args...).Scan(dest...)
	})
}

// each calls scan for every row of a query, after start, which forgets the
// rows of a try that failed.
func (s *Store) each(ctx context.Context, start func(), scan func(pgx.Rows) error, query string, args ...any) error {
	return s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		start()
		rows, err := conn.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		return eachRow(rows, scan)
	})
}

// onConn runs something on a connection, with a context of its own: ending a
// statement half way would cost the connection.
func (s *Store) onConn(ctx context.Context, run func(context.Context, *pgxpool.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	defer conn.Release()
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTime)
	defer cancel()
	err = run(own, conn)
	if _, uncertain := errors.AsType[*uncertainError](err); own.Err() != nil && err != nil && !uncertain {
		return fmt.Errorf("%w: it took longer than %v", storage.ErrBusy, statementTime)
	}
	return err
}

// into names where the columns of a row go.
func into(dest ...any) []any { return dest }

func eachRow(rows pgx.Rows, scan func(pgx.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func blobs(list [][]byte) [][]byte {
	all := make([][]byte, len(list))
	for i, b := range list {
		all[i] = blob(b)
	}
	return all
}

// id16 and id32 read a column of 16 or 32 bytes.
type (
	id16 [16]byte
	id32 [32]byte
)

// ScanBytes is for pgx.
func (id *id16) ScanBytes(b []byte) error { return scanID(id[:], b) }

// ScanBytes is for pgx.
func (id *id32) ScanBytes(b []byte) error { return scanID(id[:], b) }

func scanID(id, b []byte) error {
	if len(b) != len(id) {
		return fmt.Errorf("id of %d bytes", len(b))
	}
	copy(id, b)
	return nil
}
