package blob

import (
	"context"
	"io"
)

// Objects holds the chunks of blobs. It is safe for concurrent use. Its errors
// are logged, so they must not hold a key.
type Objects interface {
	// Write stores an object and returns when it is durable. One that has the
	// key is replaced, in one step: readers get the old or the new one.
	Write(ctx context.Context, key string, data []byte) error

	// Read opens length bytes of an object from offset on, which it has.
	Read(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)

	// Delete deletes an object. One that is not there is no error.
	Delete(ctx context.Context, key string) error

	// Check tells whether objects can be stored.
	Check(ctx context.Context) error

	// Close ends the use.
	Close() error
}
