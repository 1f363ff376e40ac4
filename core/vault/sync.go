package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// synchronous tells whether a commit waits until it is on disk. Either way
// SQLite syncs what it must for the database to stay whole.
type synchronous string

const (
	synced   synchronous = "FULL"
	unsynced synchronous = "NORMAL"
)

// synchronize sets what the next transaction's commit does.
func (c *conn) synchronize(s synchronous) error {
	if c.synchronous == s {
		return nil
	}
	if _, err := c.sql.ExecContext(context.Background(), "PRAGMA synchronous = "+string(s)); err != nil {
		c.broken = true
		return storageError("set synchronous", err)
	}
	c.synchronous = s
	return nil
}

// UpdateUnsynced is Update without the fsync, for what can be had again, such
// as a message that the server keeps until it is acknowledged. All later
// transactions see it, and it outlives the process. It is on disk after the next
// Update, Sync or Close; a power failure before that undoes it, with all later
// ones: always the latest, and each as a whole.
func (v *Vault) UpdateUnsynced(ctx context.Context, fn func(*Tx) error) error {
	return v.update(ctx, unsynced, fn)
}

// Sync returns when everything that was committed before is on disk.
func (v *Vault) Sync() error {
	select {
	case <-v.closing:
		return ErrClosed
	default:
	}
	// What is no longer in this file was synced on its way into the database.
	wal, err := os.OpenFile(v.path(dbName+"-wal"), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(wal.Sync(), wal.Close())
	}
	if err != nil {
		return fmt.Errorf("vault: sync the WAL: %w", err)
	}
	return nil
}
