package verify

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"

	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/storage"
)

func (j *job) blobs(ctx context.Context) error {
	return j.obey(ctx, "%d blobs are complete in the database", `SELECT count(*) FROM blobs WHERE state = 1`, []rule{
		{"a blob without a hash", `SELECT count(*) FROM blobs WHERE state = 1 AND hash IS NULL`},
		{"a blob that lacks chunks", `SELECT count(*) FROM blobs b WHERE state = 1
			AND (SELECT count(*) FROM blob_chunks c WHERE c.blob = b.name AND stored = 1) <> (size - 1) / chunk_size + 1`},
		{"a chunk that its blob has no place for", `SELECT count(*) FROM blob_chunks c JOIN blobs b ON b.name = c.blob WHERE c.number < 0 OR c.number > (size - 1) / chunk_size`},
	})
}

// Chunk is a chunk whose object should be there.
type Chunk struct {
	Name   storage.BlobName
	Number int
	// Size is in bytes.
	Size   int64
	Digest []byte
}

// Key names its object.
func (c Chunk) Key() string { return blob.Key(c.Name, c.Number) }

// Chunks visits every chunk whose object should be there.
func Chunks(ctx context.Context, tx *sql.Tx, visit func(Chunk) error) error {
	rows, err := tx.QueryContext(ctx, `SELECT b.name, b.size, b.chunk_size, c.number, c.digest FROM blobs b JOIN blob_chunks c ON c.blob = b.name
		WHERE b.state <> 2 AND c.stored = 1 ORDER BY b.name, c.number`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Chunk
		var name []byte
		var size, chunkSize int64
		if err := rows.Scan(&name, &size, &chunkSize, &c.Number, &c.Digest); err != nil {
			return err
		}
		if len(name) != len(c.Name) {
			return errors.New("a blob's name has the wrong length")
		}
		c.Name = storage.BlobName(name)
		c.Size = min(chunkSize, size-int64(c.Number)*chunkSize)
		if err := visit(c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Gone tells whether a blob is gone by now.
func Gone(ctx context.Context, db *sql.DB, name storage.BlobName) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM blobs WHERE name = ? AND state <> 2`, name[:]).Scan(&n)
	return n == 0, err
}

// objects looks for the contents of blobs.
func (j *job) objects(ctx context.Context) error {
	if j.Objects == nil {
		return j.say(check.OK, "the contents of blobs lie elsewhere and were not looked at")
	}
	found, missing, changed := 0, 0, 0
	err := Chunks(ctx, j.tx, func(c Chunk) error {
		switch err := j.readObject(ctx, c); {
		case err == nil:
			found++
		case errors.Is(err, errChanged):
			changed++
		default:
			gone, err := Gone(ctx, j.now, c.Name)
			if err != nil {
				return err
			}
			if !gone {
				missing++
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if missing > 0 {
		err = j.say(check.Wrong, "%d × a chunk of a blob whose contents are missing or cannot be read", missing)
	}
	if changed > 0 && err == nil {
		err = j.say(check.Wrong, "%d × a chunk of a blob whose contents were damaged", changed)
	}
	if err != nil || missing+changed > 0 {
		return err
	}
	if !j.Contents {
		return j.say(check.OK, "the contents of %d chunks are there (--contents reads them all)", found)
	}
	return j.say(check.OK, "the contents of %d chunks are what was uploaded", found)
}

var errChanged = errors.New("contents differ")

// readObject reads the last byte of an object, or all of it.
func (j *job) readObject(ctx context.Context, c Chunk) error {
	from := c.Size - 1
	if j.Contents {
		from = 0
	}
	r, err := j.Objects.Read(ctx, c.Key(), from, c.Size-from)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	switch {
	case err != nil:
		return err
	case n != c.Size-from, j.Contents && string(h.Sum(nil)) != string(c.Digest):
		return errChanged
	}
	return nil
}

// strays looks for contents in the folder that belong to nothing.
func (j *job) strays(ctx context.Context) error {
	folder, ok := j.Objects.(*blob.Folder)
	if !ok {
		return nil
	}
	var strays, bytes int64
	err := folder.Each(func(key string, size int64) error {
		var n int
		name, chunk, ok := blob.ParseKey(key)
		if ok {
			err := j.now.QueryRowContext(ctx, `SELECT count(*) FROM blobs b LEFT JOIN blob_chunks c ON c.blob = b.name AND c.number = ?2 WHERE b.name = ?1 AND (b.state = 2 OR c.number IS NOT NULL)`,
				name[:], chunk).Scan(&n)
			if err != nil {
				return err
			}
		}
		if n == 0 {
			strays++
			bytes += size
		}
		return ctx.Err()
	})
	if err != nil || strays == 0 {
		return err
	}
	return j.say(check.Warning, "%d files of %d bytes in the folder of blobs belong to nothing: they can be deleted while the server is stopped", strays, bytes)
}
