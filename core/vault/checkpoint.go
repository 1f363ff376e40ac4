package vault

import "context"

// checkpointEvery is after how many commits the WAL is moved into the database.
const checkpointEvery = 128

// checkpointSoon moves the WAL into the database beside the writer, so that no
// commit waits for it. The caller has the writing connection.
func (v *Vault) checkpointSoon() {
	v.commits++
	if v.commits%checkpointEvery != 0 || !v.checkpointing.CompareAndSwap(false, true) {
		return
	}
	v.tasks.Go(func() {
		defer v.checkpointing.Store(false)
		// Where it fails, the database stays whole and the WAL grows; a commit
		// that finds it too long does it itself, and reports what is wrong.
		_ = v.with(context.Background(), v.readers, func(c *conn) error {
			_, err := c.sql.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
			return err
		})
	})
}
