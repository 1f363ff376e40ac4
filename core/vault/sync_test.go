package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestUpdateUnsynced runs both kinds of update in turns, and looks at each how
// its commit will be.
func TestUpdateUnsynced(t *testing.T) {
	v, dir := newVault(t)
	kinds := []struct {
		pragma string
		update func(fn func(*Tx) error) error
	}{
		{"1", func(fn func(*Tx) error) error { return v.UpdateUnsynced(t.Context(), fn) }},
		{"2", func(fn func(*Tx) error) error { return v.Update(t.Context(), fn) }},
	}
	for i, kind := range []int{1, 0, 0, 1, 1, 0} {
		err := kinds[kind].update(func(tx *Tx) error {
			var synchronous string
			if err := tx.conn.sql.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous); err != nil {
				return err
			}
			if want := kinds[kind].pragma; synchronous != want {
				t.Errorf("update %d has synchronous %s, want %s", i, synchronous, want)
			}
			return tx.PutSetting(fmt.Sprint(i), []byte("x"))
		})
		if err != nil {
			t.Fatal(err)
		}
		view(t, v, func(tx *Tx) error { return second(tx.Setting(fmt.Sprint(i))) })
	}
	if err := v.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, v.Sync(), ErrClosed)
	v, err := Open(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	view(t, v, func(tx *Tx) error { return second(tx.Setting("5")) })
}

// TestCheckpointBesideTheWriter makes many commits: the WAL is reused and does
// not grow with them.
func TestCheckpointBesideTheWriter(t *testing.T) {
	v, dir := newVault(t)
	const commits = 20 * checkpointEvery
	for i := range commits {
		if err := v.UpdateUnsynced(t.Context(), func(tx *Tx) error {
			return tx.PutSetting("counter", fmt.Append(nil, i))
		}); err != nil {
			t.Fatal(err)
		}
		if i%checkpointEvery == checkpointEvery-1 {
			v.tasks.Wait()
		}
	}
	info, err := os.Stat(filepath.Join(dir, dbName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > commits*1024/4 { // a commit is a page or more
		t.Errorf("after %d commits the WAL has %d bytes", commits, size)
	}
}
