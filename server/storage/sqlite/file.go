package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	moderncsqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrInUse: another process has the database open.
var ErrInUse = errors.New("the database is in use: stop the server that runs on it first")

// OpenReadOnly opens an existing database of any schema version on one
// connection that changes nothing. Others may have it open.
func OpenReadOnly(path string) (*sql.DB, error) { return openExisting(path, "query_only(1)") }

// OpenExclusive opens an existing database on one connection and keeps all
// others out until it is closed. ErrInUse.
func OpenExclusive(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openExisting(path, "locking_mode(EXCLUSIVE)", "foreign_keys(0)")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `PRAGMA busy_timeout = 500`) // a connection that is just being closed
	if err == nil {
		_, err = db.ExecContext(ctx, `BEGIN EXCLUSIVE; COMMIT`)
	}
	if err == nil {
		return db, nil
	}
	if busy(err) {
		err = ErrInUse
	}
	return nil, errors.Join(err, db.Close())
}

func busy(err error) bool {
	failed, ok := errors.AsType[*moderncsqlite.Error](err)
	return ok && failed.Code()&0xff == sqlite3.SQLITE_BUSY
}

func openExisting(path string, pragmas ...string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dataSource(path, pragmas...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Snapshot copies the database at path, as it is at one moment, to a new file
// of mode 0600. Others may have it open and change it meanwhile. What was
// deleted from the database is not in the copy.
func Snapshot(ctx context.Context, path, to string) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite takes an empty file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := openExisting(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}
