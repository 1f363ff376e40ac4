package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// The files of a vault. newKeyName is the key file while it is being written.
const (
	keyName    = "vault.key"
	newKeyName = "vault.key.new"
	// stagedKeyName is a second key file, for a password that is on its way in.
	stagedKeyName = "vault.key.next"
	dbName        = "vault.db"
	lockName      = "vault.lock"
)

// Options of a vault. The zero value is good.
type Options struct {
	// KDF is for key files that are written; one that is read brings its own.
	// The zero value means DefaultKDF.
	KDF KDF
	// Readers bounds how many Views run at the same time; 0 means 4.
	Readers int
}

const defaultReaders = 4

// Vault is an open vault. Its methods may be called from any goroutine.
type Vault struct {
	dir  string
	kdf  KDF
	lock *os.File
	key  *databaseKey
	db   *sql.DB

	// Whoever takes a connection out of these may use it and puts it back;
	// nil stands for one that is not open yet.
	writer  chan *conn
	readers chan *conn

	commits       int // guarded by having the writer
	checkpointing atomic.Bool
	tasks         sync.WaitGroup

	keyFile   sync.Mutex // serialises changes of the password and Close
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Exists reports whether the directory holds a vault.
func Exists(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, keyName))
	return err == nil && info.Mode().IsRegular()
}

// Delete deletes a vault that nobody has open, its key files first: without
// them the rest is noise. One that is not there is no error.
func Delete(dir string) error {
	for _, name := range []string{keyName, stagedKeyName, newKeyName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("vault: delete: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("vault: delete: %w", err)
	}
	return nil
}

// Create makes a new vault in the directory, which is made if need be, and
// opens it. ErrExists: there is one; ErrInUse: somebody else is making one. A
// crash half-way leaves nothing that Exists or a second Create minds.
func Create(dir, password string, o Options) (*Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: make the directory: %w", err)
	}
	v, err := prepare(dir, o)
	if err != nil {
		return nil, err
	}
	if err := v.create(password); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// create writes the new key file under its temporary name first and renames it
// last: a database beside a temporary key file, but no final one, is what a
// crashed creation left, and worth nothing.
func (v *Vault) create(password string) error {
	if _, err := os.Lstat(v.path(keyName)); err == nil {
		return ErrExists
	}
	if _, err := os.Lstat(v.path(newKeyName)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(v.path(dbName)); err == nil {
			return fmt.Errorf("%w: there is a database without its key file", ErrCorrupt)
		}
	}
	v.key = newDatabaseKey()
	sealed, err := sealKey(v.key, password, v.kdf)
	if err != nil {
		return err
	}
	if err := writeDurably(v.path(newKeyName), sealed.marshal()); err != nil {
		return fmt.Errorf("vault: write the key file: %w", err)
	}
	if err := syncDir(v.path(newKeyName)); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(v.path(dbName + suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("vault: remove what a crash left: %w", err)
		}
	}
	// SQLite would create it readable for others; its -wal and -shm files take
	// the mode of the database.
	if err := writeDurably(v.path(dbName), nil); err != nil {
		return fmt.Errorf("vault: create the database: %w", err)
	}
	if err := v.connect(func(c *conn, scripts []string) error {
		return errors.Join(c.migrate(context.Background(), 0, scripts), c.checkpoint())
	}); err != nil {
		return err
	}
	return publishKeyFile(v.path(keyName), v.path(newKeyName))
}

// Open opens the vault in the directory. Errors: ErrNoVault, ErrInUse,
// ErrWrongPassword, ErrCorrupt, ErrTooNew.
func Open(dir, password string, o Options) (*Vault, error) {
	if !Exists(dir) {
		return nil, ErrNoVault
	}
	v, err := prepare(dir, o)
	if err != nil {
		return nil, err
	}
	if err := v.open(password); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

func (v *Vault) open(password string) error {
	key, err := v.unwrap(password)
	if err != nil {
		return err
	}
	v.key = key
	info, err := os.Stat(v.path(dbName))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return fmt.Errorf("%w: the database is missing", ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("vault: find the database: %w", err)
	}
	if err := v.connect(func(c *conn, scripts []string) error {
		version, err := c.schemaVersion()
		if err == nil && version == 0 {
			return fmt.Errorf("%w: the database is empty", ErrCorrupt)
		}
		return errors.Join(err, c.migrate(context.Background(), version, scripts))
	}); err != nil {
		return err
	}
	// Left by a crash in a change of the password.
	if err := os.Remove(v.path(newKeyName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("vault: remove an unfinished key file: %w", err)
	}
	return nil
}

// prepare checks the library and takes the lock. The result must be closed.
func prepare(dir string, o Options) (*Vault, error) {
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if strings.ContainsAny(dir, "?\x00") {
		return nil, fmt.Errorf("%w: the driver cannot open a path with a question mark: %s", ErrInvalid, dir)
	}
	if o.KDF == (KDF{}) {
		o.KDF = DefaultKDF()
	}
	if o.Readers <= 0 {
		o.Readers = defaultReaders
	}
	lock, err := acquireLock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	v := &Vault{
		dir: dir, kdf: o.KDF, lock: lock, key: new(databaseKey),
		writer:  make(chan *conn, 1),
		readers: make(chan *conn, o.Readers),
		closing: make(chan struct{}),
	}
	v.writer <- nil
	for range o.Readers {
		v.readers <- nil
	}
	return v, nil
}

func (v *Vault) path(name string) string { return filepath.Join(v.dir, name) }

// connect opens the writing connection and lets setUp bring the schema up to
// date.
func (v *Vault) connect(setUp func(c *conn, scripts []string) error) error {
	scripts, err := migrations()
	if err != nil {
		return err
	}
	v.db = sql.OpenDB(&connector{path: v.path(dbName), key: v.key})
	return v.with(context.Background(), v.writer, func(c *conn) error { return setUp(c, scripts) })
}

// with takes a connection, opens it if need be, and puts it back. A broken one
// is closed, and opened anew by the next.
func (v *Vault) with(ctx context.Context, from chan *conn, fn func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case <-v.closing:
		return ErrClosed
	default:
	}
	select {
	case c = <-from:
	case <-ctx.Done():
		return ctx.Err()
	case <-v.closing:
		return ErrClosed
	}
	defer func() {
		if c != nil && c.broken {
			_ = c.close() // nothing to be done about a broken one
			c = nil
		}
		from <- c
	}()
	if c == nil {
		var err error
		if c, err = openConn(ctx, v.db); err != nil {
			return err
		}
	}
	return fn(c)
}

// Close waits for running transactions, empties the WAL into the database,
// wipes the key and releases the lock. Later calls of Update, View and
// ChangePassword return ErrClosed; a second Close returns what the first did.
func (v *Vault) Close() error {
	v.closeOnce.Do(func() {
		close(v.closing)
		v.closeErr = v.shutdown()
	})
	return v.closeErr
}

func (v *Vault) shutdown() error {
	v.keyFile.Lock()
	defer v.keyFile.Unlock()
	var errs []error
	for range cap(v.readers) {
		if c := <-v.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	c := <-v.writer
	v.tasks.Wait()
	if c != nil {
		errs = append(errs, c.checkpoint(), c.close())
	}
	if v.db != nil {
		errs = append(errs, v.db.Close())
	}
	v.key.wipe()
	return errors.Join(append(errs, v.lock.Close())...)
}
