package vault

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	sqlite3 "github.com/mutecomm/go-sqlcipher/v4"
)

// connector opens connections to the encrypted database. The key is in the
// driver's DSN only for the time of a call, and in no field that is printed.
type connector struct {
	path string
	key  *databaseKey
}

// dsnOptions are those of every connection. The driver applies them after the key.
const dsnOptions = "&_pragma_cipher_page_size=1024&_journal_mode=WAL&_synchronous=FULL" +
	"&_secure_delete=on&_foreign_keys=on&_busy_timeout=5000"

// afterOpen holds what the DSN cannot say. A commit moves the WAL into the
// database itself only where checkpointSoon does not keep up, at 8192 pages. A
// WAL that has grown beyond journal_size_limit is cut when it is reused.
const afterOpen = "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 8388608"

func (c *connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c *connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := (&sqlite3.SQLiteDriver{}).Open(c.path + "?_pragma_key=x'" + hex.EncodeToString(c.key.bytes[:]) + "'" + dsnOptions)
	if err != nil {
		return nil, err
	}
	if err := execDirect(opened, afterOpen); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

func execDirect(c driver.Conn, query string) error {
	ex, ok := c.(driver.ExecerContext)
	if !ok {
		return driver.ErrSkip
	}
	_, err := ex.ExecContext(context.Background(), query, nil)
	return err
}

// checkLibrary makes sure, before anything is written, that the linked SQLite
// is SQLCipher, and sets what it keeps per process: see the package comment on
// cipher_memory_security.
var checkLibrary = sync.OnceValue(func() error {
	c, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		return fmt.Errorf("vault: open a database in memory: %w", err)
	}
	defer c.Close()
	rows, err := c.(driver.QueryerContext).QueryContext(context.Background(), "PRAGMA cipher_version", nil)
	if err != nil {
		return fmt.Errorf("vault: read the cipher version: %w", err)
	}
	defer rows.Close()
	version := make([]driver.Value, 1)
	if err := rows.Next(version); errors.Is(err, io.EOF) {
		return ErrUnencrypted
	} else if err != nil {
		return fmt.Errorf("vault: read the cipher version: %w", err)
	}
	if s, _ := version[0].(string); s == "" {
		return ErrUnencrypted
	}
	return execDirect(c, "PRAGMA cipher_memory_security = OFF")
})

// conn is a connection with its prepared statements, used by one transaction at
// a time.
type conn struct {
	sql         *sql.Conn
	statements  map[string]*sql.Stmt
	synchronous synchronous
	broken      bool // in an unknown state: not to be used again
}

func openConn(ctx context.Context, db *sql.DB) (*conn, error) {
	sc, err := db.Conn(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, storageError("open the database", err)
	}
	c := &conn{sql: sc, statements: make(map[string]*sql.Stmt), synchronous: synced}
	if err := c.checkSettings(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// checkSettings refuses a connection on which a promise of the package would
// not hold.
func (c *conn) checkSettings(ctx context.Context) error {
	for _, want := range []struct{ pragma, value string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"},
		{"secure_delete", "1"},
		{"foreign_keys", "1"},
		{"temp_store", "2"},
	} {
		var got string
		if err := c.sql.QueryRowContext(ctx, "PRAGMA "+want.pragma).Scan(&got); err != nil {
			return storageError("read "+want.pragma, err)
		}
		if got != want.value {
			return fmt.Errorf("vault: %s is %q instead of %q", want.pragma, got, want.value)
		}
	}
	return nil
}

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := c.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := c.sql.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.statements[query] = stmt
	return stmt, nil
}

// checkpoint moves all of the WAL into the database and empties it.
func (c *conn) checkpoint() error {
	_, err := c.sql.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	return storageError("empty the WAL", err)
}

func (c *conn) close() error {
	var errs []error
	for _, stmt := range c.statements {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.sql.Close())...)
}
