package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// The states of a blob.
const (
	uploading = 0
	finished  = 1
	gone      = 2
)

// clearAt is the due day of a gone blob whose objects were never deleted.
const clearAt = 0

// blobRow is a blob as it is stored.
type blobRow struct {
	size, chunkSize, state, due int64
	hash                        []byte
}

func (r *blobRow) targets() []any { return into(&r.size, &r.chunkSize, &r.state, &r.due, &r.hash) }

// alive tells whether the blob is neither deleted nor out of time.
func (r *blobRow) alive(now time.Time) bool { return r.state != gone && r.due > now.Unix() }

func (r *blobRow) blob(name storage.BlobName) storage.Blob {
	return storage.Blob{
		Name: name, Size: r.size, ChunkSize: r.chunkSize,
		Finished: r.state == finished, Expires: time.Unix(r.due, 0),
	}
}

const (
	selectBlob = `SELECT size, chunk_size, state, due, hash FROM blobs WHERE name = $1`
	// shareBlob keeps a blob in its state; changes to its chunks need not take
	// turns.
	shareBlob = selectBlob + ` FOR SHARE`
	lockBlob  = selectBlob + ` FOR NO KEY UPDATE`
)

// liveBlob reads a blob by one of the statements above; ErrUnknownBlob where
// it is not alive.
func (t *tx) liveBlob(query string, name storage.BlobName, now time.Time) (blobRow, error) {
	var row blobRow
	if err := t.get(row.targets(), query, name[:]); err != nil {
		return row, orUnknown(err, storage.ErrUnknownBlob)
	}
	if !row.alive(now) {
		return row, storage.ErrUnknownBlob
	}
	return row, nil
}

// CreateBlob begins an upload.
func (s *Store) CreateBlob(ctx context.Context, b storage.NewBlob) (storage.Blob, error) {
	var row blobRow
	err := s.change(ctx, func(t *tx) (err error) {
		row = blobRow{size: b.Size, chunkSize: b.ChunkSize, state: uploading, due: storage.DueDay(b.Now, s.limits.UploadTTL)}
		made, err := t.insertBlob(b.Name, row)
		if err != nil {
			return err
		}
		if made {
			return t.charge(b, s.limits.BlobQuota)
		}
		row, err = t.blobToResume(b)
		return err
	})
	if err != nil {
		return storage.Blob{}, err
	}
	return row.blob(b.Name), nil
}

// insertBlob tells whether there was none. It waits for whoever inserts it at
// the same time.
func (t *tx) insertBlob(name storage.BlobName, row blobRow) (made bool, err error) {
	n, err := t.exec(`INSERT INTO blobs (name, size, chunk_size, state, due) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING`,
		name[:], row.size, row.chunkSize, row.state, row.due)
	if err != nil {
		return false, fmt.Errorf("store blob: %w", err)
	}
	return n == 1, nil
}

// charge counts an upload against its quota.
func (t *tx) charge(b storage.NewBlob, quota int64) error {
	var used int64
	err := t.get(into(&used), `INSERT INTO blob_quotas (quota, day, used) VALUES ($1, $2, $3)
		ON CONFLICT (quota) DO UPDATE SET used = blob_quotas.used + excluded.used RETURNING used`, b.Quota[:], int64(storage.DayOf(b.Now)), b.Charge)
	if err != nil {
		return fmt.Errorf("count against quota: %w", err)
	}
	if used > quota {
		return storage.ErrBlobQuota
	}
	return nil
}

// blobToResume reads the blob that was there before b.
func (t *tx) blobToResume(b storage.NewBlob) (blobRow, error) {
	var row blobRow
	err := t.get(row.targets(), selectBlob, b.Name[:])
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it was forgotten this very moment
		return row, storage.ErrBlobGone
	case err != nil:
		return row, fmt.Errorf("look for blob: %w", err)
	case !row.alive(b.Now):
		return row, storage.ErrBlobGone
	case row.size != b.Size:
		return row, storage.ErrBlobConflict
	}
	return row, nil
}

// Blob finds a blob or an upload.
func (s *Store) Blob(ctx context.Context, name storage.BlobName, now time.Time) (storage.Blob, error) {
	var row blobRow
	if err := s.get(ctx, row.targets(), selectBlob, name[:]); err != nil {
		return storage.Blob{}, orUnknown(err, storage.ErrUnknownBlob)
	}
	if !row.alive(now) {
		return storage.Blob{}, storage.ErrUnknownBlob
	}
	return row.blob(name), nil
}

// BlobChunks lists the chunks that were stored.
func (s *Store) BlobChunks(ctx context.Context, name storage.BlobName) ([]int, error) {
	var numbers []int
	err := s.each(ctx, func() { numbers = nil }, func(rows pgx.Rows) error {
		var number int
		err := rows.Scan(&number)
		numbers = append(numbers, number)
		return err
	}, `SELECT number FROM blob_chunks WHERE blob = $1 AND stored ORDER BY number`, name[:])
	if err != nil {
		return nil, err
	}
	return numbers, nil
}

// BeginChunk notes the digest of a chunk.
func (s *Store) BeginChunk(ctx context.Context, c storage.BlobChunk) (stored bool, err error) {
	err = s.change(ctx, func(t *tx) (err error) {
		stored, err = t.beginChunk(c)
		return err
	})
	return stored && err == nil, err
}

