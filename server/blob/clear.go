package blob

import (
	"context"
	"fmt"

	"quicprochat/server/storage"
)

// Clear deletes the objects of blobs that are gone, at most limit blobs in one
// call, and returns of how many. Those that fail are left for the next time,
// and the first failure is returned.
func (s *Service) Clear(ctx context.Context, limit int) (int, error) {
	now := s.Now()
	gone, err := s.Store.GoneBlobs(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	cleared := 0
	var failed error
	for _, blob := range gone {
		err := s.deleteObjects(ctx, blob)
		if err == nil {
			err = s.Store.ClearedBlob(ctx, blob.Name, now)
		}
		if ctx.Err() != nil {
			return cleared, ctx.Err()
		}
		if err == nil {
			cleared++
		} else if failed == nil {
			failed = err
		}
	}
	return cleared, failed
}

func (s *Service) deleteObjects(ctx context.Context, blob storage.Blob) error {
	for i := range blob.Chunks() {
		if err := s.Objects.Delete(ctx, Key(blob.Name, i)); err != nil {
			return fmt.Errorf("%w: deleting: %w", ErrObjects, discreet(err))
		}
	}
	return nil
}
