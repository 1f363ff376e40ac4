package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

var (
	errSecret     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "Upload secrets, blob ids and hashes have 32 bytes.")
	errSize       = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A blob has at least one byte.")
	errChunk      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The chunk is not one of the upload's: its offset or its length is wrong.")
	errRange      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The range is not inside the blob, or longer than 1 MiB.")
	errUnknown    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB, "This file is not here: it was never finished, has expired, or was deleted.")
	errTooLarge   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_BLOB_TOO_LARGE, "The file is larger than this server allows.")
	errConflict   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT, "The upload was begun with another size or other contents. Begin a new one.")
	errIncomplete = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_BLOB_INCOMPLETE, "Parts of the file are missing.")
	errHash       = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_BLOB_HASH_MISMATCH, "The file arrived damaged. Upload it again.")
	errBusy       = &wire.Error{Code: qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED, Message: "Too many files are on their way. Try again in a moment.", RetryAfter: time.Second}
	errObjects    = &wire.Error{
		Code: qpcv1.ErrorCode_ERROR_CODE_BLOB_STORAGE, Message: "The server cannot store or read files at the moment. Try again later.", RetryAfter: 30 * time.Second,
	}
)

// ErrObjects is in what is logged where the store of blobs fails.
var ErrObjects = errors.New("the store of blobs fails")

// errQuota tells when the next day begins.
func errQuota(now time.Time) error {
	const day = 24 * time.Hour
	return &wire.Error{
		Code: qpcv1.ErrorCode_ERROR_CODE_BLOB_QUOTA, Message: "You have uploaded as much as this server allows in a day.",
		RetryAfter: time.Unix(int64(storage.DayOf(now)), 0).Add(day).Sub(now),
	}
}

func storeError(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownBlob), errors.Is(err, storage.ErrBlobGone):
		return errUnknown
	case errors.Is(err, storage.ErrBlobConflict), errors.Is(err, storage.ErrBlobFinished):
		return errConflict
	case errors.Is(err, storage.ErrBlobIncomplete):
		return errIncomplete
	default:
		return fmt.Errorf("blob store: %w", err)
	}
}

// readError tells a blob that has gone while it was read from one that cannot
// be read.
func (s *Service) readError(ctx context.Context, name storage.BlobName, err error) error {
	if _, err := s.Store.Blob(ctx, name, s.Now()); errors.Is(err, storage.ErrUnknownBlob) {
		return errUnknown
	}
	return s.objectError(ctx, "reading", err)
}

// objectError logs what the operator must know, and tells the caller that it
// is not his fault.
func (s *Service) objectError(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Log.ErrorContext(ctx, "a blob was not served", "error", fmt.Errorf("%w: %s: %w", ErrObjects, what, discreet(err)))
	return errObjects
}
