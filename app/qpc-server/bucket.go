package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	cloud "gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // the scheme s3://
	"gocloud.dev/gcerrors"

	"quicprochat/server"
	"quicprochat/server/blob"
	"quicprochat/server/check"
)

// bucket keeps blobs in an object store. It implements blob.Objects.
type bucket struct{ *cloud.Bucket }

// bucketOption makes the server use the bucket of a URL; none where it is
// empty. Nobody is asked yet whether the bucket can be reached.
func bucketOption(ctx context.Context, url string) ([]server.Option, error) {
	if url == "" {
		return nil, nil
	}
	b, err := openBucket(ctx, url)
	if err != nil {
		return nil, err
	}
	return []server.Option{server.WithObjects(b)}, nil
}

func openBucket(ctx context.Context, url string) (blob.Objects, error) {
	b, err := cloud.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("blob_url cannot be used: %w", err)
	}
	return bucket{b}, nil
}

// bucketFinding tells whether the bucket of a URL can be reached.
func bucketFinding(ctx context.Context, url string) check.Finding {
	b, err := cloud.OpenBucket(ctx, url)
	if err != nil {
		return check.Finding{Grade: check.Wrong, Text: fmt.Sprintf("blob_url cannot be used: %v", err)}
	}
	defer b.Close()
	switch there, err := b.IsAccessible(ctx); {
	case err != nil:
		return check.Finding{Grade: check.Wrong, Text: fmt.Sprintf("the bucket for blobs cannot be reached: %v", err)}
	case !there:
		return check.Finding{Grade: check.Wrong, Text: "the bucket for blobs does not exist"}
	}
	return check.Finding{Grade: check.OK, Text: "the bucket for blobs is there"}
}

// sealedContent is all that can be said of what clients have encrypted.
var sealedContent = &cloud.WriterOptions{ContentType: "application/octet-stream", DisableContentTypeDetection: true}

func (b bucket) Write(ctx context.Context, key string, data []byte) error {
	return withoutKey(b.WriteAll(ctx, key, data, sealedContent))
}

func (b bucket) Read(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := b.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, withoutKey(err)
	}
	return r, nil
}

func (b bucket) Delete(ctx context.Context, key string) error {
	err := b.Bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return withoutKey(err)
}

// Check tells whether the bucket is there and lets us in.
func (b bucket) Check(ctx context.Context) error {
	there, err := b.IsAccessible(ctx)
	if err != nil {
		return withoutKey(err)
	}
	if !there {
		return errNoBucket
	}
	return nil
}

var errNoBucket = errors.New("the bucket for files does not exist")

// withoutKey keeps of an error what an operator needs, and not the key that
// the library puts into every one.
func withoutKey(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	text := gcerrors.Code(err).String()
	if e, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		text += ", " + e.ErrorCode()
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("bucket: %s: %w", text, e)
	}
	return fmt.Errorf("bucket: %s", text)
}
