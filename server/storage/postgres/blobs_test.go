package postgres

import (
	"errors"
	"testing"

	"quicprochat/server/storage"
)

// A blob stays in its state while a chunk is brought, and chunks can be brought
// together; who finishes it is alone with it.
func TestBlobLocks(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	n := storage.NewBlob{Name: storage.BlobName{1}, Size: 20, ChunkSize: 10, Now: today}
	_, err := s.CreateBlob(t.Context(), n)
	must(t, err)
	// could tells whether another could lock the blob now
	could := func(how string) bool {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), `SELECT FROM blobs WHERE name = $1 `+how+` NOWAIT`, n.Name[:])
		if err != nil && code(err) != "55P03" {
			t.Fatal(err)
		}
		return err == nil
	}
	must(t, s.change(t.Context(), func(tx *tx) error {
		_, err := tx.beginChunk(storage.BlobChunk{Name: n.Name, Now: today})
		if !could("FOR SHARE") {
			t.Error("two chunks cannot be brought together")
		}
		if could("FOR NO KEY UPDATE") {
			t.Error("a blob can be finished or deleted while a chunk begins")
		}
		return err
	}))
	must(t, s.change(t.Context(), func(tx *tx) error {
		if _, err := tx.finishBlob(n.Name, [32]byte{}, today, s.limits.BlobTTL); !errors.Is(err, storage.ErrBlobIncomplete) {
			t.Errorf("got %v, want ErrBlobIncomplete", err)
		}
		if could("FOR SHARE") {
			t.Error("a chunk can begin while the blob is finished")
		}
		return nil
	}))
}
