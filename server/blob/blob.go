// Package blob serves BlobService: it keeps large contents that clients have
// encrypted, and gives them to whoever knows their id.
//
// A blob is cut into chunks of [ChunkSize], and each is an object of its own,
// written once and never changed: so an upload goes on where it stopped,
// nothing is copied when it is finished, and a range is read from one or two
// objects. The store keeps the books; see storage.BlobStore for the order that
// keeps both together.
//
// Memory is bounded by the number of transfers at a time: each holds a chunk
// at most, twice while it is encoded, from before it is read or until it was
// written to the client; some 200 MiB in all. See [Service.Admit].
package blob

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

const (
	// ChunkSize is of new uploads, in bytes.
	ChunkSize = 1 << 20
	// maxRange is what one download may ask for, in bytes.
	maxRange = 1 << 20
	// maxTransfers bounds how many chunks are in memory at a time, and
	// maxNetworkTransfers those of one client network.
	maxTransfers        = 64
	maxNetworkTransfers = 16
	// maxWrites bounds how many objects are written at a time, and maxChecks
	// how many blobs are hashed.
	maxWrites = 16
	maxChecks = 4
)

// Options is what a Service needs. Every field must be set.
type Options struct {
	Store   storage.BlobStore
	Objects Objects
	// QuotaKey hides in the store whose a count is.
	QuotaKey [32]byte
	// MaxSize of one blob, in bytes.
	MaxSize int64
	Now     func() time.Time
	Log     *slog.Logger
}

// Service implements BlobService.
type Service struct {
	Options
	transfers     *transfers
	writes        *semaphore.Weighted
	checks        *semaphore.Weighted
	deleted       chan struct{}
	uploadChunkID uint16
}

// New returns a Service.
func New(options Options) *Service {
	uploadChunk, _ := wire.MethodOf(&qpcv1.UploadChunkRequest{})
	return &Service{
		Options:       options,
		transfers:     newTransfers(maxTransfers, maxNetworkTransfers),
		writes:        semaphore.NewWeighted(maxWrites),
		checks:        semaphore.NewWeighted(maxChecks),
		deleted:       make(chan struct{}, 1),
		uploadChunkID: uploadChunk.ID,
	}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.createUpload)
	wire.Handle(r, s.uploadChunk)
	wire.Handle(r, s.finishUpload)
	wire.Handle(r, s.download)
	wire.Handle(r, s.deleteBlob)
}

// Deleted is sent to when there is something to clear away before its time.
func (s *Service) Deleted() <-chan struct{} { return s.deleted }

func (s *Service) deleteBlob(ctx context.Context, _ *wire.Peer, req *qpcv1.DeleteBlobRequest) (*qpcv1.DeleteBlobResponse, error) {
	id, err := idOfSecret(req.UploadSecret)
	if err != nil {
		return nil, err
	}
	if err := s.Store.DeleteBlob(ctx, nameOf(id)); err != nil {
		return nil, storeError(err)
	}
	select {
	case s.deleted <- struct{}{}:
	default:
	}
	return &qpcv1.DeleteBlobResponse{}, nil
}
