package blob

import (
	"bytes"
	"context"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func (s *Service) download(ctx context.Context, p *wire.Peer, req *qpcv1.DownloadRequest) (*qpcv1.DownloadResponse, error) {
	if len(req.BlobId) != secretSize {
		return nil, errSecret
	}
	length := int64(req.Length)
	if length == 0 {
		length = maxRange
	}
	if length > maxRange {
		return nil, errRange
	}
	blob, err := s.Store.Blob(ctx, nameOf([secretSize]byte(req.BlobId)), s.Now())
	if err != nil {
		return nil, storeError(err)
	}
	if !blob.Finished {
		return nil, errUnknown
	}
	if req.Offset >= uint64(blob.Size) {
		return nil, errRange
	}
	offset := int64(req.Offset)
	length = min(length, blob.Size-offset)
	// The response is in memory until the client has taken it; ctx ends then.
	if err := s.transfers.wait(ctx, p.RemoteAddr()); err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, length))
	if err := s.read(ctx, data, blob, offset, length); err != nil {
		return nil, s.readError(ctx, blob.Name, err)
	}
	return &qpcv1.DownloadResponse{Data: data.Bytes(), Size: uint64(blob.Size)}, nil
}
