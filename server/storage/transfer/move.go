package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/sqlite"
)

// Name is what PostgreSQL's administrator sees of a transfer.
const Name = "qpc-server transfer"

// ToPostgres copies the SQLite file at path to a PostgreSQL database that is
// empty or has no tables yet, and leaves a hash of the server's keys there. No
// server may use either; both are kept from being opened meanwhile. After an
// error the database has tables, perhaps, and no rows.
//
// sqlite.ErrInUse, postgres.ErrInUse, ErrNotEmpty, ErrDiffers, the errors of
// sqlite.Check and of postgres.Open.
func ToPostgres(ctx context.Context, path string, url storage.URL, keyHash []byte, report func(Progress)) (err error) {
	if err := sqlite.Check(ctx, path); err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	file, err := sqlite.OpenExclusive(ctx, path)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from, err := file.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	conn, err := openTarget(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after the commit
	fresh, err := newContents(ctx)
	if err != nil {
		return fmt.Errorf("make an empty database to compare with: %w", err)
	}
	to := &postgresEnd{tx: tx}
	if err := to.claim(ctx, fresh, keyHash); err != nil {
		return err
	}
	if err := transfer(ctx, sqliteEnd{from}, to, report); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// openTarget makes the tables, and keeps servers out.
func openTarget(ctx context.Context, url storage.URL) (*pgx.Conn, error) {
	conn, err := postgres.Dial(ctx, url, Name)
	if err != nil {
		return nil, err
	}
	err = postgres.KeepOut(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`) // making the tables takes the same lock
	}
	if err == nil {
		err = makeTables(ctx, url)
	}
	if err == nil {
		err = postgres.KeepOut(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

func makeTables(ctx context.Context, url storage.URL) error {
	s, err := postgres.Open(ctx, postgres.Options{URL: url, Limits: storage.DefaultLimits()})
	if err != nil {
		return err
	}
	return s.Close()
}

// asNew tells whether a table holds what a new database has in it.
func (e *postgresEnd) asNew(ctx context.Context, t table, fresh digest) (bool, error) {
	var rows int64
	err := e.tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM %s LIMIT %d) AS first`, quote(t.name), fresh.rows+1)).Scan(&rows)
	if err != nil || rows != fresh.rows || rows == 0 {
		return err == nil && rows == fresh.rows, err
	}
	found, err := digestOf(ctx, e, t)
	return found == fresh, err
}

// newContents gives what a new database has in its tables.
func newContents(ctx context.Context) (fresh map[string]digest, err error) {
	dir, err := os.MkdirTemp("", "qpc-new-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "new.db")
	if err := makeFile(ctx, path); err != nil {
		return nil, err
	}
	file, err := sqlite.OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	conn, err := file.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	end := sqliteEnd{conn}
	s, err := end.schema(ctx)
	if err != nil {
		return nil, err
	}
	fresh = make(map[string]digest)
	for _, t := range s.order() {
		if fresh[t.name], err = digestOf(ctx, end, t); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// claim locks all tables, makes sure that they are as new, and leaves the hash
// of the server's keys.
func (e *postgresEnd) claim(ctx context.Context, fresh map[string]digest, keyHash []byte) error {
	s, err := e.schema(ctx)
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	if _, err := e.tx.Exec(ctx, `SET LOCAL lock_timeout = '10s'`); err != nil { // PostgreSQL's own housekeeping gives way
		return err
	}
	for _, t := range s.order() {
		if _, err := e.tx.Exec(ctx, `LOCK TABLE `+quote(t.name)+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("%w (%w)", postgres.ErrInUse, err)
		}
		isNew, err := e.asNew(ctx, t, fresh[t.name])
		if err != nil {
			return err
		}
		if !isNew {
			return ErrNotEmpty
		}
	}
	if len(keyHash) == 0 {
		return nil
	}
	if _, err := e.tx.Exec(ctx, `DELETE FROM server`); err != nil { // with no rows, nobody's
		return err
	}
	_, err = e.tx.Exec(ctx, `INSERT INTO server (key_hash) VALUES ($1)`, keyHash)
	return err
}

// Options say how to read a PostgreSQL database.
type Options struct {
	// KeyHash is of the server's keys; postgres.ErrOtherKeys where the
	// database was made with others. Empty: not looked at.
	KeyHash []byte
	// Offline refuses where a server uses the database, and keeps them out
	// meanwhile. Else the copy is what the database was at one moment, while
	// servers go on.
	Offline bool
}

// ToSQLite copies a PostgreSQL database to a new SQLite file of mode 0600.
// After an error there is no file.
//
// fs.ErrExist: there is a file. postgres.ErrInUse, ErrDiffers, the errors of
// postgres.Check.
func ToSQLite(ctx context.Context, url storage.URL, path string, o Options, report func(Progress)) (err error) {
	if _, err := postgres.Check(ctx, url, o.KeyHash); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	partial := path + ".part"
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			_ = os.Remove(partial + suffix) // gone where all went well
		}
	}()
	if err := f.Close(); err != nil {
		return err
	}
	if err := readPostgres(ctx, url, partial, o, report); err != nil {
		return err
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

func syncFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() && runtime.GOOS == "windows" {
		return nil // it keeps its folders itself, and cannot be told to
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readPostgres(ctx context.Context, url storage.URL, path string, o Options, report func(Progress)) (err error) {
	conn, err := postgres.Dial(ctx, url, Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if o.Offline {
		if err := postgres.KeepOut(ctx, conn); err != nil {
			return err
		}
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was changed
	return fillFile(ctx, &postgresEnd{tx: tx}, path, report)
}

func makeFile(ctx context.Context, path string) error {
	made, err := sqlite.Open(ctx, path, storage.DefaultLimits())
	if err != nil {
		return err
	}
	return made.Close()
}

// fillFile makes a database file and fills it.
func fillFile(ctx context.Context, from database, path string, report func(Progress)) (err error) {
	if err := makeFile(ctx, path); err != nil {
		return err
	}
	file, err := sqlite.OpenExclusive(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	to, err := file.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	// The file is thrown away unless all of it is written: no journal is needed.
	err = run(ctx, to, `PRAGMA journal_mode = DELETE`, `PRAGMA synchronous = OFF`, `PRAGMA journal_mode = OFF`, `BEGIN`)
	if err != nil {
		return err
	}
	if err := transfer(ctx, from, sqliteEnd{to}, report); err != nil {
		return err
	}
	return run(ctx, to, `COMMIT`)
}

func run(ctx context.Context, conn *sql.Conn, statements ...string) error {
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(statement), err)
		}
	}
	return nil
}
