package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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

const selectBlob = `SELECT size, chunk_size, state, due, hash FROM blobs WHERE name = ?`

// liveBlob reads a blob; ErrUnknownBlob where it is not alive.
func (t *tx) liveBlob(name storage.BlobName, now time.Time) (blobRow, error) {
	var row blobRow
	if err := t.get(row.targets(), selectBlob, name[:]); err != nil {
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
	err := s.writer.do(ctx, func(t *tx) error {
		row = blobRow{}
		err := t.get(row.targets(), selectBlob, b.Name[:])
		switch {
		case errors.Is(err, sql.ErrNoRows):
			row = blobRow{size: b.Size, chunkSize: b.ChunkSize, state: uploading, due: storage.DueDay(b.Now, s.limits.UploadTTL)}
			return t.insertBlob(b, row, s.limits.BlobQuota)
		case err != nil:
			return fmt.Errorf("look for blob: %w", err)
		case !row.alive(b.Now):
			return storage.ErrBlobGone
		case row.size != b.Size:
			return storage.ErrBlobConflict
		}
		return nil
	})
	if err != nil {
		return storage.Blob{}, err
	}
	return row.blob(b.Name), nil
}

func (t *tx) insertBlob(b storage.NewBlob, row blobRow, quota int64) error {
	_, err := t.exec(`INSERT INTO blob_quotas (quota, day, used) VALUES (?, ?, ?)
		ON CONFLICT (quota) DO UPDATE SET used = blob_quotas.used + excluded.used`, b.Quota[:], int64(storage.DayOf(b.Now)), b.Charge)
	if err != nil {
		return fmt.Errorf("count against quota: %w", err)
	}
	var used int64
	if err := t.get(into(&used), `SELECT used FROM blob_quotas WHERE quota = ?`, b.Quota[:]); err != nil {
		return fmt.Errorf("read quota: %w", err)
	}
	if used > quota {
		return storage.ErrBlobQuota
	}
	_, err = t.exec(`INSERT INTO blobs (name, size, chunk_size, state, due) VALUES (?, ?, ?, ?, ?)`,
		b.Name[:], row.size, row.chunkSize, row.state, row.due)
	if err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	return nil
}

// Blob finds a blob or an upload.
func (s *Store) Blob(ctx context.Context, name storage.BlobName, now time.Time) (storage.Blob, error) {
	var row blobRow
	if err := s.reader.get(ctx, row.targets(), selectBlob, name[:]); err != nil {
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
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		var number int
		err := rows.Scan(&number)
		numbers = append(numbers, number)
		return err
	}, `SELECT number FROM blob_chunks WHERE blob = ? AND stored = 1 ORDER BY number`, name[:])
	if err != nil {
		return nil, err
	}
	return numbers, nil
}

// BeginChunk notes the digest of a chunk.
func (s *Store) BeginChunk(ctx context.Context, c storage.BlobChunk) (stored bool, err error) {
	err = s.writer.do(ctx, func(t *tx) error {
		row, err := t.liveBlob(c.Name, c.Now)
		if err != nil {
			return err
		}
		var digest []byte
		err = t.get(into(&digest, &stored), `SELECT digest, stored FROM blob_chunks WHERE blob = ? AND number = ?`, c.Name[:], c.Number)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if row.state == finished {
				return storage.ErrBlobFinished
			}
			_, err := t.exec(`INSERT INTO blob_chunks (blob, number, digest, stored) VALUES (?, ?, ?, 0)`, c.Name[:], c.Number, c.Digest[:])
			if err != nil {
				return fmt.Errorf("store chunk: %w", err)
			}
			return nil
		case err != nil:
			return fmt.Errorf("look for chunk: %w", err)
		case !bytes.Equal(digest, c.Digest[:]):
			return storage.ErrBlobConflict
		}
		return nil
	})
	return stored && err == nil, err
}

// StoredChunk notes that the object of a chunk was written.
func (s *Store) StoredChunk(ctx context.Context, c storage.BlobChunk) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, err := t.liveBlob(c.Name, c.Now); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE blob_chunks SET stored = 1 WHERE blob = ? AND number = ? AND digest = ?`, c.Name[:], c.Number, c.Digest[:])
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
	err := s.writer.do(ctx, func(t *tx) (err error) {
		if row, err = t.liveBlob(name, now); err != nil {
			return err
		}
		if row.state == finished {
			if !bytes.Equal(row.hash, hash[:]) {
				return storage.ErrBlobConflict
			}
			return nil
		}
		var stored int
		if err := t.get(into(&stored), `SELECT count(*) FROM blob_chunks WHERE blob = ? AND stored = 1`, name[:]); err != nil {
			return fmt.Errorf("count chunks: %w", err)
		}
		if stored < row.blob(name).Chunks() {
			return storage.ErrBlobIncomplete
		}
		row.state, row.due = finished, storage.DueDay(now, s.limits.BlobTTL)
		if _, err := t.exec(`UPDATE blobs SET state = ?, due = ?, hash = ? WHERE name = ?`, row.state, row.due, hash[:], name[:]); err != nil {
			return fmt.Errorf("finish blob: %w", err)
		}
		return nil
	})
	if err != nil {
		return storage.Blob{}, err
	}
	return row.blob(name), nil
}

// DeleteBlob ends a blob or an upload.
func (s *Store) DeleteBlob(ctx context.Context, name storage.BlobName) error {
	return s.writer.do(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE blobs SET state = ?, due = ?, hash = NULL WHERE name = ? AND state <> ?`, gone, clearAt, name[:], gone)
		if err != nil {
			return fmt.Errorf("delete blob: %w", err)
		}
		return nil
	})
}

// expireBlobs ends blobs of a state that are out of time.
func (t *tx) expireBlobs(state int, now time.Time, limit int) (int, error) {
	return t.exec(`UPDATE blobs SET state = ?, due = ?, hash = NULL
		WHERE name IN (SELECT name FROM blobs WHERE state = ? AND due <= ? LIMIT ?)`, gone, clearAt, state, now.Unix(), limit)
}

// GoneBlobs lists blobs whose objects are to be deleted.
func (s *Store) GoneBlobs(ctx context.Context, now time.Time, limit int) ([]storage.Blob, error) {
	var list []storage.Blob
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		var name []byte
		var row blobRow
		if err := rows.Scan(&name, &row.size, &row.chunkSize); err != nil {
			return err
		}
		list = append(list, row.blob(storage.BlobName(name)))
		return nil
	}, `SELECT name, size, chunk_size FROM blobs WHERE state = ? AND due <= ? ORDER BY due LIMIT ?`, gone, now.Unix(), limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// ClearedBlob notes that the objects of a gone blob were deleted.
func (s *Store) ClearedBlob(ctx context.Context, name storage.BlobName, now time.Time) error {
	return s.writer.do(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM blobs WHERE name = ? AND state = ? AND due > ? AND due <= ?`, name[:], gone, clearAt, now.Unix())
		if err != nil {
			return fmt.Errorf("forget blob: %w", err)
		}
		_, err = t.exec(`UPDATE blobs SET due = ? WHERE name = ? AND state = ? AND due = ?`, storage.DueDay(now, 24*time.Hour), name[:], gone, clearAt)
		if err != nil {
			return fmt.Errorf("note cleared blob: %w", err)
		}
		return nil
	})
}
