package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

func (s *Service) createUpload(ctx context.Context, p *wire.Peer, req *qpcv1.CreateUploadRequest) (*qpcv1.CreateUploadResponse, error) {
	device, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	id, err := idOfSecret(req.UploadSecret)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Size == 0:
		return nil, errSize
	case req.Size > uint64(s.MaxSize):
		return nil, errTooLarge
	}
	now, size := s.Now(), int64(req.Size)
	blob, err := s.Store.CreateBlob(ctx, storage.NewBlob{
		Name: nameOf(id), Size: size, ChunkSize: ChunkSize,
		Quota: s.quotaOf(device.Account, now), Charge: charge(size), Now: now,
	})
	if errors.Is(err, storage.ErrBlobQuota) {
		return nil, errQuota(now)
	}
	if err != nil {
		return nil, storeError(err)
	}
	stored, err := s.Store.BlobChunks(ctx, blob.Name)
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.CreateUploadResponse{
		BlobId: id[:], ChunkSize: uint32(blob.ChunkSize), Received: bitmap(stored, blob.Chunks()), Finished: blob.Finished,
	}, nil
}

func bitmap(numbers []int, total int) []byte {
	bits := make([]byte, (total+7)/8)
	for _, n := range numbers {
		bits[n/8] |= 1 << (n % 8)
	}
	return bits
}

// Admit decides whether a call of m is read: it takes the place in memory that
// an uploaded chunk needs, before it arrives. Give it every call's header and
// the context that its handler will get.
func (s *Service) Admit(ctx context.Context, p *wire.Peer, m wire.Method) error {
	if m.ID != s.uploadChunkID {
		return nil
	}
	return s.transfers.try(ctx, p.RemoteAddr())
}

func (s *Service) uploadChunk(ctx context.Context, p *wire.Peer, req *qpcv1.UploadChunkRequest) (*qpcv1.UploadChunkResponse, error) {
	if _, err := session.DeviceOf(p); err != nil {
		return nil, err
	}
	if err := s.writes.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.writes.Release(1)
	chunk, err := s.chunkOf(ctx, req)
	if err != nil {
		return nil, err
	}
	stored, err := s.Store.BeginChunk(ctx, chunk)
	if err != nil {
		return nil, storeError(err)
	}
	if stored {
		return &qpcv1.UploadChunkResponse{}, nil
	}
	key := Key(chunk.Name, chunk.Number)
	if err := s.Objects.Write(ctx, key, req.Data); err != nil {
		return nil, s.objectError(ctx, "writing", err)
	}
	if err := s.Store.StoredChunk(ctx, chunk); err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.UploadChunkResponse{}, nil
}

// chunkOf finds out which chunk of which upload a request brings.
func (s *Service) chunkOf(ctx context.Context, req *qpcv1.UploadChunkRequest) (storage.BlobChunk, error) {
	id, err := idOfSecret(req.UploadSecret)
	if err != nil {
		return storage.BlobChunk{}, err
	}
	now := s.Now()
	blob, err := s.Store.Blob(ctx, nameOf(id), now)
	if err != nil {
		return storage.BlobChunk{}, storeError(err)
	}
	if req.Offset >= uint64(blob.Size) || req.Offset%uint64(blob.ChunkSize) != 0 {
		return storage.BlobChunk{}, errChunk
	}
	offset := int64(req.Offset)
	if int64(len(req.Data)) != min(blob.ChunkSize, blob.Size-offset) {
		return storage.BlobChunk{}, errChunk
	}
	return storage.BlobChunk{Name: blob.Name, Number: int(offset / blob.ChunkSize), Digest: sha256.Sum256(req.Data), Now: now}, nil
}

func (s *Service) finishUpload(ctx context.Context, p *wire.Peer, req *qpcv1.FinishUploadRequest) (*qpcv1.FinishUploadResponse, error) {
	if _, err := session.DeviceOf(p); err != nil {
		return nil, err
	}
	id, err := idOfSecret(req.UploadSecret)
	if err != nil {
		return nil, err
	}
	if len(req.Sha256) != sha256.Size {
		return nil, errSecret
	}
	blob, err := s.Store.Blob(ctx, nameOf(id), s.Now())
	if err != nil {
		return nil, storeError(err)
	}
	want := [32]byte(req.Sha256)
	if !blob.Finished {
		if err := s.check(ctx, blob, want); err != nil {
			return nil, err
		}
	}
	blob, err = s.Store.FinishBlob(ctx, blob.Name, want, s.Now())
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.FinishUploadResponse{ExpiresAt: uint64(blob.Expires.Unix())}, nil
}

// check reads an upload from its objects and compares its hash.
func (s *Service) check(ctx context.Context, blob storage.Blob, want [32]byte) error {
	stored, err := s.Store.BlobChunks(ctx, blob.Name)
	if err != nil {
		return storeError(err)
	}
	if len(stored) < blob.Chunks() {
		return errIncomplete
	}
	if err := s.checks.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.checks.Release(1)
	sum := sha256.New()
	if err := s.read(ctx, sum, blob, 0, blob.Size); err != nil {
		return s.readError(ctx, blob.Name, err)
	}
	if [32]byte(sum.Sum(nil)) != want {
		return errHash
	}
	return nil
}

// read copies a range of a blob from its objects to w. An error holds no name.
func (s *Service) read(ctx context.Context, w io.Writer, blob storage.Blob, offset, length int64) error {
	for length > 0 {
		chunk, skip := int(offset/blob.ChunkSize), offset%blob.ChunkSize
		n := min(length, blob.ChunkSize-skip)
		if err := s.readChunk(ctx, w, Key(blob.Name, chunk), skip, n); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}

func (s *Service) readChunk(ctx context.Context, w io.Writer, key string, offset, length int64) error {
	r, err := s.Objects.Read(ctx, key, offset, length)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, r)
	if err == nil && n != length {
		err = errShort
	}
	return err
}

// errShort: an object has fewer bytes than were written, or more.
var errShort = errors.New("an object has another length than when it was written")
