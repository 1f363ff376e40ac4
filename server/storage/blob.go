package storage

import (
	"log/slog"
	"time"
)

// BlobName names a blob here: a SHA-256 from which its id cannot be found. It
// shows itself in no log.
type BlobName [32]byte

func (BlobName) String() string         { return "[blob]" }
func (b BlobName) LogValue() slog.Value { return slog.StringValue(b.String()) }

// QuotaKey stands for an account on one day: a keyed hash, from which neither
// can be found without the key.
type QuotaKey [32]byte

func (QuotaKey) String() string         { return "[quota]" }
func (q QuotaKey) LogValue() slog.Value { return slog.StringValue(q.String()) }

// DueDay is the first day that begins ttl or more after now, in seconds since
// 1970.
func DueDay(now time.Time, ttl time.Duration) int64 {
	const day = 24 * time.Hour
	return int64(DayOf(now.Add(ttl + day - time.Second)))
}

// NewBlob asks for a blob to upload.
type NewBlob struct {
	Name BlobName
	// Size and ChunkSize are in bytes, and positive.
	Size, ChunkSize int64
	// Quota is what Charge, in bytes, counts against.
	Quota  QuotaKey
	Charge int64
	Now    time.Time
}

// Blob is a blob, or an upload.
type Blob struct {
	Name            BlobName
	Size, ChunkSize int64
	// Finished tells a blob from an upload.
	Finished bool
	// Expires is the day from which on it is gone, Limits.UploadTTL or
	// Limits.BlobTTL after it was begun or finished, and up to a day later.
	Expires time.Time
}

// Chunks is how many chunks the blob has.
func (b Blob) Chunks() int { return int((b.Size-1)/b.ChunkSize + 1) }

// BlobChunk is a chunk of an upload.
type BlobChunk struct {
	Name BlobName
	// Number is from 0 to Blob.Chunks()-1.
	Number int
	// Digest is of its bytes.
	Digest [32]byte
	Now    time.Time
}