func (t *tx) beginChunk(c storage.BlobChunk) (stored bool, err error) {
	row, err := t.liveBlob(shareBlob, c.Name, c.Now)
	if err != nil {
		return false, err
	}
	if row.state != finished {
		n, err := t.exec(`INSERT INTO blob_chunks (blob, number, digest, stored) VALUES ($1, $2, $3, false) ON CONFLICT (blob, number) DO NOTHING`,
			c.Name[:], c.Number, c.Digest[:])
		if err != nil {
			return false, fmt.Errorf("store chunk: %w", err)
		}
		if n == 1 {
			return false, nil
		}
	}
	var digest []byte
	err = t.get(into(&digest, &stored), `SELECT digest, stored FROM blob_chunks WHERE blob = $1 AND number = $2`, c.Name[:], c.Number)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, storage.ErrBlobFinished
	case err != nil:
		return false, fmt.Errorf("look for chunk: %w", err)
	case !bytes.Equal(digest, c.Digest[:]):
		return false, storage.ErrBlobConflict
	}
	return stored, nil
}

// StoredChunk notes that the object of a chunk was written.
func (s *Store) StoredChunk(ctx context.Context, c storage.BlobChunk) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.liveBlob(shareBlob, c.Name, c.Now); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE blob_chunks SET stored = true WHERE blob = $1 AND number = $2 AND digest = $3`, c.Name[:], c.Number, c.Digest[:])
		if err != nil {
			return fmt.Errorf("note chunk: %w", err)
		}
		if n == 0 {
			return storage.ErrUnknownBlob
		}
		return nil
	})
}

// FinishBlob makes an upload a blob.
func (s *Store) FinishBlob(ctx context.Context, name storage.BlobName, hash [32]byte, now time.Time) (storage.Blob, error) {
	var row blobRow
	err := s.change(ctx, func(t *tx) (err error) {
		row, err = t.finishBlob(name, hash, now, s.limits.BlobTTL)
		return err
	})
	if err != nil {
		return storage.Blob{}, err
	}
	return row.blob(name), nil
}

func (t *tx) finishBlob(name storage.BlobName, hash [32]byte, now time.Time, ttl time.Duration) (blobRow, error) {
	row, err := t.liveBlob(lockBlob, name, now)
	if err != nil {
		return row, err
	}
	if row.state == finished {
		if !bytes.Equal(row.hash, hash[:]) {
			return row, storage.ErrBlobConflict
		}
		return row, nil
	}
	var stored int
	if err := t.get(into(&stored), `SELECT count(*) FROM blob_chunks WHERE blob = $1 AND stored`, name[:]); err != nil {
		return row, fmt.Errorf("count chunks: %w", err)
	}
	if stored < row.blob(name).Chunks() {
		return row, storage.ErrBlobIncomplete
	}
	row.state, row.due = finished, storage.DueDay(now, ttl)
	if _, err := t.exec(`UPDATE blobs SET state = $2, due = $3, hash = $4 WHERE name = $1`, name[:], row.state, row.due, hash[:]); err != nil {
		return row, fmt.Errorf("finish blob: %w", err)
	}
	return row, nil
}

// DeleteBlob ends a blob or an upload.
func (s *Store) DeleteBlob(ctx context.Context, name storage.BlobName) error {
	return s.change(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE blobs SET state = $2, due = $3, hash = NULL WHERE name = $1 AND state <> $2`, name[:], gone, clearAt)
		if err != nil {
			return fmt.Errorf("delete blob: %w", err)
		}
		return nil
	})
}

// expireBlobs ends blobs of a state that are out of time.
func (t *tx) expireBlobs(state int, now time.Time, limit int) (int, error) {
	return t.exec(`UPDATE blobs SET state = $1, due = $2, hash = NULL
		WHERE name = ANY(ARRAY(SELECT name FROM blobs WHERE state = $3 AND due <= $4 LIMIT $5 FOR UPDATE SKIP LOCKED))`, gone, clearAt, state, now.Unix(), limit)
}

// GoneBlobs lists blobs whose objects are to be deleted.
func (s *Store) GoneBlobs(ctx context.Context, now time.Time, limit int) ([]storage.Blob, error) {
	var list []storage.Blob
	err := s.each(ctx, func() { list = nil }, func(rows pgx.Rows) error {
		var name id32
		row := blobRow{state: gone}
		if err := rows.Scan(&name, &row.size, &row.chunkSize); err != nil {
			return err
		}
		list = append(list, row.blob(storage.BlobName(name)))
		return nil
	}, `SELECT name, size, chunk_size FROM blobs WHERE state = $1 AND due <= $2 ORDER BY due LIMIT $3`, gone, now.Unix(), limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// ClearedBlob notes that the objects of a gone blob were deleted. Of several
// servers that have cleared it away at the same time, the first counts.
func (s *Store) ClearedBlob(ctx context.Context, name storage.BlobName, now time.Time) error {
	return s.change(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE blobs SET due = $4 WHERE name = $1 AND state = $2 AND due = $3`, name[:], gone, clearAt, storage.DueDay(now, 24*time.Hour))
		if err != nil {
			return fmt.Errorf("note cleared blob: %w", err)
		}
		if n == 1 {
			return nil
		}
		_, err = t.exec(`DELETE FROM blobs WHERE name = $1 AND state = $2 AND due > $3 AND due <= $4`, name[:], gone, clearAt, now.Unix())
		if err != nil {
			return fmt.Errorf("forget blob: %w", err)
		}
		return nil
	})
}
