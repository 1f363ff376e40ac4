// Package postgres keeps the data of one server or of several in one
// PostgreSQL database.
//
// Every change is one transaction at READ COMMITTED that locks the rows which
// it is about to change before it looks at them, in one order everywhere:
// invite, account, devices by number, channels by number, tokens by hash, queues
// by number; or a blob and then its chunk or its quota. So
// nothing that was read goes out of date before it is used, whoever else is at
// work, and no two transactions wait for each other. What PostgreSQL undoes all
// the same (a deadlock, a restart) is done again; see retry.go.
//
// Posts and commits go through a few lanes, one at a time in each, always the
// same lane for one channel. Posts that wait together share a transaction, so
// that busy channels share round trips and fsyncs.
//
// Statements name the rows they want by an index, never by a join that the
// planner could turn round: their cost does not grow with a table, whatever the
// statistics say.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"quicprochat/server/storage"
)

const (
	// lanes is how many transactions with posts run at once.
	lanes = 4
	// statementTime bounds one try of a call, in case the database hangs.
	statementTime = 30 * time.Second
)

// Options say which database to open and how to use it.
type Options struct {
	// URL takes the settings of PostgreSQL's own clients as parameters, and
	// pool_max_conns.
	URL    storage.URL
	Limits storage.Limits
	// KeyHash tells server keys apart. The first server to open a database
	// leaves it there; ErrOtherKeys for one with another. Empty: not looked at.
	KeyHash []byte
}

// Store is a storage.Store in a PostgreSQL database.
type Store struct {
	limits storage.Limits
	pool   *pgxpool.Pool
	lanes  [lanes]*lane
	// observe is told of every transaction; nil: nobody is.
	observe atomic.Pointer[func(storage.Transaction)]

	calls   sync.RWMutex // held for reading while a call is under way
	closed  atomic.Bool
	closing chan struct{} // closed when Close begins: no more retries
}

var _ storage.Store = (*Store)(nil)

// Open connects to a database that exists, and brings its schema up to date.
// Several processes may open one at the same time. storage.ErrSchemaNewer,
// storage.ErrURL,
// ErrOtherKeys, or a *ConnectError, which says what to do about it.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, nil)
}

// open is Open with somebody who watches the statements.
func open(ctx context.Context, o Options, tracer pgx.QueryTracer) (*Store, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	cfg, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.Tracer = tracer
	if err := migrate(ctx, cfg.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, connectError(err)
	}
	s := &Store{limits: o.Limits, pool: pool, closing: make(chan struct{})}
	if err := s.checkKeys(ctx, o.KeyHash); err != nil {
		pool.Close()
		return nil, err
	}
	for i := range s.lanes {
		s.lanes[i] = newLane(s)
	}
	return s, nil
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	return withTrouble(connectError(s.pool.Ping(ctx)))
}

// Observe has f told of every transaction.
func (s *Store) Observe(f func(storage.Transaction)) { s.observe.Store(&f) }

// report tells the observer of a transaction.
func (s *Store) report(calls int, asked, began time.Time, err error) {
	if observe := s.observe.Load(); observe != nil {
		(*observe)(storage.Transaction{Calls: calls, Waited: began.Sub(asked), Took: time.Since(began), Err: withTrouble(err)})
	}
}

// Close finishes what is under way and closes the connections.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return storage.ErrClosed
	}
	close(s.closing)
	s.calls.Lock()
	defer s.calls.Unlock()
	for _, l := range s.lanes {
		l.close()
	}
	s.pool.Close()
	return nil
}

// enter begins a call; leave ends it. storage.ErrClosed.
func (s *Store) enter() (leave func(), err error) {
	s.calls.RLock()
	if s.closed.Load() {
		s.calls.RUnlock()
		return nil, storage.ErrClosed
	}
	return s.calls.RUnlock, nil
}

// orUnknown turns the absence of a row into a sentinel error.
func orUnknown(err, unknown error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return unknown
	}
	return err
}

// ErrOtherKeys: the database belongs to servers with other keys. Servers that
// share one need the same key files.
var ErrOtherKeys = errors.New("the database was made with other server keys: copy the data folder's key files and certificate from the server that has used it, or use another database")

// checkKeys leaves the hash of the server's keys in a new database and
// compares it in one that has been used.
func (s *Store) checkKeys(ctx context.Context, hash []byte) error {
	if len(hash) == 0 {
		return nil
	}
	same := false
	err := s.change(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO server (key_hash) VALUES ($1) ON CONFLICT DO NOTHING`, hash); err != nil {
			return err
		}
		return t.get(into(&same), `SELECT key_hash = $1 FROM server WHERE single`, hash)
	})
	if err != nil {
		return fmt.Errorf("look for server keys: %w", err)
	}
	if !same {
		return ErrOtherKeys
	}
	return nil
}
