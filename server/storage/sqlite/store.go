// Package sqlite keeps a server's data in one SQLite file.
//
// All changes go through one writer, which runs those that wait together in
// one transaction with one fsync and gives each a savepoint of its own, so
// that many concurrent callers share the cost of durability and the failure of
// one does not touch the others. Reads run beside it on a pool of connections.
//
// The file is made with mode 0600, and its folder must exist. Other processes
// of the same program may have it open; they take turns writing.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"quicprochat/server/storage"
)

// Store is a storage.Store in a SQLite file.
type Store struct {
	limits storage.Limits
	writer *writer
	reader *reader
	closed atomic.Bool
}

var _ storage.Store = (*Store)(nil)

// Open opens the database at path, makes it where there is none, and brings
// its schema up to date. storage.ErrSchemaNewer: it was written by a newer
// version of the program, and was left as it is.
func Open(ctx context.Context, path string, limits storage.Limits) (*Store, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	writeDB, err := openWriteDB(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	w, err := newWriter(ctx, writeDB)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database for writing: %w", err), writeDB.Close())
	}
	readDB, err := sql.Open("sqlite", dataSource(path, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database for reading: %w", err), w.close())
	}
	conns := max(4, runtime.GOMAXPROCS(0))
	readDB.SetMaxOpenConns(conns)
	readDB.SetMaxIdleConns(conns)
	return &Store{limits: limits, writer: w, reader: &reader{db: readDB}}, nil
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.reader.get(ctx, into(new(int)), `SELECT 1`)
}

// Observe has f told of every transaction.
func (s *Store) Observe(f func(storage.Transaction)) { s.writer.observe.Store(&f) }

// Close finishes what is under way and closes the database.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return storage.ErrClosed
	}
	return errors.Join(s.reader.close(), s.writer.close())
}

// orUnknown turns the absence of a row into a sentinel error.
func orUnknown(err, unknown error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return unknown
	}
	return err
}

// createFile makes the file before SQLite does, to choose its mode. SQLite
// gives the same mode to the files that it puts beside it.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return f.Close()
}

// openWriteDB opens the connection for changes and migrates the schema.
func openWriteDB(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dataSource(path,
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"secure_delete(1)",
		"foreign_keys(1)",
		"wal_autocheckpoint(4000)",
		"journal_size_limit(67108864)",
		"cache_size(-32768)",
	))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := openSchema(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openSchema(ctx context.Context, db *sql.DB) error {
	if err := again(ctx, func() error { return checkPragmas(ctx, db) }); err != nil {
		return err
	}
	return migrate(ctx, db)
}

// checkPragmas refuses a database on which SQLite would not keep our promises,
// such as one on a file system without shared memory, which has no WAL.
func checkPragmas(ctx context.Context, db *sql.DB) error {
	for pragma, want := range map[string]string{
		"journal_mode":  "wal",
		"synchronous":   "2",
		"secure_delete": "1",
		"foreign_keys":  "1",
	} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("ask for %s: %w", pragma, err)
		}
		if got != want {
			return fmt.Errorf("database has %s %q, needs %q", pragma, got, want)
		}
	}
	return nil
}

// dataSource is a file URI with pragmas, those of every connection included.
func dataSource(path string, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter must not be taken for a host
	}
	query := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "temp_store(MEMORY)", "trusted_schema(0)"}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}
